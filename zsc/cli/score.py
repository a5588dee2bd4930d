"""`zsc score`: score a finished run again."""

import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zsc.cli.configs import CONFIGS, dotted, stored_config
from zsc.cli.counts import check_count
from zsc.cli.progress import progress
from zsc.cli.words import is_path, unknown_setting
from zsc.data.columns import check_split
from zsc.data.control_phrases import load_phrases
from zsc.errors import ZscError, first_line
from zsc.generation.folder import RunFolder
from zsc.generation.outputs import COLUMNS, import_outputs
from zsc.metrics import build_metrics
from zsc.metrics.base import Metric
from zsc.metrics.judges import JUDGES, Judge, Topic, build_judges
from zsc.metrics.run import score_run
from zsc.metrics.score import Resampling, Row
from zsc.metrics.tokenized import check_tokenizer
from zsc.tables.render import ALPHA, check_format, render_scores
from zsc.terminal import say

SECTIONS = ("layout", "metrics", "format", "topic", "judges", "bleu", "resampling")
KEYS = (
    "metrics",
    "format",
    "topic",
    *(f"judges.{name}" for name in (*JUDGES, "device")),
    "bleu.tokenize",
    *(f"resampling.{name}" for name in ("resamples", "confidence", "seed")),
    *(f"columns.{name}" for name in COLUMNS),
    "turns",
)
FREE = re.compile(r"topic|judges\.\w+|columns\.\w+")  # settings whose values stand as they are
TURNS = 5  # of the history of other systems' responses that dialog metrics look at


@dataclass(frozen=True)
class Scoring:
    """What the metrics stage needs beside a run's folder."""

    metrics: Sequence[Metric]
    judges: Sequence[Judge]
    topic: Topic
    resampling: Resampling


def score(arguments: list[str]) -> None:
    """Score the run folder or file named first, with ``key=value`` settings after it, and print the table."""
    if not arguments or not is_path(arguments[0]):
        raise ZscError("zsc score needs the folder of a run or a file of responses: zsc score RUN [key=value ...].")
    path = Path(arguments[0])
    for argument in arguments[1:]:
        key, equals, _ = argument.partition("=")
        if not equals or key not in KEYS:
            raise ZscError(unknown_setting("score", argument, KEYS))
    try:
        shipped = OmegaConf.masked_copy(OmegaConf.load(CONFIGS / "run.yaml"), list(SECTIONS))  # type: ignore[arg-type]
        given = dotted(arguments[1:], FREE)
        folder = _folder(path, given)
        stored = stored_config(folder.config)
        leave_out_judges(stored, given)
        merged = OmegaConf.merge(shipped, stored, {"format": "table"}, given)
    except OmegaConfBaseException as error:
        raise ZscError(f"cannot read the settings: {first_line(error)}") from error
    config: dict[str, Any] = OmegaConf.to_container(merged)  # type: ignore[assignment]
    check_format(config["format"])
    check_scoring(config)
    scoring = build_scoring(config, folder.manifest().get("made_from", {}))
    score_and_print(folder, scoring, config["layout"]["turns"], config["format"])
    if path.is_file():
        say(f"run: {folder.path}")


def leave_out_judges(stored: DictConfig, given: DictConfig) -> None:
    """Remove the judges that a run's config names, and say on stderr how to name those left out: to load one may fetch
    it, and the run may be somebody else's."""
    judges: Any = OmegaConf.to_container(stored.pop("judges", None) or OmegaConf.create({}))
    named = judges if isinstance(judges, dict) else {}
    asked = given.get("judges") or {}
    left = {kind: str(name) for kind, name in named.items() if kind in JUDGES and name and kind not in asked}
    if left:
        words = [shlex.quote(f"judges.{kind}={name if name.isprintable() else 'NAME'}") for kind, name in left.items()]
        say(f"judges in the run's config.yaml are left out; to use them, add {' '.join(words)}")


def _folder(path: Path, given: DictConfig) -> RunFolder:
    """Return the run's folder at ``path``, or one made of the responses in the file there."""
    if path.is_file():
        split = check_split(given.pop("turns", "one"), "turns")
        return import_outputs(path, given.get("columns", {}), Path("runs"), TURNS, split)
    if "turns" in given:
        raise ZscError("turns says how to read the histories of a file of responses: a run has them already.")
    folder = RunFolder(path)
    if not folder.config.is_file() or not folder.manifest():
        raise ZscError(f"{path} is not the folder of a run, nor a file of responses. `zsc run` makes a run.")
    return folder


