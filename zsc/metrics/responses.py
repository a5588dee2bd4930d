"""The responses of a run, of which it is kept where each stands in its file: a text is read when it is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.generation.cells import Place
from zsc.generation.folder import RunFolder

WHOLE = slice(None)
MISSING = -1


@dataclass(frozen=True)
class Responses:
    """What was said to each record, in their order: the byte (records,) of the file of ``folder`` that it begins at."""

    folder: RunFolder
    begins: np.ndarray

    def rows(self, records: slice = WHOLE) -> list[dict[str, Any]]:
        """Read the responses to some of the records."""
        return self.folder.rows_at(self.begins[records].tolist())


def read_responses(
    folder: RunFolder, records: Sequence[Record], settings: Sequence[str], seeds: Sequence[int]
) -> dict[Place, Responses]:
    """Find the responses of each setting and seed. Raises ZscError if one lacks the response to a record."""
    numbers = {record.id: i for i, record in enumerate(records)}
    found = {place: np.full(len(records), MISSING, dtype=np.int64) for place in product(settings, seeds)}
    for begin, row in folder.each_row():
        place, number = (row["setting"], row["seed"]), numbers.get(row["id"])
        if place in found and number is not None:
            found[place][number] = begin
    for place, begins in found.items():
        check_whole(place, [records[i].id for i in np.flatnonzero(begins == MISSING).tolist()], len(records))
    return {place: Responses(folder, begins) for place, begins in found.items()}


def check_whole(place: Place, missing: Sequence[str], records: int) -> None:
    """Raise ZscError where a setting and seed lacks responses to records, whose ids are the ``missing`` ones."""
    if missing:
        raise ZscError(
            f"the run is not finished: setting {place[0]}, seed {place[1]} lacks {len(missing)} of {records}"
            f" responses (first: {missing[0]}). Repeat the command that made it to go on where it stopped."
        )
