"""Score the folder of a run, with the judges that its options name."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zsc.data.control_phrases import load_phrases
from zsc.generation.folder import RunFolder
from zsc.metrics import build_metrics
from zsc.metrics.base import Metric
from zsc.metrics.judges import Judge, Topic, build_judges
from zsc.metrics.options import Resampling, ScoringOptions
from zsc.metrics.run import score_run
from zsc.metrics.score import Row
from zsc.study.watch import Watch
from zsc.tables.render import ALPHA


@dataclass(frozen=True)
class Scoring:
    """What the metrics stage needs beside the folder of a run."""

    metrics: Sequence[Metric]
    judges: Sequence[Judge]
    topic: Topic
    resampling: Resampling


def check_scoring(options: ScoringOptions) -> None:
    """Raise ZscError for metrics that there are not, and a tokenizer of BLEU that cannot be used."""
    build_metrics(list(options.metrics), options.bleu.tokenize)


def build_scoring(options: ScoringOptions, made_from: Mapping[str, Any]) -> Scoring:
    """Build metrics and judges. The topic is that of ``options``, or else the control phrases in ``made_from``."""
    drawn: dict[str, dict[str, None]] = {}
    for sets in made_from.get("phrases", {}).values():
        for label, phrases in sets.items():
            drawn.setdefault(label, {}).update(dict.fromkeys(phrases))
    if options.topic is not None:
        topic = Topic(Path(options.topic).stem, load_phrases(options.topic))
    else:
        topic = Topic(next(iter(drawn), ""), [phrase for phrases in drawn.values() for phrase in phrases])
    judges = build_judges({**options.judges.chosen, "device": options.judges.device}, topic)
    metrics = build_metrics(list(options.metrics), options.bleu.tokenize)
    return Scoring(metrics, judges, topic, options.resampling)


def score_folder(folder: RunFolder, scoring: Scoring, turns: int, watch: Watch) -> tuple[list[Row], dict[str, str]]:
    """Score the run in ``folder``; return its rows and the signature of each metric.

    ``dialog`` metrics look at the last ``turns`` turns.
    """
    judged = partial(watch_judge, watch)
    return score_run(
        folder, scoring.metrics, scoring.judges, scoring.topic, turns, scoring.resampling, judged, watch.say
    )


def warnings(measures: Sequence[str], rows: Sequence[Row], resampling: Resampling) -> list[str]:
    """Say which metrics have no value, and whether the tests are too coarse for their number."""
    scored, lines = {row.metric for row in rows}, []
    if left_out := [name for name in measures if name not in scored]:
        lines.append(f"left out, nothing to compute them from: {', '.join(left_out)}")
    tests = sum(row.p is not None for row in rows)
    if tests / (resampling.resamples + 1) >= ALPHA:
        lines.append(
            f"{tests} differences are tested with {resampling.resamples} resamples: after Holm's correction none can be"
            f" significant. Set resampling.resamples={round(4 * tests / ALPHA)}."
        )
    return lines


@contextmanager
def watch_judge(watch: Watch, judge: Judge, total: int) -> Iterator[Callable[[int], None]]:
    """Show how a judge's pass over ``total`` texts goes on and, at its end, its speed."""
    name, ready = judge.columns[0], []
    started = time.perf_counter()
    with watch.progress(name, total) as advance:

        def note(count: int) -> None:
            ready.append(count)
            advance(count)

        yield note
    fresh = sum(ready[1:])  # the first count is of texts judged before
    speed = f", {fresh / (time.perf_counter() - started):.1f} responses/s" if fresh else ""
    watch.say(f"{name}: {total} different responses, {fresh} judged now{speed}")
