"""Files and hub datasets with columns of their own, and the chit-chat package."""

import csv
import datetime
import decimal
import gzip
import json
import os

import pyarrow
import pytest
from pyarrow import parquet

from zsc.data import chitchat, load_records
from zsc.data.columns import COLUMNS, listed, turns
from zsc.data.record import Focus, Record, Turn
from zsc.data.table import read_rows
from zsc.errors import ZscError

HISTORY = (Turn("A", "Hi."), Turn("B", "Hello, you."))
WANTED = [Record("x", HISTORY, "Good day.", "Days are long."), Record("y", HISTORY[:1], None, None, "days")]
ROWS = [
    dict(id="x", history=["Hi.", "Hello,  you."], reference="Good day.", knowledge="Days are long.", topic=None),
    {"id": "y", "history": ["Hi."], "reference": None, "knowledge": None, "topic": "days"},
]


def write_csv(file, rows, encoding="utf-8", delimiter=","):
    with file.open("w", encoding=encoding, newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return file


def flat(rows, history):
    return [{**row, "history": history(row["history"])} for row in rows]


def table(file, turns="one", **columns):
    return load_records("table", path=str(file), turns=turns, columns={**COLUMNS, **columns})


def test_the_same_records_from_every_format(tmp_path):
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    write_csv(tmp_path / "rows.csv", flat(ROWS, "\n".join))
    write_csv(tmp_path / "bom.csv", flat(ROWS, json.dumps), encoding="utf-8-sig")
    write_csv(tmp_path / "rows.tsv", flat(ROWS, "\r\n".join), delimiter="\t")
    for name in ("rows.parquet", "rows.json", "rows.jsonl", "rows.csv", "bom.csv", "rows.tsv"):
        assert table(tmp_path / name, turns="lines") == WANTED, name


def test_columns_of_other_names_and_rows_without_an_id(tmp_path):
    file = tmp_path / "other.jsonl"
    file.write_text('{"context": "Hi.\\nHello, you.", "answer": "Good day.", "knowledge": "unused", "score": 3}\n')
    (record,) = table(file, "lines", history="context", reference="answer", knowledge=None)
    assert record == Record("1", HISTORY, "Good day.")


@pytest.mark.parametrize(
    "history",
    [
        [{"speaker": "A", "text": "Hi."}, {"speaker": "B", "text": "Hello, you."}],
        '[{"speaker": "A", "text": "Hi."}, {"speaker": "B", "text": "Hello, you."}]',
        ["Hi.", "Hello, you.", ""],
        "Hi.\n\nHello, you.\n",
        '["Hi.", "Hello, you."]',
        "Hi.\nHello, you.\n",
    ],
)
def test_histories(history):
    assert tuple(Turn(**turn) for turn in turns(listed(history, "here"), "lines")) == HISTORY


@pytest.mark.parametrize("text", ["42", "[laughs] Hi.", "[[Cats]] purr.", "{}", "[1", '"quoted"', "9" * 5000])
def test_text_that_looks_a_little_like_json_is_a_turn(text):
    assert turns(listed(text, "here"), "one") == [{"speaker": "A", "text": text}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("['Hi.', 'Hello.']", r"here: not valid JSON .*It looks like a list: write lists as JSON, with double quotes"),
        ('["Hi.", "Hel', r"here: not valid JSON .*It looks like a list"),
        ("[" * 100_000, r"here: not valid JSON \(nested too deeply\)"),
        (f"[{'9' * 5000}]", r"here: holds a whole number of thousands of digits"),
    ],
)
def test_lists_that_cannot_be_read(text, message):
    with pytest.raises(ZscError, match=message):
        listed(text, "here")


def test_paragraphs_are_one_turn_unless_asked(tmp_path, capsys):
    file = write_csv(tmp_path / "rows.csv", [{"history": "A poem.\n\nBy me."}, {"history": "Hi."}])
    assert [record.history for record in table(file)] == [(Turn("A", "A poem. By me."),), (Turn("A", "Hi."),)]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("1 of 2 histories are plain text of several lines, each taken for one turn (first: ")
    assert f"{file}, line 4)" in line and line.endswith("of two speakers in alternation: dataset.turns=lines.")
    assert table(file, "lines")[0].history == (Turn("A", "A poem."), Turn("B", "By me."))
    assert capsys.readouterr().err == ""
    with pytest.raises(ZscError, match=r"dataset.turns=two must be one of one, lines"):
        table(file, "two")


