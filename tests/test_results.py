"""The shipped results: one small table made again from nothing, and what the texts about the others quote."""

import csv
import re
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[1] / "results"
REMADE = ["informativeness", "dataset.limit=20", "seeds=[0]", "decoding=greedy"]  # as in scripts/results.sh


def read(file: Path) -> dict[tuple[str, str], dict[str, str]]:
    with file.open(encoding="utf-8") as handle:
        return {(row["setting"], row["metric"]): row for row in csv.DictReader(handle)}


def test_a_small_table_made_from_nothing_is_the_shipped_one(command, tmp_path):
    code, _, err = command("table", *REMADE, "make=true", "save=again")
    assert code == 0, err
    shipped, again = read(RESULTS / "small" / "informativeness.csv"), read(tmp_path / "again" / "informativeness.csv")
    assert list(again) == list(shipped) and len(shipped) == 13 * 11
    for place, row in shipped.items():
        for key in ("value", "low", "high", "difference_value", "p"):
            # other hardware may round some token another way: one response in twenty, at most, says something else
            expected, found = (float(one[key] or 0) for one in (row, again[place]))
            assert found == pytest.approx(expected, rel=0.1, abs=0.06), (place, key)
        assert (
            (row["n"], row["published"]) == (again[place]["n"], again[place]["published"]) == ("20", row["published"])
        )
        unversioned = [re.sub(r"\|(?:zsc|version):[^|]*", "", one["signature"]) for one in (row, again[place])]
        assert unversioned[0] == unversioned[1]
