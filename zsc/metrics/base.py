"""What a metric is: per-response statistics, and how statistics of any sample of responses become one number.

Every metric is a mean, a median or a ratio of sums over responses, so intervals come from resampling rows of
statistics, without computing the metric again.
"""

import inspect
from typing import Any, ClassVar

import datasets
import evaluate
import numpy as np

from zsc import __version__


class Metric(evaluate.Metric):
    """An `evaluate.Metric` that downloads nothing. Subclasses say what their statistics are.

    ``predictions`` and ``references`` name the columns of :class:`zsc.metrics.items.Items` that
    ``compute(predictions=..., references=...)`` takes; ``references`` is None for a metric of the responses alone.
    """

    columns: ClassVar[dict[str, str]] = {"predictions": "string", "references": "string"}
    predictions: ClassVar[str] = "responses"

    def __init__(self, name: str, references: str | None = None):
        self.measure, self.references = name, references
        super().__init__(keep_in_memory=True)

    def _build_data_dir(self) -> str:
        return ""  # all is kept in memory; the library would create a folder in the user's home

    def _info(self) -> evaluate.MetricInfo:
        features = {k: v for k, v in self.columns.items() if k == "predictions" or self.references is not None}
        return evaluate.MetricInfo(
            description=inspect.getdoc(type(self)) or "",
            citation="",
            inputs_description=f"predictions: {self.predictions}; references: {self.references}",
            features=datasets.Features({name: datasets.Value(kind) for name, kind in features.items()}),
        )

    def _compute(self, predictions: list[Any], references: list[Any] | None = None) -> dict[str, float]:
        return {self.measure: float(self.aggregate(self.statistics(predictions, references)))}

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        """Return one row of numbers per response: float64 of shape (responses, numbers)."""
        raise NotImplementedError

    def aggregate(self, statistics: np.ndarray) -> np.ndarray:
        """Reduce statistics (..., responses, numbers) to values of shape (...): the mean, unless overridden."""
        return statistics[..., 0].mean(axis=-1)

    @property
    def signature(self) -> str:
        """What the number depends on: measure, columns, library versions and options, as one string."""
        columns = self.predictions if self.references is None else f"{self.predictions}:{self.references}"
        return "|".join([self.measure, f"on:{columns}", *self.options(), f"zsc:{__version__}"])

    def options(self) -> list[str]:
        """Return the parts of the signature that are this metric's own."""
        return []


def ratio_of_sums(statistics: np.ndarray) -> np.ndarray:
    """Sum both columns of (..., responses, 2) over responses and divide; 0 where the denominator is 0."""
    numerator, denominator = statistics[..., 0].sum(axis=-1), statistics[..., 1].sum(axis=-1)
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
