"""What a model has read of all records, batch by batch, computed once as far as it fits in memory."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from transformers import PreTrainedModel

from zsc.data.source import Sources
from zsc.generation.room import free_memory, out_of_memory
from zsc.knobs.anatomy import is_causal
from zsc.knobs.packing import packs, read_packed
from zsc.knobs.read import read
from zsc.knobs.reading import Reading

KEPT_SHARE = 0.25  # of the memory that is free, for what was read
SHARD = 1000  # records
WINDOW = 4  # batches among which sources are put together by length


class SourcesExceedMemory(Exception):
    """A batch of sources cannot be read at once."""


class ReadBatches:
    """``sources`` of all records in batches of ``batch_size`` on the device of ``model``.

    Batches are made of sources of like length, out of ``WINDOW`` times as many that follow each other [D], so that the
    responses to a window are all there before those to the next are begun. Sources of one length stay in their order.
    Positions that are not attended to are left out where ``pack`` allows it and the model gives the same without them.
    No batch has sources of two shards, of ``shard`` records each.
    """

    def __init__(
        self, model: PreTrainedModel, sources: Sources, batch_size: int, pack: bool = True, shard: int = SHARD
    ):
        self.model, self.sources, self.size, self.pack, self.shard = model, sources, batch_size, pack, shard
        lengths, attended = sources.lengths, sources.attended
        self.rows: list[list[int]] = []
        self._first = [0]  # batch of each shard
        for start in range(0, len(sources), shard):
            part = slice(start, start + shard)
            self.rows += [
                [start + row for row in rows] for rows in by_length(lengths[part], attended[part], batch_size)
            ]
            self._first.append(len(self.rows))
        self.passes, self.limit = 0, int(KEPT_SHARE * free_memory(model.device))
        self._kept: dict[int, Reading] = {}
        self._bytes = 0

    def of_shard(self, start: int) -> range:
        """Return the numbers of the batches of the shard that begins with the record ``start``, and keep what was read
        of no other."""
        number = start // self.shard
        found = range(self._first[number], self._first[number + 1])
        for other in [one for one in self._kept if one not in found]:
            self._bytes -= self._kept.pop(other).nbytes
        return found

    def batch(self, number: int) -> tuple[Sequence[int], Reading]:
        """Return the numbers of the records in a batch, and what the model has read of their sources.

        Raises SourcesExceedMemory.
        """
        rows = self.rows[number]
        if (reading := self._kept.get(number)) is None:
            reading = self._read(rows)
            self.passes += 1
            if self._bytes + reading.nbytes <= self.limit:
                self._kept[number] = reading
                self._bytes += reading.nbytes
        return rows, reading

    def resized(self, batch_size: int) -> "ReadBatches":
        """Return the same sources in batches of another size."""
        return ReadBatches(self.model, self.sources, batch_size, self.pack, self.shard)

    def _read(self, rows: Sequence[int]) -> Reading:
        try:
            source = self.sources.batch(rows).to(self.model.device)
            return (read_packed if self._packs else read)(self.model, source)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        raise SourcesExceedMemory

    @cached_property
    def _packs(self) -> bool:
        """Whether hidden positions are left out: where there are any, if the model may on the longest source."""
        lengths = self.sources.lengths
        if not self.pack or is_causal(self.model) or bool((self.sources.attended == lengths).all()):
            return False
        longest = self.sources.batch([int(lengths.argmax())]).to(self.model.device)
        return packs(self.model, longest)


def by_length(lengths: np.ndarray, attended: np.ndarray, batch_size: int) -> list[list[int]]:
    """Return the numbers of sources of such ``lengths``, of which so many positions are ``attended``, batch by batch,
    the longest of a window first."""
    batches = []
    for start in range(0, len(lengths), WINDOW * batch_size):
        window = np.arange(start, min(start + WINDOW * batch_size, len(lengths)))
        window = window[np.lexsort((-attended[window], -lengths[window]))]
        batches += [window[i : i + batch_size].tolist() for i in range(0, len(window), batch_size)]
    return batches
