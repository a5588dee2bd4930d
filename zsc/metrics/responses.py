"""The responses of a run, read line by line and kept in little more than their texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.generation.cells import Place
from zsc.generation.folder import RunFolder


@dataclass(frozen=True)
class Responses:
    """What was said to each record, in their order, and its likelihood and tokens: NaN where they are not known."""

    texts: list[str | None]
    nll: np.ndarray
    tokens: np.ndarray

    def rows(self, records: slice) -> list[dict[str, Any]]:
        """Return the responses to some of the records."""
        numbers = (
            [None if one != one else one for one in column[records].tolist()] for column in (self.nll, self.tokens)
        )
        return [
            {"response": text, "nll": nll, "tokens": tokens}
            for text, nll, tokens in zip(self.texts[records], *numbers, strict=True)
        ]


def read_responses(
    folder: RunFolder, records: Sequence[Record], settings: Sequence[str], seeds: Sequence[int]
) -> dict[Place, Responses]:
    """Read the responses of each setting and seed. Raises ZscError if one lacks the response to a record."""
    numbers = {record.id: i for i, record in enumerate(records)}
    cells = {
        place: Responses([None] * len(records), *np.full((2, len(records)), np.nan))
        for place in product(settings, seeds)
    }
    there = {place: np.zeros(len(records), dtype=bool) for place in cells}
    for row in folder.each_row():
        place, number = (row["setting"], row["seed"]), numbers.get(row["id"])
        if place in cells and number is not None:
            cell, there[place][number] = cells[place], True
            cell.texts[number] = row["response"]
            cell.nll[number], cell.tokens[number] = (
                np.nan if row.get(name) is None else row[name] for name in ("nll", "tokens")
            )
    for place, found in there.items():
        check_whole(place, [one.id for one, has in zip(records, found, strict=True) if not has], len(records))
    return cells


def check_whole(place: Place, missing: Sequence[str], records: int) -> None:
    """Raise ZscError where a setting and seed lacks responses to records, whose ids are the ``missing`` ones."""
    if missing:
        raise ZscError(
            f"the run is not finished: setting {place[0]}, seed {place[1]} lacks {len(missing)} of {records}"
            f" responses (first: {missing[0]}). Repeat the command that made it to go on where it stopped."
        )