def test_a_history_may_be_absent(tmp_path):
    rows = [
        {"history": " ", "knowledge": "K."},
        {"history": None, "knowledge": "L."},
        {"knowledge": "M."},
        {"history": []},
    ]
    (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, rows)))
    write_csv(tmp_path / "none.csv", [{"knowledge": "K.", "text": "T."}])
    assert table(tmp_path / "some.jsonl") == [
        Record(str(i), (), None, k) for i, k in enumerate(("K.", "L.", "M.", None), 1)
    ]
    assert table(tmp_path / "none.csv") == [Record("1", (), None, "K.")]
    assert table(tmp_path / "none.csv", history=None, knowledge="text") == [Record("1", (), None, "T.")]


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        ({"history": {"text": "Hi."}}, {}, r"rows.jsonl, line 1: field 'history' must be a list of turns, got {'text'"),
        ({"text": "Hi."}, {}, r"no column for any of history, reference, .* or any other word. There are: text"),
        ({"history": ["Hi."], "id": True}, {}, r"line 1: field 'id' must be text or a number, got True"),
        ({"history": ["Hi."], "id": [1]}, {}, r"line 1: field 'id' must be text or a number, got \[1\]"),
        ({"history": ["Hi."], "id": float("inf")}, {}, r"line 1: field 'id' must be text or a number, got inf"),
        ({"history": ["Hi."], "id": "\x1b[2J"}, {}, r"line 1: field 'id' holds control characters"),
        ({"history": ["Hi.", None]}, {}, r"line 1: field 'history\[1\]' must be an object"),
        (
            {"history": ["Hi."], "knowledge": {"a": 1}},
            {},
            r"line 1: field 'knowledge' must be a non-empty string, got {",
        ),
        ({"history": ["Hi."], "knowledge": float("inf")}, {}, r"field 'knowledge' must be a non-empty string, got inf"),
        ({"history": [3]}, {}, r"line 1: field 'history\[0\]'"),
        ({"history": ["Hi."], "reference": 3}, {}, r"line 1: field 'reference'"),
        ({"history": ["Hi."]}, {"reference": "answr"}, r"no column 'answr' for dataset.columns.reference"),
        ({"histori": ["Hi."]}, {}, r"no column 'history' .* Did you mean 'histori'\? .* There are: histori"),
        ({"history": ["Hi."]}, {"history": "x"}, r"no column 'x' for dataset.columns.history"),
        ({"history": ["Hi."]}, {"histry": "x"}, r"dataset.columns.histry is no field .* Did you mean 'history'"),
    ],
)
def test_bad_rows_and_columns(tmp_path, row, columns, message):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row))
    with pytest.raises(ZscError, match=message):
        table(file, **columns)


def test_an_id_that_repeats(tmp_path):
    with pytest.raises(ZscError, match=r"line 5: field 'id' 'x' repeats"):
        table(write_csv(tmp_path / "rows.csv", flat([ROWS[0], ROWS[0]], "\n".join)))


