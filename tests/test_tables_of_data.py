"""Files and hub datasets with columns of their own, and the chit-chat package."""

import csv
import json

import pyarrow
import pytest
from pyarrow import parquet

from zsc.data import chitchat, load_records
from zsc.data.columns import FIELDS, turns
from zsc.data.record import Record, Turn
from zsc.data.table import read_rows
from zsc.errors import ZscError

COLUMNS = {field: field for field in FIELDS}
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


def table(file, **columns):
    return load_records("table", path=str(file), columns={**COLUMNS, **columns})


def test_the_same_records_from_every_format(tmp_path):
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    write_csv(tmp_path / "rows.csv", flat(ROWS, "\n".join))
    write_csv(tmp_path / "bom.csv", flat(ROWS, json.dumps), encoding="utf-8-sig")
    write_csv(tmp_path / "rows.tsv", flat(ROWS, "\r\n".join), delimiter="\t")
    for name in ("rows.parquet", "rows.jsonl", "rows.csv", "bom.csv", "rows.tsv"):
        assert table(tmp_path / name) == WANTED, name


def test_columns_of_other_names_and_rows_without_an_id(tmp_path):
    file = tmp_path / "other.jsonl"
    file.write_text('{"context": "Hi.\\nHello, you.", "answer": "Good day.", "knowledge": "unused", "score": 3}\n')
    (record,) = table(file, history="context", reference="answer", knowledge=None)
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
    assert tuple(Turn(**turn) for turn in turns(history)) == HISTORY


def test_text_that_happens_to_be_json_is_a_turn():
    assert turns("42") == [{"speaker": "A", "text": "42"}]


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        ({"history": " "}, {}, r"rows.jsonl, line 1: field 'history' must be a non-empty list of turns, got None"),
        ({"history": [3]}, {}, r"line 1: field 'history\[0\]'"),
        ({"history": ["Hi."], "reference": 3}, {}, r"line 1: field 'reference'"),
        ({"history": ["Hi."]}, {"reference": "answr"}, r"no column 'answr' for dataset.columns.reference"),
        ({"histori": ["Hi."]}, {}, r"no column 'history' .* Did you mean 'histori'\? There are: histori"),
        ({"history": ["Hi."]}, {"history": None}, r"dataset.columns.history must name a column"),
        ({"history": ["Hi."]}, {"histry": "x"}, r"dataset.columns.histry is no field .* Did you mean 'history'"),
    ],
)
def test_bad_rows_and_columns(tmp_path, row, columns, message):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row))
    with pytest.raises(ZscError, match=message):
        table(file, **columns)


def test_an_id_that_repeats(tmp_path):
    with pytest.raises(ZscError, match=r"line 5: id 'x' repeats"):
        table(write_csv(tmp_path / "rows.csv", flat([ROWS[0], ROWS[0]], "\n".join)))


def test_broken_files(tmp_path):
    whole = tmp_path / "whole.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), whole)
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:-20])
    (tmp_path / "cut.csv").write_text('id,history\n1,"Hi. And th')
    (tmp_path / "short.csv").write_text("id,history,reference\n1,Hi.\n")
    (tmp_path / "long.csv").write_text("id,history\n1,Hi.,there\n")
    (tmp_path / "latin.csv").write_bytes("id,history\n1,Café au lait".encode("cp1252"))
    (tmp_path / "cut.jsonl").write_text('{"id": 1, "history": ["a"]}\n{"id": 2, "hist')
    (tmp_path / "mixed.jsonl").write_bytes(b'{"history": ["a"]}\n{"history": ["caf\xe9"]}\n')
    (tmp_path / "list.jsonl").write_text("[1]")
    (tmp_path / "rows.xlsx").write_text("x")
    for name, message in [
        ("cut.parquet", "not a whole Parquet file"),
        ("cut.csv", "not a whole table"),
        ("short.csv", "line 2: not as many fields"),
        ("long.csv", "line 2: not as many fields"),
        ("latin.csv", r"not UTF-8 text at byte 16. Convert it, .*iconv"),
        ("cut.jsonl", "line 2: not valid JSON"),
        ("mixed.jsonl", "line 2: not UTF-8"),
        ("list.jsonl", "must be a JSON object"),
        ("rows.xlsx", r"cannot read .xlsx.* Known: .csv, .tsv, .jsonl, .parquet"),
        ("none.csv", "no file"),
    ]:
        with pytest.raises(ZscError, match=message):
            table(tmp_path / name)


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
        ZscError, match=r"chitchat-dataset is not installed. Run: .*pip install 'chitchat-dataset>=0.9'"
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
