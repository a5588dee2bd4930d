"""The cells of a run as metrics read them, one after another and part by part, so that little is held at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

from zsc.data.record import Record
from zsc.generation.cells import Place
from zsc.metrics.base import Metric
from zsc.metrics.items import OWN_COLUMNS, Columns, own_columns
from zsc.metrics.judges import Judge
from zsc.metrics.judges.base import Item, items_of
from zsc.metrics.judges.verdicts import Verdicts
from zsc.metrics.ngrams import forget_texts
from zsc.metrics.responses import WHOLE, Responses
from zsc.metrics.score import cell_statistics, unmeasured
from zsc.metrics.stored import Stored

PART = 512  # responses of which what a metric needs is held at once, where it takes each by itself


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
    judged: Sequence[tuple[Judge, Verdicts]] = ()
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
        return CellColumns(self, place, records)

    def parts(self) -> Iterator[tuple[slice, Columns]]:
        """Yield some records after others, with the columns of the responses to them of one cell after another."""
        step = max(PART // len(self), 1)
        for start in range(0, len(self.records), step):
            part = slice(start, min(start + step, len(self.records)))
            cells = [self.of(place, part) for place in self.responses]
            yield part, {name: [value for columns in cells for value in columns[name]] for name in cells[0]}


class CellColumns(Mapping[str, list[Any]]):
    """The columns of the responses of a cell to some records; responses are read when a column of theirs is asked
    for."""

    def __init__(self, cells: Cells, place: Place, records: slice):
        self.cells, self.place, self.records = cells, place, records

    def __getitem__(self, name: str) -> list[Any]:
        if name in self.of_judges:
            return self.said[name]
        if name in self.cells.left_out:
            raise KeyError(name)
        if name in OWN_COLUMNS:
            return self.own[name]
        shared = self.cells.shared[name]
        return shared if self.records == WHOLE else shared[self.records]

    def __iter__(self) -> Iterator[str]:
        names = dict.fromkeys((*self.cells.shared, *OWN_COLUMNS))
        given = [name for name in names if name not in self.cells.left_out]
        return iter(dict.fromkeys((*given, *self.of_judges)))

    def __len__(self) -> int:
        return len(list(iter(self)))

    @property
    def of_judges(self) -> list[str]:
        return [name for judge, _ in self.cells.judged for name in judge.columns]

    @cached_property
    def own(self) -> Columns:
        """The columns of what was said."""
        return own_columns(self.cells.responses[self.place].rows(self.records), self.cells.phrases[self.place[0]])

    @cached_property
    def said(self) -> Columns:
        """The columns of what judges say of it."""
        columns: dict[str, list[Any]] = {}
        for judge, values in self.cells.judged:
            found = [None if item is None else values[item] for item in items_of(judge, self)]
            for i, name in enumerate(judge.columns):
                columns[name] = [None if one is None else one[i] for one in found]
        return columns


@dataclass(frozen=True)
class ItemsOfCells(Iterable[Item]):
    """What ``judge`` reads of all ``cells``, one after another, as often as it is gone through."""

    judge: Judge
    cells: Cells

    def __iter__(self) -> Iterator[Item]:
        for columns in self.cells:
            yield from (item for item in items_of(self.judge, columns) if item is not None)


def store_statistics(statistics: Stored, cells: Cells) -> dict[Metric, int]:
    """Add the statistics of metrics on each cell to ``statistics``, which has none; return how many responses have all
    that a metric reads but no value of it, where there are any.

    What metrics that take each response by itself need of the texts of a record is there for all cells at once, of a
    few records; what the others need is there for one cell.
    """
    apart, lost = [metric for metric in statistics if metric.apart], dict.fromkeys(statistics, 0)
    for records, columns in cells.parts() if apart else ():
        for metric in apart:
            values = cell_statistics(metric, columns)
            statistics.add(metric, list(cells.responses), records, values)
            lost[metric] += unmeasured(metric, columns, values)
        forget_texts()
    others = [metric for metric in statistics if not metric.apart]
    for place, columns in zip(cells.responses, cells if others else (), strict=False):
        for metric in others:
            values = cell_statistics(metric, columns)
            statistics.add(metric, [place], slice(0, len(cells.records)), values)
            lost[metric] += unmeasured(metric, columns, values)
        forget_texts()
    return {metric: count for metric, count in lost.items() if count and metric.needs}
