"""The cells of a run as metrics read them, one after another and part by part, so that little is held at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from zsc.data.record import Record
from zsc.generation.cells import Place
from zsc.metrics.base import Metric
from zsc.metrics.items import Columns, own_columns
from zsc.metrics.judges import Judge
from zsc.metrics.judges.base import Values, items_of
from zsc.metrics.ngrams import forget_texts
from zsc.metrics.responses import Responses
from zsc.metrics.score import Statistics, cell_statistics

PART = 512  # responses of which what a metric needs is held at once, where it takes each by itself
WHOLE = slice(None)


@dataclass(frozen=True)
class Cells(Sequence[Columns]):
    """The columns of each cell, made when they are asked for: ``shared`` ones are those of the records, held once.

    A column of ``judged`` is of what its judge says of an item, and nothing else; one that no judge is there for is
    ``left_out``.
    """

    records: Sequence[Record]
    shared: Columns
    responses: Mapping[Place, Responses]
    phrases: Mapping[str, Sequence[str]]
    judged: Sequence[tuple[Judge, Mapping[Any, Values]]] = ()
    left_out: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.responses)

    @overload
    def __getitem__(self, index: int) -> Columns: ...
    @overload
    def __getitem__(self, index: slice) -> list[Columns]: ...
    def __getitem__(self, index: int | slice) -> Columns | list[Columns]:
        places = list(self.responses)[index]
        return [self.of(one) for one in places] if isinstance(places, list) else self.of(places)

    def of(self, place: Place, records: slice = WHOLE) -> Columns:
        """Return the columns of a cell, or of its responses to some of the ``records``."""
        own = own_columns(self.responses[place].rows(records), self.phrases[place[0]])
        shared = {name: column[records] for name, column in self.shared.items()}
        columns = {name: column for name, column in {**shared, **own}.items() if name not in self.left_out}
        for judge, values in self.judged:
            found = [None if item is None else values[item] for item in items_of(judge, columns)]
            columns |= {
                name: [None if one is None else one[i] for one in found] for i, name in enumerate(judge.columns)
            }
        return columns

    def parts(self) -> Iterator[Columns]:
        """Yield the columns of the responses of all cells, one cell after another, to some records after others."""
        step = max(PART // len(self), 1)
        for start in range(0, len(self.records), step):
            cells = [self.of(place, slice(start, start + step)) for place in self.responses]
            yield {name: [value for columns in cells for value in columns[name]] for name in cells[0]}


def statistics_of(metrics: Sequence[Metric], cells: Cells) -> Statistics:
    """Return the statistics of ``metrics`` on each cell, in as few bytes as hold them.

    What metrics that take each response by itself need of the texts of a record is there for all cells at once.
    """
    places, apart = list(cells.responses), [metric for metric in metrics if metric.apart]
    found: dict[Metric, dict[Place, np.ndarray]] = {metric: {} for metric in metrics}
    by_part = [[compact(cell_statistics(metric, part)) for metric in apart] for part in cells.parts()]
    for metric in reversed(apart):
        parts = [of_metrics.pop() for of_metrics in by_part]
        width = max(one.shape[1] for one in parts)
        together = [_widened(one, width).reshape(len(places), -1, width) for one in parts]
        found[metric] = dict(zip(places, np.concatenate(together, axis=1), strict=True))
    for place, columns in zip(places, cells if len(apart) < len(metrics) else [], strict=False):
        for metric in set(metrics).difference(apart):
            found[metric][place] = compact(cell_statistics(metric, columns))
    forget_texts()
    return found


def _widened(values: np.ndarray, width: int) -> np.ndarray:
    """Return ``values``, which have one number where no response has any, with as many numbers as others."""
    return values if values.shape[1] == width else np.full((len(values), width), np.nan, dtype=np.float32)


def compact(values: np.ndarray) -> np.ndarray:
    """Return ``values`` in the smallest of three kinds of numbers that holds them to the last bit: whole numbers below
    65,536, and those of 32 and 64 bits."""
    for kind in (np.uint16, np.float32):
        with np.errstate(invalid="ignore", over="ignore"):
            smaller = values.astype(kind)
        if np.array_equal(smaller.astype(np.float64).view(np.int64), values.view(np.int64)):
            return smaller
    return values