def build_scoring(config: dict[str, Any], made_from: dict[str, Any]) -> Scoring:
    """Build metrics and judges. The topic is that of ``config``, or else the control phrases in ``made_from``."""
    drawn: dict[str, dict[str, None]] = {}
    for sets in made_from.get("phrases", {}).values():
        for label, phrases in sets.items():
            drawn.setdefault(label, {}).update(dict.fromkeys(phrases))
    if config["topic"] is not None:
        topic = Topic(Path(str(config["topic"])).stem, load_phrases(str(config["topic"])))
    else:
        topic = Topic(next(iter(drawn), ""), [phrase for of_one in drawn.values() for phrase in of_one])
    judges = build_judges(config["judges"], topic)
    return Scoring(
        build_metrics(config["metrics"], config["bleu"]["tokenize"]), judges, topic, Resampling(**config["resampling"])
    )


def check_scoring(config: dict[str, Any]) -> None:
    """Raise ZscError for settings of BLEU and of resampling that are out of range."""
    for section, example in (("bleu", "tokenize=13a"), ("judges", "device=cpu"), ("resampling", "seed=1")):
        if not isinstance(config[section], dict):
            raise ZscError(f"{section}={config[section]}: its settings have names, such as {section}.{example}.")
    check_tokenizer(config["bleu"]["tokenize"])
    check_resampling(config["resampling"])


def check_resampling(settings: dict[str, Any]) -> None:
    """Raise ZscError for resampling settings that are out of range."""
    check_count("resampling.resamples", settings["resamples"])
    if not isinstance(settings["confidence"], float) or not 0 < settings["confidence"] < 1:
        raise ZscError(f"resampling.confidence={settings['confidence']} must lie between 0 and 1.")
    if type(settings["seed"]) is not int or settings["seed"] < 0:
        raise ZscError(f"resampling.seed={settings['seed']} must be a whole number of at least 0.")


def scored(folder: RunFolder, scoring: Scoring, turns: int) -> tuple[list[Row], dict[str, str]]:
    """Score the run in ``folder``, judges under a progress bar; return the table and the signatures of its metrics."""
    return score_run(folder, scoring.metrics, scoring.judges, scoring.topic, turns, scoring.resampling, watch, say)


def score_and_print(folder: RunFolder, scoring: Scoring, turns: int, style: str) -> None:
    table, signatures = scored(folder, scoring, turns)
    measures = [metric.measure for metric in scoring.metrics]
    if not table:
        raise ZscError(
            f"no response in {folder.path} has a value of {', '.join(measures)}. They may need knowledge, references,"
            " control phrases or a judge."
        )
    warn(measures, table, scoring.resampling)
    print(render_scores([asdict(row) for row in table], signatures, style))


def warn(measures: Sequence[str], table: Sequence[Row], resampling: Resampling) -> None:
    """Say on stderr which metrics have no value, and where the tests are too coarse for their number."""
    scored = {row.metric for row in table}
    if left_out := [name for name in measures if name not in scored]:
        say(f"left out, nothing to compute them from: {', '.join(left_out)}")
    tests = sum(row.p is not None for row in table)
    if tests / (resampling.resamples + 1) >= ALPHA:
        say(
            f"{tests} differences are tested with {resampling.resamples} resamples: after Holm's correction none can be"
            f" significant. Set resampling.resamples={round(4 * tests / ALPHA)}."
        )


@contextmanager
def watch(judge: Judge, total: int) -> Iterator[Callable[[int], None]]:
    """Show how a judge's pass over ``total`` texts goes on and, at its end, its speed."""
    name, ready = judge.columns[0], []
    started = time.perf_counter()
    with progress() as bar:
        task = bar.add_task(name, total=total)

        def advance(count: int) -> None:
            ready.append(count)
            bar.advance(task, count)

        yield advance
    fresh = sum(ready[1:])  # the first count is of texts judged before
    speed = f", {fresh / (time.perf_counter() - started):.1f} responses/s" if fresh else ""
    say(f"{name}: {total} different responses, {fresh} judged now{speed}")