def test_broken_files(tmp_path):
    complete = tmp_path / "whole.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), complete)
    (tmp_path / "cut.parquet").write_bytes(complete.read_bytes()[:-20])
    (tmp_path / "cut.csv").write_text('id,history\n1,"Hi. And th')
    (tmp_path / "short.csv").write_text("id,history,reference\n1,Hi.\n")
    (tmp_path / "long.csv").write_text("id,history\n1,Hi.,there\n")
    (tmp_path / "latin.csv").write_bytes("id,history\n1,Café au lait".encode("cp1252"))
    (tmp_path / "twice.csv").write_text("id,history,history\n1,Hi.,Ho.\n")
    (tmp_path / "blank.csv").write_text("history,,\nHi.,,\n")
    parquet.write_table(pyarrow.table([["a"], ["b"]], names=["history", "history"]), tmp_path / "twice.parquet")
    (tmp_path / "twice.jsonl").write_text('{"history": ["a"], "history": ["b"]}\n')
    (tmp_path / "nul.csv").write_bytes(b"id,history\n1,a\0b\n")
    (tmp_path / "zip.csv").write_bytes(b"PK\x03\x04")
    (tmp_path / "packed.csv").write_bytes(gzip.compress(b"id,history\n1,Hi.\n"))
    (tmp_path / "whole.csv.gz").write_bytes(b"")
    (tmp_path / "renamed.jsonl").write_bytes(complete.read_bytes())
    (tmp_path / "text.parquet").write_text("id,history\n1,Hi.\n")
    (tmp_path / "empty.parquet").write_bytes(b"")
    (tmp_path / "lines.json").write_text('{"history": ["a"]}\n{"history": ["b"]}\n')
    (tmp_path / "object.json").write_text('{"history": {"0": "a"}}')
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "strings.json").write_text('["a"]')
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "cut.jsonl").write_text('{"id": 1, "history": ["a"]}\n{"id": 2, "hist')
    (tmp_path / "mixed.jsonl").write_bytes(b'{"history": ["a"]}\n{"history": ["caf\xe9"]}\n')
    (tmp_path / "list.jsonl").write_text("[1]")
    (tmp_path / "rows.xlsx").write_text("x")
    for name, message in [
        ("cut.parquet", "as Parquet: cannot be read"),
        ("text.parquet", "as Parquet: cannot be read"),
        ("empty.parquet", "as Parquet: cannot be read"),
        ("twice.csv", "2 columns are called 'history'. Rename"),
        ("twice.parquet", "2 columns are called 'history'. Rename"),
        ("twice.jsonl", "line 1: two fields are called 'history'. Rename"),
        ("nul.csv", "nul.csv, line 2: no plain text, since it holds a NUL character"),
        ("zip.csv", "no plain text but a ZIP archive or a spreadsheet"),
        ("packed.csv", "no plain text but gzip: unpack it with gunzip"),
        ("whole.csv.gz", "cannot read .gz.* unpack what is compressed"),
        ("renamed.jsonl", "no plain text but Parquet: call it .parquet"),
        ("lines.json", "line 2: not valid JSON .* call the file .jsonl"),
        ("object.json", "must hold a list of objects, one for each row, not dict"),
        ("deep.json", "nested too deeply"),
        ("strings.json", "row 1: must be a JSON object, not str"),
        ("folder.csv", "is a folder"),
        ("pipe.csv", "is no regular file"),
        ("a" * 300 + ".csv", "File name too long"),
        ("cut.csv", r"not a whole table after line 0 \(unexpected end of data"),
        ("short.csv", "line 2: not as many fields"),
        ("long.csv", "line 2: not as many fields"),
        ("latin.csv", r"not UTF-8 text at byte 16. Convert it, .*iconv"),
        ("cut.jsonl", "line 2: not valid JSON"),
        ("mixed.jsonl", "line 2: not UTF-8"),
        ("list.jsonl", "must be a JSON object, not list. A list of all rows is no JSON Lines: call the file .json"),
        ("rows.xlsx", r"cannot read .xlsx.* Known: .csv, .tsv, .json, .jsonl, .parquet"),
        ("none.csv", "no file"),
    ]:
        with pytest.raises(ZscError, match=message):
            table(tmp_path / name)
    assert table(tmp_path / "blank.csv") == [Record("1", HISTORY[:1])]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pyarrow.array([0, 2**62], pyarrow.timestamp("ms")), r"row 2, column 'reference': cannot be read"),
        (
            pyarrow.Array.from_buffers(
                pyarrow.string(),
                2,
                [None, pyarrow.array([0, 1, 2], pyarrow.int32()).buffers()[1], pyarrow.py_buffer(b"a\xff")],
            ),
            r"row 2, column 'reference': cannot be read",
        ),
        (pyarrow.array([b"a", b"b"]), r"row 1: field 'reference' must be a non-empty string, got b'a'"),
        (pyarrow.array([datetime.date(2020, 1, 1)] * 2), r"row 1: field 'reference' must be .* got datetime.date"),
        (pyarrow.array([decimal.Decimal("1.5")] * 2), r"row 1: field 'reference' must be .* got Decimal"),
        (pyarrow.array([{"a": 1}] * 2), r"row 1: field 'reference' must be .* got {'a': 1}"),
        (pyarrow.array(["a", None]).dictionary_encode(), None),
    ],
)
def test_columns_of_parquet(tmp_path, values, message):
    parquet.write_table(pyarrow.table({"history": ["Hi.", "Hi."], "reference": values}), tmp_path / "rows.parquet")
    if message is None:
        assert [record.reference for record in table(tmp_path / "rows.parquet")] == ["a", None]
    else:
        with pytest.raises(ZscError, match=message):
            table(tmp_path / "rows.parquet")


