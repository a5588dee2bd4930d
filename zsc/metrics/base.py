"""What a metric is: per-response statistics, and how statistics of any sample of responses become one number.

Every metric is a function of sums of statistics over responses (or a median of them), so intervals and tests come from
weighting rows of statistics, without computing the metric again.
"""

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

import datasets
import evaluate
import numpy as np

from zsc import __version__
from zsc.metrics.items import Columns


class Metric(evaluate.Metric):
    """An `evaluate.Metric` that downloads nothing. Subclasses say what their statistics are.

    ``predictions`` and ``references`` name the columns (see :mod:`zsc.metrics.items`) that
    ``compute(predictions=..., references=...)`` takes; ``references`` is None for a metric of one column alone.
    """

    kinds: ClassVar[dict[str, str]] = {"predictions": "string", "references": "string"}
    of_sums: ClassVar[bool] = True  # a metric that is not overrides `weighted`
    needs: ClassVar[str] = ""  # what a response without a value lacks, where its columns are there

    def __init__(self, name: str, references: str | None = None, predictions: str = "response"):
        self.measure, self.predictions, self.references = name, predictions, references
        super().__init__(keep_in_memory=True)

    def _build_data_dir(self) -> str:
        return ""  # all is kept in memory; the library would create a folder in the user's home

    def _info(self) -> evaluate.MetricInfo:
        features = {k: v for k, v in self.kinds.items() if k == "predictions" or self.references is not None}
        return evaluate.MetricInfo(
            description=inspect.getdoc(type(self)) or "",
            citation="",
            inputs_description=f"predictions: {self.predictions}; references: {self.references}",
            features=datasets.Features({name: datasets.Value(kind) for name, kind in features.items()}),
        )

    def _compute(self, predictions: list[Any], references: list[Any] | None = None) -> dict[str, float]:
        return {self.measure: self.value(self.statistics(predictions, references)[:, None, :])}

    def fitted(self, cells: Sequence[Columns]) -> tuple["Metric", str]:
        """Return this metric with what it settles once for the ``cells`` of a run, and what there is to say of that."""
        return self, ""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        """Return one row of numbers per response: float64 of shape (responses, numbers)."""
        raise NotImplementedError

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the metric (...) of samples of ``counts`` (...) responses whose statistics add up to ``sums``
        (..., numbers): the mean of the first number, unless overridden."""
        return sums[..., 0] / counts

    def weighted(self, statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the metric (samples,) of ``statistics`` (examples, seeds, numbers), pooled over examples and seeds,
        where each sample counts each example as often as ``weights`` (samples, examples) says."""
        sums = weights @ statistics.sum(axis=1)
        return self.from_sums(sums, weights.sum(axis=1) * statistics.shape[1])

    def value(self, statistics: np.ndarray) -> float:
        """Return the metric of ``statistics`` (examples, seeds, numbers)."""
        return float(self.weighted(statistics, np.ones((1, statistics.shape[0])))[0])

    @property
    def signature(self) -> str:
        """What the number depends on: measure, columns, library versions and options, as one string."""
        columns = self.predictions if self.references is None else f"{self.predictions}:{self.references}"
        return "|".join([self.measure, f"on:{columns}", *self.options(), f"zsc:{__version__}"])

    def options(self) -> list[str]:
        """Return the parts of the signature that are this metric's own."""
        return []


def ratio(sums: np.ndarray) -> np.ndarray:
    """Divide the first by the second of the two numbers in (..., 2); 0 where the second is 0."""
    return np.divide(sums[..., 0], sums[..., 1], out=np.zeros_like(sums[..., 0]), where=sums[..., 1] > 0)
