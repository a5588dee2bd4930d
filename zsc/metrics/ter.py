"""Translation edit rate (Snover et al., 2006), by sacrebleu."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from zsc.metrics.accepted import accepting, counted, streams
from zsc.metrics.base import Metric
from zsc.metrics.items import Columns
from zsc.metrics.tokenized import forget

if TYPE_CHECKING:
    from sacrebleu.metrics.ter import TER


class Ter(Metric):
    """Corpus TER: edits, shifts of words among them, per 100 words of the reference; from 0, and beyond 100.

    Of several accepted references the nearest counts, and their mean length.
    """

    apart = True

    better = "lower"
    words = "edits to the reference (TER)"

    @cached_property
    def ter(self) -> "TER":
        from sacrebleu.metrics.ter import TER

        return TER()

    def fitted(self, cells: Sequence[Columns]) -> tuple[Metric, str]:
        return accepting(self, cells), ""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        rows = self.ter._extract_corpus_statistics(predictions, streams(references or []))
        forget(self.ter.tokenizer)
        return np.array(rows, dtype=np.float64)

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        edits, length = sums[..., 0], sums[..., 1]
        rate = (edits > 0).astype(np.float64)  # against nothing, as sacrebleu has it
        return 100 * np.divide(edits, length, out=rate, where=length > 0)

    def options(self) -> list[str]:
        self.ter.num_refs = counted(self.references)
        return [str(self.ter.get_signature())]