@pytest.mark.parametrize("delimiter", ";\t|")
def test_fields_between_other_delimiters(tmp_path, delimiter):
    assert table(write_csv(tmp_path / "rows.csv", flat(ROWS, json.dumps), delimiter=delimiter)) == WANTED


def test_a_field_of_ten_megabytes_and_a_table_of_one_column(tmp_path):
    (record,) = table(write_csv(tmp_path / "rows.csv", [{"history": "word " * 2_000_000}]))
    assert len(record.history[0].text) == 9_999_999


@pytest.fixture
def hub_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def hub(folder, split="test", **columns):
    return load_records("hub", path=str(folder), name=None, split=split, revision=None, columns={**COLUMNS, **columns})


def test_a_dataset_that_the_datasets_library_loads(hub_folder):
    (hub_folder / "test.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    assert hub(hub_folder) == WANTED
    for split, columns, message in [
        ("tset", {}, "has no split 'tset'. Did you mean 'test'"),
        ("test", {"reference": "answer"}, "no column 'answer' for dataset.columns.reference"),
    ]:
        with pytest.raises(ZscError, match=message):
            hub(hub_folder, split, **columns)


def test_a_dataset_that_is_nowhere(hub_folder):
    with pytest.raises(ZscError, match="cannot be loaded"):
        hub("nobody/nothing")
    with pytest.raises(ZscError, match="needs the name"):
        hub("")


DIALOGUE = {
    "post": ["Cats", "Do they sleep?", "Goodbye."],
    "response": ["Cats purr.", "Yes, a lot.", "Bye!"],
    "knowledge": [
        ["no_passages_used __knowledge__ no_passages_used", "Cat __knowledge__ A cat  purrs."],
        ["Sleep __knowledge__ Sleep is rest.", "Cat __knowledge__ Cats sleep long."],
        ["no_passages_used __knowledge__ no_passages_used"],
    ],
    "labels": [1, 1, 0],
    "topics": ["Cat", "", "Cat"],
}


def wizard_hub(folder, dialogue=DIALOGUE, min_history=1):
    (folder / "test.jsonl").write_text(json.dumps(dialogue))
    return load_records("wizard_hub", path=str(folder), split="test", revision=None, min_history=min_history)


def test_wizard_of_wikipedia_as_the_hub_has_it(hub_folder):
    first, second = wizard_hub(hub_folder)
    assert first == Record("test/0/0", (Turn("Apprentice", "Cats"),), "Cats purr.", "A cat purrs.", "Cat")
    assert second.id == "test/0/1" and second.knowledge == "Cats sleep long." and second.topic == "Cat"
    assert second.history == (*first.history, Turn("Wizard", "Cats purr."), Turn("Apprentice", "Do they sleep?"))


def test_only_answers_after_enough_turns(hub_folder):
    (only,) = wizard_hub(hub_folder, min_history=2)
    assert only.id == "test/0/1"


@pytest.mark.parametrize(
    ("change", "message"),
    [({"labels": [9, 1, 0]}, "label 9 names none"), ({"post": ["a"]}, "must be lists of equal length"),
     ({"post": ...}, "no column post")],
)  # fmt: skip
def test_wizard_of_wikipedia_in_another_layout(hub_folder, change, message):
    changed = {key: value for key, value in {**DIALOGUE, **change}.items() if value is not ...}
    with pytest.raises(ZscError, match=message):
        wizard_hub(hub_folder, changed)


def test_chitchat_joins_what_one_person_sent_in_a_row():
    conversation = {
        "prompt": "What if  it rains?",
        "messages": [
            [{"text": "Hello", "sender": "a"}, {"text": "You?", "sender": "a"}],
            [{"text": " ", "sender": "b"}, {"text": "Fine.", "sender": "b"}],
            [{"text": "Good.", "sender": "b"}],
            [{"text": "Yes.", "sender": "a"}],
        ],
    }
    one, two = chitchat.records("k", conversation, 1)
    assert one == Record("k/1", (Turn("a", "Hello You?"),), "Fine. Good.", None, "What if it rains?")
    assert two.id == "k/2" and two.reference == "Yes." and len(two.history) == 2
    assert [record.id for record in chitchat.records("k", conversation, 2)] == ["k/2"]


def test_the_chitchat_package():
    pytest.importorskip("chitchat_dataset", reason="needs the package chitchat-dataset")
    records = load_records("chitchat", min_history=5, limit=1000)
    assert len(records) == 1000 and all(len(record.history) >= 5 for record in records)
    assert all(one.speaker != two.speaker for r in records for one, two in zip(r.history, r.history[1:], strict=False))


def test_without_the_chitchat_package(monkeypatch):
    monkeypatch.setattr("zsc.install.problem", lambda one: f"{one.name} is not installed")
    with pytest.raises(
        ZscError, match=r"chitchat-dataset is not installed. Run: .*pip install .*'chitchat-dataset>=0.9'"
    ):
        load_records("chitchat", min_history=1)


def test_tables_as_spreadsheets_write_them(tmp_path):
    (tmp_path / "semi.csv").write_bytes("\ufeffid;history\r\n7;Hi, you.\r\n".encode())
    (tmp_path / "bom.jsonl").write_bytes('\ufeff{"id": 0, "history": "Hi."}\n{"id": 1, "history": "Yes."}\n'.encode())
    assert read_rows(tmp_path / "semi.csv") == [
        (f"{tmp_path / 'semi.csv'}, line 2", {"id": "7", "history": "Hi, you."})
    ]
    assert [row["id"] for _, row in read_rows(tmp_path / "bom.jsonl")] == [0, 1]
    (tmp_path / "wide.csv").write_bytes("id,history\n1,Hi.\n".encode("utf-16"))
    with pytest.raises(ZscError, match="iconv -f UTF-16 -t UTF-8"):
        read_rows(tmp_path / "wide.csv")
    (tmp_path / "half.jsonl").write_text('{"id": "1", "history": ["Hi \\ud83d there"]}\n')
    with pytest.raises(ZscError, match=r"line 1: field 'history.0..text' holds half of a character"):
        table(tmp_path / "half.jsonl")


CASH = {"article": "Tea  is a drink.", "highlights": "Tea.", "extra": 3}
ANSWERS = {"text": ["a drink", "drink"], "answer_start": [7, 9]}


def rows(tmp_path, *values):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(value) for value in values))
    return file


