"""The metrics stage: from a run's folder to rows of setting, metric, value and interval. It needs no model."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.files import write_atomic
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
    metrics: Sequence[Metric],
    turns: int,
    resamples: int,
    confidence: float,
    seed: int,
) -> list[Row]:
    """Score every setting of ``rows``; with two settings also the second minus the first, paired by example.

    Raises ZscError if a setting and seed lacks the response to a record.
    """
    cells: dict[tuple[str, int], dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        cells[row["setting"], row["seed"]][row["id"]] = row
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    items = {}
    for setting in settings:
        for s in seeds:
            missing = [record.id for record in records if record.id not in cells[setting, s]]
            if missing:
                raise ZscError(
                    f"the run is not finished: setting {setting}, seed {s} lacks {len(missing)} of {len(records)}"
                    f" responses (first: {missing[0]}). Repeat the command that made it to go on where it stopped."
                )
            items[setting, s] = build_items(records, cells[setting, s], turns)
    table = []
    for metric in metrics:
        statistics = [np.stack([_statistics(metric, items[setting, s]) for s in seeds], axis=1) for setting in settings]
        values = [float(aggregate(metric, one)) for one in statistics]
        resampled = bootstrap(metric, statistics, resamples, seed)
        named = list(zip(settings, values, resampled, strict=True))
        if len(settings) == 2:
            named.append((DIFFERENCE, values[1] - values[0], resampled[1] - resampled[0]))
        table += [
            Row(setting, metric.measure, value, *interval(samples, confidence), len(records), len(seeds))
            for setting, value, samples in named
        ]
    return table


def _statistics(metric: Metric, items: Any) -> np.ndarray:
    references = None if metric.references is None else getattr(items, metric.references)
    return metric.statistics(getattr(items, metric.predictions), references)


def score_run(
    folder: RunFolder, metrics: Sequence[Metric], turns: int, resamples: int, confidence: float, seed: int
) -> list[Row]:
    """Score the run in ``folder``, write ``scores.json`` there, and return the table."""
    table = score_rows(folder.records(), folder.rows(), metrics, turns, resamples, confidence, seed)
    scores = {
        "table": [asdict(row) for row in table],
        "signatures": {metric.measure: metric.signature for metric in metrics},
        "bootstrap": {"resamples": resamples, "confidence": confidence, "seed": seed},
    }
    write_atomic(folder.path / "scores.json", json.dumps(scores, indent=2) + "\n")
    return table
