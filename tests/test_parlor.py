"""The embedded evaluation set keeps the rules of its data card, and the checker notices when it does not."""

import json
import runpy
from pathlib import Path

import pytest

from zsc.data.embedded import PARLOR

CHECK = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "check_parlor.py"))["problems"]


def test_parlor_keeps_every_rule():
    assert CHECK(PARLOR) == []


def broken(tmp_path, change):
    rows = [json.loads(line) for line in PARLOR.read_text(encoding="utf-8").splitlines()]
    change(rows)
    file = tmp_path / "parlor.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return CHECK(file)


def near_duplicate(rows):
    rows[5]["knowledge"] = rows[4]["knowledge"] + " Yes."


def copied(rows):
    rows[0]["reference"] = rows[0]["knowledge"]


def short(rows):
    rows[0]["reference"] = "Yes."


def one_missing(rows):
    rows.pop()


@pytest.mark.parametrize(
    ("change", "message"),
    [(near_duplicate, "near-duplicates"), (copied, "copies 5 words"), (short, "has 1 words"), (one_missing, "topics")],
)
def test_the_checker_notices(tmp_path, change, message):
    assert any(message in line for line in broken(tmp_path, change))
