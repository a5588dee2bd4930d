"""Percentile bootstrap over examples (Efron & Tibshirani, 1993), with the seeds of an example kept together."""

from collections.abc import Iterator, Sequence

import numpy as np

from zsc.metrics.base import Metric

CHUNK = 100


def resamples(examples: int, count: int, seed: int) -> Iterator[np.ndarray]:
    """Yield arrays (up to CHUNK, examples) of example indices drawn with replacement, ``count`` rows in all."""
    rng = np.random.default_rng(seed)
    for start in range(0, count, CHUNK):
        yield rng.integers(examples, size=(min(CHUNK, count - start), examples))


def aggregate(metric: Metric, statistics: np.ndarray) -> np.ndarray:
    """Reduce statistics (..., examples, seeds, numbers), pooling examples and seeds."""
    *outer, examples, seeds, numbers = statistics.shape
    return metric.aggregate(statistics.reshape(*outer, examples * seeds, numbers))


def bootstrap(metric: Metric, settings: Sequence[np.ndarray], count: int, seed: int) -> np.ndarray:
    """Return the metric of each setting in each resample: shape (settings, count).

    ``settings`` hold statistics (examples, seeds, numbers) of the same examples; all see the same resamples, so
    differences of rows are paired.
    """
    columns = [
        np.stack([aggregate(metric, statistics[index]) for statistics in settings])
        for index in resamples(settings[0].shape[0], count, seed)
    ]
    return np.concatenate(columns, axis=1)


def interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the central ``confidence`` percentile interval of ``values``."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
