"""What a model has read of all records, batch by batch, computed once as far as it fits in memory."""

from collections.abc import Sequence

from transformers import PreTrainedModel

from zsc.data.source import Sources
from zsc.knobs.read import read
from zsc.knobs.reading import Reading

LIMIT = 2 * 2**30  # bytes that are kept
WINDOW = 16  # batches among which sources are put together by length


class ReadBatches:
    """``sources`` of all records in batches of ``batch_size`` on the device of ``model``.

    Batches are made of sources of like length, out of ``WINDOW`` times as many that follow each other [D], so that the
    responses to a window are all there before those to the next are begun. Sources of one length stay in their order.
    """

    def __init__(self, model: PreTrainedModel, sources: Sources, batch_size: int):
        self.model, self.sources = model, sources
        self.rows = by_length(sources.lengths.tolist(), batch_size)
        self.passes = 0
        self._kept: dict[int, Reading] = {}
        self._bytes = 0

    def batch(self, number: int) -> tuple[Sequence[int], Reading]:
        """Return the numbers of the records in a batch, and what the model has read of their sources."""
        rows = self.rows[number]
        if (reading := self._kept.get(number)) is None:
            reading = read(self.model, self.sources.batch(rows).to(self.model.device))
            self.passes += 1
            if self._bytes + reading.nbytes <= LIMIT:
                self._kept[number] = reading
                self._bytes += reading.nbytes
        return rows, reading


def by_length(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Return the numbers of sources of such ``lengths``, batch by batch, the longest of a window first."""
    batches = []
    for start in range(0, len(lengths), WINDOW * batch_size):
        window = sorted(range(start, min(start + WINDOW * batch_size, len(lengths))), key=lambda i: -lengths[i])
        batches += [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
    return batches
