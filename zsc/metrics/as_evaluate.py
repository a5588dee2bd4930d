"""Metrics as those of the library `evaluate`, which download nothing and keep nothing on disk."""

import inspect
from typing import Any

import datasets
import evaluate

from zsc.metrics.base import Metric
from zsc.metrics.items import LISTS


class AsEvaluate(evaluate.Metric):
    """``metric`` for ``compute(predictions=..., references=...)``, which take what its columns hold."""

    def __init__(self, metric: Metric):
        self.metric = metric
        super().__init__(keep_in_memory=True)

    def _build_data_dir(self) -> str:
        return ""  # all is kept in memory; the library would create a folder in the user's home

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": datasets.Value(self.metric.kinds["predictions"])}
        if self.metric.references is not None:
            one = datasets.Value(self.metric.kinds["references"])
            several = self.metric.further or self.metric.references in LISTS
            features["references"] = datasets.Sequence(one) if several else one
        return evaluate.MetricInfo(
            description=inspect.getdoc(type(self.metric)) or "",
            citation="",
            inputs_description=f"predictions: {self.metric.predictions}; references: {self.metric.references}",
            features=datasets.Features(features),
        )

    def _compute(self, predictions: list[Any], references: list[Any] | None = None) -> dict[str, float]:
        statistics = self.metric.statistics(predictions, references)
        return {self.metric.measure: self.metric.value(statistics[:, None, :])}
