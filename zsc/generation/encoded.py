"""Encoder states of all records, batch by batch, computed once as far as they fit in memory."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from zsc.data.layout import Source
from zsc.knobs.encoder import encode

LIMIT = 2 * 2**30  # bytes of states that are kept


class EncodedBatches:
    """``source``, which holds all records, in batches of ``batch_size`` on the device of ``model``."""

    def __init__(self, model: PreTrainedModel, source: Source, batch_size: int):
        self.model, self.source = model, source
        self.rows = [
            range(start, min(start + batch_size, len(source.input_ids)))
            for start in range(0, len(source.input_ids), batch_size)
        ]
        self.passes = 0
        self._kept: dict[int, torch.Tensor] = {}
        self._bytes = 0

    def batch(self, number: int) -> tuple[Sequence[int], Source, torch.Tensor]:
        """Return the numbers of the records in a batch, their source, and its encoder states."""
        rows = self.rows[number]
        source = self.source.select(rows).to(self.model.device)
        if (states := self._kept.get(number)) is None:
            states = encode(self.model, source)
            self.passes += 1
            if self._bytes + states.nbytes <= LIMIT:
                self._kept[number] = states
                self._bytes += states.nbytes
        return rows, source, states
