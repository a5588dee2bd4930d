"""SQuAD's own format and that of the hub, on a few questions by hand."""

import json

import pytest

from tests.data import altered
from zsc.data import load_records
from zsc.data.record import Focus, Record
from zsc.errors import ZscError

CONTEXT = "Tea is a  drink.\nIt is made from leaves, and leaves are green."
CLEAN = "Tea is a drink. It is made from leaves, and leaves are green."
SECOND = CONTEXT.index("leaves are")
QUESTIONS = [
    {
        "id": "q1",
        "question": "What is  tea made from?",
        "answers": [
            {"text": "leaves", "answer_start": CONTEXT.index("leaves")},
            {"text": "from leaves", "answer_start": CONTEXT.index("from leaves")},
            {"text": "leaves", "answer_start": CONTEXT.index("leaves")},
        ],
    },
    {
        "id": "q2",
        "question": "What is green?",
        "answers": [{"text": "leaves", "answer_start": SECOND}],
        "is_impossible": False,
    },
    {
        "id": "q3",
        "question": "Who drinks it?",
        "answers": [],
        "plausible_answers": [{"text": "Tea", "answer_start": 0}],
        "is_impossible": True,
    },
]
FILE = {
    "version": "v2.0",
    "data": [{"title": "Green_Tea", "paragraphs": [{"context": CONTEXT, "qas": QUESTIONS}]}],
}


def fields(**more):
    return {"context": CLEAN, "answer": "leaves", **more}


def focus(nth):
    return (Focus("leaves", "context", [CLEAN.index("leaves"), CLEAN.rindex("leaves")][nth]),)


BOTH = ("leaves", "from leaves")
ANSWERING = [
    Record("q1", (), "leaves", None, "Green Tea", fields(question="What is tea made from?"), focus(0), BOTH),
    Record("q2", (), "leaves", None, "Green Tea", fields(question="What is green?"), focus(1)),
]
GENERATION = [
    Record("q1", (), "What is tea made from?", None, "Green Tea", fields(), focus(0)),
    Record("q2", (), "What is green?", None, "Green Tea", fields(), focus(1)),
]
UNANSWERED = Record("q3", (), None, None, "Green Tea", {"context": CLEAN, "question": "Who drinks it?"})


def from_file(tmp_path, document=FILE, **options):
    file = tmp_path / "dev.json"
    file.write_text(json.dumps(document))
    return load_records("squad", path=str(file), **options)


@pytest.fixture
def from_hub(monkeypatch):
    def load(tmp_path, questions=QUESTIONS, **options):
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
        common = {"title": "Green_Tea", "context": CONTEXT}
        rows = [
            {**common, "id": one["id"], "question": one["question"],
             "answers": {key: [answer[key] for answer in one["answers"]] for key in ("text", "answer_start")}}
            for one in questions
        ]  # fmt: skip
        (tmp_path / "hub").mkdir()
        (tmp_path / "hub" / "validation.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return load_records("squad_hub", path=str(tmp_path / "hub"), **options)

    return load


@pytest.mark.parametrize("hub", [False, True])
@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, ANSWERING),
        ({"unanswerable": True}, [*ANSWERING, UNANSWERED]),
        ({"task": "question_generation"}, GENERATION),
    ],
)
def test_questions_and_answers(tmp_path, hub, options, wanted, from_hub, capsys):
    assert (from_hub if hub else from_file)(tmp_path, **options) == wanted
    said = capsys.readouterr().err
    assert ("1 of 3 questions have no answer, and are left out" in said) is (len(wanted) == 2)
    assert ("dataset.unanswerable=true keeps them" in said) is (options == {})


@pytest.mark.parametrize("task", ["question_answering", "question_generation"])
def test_the_text_to_be_generated_is_nowhere_else_when_it_is_a_question(tmp_path, task):
    for record in from_file(tmp_path, task=task):
        texts = [*record.fields.values(), *(one.text for one in record.focus)]
        assert ("?" in "".join(texts)) is (task == "question_answering")


IN = ("data", 0, "paragraphs", 0)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("data",), ..., r"dev.json: field 'data' must be a list, got nothing"),
        ((*IN, "context"), 3, r"article 0, paragraph 0: field 'context' must be a string, got 3"),
        ((*IN, "qas", 0, "id"), 3, r"paragraph 0: field 'id' must be a string"),
        ((*IN, "qas", 0, "answers"), ..., r"question 'q1': field 'answers' must be a list, got nothing"),
        ((*IN, "qas", 0, "answers", 0, "text"), ..., r"question 'q1': field 'text' must be a string"),
        ((*IN, "qas", 0, "answers", 0, "answer_start"), "3", r"question 'q1': field 'answer_start' must be a number"),
        ((*IN, "qas", 0, "answers", 0, "answer_start"), 4, r"question 'q1': field 'focus': 4 to 10 .* not 'leaves'"),
        ((*IN, "qas", 0, "answers", 0, "answer_start"), 999, r"999 to 1005 is no part of the \d+ characters"),
        ((*IN, "qas", 1, "id"), "q1", r"field 'id' 'q1' repeats"),
    ],
)
def test_what_is_at_fault_is_named(tmp_path, place, value, message):
    with pytest.raises(ZscError, match=message):
        from_file(tmp_path, altered(FILE, place, value))


def test_options_that_do_not_fit(tmp_path):
    for options, message in [
        (
            {"task": "question_generating"},
            r"is not one of question_answering, question_generation. Did you mean 'question_gen",
        ),
        ({"task": "question_generation", "unanswerable": True}, r"no question can be generated without an answer"),
    ]:
        with pytest.raises(ZscError, match=message):
            from_file(tmp_path, **options)
    with pytest.raises(ZscError, match=r"dataset squad needs dataset.path=FILE.json. Download"):
        load_records("squad")
    with pytest.raises(ZscError, match=r"missing file .*none.json. Download"):
        load_records("squad", path=str(tmp_path / "none.json"))
