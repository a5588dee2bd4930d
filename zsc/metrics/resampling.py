"""Intervals and tests over examples; the responses of an example to different seeds always stay together.

All are vectorised: a resample is a vector of weights of examples, and metrics on the same examples share resamples.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from zsc.metrics.base import Metric

BLOCK = 1_000_000  # numbers of a block of weights
ROUNDING = 1e-9  # a deviation that means nothing, in proportion to the numbers

Scored = tuple[Metric, Sequence[np.ndarray]]  # statistics (examples, seeds, numbers) of each setting


class Weighing:
    """Metrics of samples of so many ``drawn`` of the same examples. What is a function of sums is one product."""

    def __init__(self, scored: Sequence[Scored], drawn: int):
        self.scored, self.drawn = scored, drawn
        summed = [one for metric, arrays in scored if metric.of_sums for one in arrays]
        self.ends = np.cumsum([one.shape[2] for one in summed], dtype=int)
        self.sums = np.empty((scored[0][1][0].shape[0], sum(one.shape[2] for one in summed)))
        for one, end in zip(summed, self.ends, strict=True):
            self.sums[:, end - one.shape[2] : end] = one.sum(axis=1, dtype=np.float64)
        self.others = [
            [] if metric.of_sums else [metric.weighing(one.astype(np.float64)) for one in arrays]
            for metric, arrays in scored
        ]

    def values(self, weights: np.ndarray) -> list[np.ndarray]:
        """Return for each metric the values (arrays, samples) for ``weights`` (samples, examples)."""
        parts = iter(np.split(weights @ self.sums, self.ends, axis=1))
        return [
            np.stack([weighed(weights) for weighed in others])
            if others
            else np.stack(
                [
                    metric.from_sums(next(parts), np.full(len(weights), float(self.drawn * one.shape[1])))
                    for one in arrays
                ]
            )
            for (metric, arrays), others in zip(self.scored, self.others, strict=True)
        ]


def bootstrap(scored: Sequence[Scored], count: int, seed: int) -> list[np.ndarray]:
    """Return each metric in ``count`` bootstrap samples (Efron & Tibshirani, 1993): arrays (settings, count).

    All of ``scored`` hold the same examples. All see the same samples, so differences of rows are paired.
    """
    examples = scored[0][1][0].shape[0]
    weighing = Weighing(scored, examples)
    parts = [weighing.values(weights) for weights in bootstrap_weights(examples, count, seed)]
    return [np.concatenate(values, axis=1) for values in zip(*parts, strict=True)]


def bootstrap_weights(examples: int, count: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each example is drawn, in blocks (samples, examples), ``count`` samples in all."""
    rng = np.random.default_rng(seed)
    for rows in _blocks(examples, count):
        drawn = rng.integers(examples, size=(rows, examples), dtype=np.int32)
        weights = np.empty((rows, examples))
        for row, indices in zip(weights, drawn, strict=True):
            row[:] = np.bincount(indices, minlength=examples)
        yield weights


def sign_flip(scored: Sequence[Scored], count: int, seed: int) -> list[list[float]]:
    """Return for each metric the two-sided p-value of each setting but the first against the first.

    The paired sign-flip test, also called approximate randomisation (Noreen, 1989): in each of ``count`` samples the
    statistics of each example in the two settings change places with probability one half; for a metric that is a mean
    this flips the sign of the example's difference.
    """
    if len(scored[0][1]) == 1:
        return [[] for _ in scored]
    examples = scored[0][1][0].shape[0]
    exchanged, observed = [], []
    for metric, (first, *others) in scored:
        exchanged.append((metric, [np.concatenate([first, one]) for one in others]))
        value = metric.value(first)
        observed.append(np.array([abs(metric.value(one) - value) for one in others]))
    weighing = Weighing(exchanged, examples)
    extreme = [np.zeros(len(values), dtype=int) for values in observed]
    rng = np.random.default_rng(seed)
    for rows in _blocks(2 * examples, count):
        swapped = rng.integers(2, size=(rows, examples), dtype=np.int8).astype(np.float64)
        stayed = 1 - swapped
        one_way = weighing.values(np.concatenate([stayed, swapped], axis=1))
        other_way = weighing.values(np.concatenate([swapped, stayed], axis=1))
        with np.errstate(invalid="ignore"):  # of what is beyond double precision no use is made
            for found, one, other, least in zip(extreme, one_way, other_way, observed, strict=True):
                found += (np.abs(one - other) >= least[:, None] * (1 - 1e-12)).sum(axis=1)
    return [((found + 1) / (count + 1)).tolist() for found in extreme]


def interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the central ``confidence`` percentile interval of ``values``."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def paired_bootstrap_p(difference: float, samples: np.ndarray) -> float:
    """Return the two-sided p-value of a paired bootstrap test (Koehn, 2004; as in sacrebleu, shifted to its mean).

    ``samples`` are the differences of bootstrap samples.
    """
    extreme = np.abs(samples - samples.mean()) >= abs(difference) * (1 - 1e-12)
    return float((extreme.sum() + 1) / (len(samples) + 1))


def effect_size(difference: float, samples: np.ndarray, examples: int) -> float | None:
    """Return the difference over the standard deviation of one example's difference: Cohen's d of paired samples.

    The deviation is that of the bootstrap ``samples`` of the difference times the root of ``examples``, which for a
    mean is the deviation of the examples' differences, and which every other metric has too [D]. None where it is 0 but
    for rounding.
    """
    deviation = samples.std()
    if deviation <= ROUNDING * np.abs(samples).max():
        return None
    return float(difference / (deviation * np.sqrt(examples)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number (Holm, 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1)
    result = np.empty(len(p_values))
    result[order] = adjusted
    return result.tolist()


def _blocks(width: int, count: int) -> Iterator[int]:
    rows = max(1, BLOCK // width)
    for start in range(0, count, rows):
        yield min(rows, count - start)
