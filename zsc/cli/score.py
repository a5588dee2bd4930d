"""`zsc score`: score a finished run again."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zsc.cli.build import check_count
from zsc.errors import ZscError, first_line, suggestion
from zsc.generation.folder import RunFolder
from zsc.metrics import build_metrics
from zsc.metrics.score import Row, score_run
from zsc.tables.render import check_format, render_scores

KEYS = ("metrics", "format", "bootstrap.resamples", "bootstrap.confidence", "bootstrap.seed")


def score(arguments: list[str]) -> None:
    """Score the run folder named first, with ``key=value`` settings after it, and print the table."""
    if not arguments or "=" in arguments[0]:
        raise ZscError("zsc score needs the folder of a run: zsc score RUN [key=value ...].")
    folder = RunFolder(Path(arguments[0]))
    if not folder.config.is_file() or not folder.manifest():
        raise ZscError(f"{folder.path} is not the folder of a run. `zsc run` makes one.")
    for argument in arguments[1:]:
        key, equals, _ = argument.partition("=")
        if not equals or key not in KEYS:
            raise ZscError(f"no setting '{key}' of zsc score.{suggestion(key, KEYS)} Known: {', '.join(KEYS)}.")
    try:
        merged = OmegaConf.merge(
            OmegaConf.load(folder.config), {"format": "table"}, OmegaConf.from_dotlist(arguments[1:])
        )
    except OmegaConfBaseException as error:
        raise ZscError(f"cannot read the settings: {first_line(error)}") from error
    config: dict[str, Any] = OmegaConf.to_container(merged)  # type: ignore[assignment]
    check_format(config["format"])
    check_bootstrap(config["bootstrap"])
    metrics = build_metrics(config["metrics"])
    print_scores(score_run(folder, metrics, config["layout"]["turns"], **config["bootstrap"]), config["format"])


def check_bootstrap(settings: dict[str, Any]) -> None:
    """Raise ZscError for bootstrap settings that are out of range."""
    check_count("bootstrap.resamples", settings["resamples"])
    if not isinstance(settings["confidence"], float) or not 0 < settings["confidence"] < 1:
        raise ZscError(f"bootstrap.confidence={settings['confidence']} must lie between 0 and 1.")
    if type(settings["seed"]) is not int or settings["seed"] < 0:
        raise ZscError(f"bootstrap.seed={settings['seed']} must be a whole number of at least 0.")


def print_scores(table: Sequence[Row], style: str) -> None:
    print(render_scores([asdict(row) for row in table], style))
