"""Score a run's folder: its responses, what judges say of them, and the table."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from operator import itemgetter

from zsc.generation.folder import RunFolder
from zsc.metrics.base import Metric
from zsc.metrics.cells import Cells, ItemsOfCells, store_statistics
from zsc.metrics.item_files import LARGE, PARQUET, write_items
from zsc.metrics.items import record_columns
from zsc.metrics.judges import Judge, Topic
from zsc.metrics.judges.verdicts import judged
from zsc.metrics.options import Resampling
from zsc.metrics.responses import read_responses
from zsc.metrics.score import Row, score_statistics
from zsc.metrics.stored import Stored

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

    Writes ``scores.json``, with the table and what it depends on, and a file with the metrics of every response by
    itself (:func:`zsc.metrics.item_files.write_items`). ``watch`` is told of each judge's pass over so many items; its
    context counts those that are ready. ``note`` is given a line on each metric that was fitted to the texts, or that
    some responses have no value of, and where the metrics of every response are, if they are many.
    """
    manifest, records = folder.manifest(), folder.records()
    settings, seeds = manifest["settings"], manifest["seeds"]
    responses = read_responses(folder, records, settings, seeds)
    of_judges = frozenset(metric.predictions for metric in metrics if metric.judge)  # no field of a record is one
    shared = record_columns(records, turns, topic.phrases)
    cells = Cells(records, shared, responses, control_phrases(folder), left_out=of_judges)
    signs = {"nll": f"model:{manifest['weights'][:12]}"} if manifest.get("weights") else {}
    for judge in judges:
        with folder.writing():
            verdicts = judged(judge, ItemsOfCells(judge, cells), folder.path, partial(watch, judge))
        cells = replace(cells, judged=[*cells.judged, (judge, verdicts)])
        signs |= dict.fromkeys(judge.columns, judge.signature)
    fitted = [metric.fitted(cells) for metric in metrics]
    metrics = [metric for metric, _ in fitted]
    for _, why in filter(itemgetter(1), fitted):
        note(why)
    columns_judged = {name for judge in judges for name in judge.columns}
    judged_by_one = [metric for metric in metrics if metric.predictions in columns_judged]
    with folder.writing(), Stored(metrics, list(responses), len(records), folder.path) as statistics:
        for metric, lost in store_statistics(statistics, cells).items():
            every = len(records) * len(cells)
            note(f"{metric.measure}: {lost} of {every} responses have no value, for lack of {metric.needs}.")
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
        file = write_items(folder, records, {metric: statistics[metric] for metric in shown})
    if file == PARQUET:
        note(f"metrics of each response: {folder.path / file}, since they are more than {LARGE:,}")
    return table, signatures
