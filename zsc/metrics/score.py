"""The metrics stage: from columns of responses to rows of setting, metric, value, interval and tests."""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np

from zsc.generation.cells import Place
from zsc.metrics.base import Metric
from zsc.metrics.items import Columns
from zsc.metrics.options import Resampling
from zsc.metrics.resampling import BLOCK, SAMPLES, bootstrap, effect_size, holm, interval, paired_bootstrap_p, sign_flip

LIMIT = 2_000_000  # numbers that resampling holds of metrics at a time
OF_EACH = 4  # or, if that is more, so many for each response, since every time the samples are drawn again
DIFFERENCE = "difference"  # no name of a setting: rows that compare two are called so
Statistics = Mapping[Metric, Mapping[Place, np.ndarray]]


@dataclass(frozen=True)
class Row:
    """One number of a table. ``n`` examples were resampled, each with one response per seed.

    ``dropped`` counts the responses of the setting that have no value: without the text to compare with, or where a
    judge gave none. An example with such a response counts in no setting, so that differences stay paired. Rows of
    differences have the p-values of the paired sign-flip test, as it is and adjusted for all differences of the table
    (Holm), that of the paired bootstrap test, and the effect size. Without any example left there is no value.
    """

    setting: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    seeds: int
    dropped: int
    p: float | None = None
    p_holm: float | None = None
    p_bootstrap: float | None = None
    effect: float | None = None


def score_statistics(
    statistics: Statistics,
    settings: Sequence[str],
    seeds: Sequence[int],
    resampling: Resampling,
    judged: Collection[Metric] = (),
) -> list[Row]:
    """Score ``settings`` and the difference of each to the first, paired by example.

    A metric is left out where no response has a value: without control phrases, or without the judge that it needs.
    Of those ``judged``, whose judge was there, the rows say that every response was dropped.
    """
    rows: dict[Metric, list[Row]] = {}
    alike: dict[bytes, dict[Metric, Grouped]] = defaultdict(dict)  # metrics that have values on the same examples
    for metric, by_place in statistics.items():
        grouped = Grouped(by_place, settings, seeds)
        if grouped.kept.any():
            alike[grouped.kept.tobytes()][metric] = grouped
        elif metric in judged or not grouped.empty:
            rows[metric] = [
                Row(setting, metric.measure, None, None, None, 0, len(seeds), lost)
                for setting, lost in zip(settings, grouped.dropped, strict=True)
            ]
    for together in alike.values():
        for few in at_a_time(together, resampling.resamples):
            rows |= _score_together(few, settings, resampling)
    table = [row for metric in statistics for row in rows.get(metric, [])]
    tested = [(i, row.p) for i, row in enumerate(table) if row.p is not None]
    for (i, _), adjusted in zip(tested, holm([p for _, p in tested]), strict=True):
        table[i] = replace(table[i], p_holm=adjusted)
    return table


class Grouped(Sequence[np.ndarray]):
    """The statistics (examples, seeds, numbers) of each setting on the examples ``kept``, which have a value in all of
    them, put together when they are asked for.

    ``dropped`` counts the responses of each setting without a value, and ``numbers`` is how many numbers the statistics
    of an example are in all settings, those of seeds added up.
    """

    def __init__(self, cells: Mapping[Place, np.ndarray], settings: Sequence[str], seeds: Sequence[int]):
        self.cells, self.settings, self.seeds = cells, settings, seeds
        self.dropped, self.numbers, self.empty = list[int](), 0, True
        lacking = []
        for setting in settings:
            own = [cells[setting, seed] for seed in seeds]
            without = np.stack([lacks(one) for one in own])
            lacking.append(without.any(axis=0))
            self.dropped.append(int(without.sum()))
            self.numbers += own[0].shape[1]
            self.empty &= bool(without.all())
        self.kept = ~np.any(lacking, axis=0)

    def __len__(self) -> int:
        return len(self.settings)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return np.stack([self.cells[self.settings[index], seed][self.kept] for seed in self.seeds], axis=1)


def cell_statistics(metric: Metric, columns: Columns) -> np.ndarray:
    """Return the statistics (responses, numbers) of a metric on one setting and seed, NaN where there are none."""
    rows, (present, given) = len(columns["response"]), _given(metric, columns)
    if not present:
        return np.full((rows, 1), np.nan)
    whole = len(present) == rows
    predictions, *texts = given if whole else [[column[i] for i in present] for column in given]
    references = list(zip(*texts, strict=True)) if metric.further else texts[0] if texts else None
    found = metric.statistics(predictions, references)
    if whole:
        return found
    statistics = np.full((rows, found.shape[1]), np.nan)
    statistics[present] = found
    return statistics