def test_columns_become_any_field(tmp_path):
    file = rows(tmp_path, CASH)
    assert table(file, document="article", reference="highlights", my_field="article") == [
        Record("1", (), "Tea.", fields={"document": "Tea is a drink.", "my_field": "Tea is a drink."})
    ]
    assert table(file, document="article", answers="highlights", text="article")[0].fields.keys() == {
        "document", "answers", "text"
    }  # fmt: skip
    known = rows(tmp_path, {"source": "s", "instruction": "i", "other": "o", "context": None})
    assert table(known) == [Record("1", (), fields={"source": "s", "instruction": "i"})]


def test_a_column_may_be_a_path(tmp_path):
    nested = {"translation": {"en": "Yes.", "de": "Ja."}, "a.b": "whole", "a": {"b": "inner"}, "many": [{"x": "1"}]}
    columns = {"source": "translation.en", "reference": "translation.de", "answer": "a.b", "question": "many.0.x"}
    wanted = [Record("1", (), "Ja.", fields={"source": "Yes.", "answer": "whole", "question": "1"})]
    assert table(rows(tmp_path, nested), **columns) == wanted
    parquet.write_table(pyarrow.Table.from_pylist([nested]), tmp_path / "rows.parquet")
    assert table(tmp_path / "rows.parquet", **columns) == wanted
    flat_row = {name: value if isinstance(value, str) else json.dumps(value) for name, value in nested.items()}
    assert table(write_csv(tmp_path / "rows.csv", [flat_row]), **columns) == wanted


@pytest.mark.parametrize("answers", [ANSWERS, [{"text": "a drink"}, {"text": "drink"}], json.dumps(ANSWERS)])
def test_several_references(tmp_path, answers):
    file = rows(tmp_path, {"question": "What is tea?", "answers": answers})
    (record,) = table(file, references="answers.text")
    assert record == Record("1", (), "a drink", fields={"question": "What is tea?"}, references=("a drink", "drink"))


@pytest.mark.parametrize(
    ("cell", "accepted"),
    [(["a", "b", "", None], ("a", "b")), ('["a", "b"]', ("a", "b")), ("a", ("a",)), ([], ()), ("[a] b", ("[a] b",))],
)
def test_what_references_may_be(tmp_path, cell, accepted):
    (record,) = table(rows(tmp_path, {"source": "x", "references": cell}))
    assert record.accepted == accepted


