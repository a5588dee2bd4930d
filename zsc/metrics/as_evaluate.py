"""Metrics as those of the library `evaluate`, which download nothing and keep nothing on disk."""

import inspect
from typing import Any

import datasets
import evaluate

from zsc.metrics.base import Metric


class AsEvaluate(evaluate.Metric):
    """``metric`` for ``compute(predictions=..., references=...)``, which take what its columns hold."""

    def __init__(self, metric: Metric):
        self.metric = metric
        super().__init__(keep_in_memory=True)

    def _build_data_dir(self) -> str:
        return ""  # all is kept in memory; the library would create a folder in the user's home

    def _info(self) -> evaluate.MetricInfo:
        kinds, columns = self.metric.kinds, ("predictions", "references")[: len(self.metric.columns)]
        return evaluate.MetricInfo(
            description=inspect.getdoc(type(self.metric)) or "",
            citation="",
            inputs_description=f"predictions: {self.metric.predictions}; references: {self.metric.references}",
            features=datasets.Features({name: datasets.Value(kinds[name]) for name in columns}),
        )

    def _compute(self, predictions: list[Any], references: list[Any] | None = None) -> dict[str, float]:
        statistics = self.metric.statistics(predictions, references)
        return {self.metric.measure: self.metric.value(statistics[:, None, :])}
