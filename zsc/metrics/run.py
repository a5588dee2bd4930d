"""Score a run's folder: its responses, what judges say of them, and the table."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from itertools import product
from operator import attrgetter, itemgetter
from typing import Any

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.generation.cells import Place
from zsc.generation.folder import RunFolder
from zsc.metrics.base import Metric
from zsc.metrics.items import Columns, build_columns
from zsc.metrics.judges import Judge, Topic
from zsc.metrics.judges.base import items_of, judged
from zsc.metrics.options import Resampling
from zsc.metrics.score import (
    Row,
    Statistics,
    cell_statistics,
    each_response,
    score_statistics,
    unmeasured,
)

Rows = dict[str, dict[str, Any]]  # of one setting and seed, by record id
Watch = Callable[[Judge, int], AbstractContextManager[Callable[[int], None]]]


def control_phrases(folder: RunFolder) -> dict[str, list[str]]:
    """Return the control phrases of each setting of the run in ``folder``, sorted: those drawn for it or, where it has
    none, those drawn for any."""
    manifest = folder.manifest()
    drawn = {
        setting: {phrase for phrases in sets.values() for phrase in phrases}
        for setting, sets in manifest.get("made_from", {}).get("phrases", {}).items()
    }
    every = set().union(*drawn.values())
    return {setting: sorted(drawn.get(setting, every)) for setting in manifest["settings"]}


def score_run(
    folder: RunFolder,
    metrics: Sequence[Metric],
    judges: Sequence[Judge],
    topic: Topic,
    turns: int,
    resampling: Resampling,
    watch: Watch,
    note: Callable[[str], None] = lambda line: None,
) -> tuple[list[Row], dict[str, str]]:
    """Score the run in ``folder``; return the table and the signature of each of its metrics.

    Writes ``scores.json``, with the table and what it depends on, and ``items.csv``, with the metrics of every response
    by itself. ``watch`` is told of each judge's pass over so many items; its context counts those that are ready.
    ``note`` is given a line on each metric that was fitted to the texts, or that some responses have no value of.
    """
    manifest, records = folder.manifest(), folder.records()
    settings, seeds = manifest["settings"], manifest["seeds"]
    cells = finished(records, folder.rows(), settings, seeds)
    phrases = control_phrases(folder)
    of_judges = {metric.predictions for metric in metrics if metric.judge}  # which no field of a record can stand for
    columns: dict[Place, Columns] = {}
    for (setting, seed), rows in cells.items():
        built = build_columns(records, rows, turns, phrases[setting], topic.phrases)
        columns[setting, seed] = {name: column for name, column in built.items() if name not in of_judges}
    signs = {"nll": f"model:{manifest['weights'][:12]}"} if manifest.get("weights") else {}
    for judge in judges:
        items = dict.fromkeys(item for texts in columns.values() for item in items_of(judge, texts) if item is not None)
        with folder.writing(), watch(judge, len(items)) as advance:
            values = judged(judge, items, folder.path, advance)
        columns = {place: _with_judged(texts, judge, values) for place, texts in columns.items()}
        signs |= dict.fromkeys(judge.columns, judge.signature)
    fitted = [metric.fitted(list(columns.values())) for metric in metrics]
    metrics = [metric for metric, _ in fitted]
    for _, why in filter(itemgetter(1), fitted):
        note(why)
    statistics = {
        metric: {place: cell_statistics(metric, texts) for place, texts in columns.items()} for metric in metrics
    }
    for metric in filter(attrgetter("needs"), metrics):
        if lost := sum(unmeasured(metric, texts, statistics[metric][place]) for place, texts in columns.items()):
            every = len(records) * len(columns)
            note(f"{metric.measure}: {lost} of {every} responses have no value, for lack of {metric.needs}.")
    columns_judged = {name for judge in judges for name in judge.columns}
    judged_by_one = [metric for metric in metrics if metric.predictions in columns_judged]
    table = score_statistics(statistics, settings, seeds, resampling, judged_by_one)
    scored = {row.metric for row in table}
    shown = [metric for metric in metrics if metric.measure in scored]
    seeded = f"seeds:{','.join(map(str, seeds))}|{resampling.signature}"
    signatures = {
        metric.measure: "|".join(filter(None, [metric.signature, signs.get(metric.predictions), seeded]))
        for metric in shown
    }
    folder.write_scores(
        {"table": [asdict(row) for row in table], "signatures": signatures, "resampling": asdict(resampling)}
    )
    folder.write_items(_items(records, {metric: statistics[metric] for metric in shown}))
    return table, signatures


def finished(
    records: Sequence[Record], rows: Sequence[dict[str, Any]], settings: Sequence[str], seeds: Sequence[int]
) -> dict[Place, Rows]:
    """Return the rows of each setting and seed by record id. Raises ZscError if one lacks the response to a record."""
    cells: dict[Place, Rows] = defaultdict(dict)
    for row in rows:
        cells[row["setting"], row["seed"]][row["id"]] = row
    for setting, seed in product(settings, seeds):
        missing = [record.id for record in records if record.id not in cells[setting, seed]]
        if missing:
            raise ZscError(
                f"the run is not finished: setting {setting}, seed {seed} lacks {len(missing)} of {len(records)}"
                f" responses (first: {missing[0]}). Repeat the command that made it to go on where it stopped."
            )
    return {place: cells[place] for place in product(settings, seeds)}


def _with_judged(columns: Columns, judge: Judge, values: dict[Any, Any]) -> Columns:
    found = [None if item is None else values[item] for item in items_of(judge, columns)]
    return {**columns} | {
        name: [None if one is None else one[i] for one in found] for i, name in enumerate(judge.columns)
    }


def _items(records: Sequence[Record], statistics: Statistics) -> list[dict[str, Any]]:
    places = next(iter(statistics.values()), {})
    items: list[dict[str, Any]] = []
    for place in places:
        values = {metric.measure: each_response(metric, rows[place]) for metric, rows in statistics.items()}
        for i, record in enumerate(records):
            numbers = {name: rows[i] for name, rows in values.items()}
            items.append({"setting": place[0], "seed": place[1], "id": record.id} | numbers)
    return items
