"""Records, JSON Lines files, and dataset selection."""

import json

import pytest

from zsc.data import load_records
from zsc.data.record import Turn
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
        ({**GOOD, "history": []}, r"line 2: field 'history'"),
        ({**GOOD, "history": ["Hi."]}, r"line 2: field 'history\[0\]'"),
        ({**GOOD, "history": [{"speaker": "a", "text": 3}]}, r"line 2: field 'history\[0\].text'"),
        ({**GOOD, "id": "2", "knowledge": 7}, r"line 2: field 'knowledge'"),
        (GOOD, r"line 2: field 'id' repeats '1'"),
    ],
)
def test_a_bad_line_is_named_with_its_field(tmp_path, bad, message):
    with pytest.raises(ZscError, match=message):
        load_records("jsonl", path=str(write(tmp_path, GOOD, bad)))


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(ZscError, match="no file"):
        load_records("jsonl", path=str(tmp_path / "none.jsonl"))
    with pytest.raises(ZscError, match="holds no record"):
        load_records("jsonl", path=str(write(tmp_path, b"")))


def test_limit_is_a_fixed_sample_in_order():
    whole = [r.id for r in load_records("parlor")]
    some = [r.id for r in load_records("parlor", limit=50)]
    assert len(some) == 50 and some == [i for i in whole if i in set(some)]
    assert some == [r.id for r in load_records("parlor", limit=50)] != whole[:50]


@pytest.mark.parametrize("limit", [0, -3, 2.5, "x", True])
def test_bad_limits(limit):
    with pytest.raises(ZscError, match="limit"):
        load_records("parlor", limit=limit)


def test_unknown_loader():
    with pytest.raises(ZscError, match="Did you mean 'parlor'"):
        load_records("parlour")
