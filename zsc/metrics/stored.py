"""Statistics of many responses, kept in files that have no name and are gone with the program that made them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO

import numpy as np

from zsc.generation.cells import Place
from zsc.metrics.base import Metric

ITEM = 8  # bytes of a number


class Stored(Mapping[Metric, Mapping[Place, np.ndarray]]):
    """The statistics of ``metrics`` on the cells at ``places`` of a run of so many ``records``: of each cell float64 of
    shape (records, numbers), read when it is asked for.

    A context, at whose end they are gone; until then they are in files in ``folder``.
    """

    def __init__(self, metrics: Sequence[Metric], places: Sequence[Place], records: int, folder: Path):
        with ExitStack() as stack:
            files = {metric: stack.enter_context(TemporaryFile(dir=folder)) for metric in metrics}
            self._of = {metric: _Of(places, records, file) for metric, file in files.items()}
            self._files = stack.pop_all()

    def __enter__(self) -> "Stored":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def __getitem__(self, metric: Metric) -> Mapping[Place, np.ndarray]:
        return self._of[metric]

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)

    def add(self, metric: Metric, places: Sequence[Place], records: slice, values: np.ndarray) -> None:
        """Add ``values`` (responses, numbers) of a metric on the responses to ``records`` at one of ``places`` after
        another; of any number of numbers where none has a value."""
        for place, own in zip(places, values.reshape(len(places), -1, values.shape[1]), strict=True):
            self._of[metric].add(place, records, own)


class _Of(Mapping[Place, np.ndarray]):
    """The statistics of one metric, in a file of numbers by place and record."""

    def __init__(self, places: Sequence[Place], records: int, file: IO[bytes]):
        self.places, self.records, self.file = {place: i for i, place in enumerate(places)}, records, file
        self.numbers = 0  # of each response; 0 as long as none has a value
        self.lacking = False  # responses without a value were added, and not written, for lack of their numbers

    def add(self, place: Place, records: slice, values: np.ndarray) -> None:
        if not self.numbers:
            if np.isnan(values).all():
                self.lacking = True
                return
            self.numbers = values.shape[1]
            for each in self.places if self.lacking else ():
                self._write(each, 0, self._without(self.records))
        fits = values.shape[1] == self.numbers
        self._write(place, records.start, values if fits else self._without(len(values)))

    def _without(self, responses: int) -> np.ndarray:
        return np.full((responses, max(self.numbers, 1)), np.nan)

    def _write(self, place: Place, start: int, values: np.ndarray) -> None:
        self.file.seek((self.places[place] * self.records + start) * self.numbers * ITEM)
        self.file.write(np.ascontiguousarray(values, dtype=np.float64).data)

    def __getitem__(self, place: Place) -> np.ndarray:
        if not self.numbers:
            return self._without(self.records)
        size = self.records * self.numbers * ITEM
        self.file.seek(self.places[place] * size)
        return np.frombuffer(self.file.read(size), dtype=np.float64).reshape(self.records, self.numbers)

    def __iter__(self) -> Iterator[Place]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)
