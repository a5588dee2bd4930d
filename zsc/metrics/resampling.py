"""Intervals and tests over examples; the responses of an example to different seeds always stay together.

All are vectorised: a resample is a vector of weights of examples, and metrics on the same examples share resamples.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from zsc.metrics.base import Metric

BLOCK = 1_000_000  # numbers of a block of weights
SAMPLES = 512  # of a block whose sums are held at once
COUNTED = 50_000  # draws that are counted at once, in what a processor has at hand
ROUNDING = 1e-9  # a deviation that means nothing, in proportion to the numbers

Scored = tuple[Metric, Sequence[np.ndarray]]  # statistics (examples, seeds, numbers) of each setting


class Products:
    """Products of weights (samples, examples) with many ``columns`` (examples, numbers), as few for all as can be.

    Of whole numbers that stay whole in single precision, when examples weigh ``most`` in all, the product is in that,
    and exact. No other is of one column by itself, which is added up in another order than one of several.
    """

    def __init__(self, columns: Sequence[np.ndarray], most: int):
        self.kinds = [np.float32 if is_whole(one, most, np.float32) else np.float64 for one in columns]
        self.together, self.places = dict[type, np.ndarray](), list[slice]()
        self.weights = dict[type, np.ndarray]()  # of some samples after others
        for kind in dict.fromkeys(self.kinds):
            own = [one for one, its in zip(columns, self.kinds, strict=True) if its is kind]
            every = np.concatenate(own if own[1:] or own[0].shape[1] > 1 else own * 2, axis=1)
            self.together[kind] = every.astype(kind, copy=False)
        ends = dict.fromkeys(self.together, 0)
        for one, kind in zip(columns, self.kinds, strict=True):
            self.places.append(slice(ends[kind], ends[kind] + one.shape[1]))
            ends[kind] = self.places[-1].stop

    def of(self, weights: np.ndarray) -> list[np.ndarray]:
        """Return the product of each of the columns: float64 of shape (samples, numbers)."""
        found = {kind: self._as(weights, kind) @ columns for kind, columns in self.together.items()}
        return [
            found[kind][:, place].astype(np.float64, copy=False)
            for kind, place in zip(self.kinds, self.places, strict=True)
        ]

    def _as(self, weights: np.ndarray, kind: type) -> np.ndarray:
        if weights.dtype == kind:
            return weights
        if kind not in self.weights:  # the first samples are the most
            self.weights[kind] = np.empty(weights.shape, kind)
        converted = self.weights[kind][: len(weights)]
        converted[:] = weights
        return converted


def is_whole(numbers: np.ndarray, most: int, kind: type[np.floating[Any]]) -> bool:
    """Say whether sums of ``numbers``, which weigh ``most`` in all, are exact in numbers of this ``kind``, in whatever
    order they are added up: they are whole, and none is beyond what the kind can count up to."""
    largest, limit = float(np.abs(numbers).max(initial=0)), float(2 / np.finfo(kind).eps)
    return largest * most < limit and bool((numbers == np.rint(numbers)).all())


def bootstrap(scored: Sequence[Scored], count: int, seed: int) -> list[np.ndarray]:
    """Return each metric in ``count`` bootstrap samples (Efron & Tibshirani, 1993): arrays (settings, count).

    All of ``scored`` hold the same examples. All see the same samples, so differences of rows are paired.
    """
    examples = scored[0][1][0].shape[0]
    weighed = [[metric.weighing(one) for one in arrays] for metric, arrays in scored]
    products = Products([one.columns for own in weighed for one in own], examples)
    parts = []
    for weights in bootstrap_weights(examples, count, seed):
        for some in _few(weights):
            found, drawn = iter(products.of(some)), np.full(len(some), float(examples))
            parts.append([np.stack([one.values(next(found), some, drawn) for one in own]) for own in weighed])
    return [np.concatenate(values, axis=1) for values in zip(*parts, strict=True)]


def bootstrap_weights(examples: int, count: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each example is drawn, in blocks (samples, examples), ``count`` samples in all. Of each block the
    numbers are there until the next."""
    rng = np.random.default_rng(seed)
    few = max(1, COUNTED // examples)  # samples that are counted at once
    block = np.empty((min(count, max(1, BLOCK // examples)), examples))
    for rows in _blocks(examples, count):
        drawn, weights = rng.integers(examples, size=(rows, examples), dtype=np.int32), block[:rows]
        for start in range(0, rows, few):
            part = drawn[start : start + few] + np.arange(min(few, rows - start))[:, None] * examples
            weights[start : start + few] = np.bincount(part.ravel(), minlength=part.size).reshape(part.shape)
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
    exchange, observed = Exchange(scored, examples), []
    for metric, arrays in scored:
        value, *others = (metric.value(one) for one in arrays)
        observed.append(np.array([abs(one - value) for one in others]))
    extreme = [np.zeros(len(values), dtype=int) for values in observed]
    rng = np.random.default_rng(seed)
    for rows in _blocks(2 * examples, count):
        swapped = rng.integers(2, size=(rows, examples), dtype=np.int8)
        with np.errstate(invalid="ignore"):  # of what is beyond double precision no use is made
            for some in _few(swapped):
                for found, (one, other), least in zip(extreme, exchange.values(some), observed, strict=True):
                    found += (np.abs(one - other) >= least[:, None] * (1 - 1e-12)).sum(axis=1)
    return [((found + 1) / (count + 1)).tolist() for found in extreme]


class Exchange:
    """Metrics of two settings, the first and each other, whose examples change places.

    Where columns are whole numbers, what the examples that change places add to one side they take from the other, and
    both sides follow from one product. Elsewhere each side is added up by itself, one setting after the other.
    """

    def __init__(self, scored: Sequence[Scored], examples: int):
        self.pairs = [
            [metric.weighing(np.concatenate([arrays[0], arrays[i]])) for i in range(1, len(arrays))]
            for metric, arrays in scored
        ]
        self.totals: list[tuple[np.ndarray, np.ndarray] | None] = []  # of the two settings, of whole numbers
        differences, others = list[np.ndarray](), list[np.ndarray]()
        for pair in (pair for own in self.pairs for pair in own):
            if is_whole(pair.columns, 2 * examples, np.float64):
                first, second = np.split(pair.columns, 2)
                self.totals.append((first.sum(axis=0), second.sum(axis=0)))
                differences.append(second - first)
            else:
                self.totals.append(None)
                others.append(pair.columns)
        self.differences, self.others = Products(differences, examples), Products(others, 2 * examples)
        self.sides = np.empty((2, min(SAMPLES, max(1, BLOCK // (2 * examples))), 2 * examples))

    def values(self, swapped: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield of each metric the values (settings but the first, samples) of the first setting and of each other when
        the examples that are 1 in ``swapped`` (samples, examples) have changed places."""
        sides, examples = self.sides[:, : len(swapped)], swapped.shape[1]
        sides[0, :, :examples] = sides[1, :, examples:] = 1 - swapped
        sides[1, :, :examples] = sides[0, :, examples:] = swapped
        changes, others = iter(self.differences.of(swapped)), zip(*map(self.others.of, sides), strict=True)
        totals, drawn = iter(self.totals), np.full(len(swapped), float(examples))
        for own in self.pairs:
            found = []
            for pair in own:
                if (total := next(totals)) is None:
                    products = next(others)
                else:
                    change = next(changes)
                    products = (total[0] + change, total[1] - change)
                found.append([pair.values(one, side, drawn) for one, side in zip(products, sides, strict=True)])
            yield np.stack([one for one, _ in found]), np.stack([other for _, other in found])


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


def _few(block: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of ``block``, SAMPLES at a time."""
    return (block[start : start + SAMPLES] for start in range(0, len(block), SAMPLES))


def _blocks(width: int, count: int) -> Iterator[int]:
    rows = max(1, BLOCK // width)
    for start in range(0, count, rows):
        yield min(rows, count - start)
