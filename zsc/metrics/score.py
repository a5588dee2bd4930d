"""The metrics stage: from a run's folder to rows of setting, metric, value and interval. It needs no model."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.generation.folder import RunFolder
from zsc.metrics.base import Metric
from zsc.metrics.bootstrap import aggregate, bootstrap, interval
from zsc.metrics.items import build_items

DIFFERENCE = "difference"


@dataclass(frozen=True)
class Row:
    """One number of a table. ``n`` examples were resampled; each holds one response per seed."""

    setting: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    seeds: int


def score_rows(
    records: Sequence[Record],
    rows: Sequence[dict[str, Any]],
    settings: Sequence[str],
    seeds: Sequence[int],
    metrics: Sequence[Metric],
    turns: int,
    phrases: Sequence[str],
    resamples: int,
    confidence: float,
    seed: int,
) -> list[Row]:
    """Score ``settings`` and the difference of each to the first, paired by example.

    A metric against the knowledge is computed on the records that have some, and left out if none has; so is one
    against the control ``phrases`` if there are none.
    Raises ZscError if a setting and seed lacks the response to a record.
    """
    cells: dict[tuple[str, int], dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        cells[row["setting"], row["seed"]][row["id"]] = row
    items = {}
    for cell in product(settings, seeds):
        missing = [record.id for record in records if record.id not in cells[cell]]
        if missing:
            raise ZscError(
                f"the run is not finished: setting {cell[0]}, seed {cell[1]} lacks {len(missing)} of {len(records)}"
                f" responses (first: {missing[0]}). Repeat the command that made it to go on where it stopped."
            )
        items[cell] = build_items(records, cells[cell], turns, phrases)
    grounded = np.array([record.knowledge is not None for record in records])
    table = []
    for metric in metrics:
        kept = grounded if metric.references == "knowledge" else np.ones_like(grounded)
        if not kept.any() or (metric.references == "phrases" and not phrases):
            continue
        statistics = [
            np.stack([_statistics(metric, items[setting, s])[kept] for s in seeds], axis=1) for setting in settings
        ]
        values = [float(aggregate(metric, one)) for one in statistics]
        resampled = bootstrap(metric, statistics, resamples, seed)
        named = list(zip(settings, values, resampled, strict=True))
        named += [
            (difference(setting, settings), value - values[0], samples - resampled[0])
            for setting, value, samples in named[1:]
        ]
        table += [
            Row(setting, metric.measure, value, *interval(samples, confidence), int(kept.sum()), len(seeds))
            for setting, value, samples in named
        ]
    return table


def difference(setting: str, settings: Sequence[str]) -> str:
    """Return the name of the row that holds ``setting`` minus the first of ``settings``."""
    return DIFFERENCE if len(settings) == 2 else f"{DIFFERENCE}: {setting}"


def _statistics(metric: Metric, items: Any) -> np.ndarray:
    references = None if metric.references is None else getattr(items, metric.references)
    return metric.statistics(getattr(items, metric.predictions), references)


def score_run(
    folder: RunFolder, metrics: Sequence[Metric], turns: int, resamples: int, confidence: float, seed: int
) -> list[Row]:
    """Score the run in ``folder``, write ``scores.json`` there, and return the table."""
    made = folder.manifest()
    phrases = sorted({phrase for drawn in made.get("made_from", {}).get("phrases", {}).values() for phrase in drawn})
    table = score_rows(
        folder.records(),
        folder.rows(),
        made["settings"],
        made["seeds"],
        metrics,
        turns,
        phrases,
        resamples,
        confidence,
        seed,
    )
    folder.write_scores(
        {
            "table": [asdict(row) for row in table],
            "signatures": {metric.measure: metric.signature for metric in metrics},
            "bootstrap": {"resamples": resamples, "confidence": confidence, "seed": seed},
        }
    )
    return table
