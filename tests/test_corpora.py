"""The rules by which scripts/question_corpus.py and scripts/register_corpus.py make their corpora."""

import importlib.util
import json
import lzma
import random
import sys
from pathlib import Path

import pytest

from zsc.data.jsonl import load

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def scripts():
    found = {}
    for name in ("question_corpus", "register_corpus"):
        spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        found[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[name])
    yield found
    for name in found:
        del sys.modules[name]


GLOSSES = [
    "Hayek: English economist (born in Austria) noted for work on the allocation of resources (1899-1992)",
    "tocsin: a bell used to sound an alarm",
    "darkroom: a room in which photographs are developed",
    "Balaton: a large shallow lake in western Hungary",
    'sternutator: a chemical substance that causes sneezing; "police used a sternutator"',
    "cell-free: lacking cells",
]
TRIVIA = [
    "Who wrote Young Goodman Brown?\tNathaniel Hawthorne",
    "What Oklahoma city saw a race riot in 1921?\tTulsa",
    "What European city was named Philippopolis?\tPlovdiv",
    "Which of these is a bird?\tRobin",
    "When was the city of Eilat founded?\t1951",
]


def asked(statement):
    return {one.question: statement.text[one.start : one.end] for one in statement.asked}


def test_questions_of_lives_and_definitions_have_their_answers(scripts):
    corpus = scripts["question_corpus"]
    life, tocsin, darkroom, balaton, sternutator = (one for one in corpus.lives_and_definitions(GLOSSES) if one)
    assert life.text == (
        "Hayek was an English economist noted for work on the allocation of resources. Hayek was born in Austria in"
        " 1899 and died in 1992."
    )
    assert asked(life) == {
        "Who was an English economist noted for work on the allocation of resources?": "Hayek",
        "Who was Hayek?": "an English economist noted for work on the allocation of resources",
        "When was Hayek born?": "1899",
        "When did Hayek die?": "1992",
        "Where was Hayek born?": "Austria",
        "What was Hayek noted for?": "work on the allocation of resources",
    }
    assert tocsin.text == "A tocsin is a bell used to sound an alarm."
    assert asked(tocsin)["What is a tocsin used for?"] == "sound an alarm"
    assert asked(tocsin)["What is a bell used to sound an alarm called?"] == "A tocsin"
    assert len(darkroom.asked) == 2  # what a darkroom is, and what is called so
    assert asked(balaton)["Where is Balaton?"] == "western Hungary"
    assert asked(sternutator)["What does a sternutator do?"] == "causes sneezing"


def test_trivia_are_turned_into_statements(scripts):
    found = [one for one in scripts["question_corpus"].trivia(TRIVIA) if one]
    assert [one.text for one in found] == [
        "Nathaniel Hawthorne wrote Young Goodman Brown.",
        "Plovdiv is the European city that was named Philippopolis.",
        "The city of Eilat was founded in 1951.",
    ]
    assert asked(found[2]) == {"When was the city of Eilat founded?": "1951"}


def test_a_focus_is_where_the_answer_stands(scripts, tmp_path):
    corpus = scripts["question_corpus"]
    statements = [one for one in (*corpus.lives_and_definitions(GLOSSES), *corpus.trivia(TRIVIA)) if one]
    rows = corpus.examples(statements, "test", random.Random(3))[:60]
    corpus.write(tmp_path / "test.jsonl", rows)
    corpus.write(tmp_path / "around.jsonl", [corpus.around(row) for row in rows])
    for record, row, around in zip(
        load(str(tmp_path / "test.jsonl")), rows, load(str(tmp_path / "around.jsonl")), strict=True
    ):
        (focus,) = record.focus
        assert focus.text == row["answer"] and row["statement"] in row["context"]
        texts = [one.text for one in around.focus]
        assert "".join("".join([*texts, row["answer"]]).split()) != "" and all(
            text in row["statement"] for text in texts
        )
        assert sum(map(len, (text.replace(" ", "") for text in [*texts, row["answer"]]))) == len(
            row["statement"].replace(" ", "")
        )


SENTENCES = {
    "I'm gonna watch a huge movie because it is awesome.": (
        "I am going to watch a very large film because it is excellent.",
        "I'm gonna watch a huge movie cuz it's awesome.",
    ),
    "Don't you think he has been an excellent man?": (
        "Do you not think he has been an excellent man?",
        "Don't you think he's been an awesome man?",
    ),
    "Nah, I cannot buy a weird TV until they come.": (
        "No, I cannot purchase a strange television until they come.",
        "Nah, I can't buy a weird TV till they come.",
    ),
    "So I truly liked Iron Man, but we have to go.": (
        "Therefore, I truly liked Iron Man, but we have to go.",
        "So I really liked Iron Man, but we gotta go.",
    ),
}


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_is_told_in_either_register(scripts, text):
    corpus = scripts["register_corpus"]
    sentence = corpus.parsed(text)
    count = len(corpus.phrases(sentence))
    assert tuple(corpus.told(sentence, [formal] * count) for formal in (True, False)) == SENTENCES[text]


def test_the_records_of_a_sentence_have_marks_and_places(scripts):
    corpus = scripts["register_corpus"]
    sentence = corpus.parsed("I'm gonna watch a huge movie.")
    for number in range(6):
        _, formal, informal = corpus.test_examples(sentence, number, random.Random(number))
        assert formal["formal_annotated"] == "[F]I am[/F] [F]going to[/F] watch [F]a very large[/F] [F]film[/F]."
        assert informal["reference"] == "I'm gonna watch a huge movie." == informal["informal"]
        for row in (formal, informal):
            own = [row["source"][one["start"] : one["end"]] for one in row["focus"]]
            assert len(own) == 2 and all(f"[F]{one}[/F]" in row["formal_annotated"] for one in own) == (row is formal)


def test_registers_are_made_of_dialogues(scripts, tmp_path, monkeypatch):
    corpus = scripts["register_corpus"]
    (tmp_path / "self_dialogue").mkdir()
    turns = [f"I'm gonna watch the movie number {i}." for i in range(40)] + ["Too short.", "I'm not sure"]
    with lzma.open(tmp_path / "self_dialogue/dialogues.jsonl.xz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"topic": "film", "turns": turns}) + "\n")
    (tmp_path / "topical_chat/conversations").mkdir(parents=True)
    for split in ("valid_freq", "valid_rare"):
        (tmp_path / f"topical_chat/conversations/{split}.json").write_text("{}")
    monkeypatch.setattr(corpus, "HELDOUT", 8)
    monkeypatch.setattr(corpus, "TEST", 6)
    corpus.main(tmp_path, tmp_path / "out")
    files = {file.stem: load(str(file)) for file in (tmp_path / "out").glob("*.jsonl")}
    assert {name: len(found) for name, found in files.items()} == {
        "train": 26 * 3, "heldout": 8, "test": 6, "test_formal": 6, "test_informal": 6,
    }  # fmt: skip
    numbers = {name: {record.reference.rstrip(".").split()[-1] for record in found} for name, found in files.items()}
    assert not numbers["train"] & numbers["test"] and not numbers["heldout"] & (numbers["train"] | numbers["test"])
    references = {record.reference.rpartition(" number")[0] for record in files["train"]}
    assert references == {"I am going to watch the film", "I'm gonna watch the movie"}