def unmeasured(metric: Metric, columns: Columns, statistics: np.ndarray) -> int:
    """Return how many responses with all that ``metric`` reads have no value in ``statistics`` (responses, numbers)."""
    present, _ = _given(metric, columns)
    return int(lacks(statistics).sum()) - (len(statistics) - len(present))


def _given(metric: Metric, columns: Columns) -> tuple[list[int], list[list[Any]]]:
    """Return which responses have all that ``metric`` reads, and the columns of that."""
    read = [columns.get(name) for name in metric.columns]
    given = [column for column in read if column is not None]
    if len(given) < len(read):
        return [], given
    return [i for i, row in enumerate(zip(*given, strict=True)) if None not in row], given


def at_a_time(together: Mapping[Metric, Grouped], resamples: int) -> list[dict[Metric, Grouped]]:
    """Split metrics on the same examples so that what resampling holds of those of a part stays near LIMIT or, of a
    large run, OF_EACH of its responses.

    No part has a column of sums by itself, which a product adds up in another order than one of several.
    """
    parts: list[dict[Metric, Grouped]] = [{}]
    held = columns = 0
    for metric, grouped in together.items():
        examples = int(grouped.kept.sum())
        at_once = examples + min(resamples, BLOCK // examples, SAMPLES)  # their sums, and those of samples
        size = resamples * len(grouped) + 2 * grouped.numbers * at_once
        responses = examples * len(grouped) * len(grouped.seeds)
        if held + size > max(LIMIT, OF_EACH * responses) and columns > 1:
            parts.append({})
            held = columns = 0
        parts[-1][metric] = grouped
        held, columns = held + size, columns + grouped.numbers * metric.of_sums
    return [*parts[:-2], parts[-2] | parts[-1]] if columns < 2 and len(parts) > 1 else parts


def _score_together(
    together: Mapping[Metric, Grouped], settings: Sequence[str], resampling: Resampling
) -> dict[Metric, list[Row]]:
    """Return the rows of metrics that have values on the same examples."""
    scored = list(together.items())
    samples = bootstrap(scored, resampling.resamples, resampling.seed)
    p_values = sign_flip(scored, resampling.resamples, resampling.seed)
    rows = {}
    for (metric, grouped), drawn, p in zip(scored, samples, p_values, strict=True):
        n, seeds, dropped = int(grouped.kept.sum()), len(grouped.seeds), grouped.dropped
        values = [metric.value(one) for one in grouped]
        rows[metric] = [
            measured(
                Row(setting, metric.measure, None, None, None, n, seeds, dropped[i]), values[i], drawn[i], resampling
            )
            for i, setting in enumerate(settings)
        ]
        for i in range(1, len(settings)):
            change, changes, lost = values[i] - values[0], drawn[i] - drawn[0], dropped[0] + dropped[i]
            row = Row(difference(settings[i], settings), metric.measure, None, None, None, n, seeds, lost)
            row = measured(row, change, changes, resampling)
            if row.low is not None:
                tested = paired_bootstrap_p(change, changes)
                row = replace(row, p=p[i - 1], p_bootstrap=tested, effect=effect_size(change, changes, n))
            rows[metric].append(row)
    return rows


def measured(row: Row, value: float, samples: np.ndarray, resampling: Resampling) -> Row:
    """Return ``row`` with ``value`` and its interval, without what is beyond double precision."""
    if not math.isfinite(value):
        return row
    if not np.isfinite(samples).all():
        return replace(row, value=value)
    low, high = interval(samples, resampling.confidence)
    return replace(row, value=value, low=low, high=high)


def lacks(statistics: np.ndarray) -> np.ndarray:
    """Return which rows (responses,) of ``statistics`` have no finite value."""
    return ~np.isfinite(statistics).all(axis=1)


def each_response(metric: Metric, statistics: np.ndarray) -> np.ndarray:
    """Return the metric (responses,) of each response by itself from its ``statistics`` (responses, numbers); NaN where
    it has no finite value."""
    values, present = np.full(len(statistics), np.nan), ~lacks(statistics)
    if present.any():
        sums = statistics[present].astype(np.float64)
        values[present] = metric.from_sums(sums, np.ones(len(sums)))
    values[~np.isfinite(values)] = np.nan
    return values


def difference(setting: str, settings: Sequence[str]) -> str:
    """Return the name of the row that holds ``setting`` minus the first of ``settings``."""
    return DIFFERENCE if len(settings) == 2 else f"{DIFFERENCE}: {setting}"


def settings_of(rows: Sequence[Row]) -> list[str]:
    """Return the settings that ``rows`` compare, the first of them the one that others are compared with."""
    differences = {row.setting for row in rows if row.setting.partition(":")[0] == DIFFERENCE}
    return [name for name in dict.fromkeys(row.setting for row in rows) if name not in differences]