PLACE = {"field": "document", "start": 9, "end": 16}


@pytest.mark.parametrize(
    ("focus", "wanted"),
    [
        ("tea", (Focus("tea"),)),
        (["tea", "drink", ""], (Focus("tea"), Focus("drink"))),
        (PLACE, (Focus("a drink", "document", 7),)),
        ([PLACE, "tea"], (Focus("a drink", "document", 7), Focus("tea"))),
        (json.dumps(PLACE), (Focus("a drink", "document", 7),)),
        (json.dumps([PLACE, "tea"]), (Focus("a drink", "document", 7), Focus("tea"))),
        ("[laughs", (Focus("[laughs"),)),
        ("{", (Focus("{"),)),
        (None, ()),
    ],
)
def test_a_focus_in_every_form(tmp_path, focus, wanted):
    (record,) = table(rows(tmp_path, {"document": "Tea is   a drink.", "focus": focus}))
    assert record.focus == wanted


def test_a_column_that_another_field_names_is_not_read_under_its_own_name_too(tmp_path):
    file = rows(tmp_path, {"question": "Q?", "answer": "A.", "context": "C."})
    assert table(file, reference="answer") == [Record("1", (), "A.", fields={"question": "Q?", "context": "C."})]
    assert table(file, knowledge="context", reference="answer") == [
        Record("1", (), "A.", "C.", fields={"question": "Q?"})
    ]
    focused = Record("1", (), "Q?", fields={"answer": "A.", "context": "C."}, focus=(Focus("A."),))
    assert table(file, reference="question", focus="answer") == [focused]


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        ({"source": 3}, {}, r"line 1: field 'source' must be text, got 3. dataset.columns.source=null leaves it out"),
        ({"x": ["a"]}, {"mine": "x"}, r"line 1: field 'mine' must be text, got \['a'\]"),
        ({"source": "x", "references": 3}, {}, r"line 1: field 'references' must be a list of texts, got \[3\]"),
        ({"source": "x", "references": "['a']"}, {}, r"line 1: field 'references': not valid JSON .* double quotes"),
        ({"source": "x", "focus": 3}, {}, r"line 1: field 'focus' must hold texts or objects"),
        ({"source": "x"}, {"refrence": "source"}, r"dataset.columns.refrence is no field .* Did you mean 'reference'"),
        ({"source": "x"}, {"docment": "source"}, r"dataset.columns.docment is no field .* Did you mean 'document'"),
        ({"source": "x"}, {"gradual": "source"}, r"dataset.columns.gradual: no field can be called so, .* a meaning"),
        ({"source": "x"}, {"my-own": "source"}, r"dataset.columns.my-own: no field can be called so, .* is no word"),
        ({"source": "x"}, {"mine": "sorce"}, r"no column 'sorce' for dataset.columns.mine. Did you mean 'source'"),
        ({"source": "x"}, {"mine": "translation.en"}, r"no column 'translation.en' for dataset.columns.mine"),
        (
            {"source": "x", "translation": {"de": "Ja."}},
            {"mine": "translation.d"},
            r"columns.mine=translation.d leads to nothing in any row. Did you mean 'de'\? .* line 1 has there: de.",
        ),
        ({"source": "x"}, {"mine": "source.en"}, r"columns.mine=source.en leads to nothing in any row. dataset"),
    ],
)
def test_fields_that_cannot_be_read(tmp_path, row, columns, message):
    with pytest.raises(ZscError, match=message):
        table(rows(tmp_path, row), **columns)


def test_a_path_may_lead_to_nothing_in_some_rows(tmp_path):
    file = rows(tmp_path, {"t": {"en": "a"}}, {"t": {}}, {"t": None}, {"t": {"en": None}})
    assert [record.fields for record in table(file, source="t.en")] == [{"source": "a"}, {}, {}, {}]


def test_a_hub_dataset_with_nested_columns(hub_folder):
    (hub_folder / "test.jsonl").write_text(json.dumps({"translation": {"en": "Yes.", "de": "Ja."}, "answers": ANSWERS}))
    (record,) = hub(hub_folder, source="translation.en", reference="translation.de", references="answers.text")
    assert record == Record("1", (), "Ja.", fields={"source": "Yes."}, references=("Ja.", "a drink", "drink"))
