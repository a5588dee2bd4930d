"""Records, JSON Lines files, and dataset selection."""

import json
import os

import pytest

from zsc.data import load_records
from zsc.data.control_phrases import load_phrases
from zsc.data.record import Record, Turn
from zsc.data.text import read_documents
from zsc.errors import ZscError

GOOD = {"id": "1", "history": [{"speaker": "a", "text": "Hi  there."}], "reference": "Hello.", "knowledge": "K is so."}


def write(tmp_path, *lines):
    file = tmp_path / "records.jsonl"
    file.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    return file


def test_a_good_file(tmp_path):
    records = load_records("jsonl", path=str(write(tmp_path, GOOD, b"", {**GOOD, "id": "2", "knowledge": None})))
    assert [r.id for r in records] == ["1", "2"]
    assert records[0].history == (Turn("a", "Hi there."),) and records[0].knowledge == "K is so."
    assert records[1].knowledge is None and records[1].topic is None


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"{", r"line 2: not valid JSON"),
        (b"\xff\xfe", r"line 2: not UTF-8"),
        ([1], r"line 2: a record must be a JSON object, not list"),
        ({**GOOD, "id": ""}, r"line 2: field 'id'"),
        ({**GOOD, "reference": 3}, r"line 2: field 'reference'"),
        ({**GOOD, "history": "Hi."}, r"line 2: field 'history' must be a list of turns, got 'Hi.'"),
        ({"id": "2", "histroy": []}, r"line 2: there is no field 'history'. Did you mean 'histroy'"),
        ({**GOOD, "id": "a\x1b[2J"}, r"line 2: field 'id' holds control characters"),
        ({**GOOD, "id": "a" * 1001}, r"line 2: field 'id' has 1,001 characters; 1,000 are allowed"),
        ({**GOOD, "id": 1}, r"line 2: field 'id' must be a non-empty string, got 1"),
        ({**GOOD, "id": " 1 "}, r"line 2: field 'id' '1' repeats"),
        ({**GOOD, "reference": "half \ud83d"}, r"line 2: field 'reference' holds half of a character"),
        ({**GOOD, "knowledge": "a\0b"}, r"line 2: field 'knowledge' holds a NUL character"),
        ({**GOOD, "knowledge": float("nan")}, r"line 2: field 'knowledge' must be a non-empty string, got nan"),
        (b'{"id": "2", "topic": "a", "topic": "b"}', r"line 2: two fields are called 'topic'"),
        (b'{"id": "2", "history": ' + b"[" * 100_000, r"line 2: not valid JSON \(nested too deeply\)"),
        (b'{"id": "2", "score": ' + b"9" * 5000 + b"}", r"line 2: holds a whole number of thousands of digits"),
        (b'{"id": "2\x00"}', r"line 2: no plain text, since it holds a NUL character"),
        ({**GOOD, "history": ["Hi."]}, r"line 2: field 'history\[0\]'"),
        ({**GOOD, "history": [{"speaker": "a", "text": 3}]}, r"line 2: field 'history\[0\].text'"),
        ({**GOOD, "id": "2", "knowledge": 7}, r"line 2: field 'knowledge'"),
        (GOOD, r"line 2: field 'id' '1' repeats"),
    ],
)
def test_a_bad_line_is_named_with_its_field(tmp_path, bad, message):
    with pytest.raises(ZscError, match=message):
        load_records("jsonl", path=str(write(tmp_path, GOOD, bad)))


def test_all_but_the_id_may_be_absent_and_comes_back_from_a_file(tmp_path):
    records = load_records(
        "jsonl", path=str(write(tmp_path, {"id": "1"}, {"id": "2", "history": [], "knowledge": "K"}))
    )
    assert records == [Record("1", ()), Record("2", (), None, "K")]
    again = write(tmp_path, *(record.to_json() for record in records))
    assert load_records("jsonl", path=str(again)) == records


def test_ids_that_look_the_same(tmp_path):
    with pytest.raises(
        ZscError, match=r"line 2: field 'id' 'cafe.' is that of another record but for the Unicode form"
    ):
        load_records("jsonl", path=str(write(tmp_path, {**GOOD, "id": "caf\u00e9"}, {**GOOD, "id": "cafe\u0301"})))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\ufeff# happy\n".encode(), None),
        (b"caf\xe9", r"not UTF-8 text at byte 3. Convert it, .* -f WINDOWS-1252"),
        ("so\n".encode("utf-16"), r"not UTF-8 text at byte 0.* -f UTF-16 "),
        ("so\n".encode("utf-16-le"), r"holds a NUL character. If it is UTF-16: .* -f UTF-16LE"),
        (b"\x1f\x8b\x08\0", r"is no plain text but gzip: unpack it with gunzip"),
        (None, r"is a folder"),
        (..., r"is no regular file, such as a pipe"),
    ],
)
def test_phrases_are_read_as_text(tmp_path, content, message):
    file = tmp_path / "phrases.txt"
    if content is None:
        file.mkdir()
    elif content is ...:
        os.mkfifo(file)
    else:
        file.write_bytes(content)
    if message is None:
        assert load_phrases(str(file)) == ["# happy"]
    else:
        with pytest.raises(ZscError, match=message):
            load_phrases(str(file))


def test_training_text_that_is_none(tmp_path):
    for name, content in (("a.txt", b"caf\xe9"), ("a.txt.xz", b"no archive")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ZscError, match=f"{name}: cannot be read .*Give UTF-8 text"):
            list(read_documents(tmp_path / name))


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(ZscError, match="no file"):
        load_records("jsonl", path=str(tmp_path / "none.jsonl"))
    with pytest.raises(ZscError, match="holds no record"):
        load_records("jsonl", path=str(write(tmp_path, b"")))


def test_limit_is_a_fixed_sample_in_order():
    every = [r.id for r in load_records("parlor")]
    some = [r.id for r in load_records("parlor", limit=50)]
    assert len(some) == 50 and some == [i for i in every if i in set(some)]
    assert some == [r.id for r in load_records("parlor", limit=50)] != every[:50]


@pytest.mark.parametrize("limit", [0, -3, 2.5, "x", True])
def test_bad_limits(limit):
    with pytest.raises(ZscError, match="limit"):
        load_records("parlor", limit=limit)


def test_unknown_loader():
    with pytest.raises(ZscError, match="Did you mean 'parlor'"):
        load_records("parlour")
