"""`zsc run` and `zsc sweep`: generate with knobs off and on over the same examples, and score."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from zsc.cli.build import count_settings
from zsc.cli.configs import resolved
from zsc.cli.experiment import performed, prepare, tell
from zsc.cli.score import build_scoring, check_scoring, score_and_print
from zsc.errors import ZscError
from zsc.metrics import build_metrics
from zsc.tables.render import check_format


def run(cfg: DictConfig) -> Path:
    """Run what ``cfg`` (configs/run.yaml) says, print the table on stdout, and return the run's folder."""
    config = resolved(cfg)
    check_format(config["format"])
    check_scoring(config)
    build_metrics(config["metrics"])
    experiment = prepare(config, [config["knob"]])
    scoring = build_scoring(config, experiment.built.made_from)
    tell(experiment.cut)
    with performed(experiment, config["knob"]["name"]) as folder:
        score_and_print(folder, scoring, experiment.layout.turns, config["format"])
    print(f"run: {folder.path}", file=sys.stdout if config["format"] == "table" else sys.stderr)
    return folder.path


def sweep(cfg: DictConfig) -> Path:
    """As :func:`run`, of several settings. Raises ZscError if ``cfg`` lists none."""
    config = resolved(cfg)
    if count_settings(config["knob"]) < 2:
        raise ZscError("a sweep needs several values of a knob's setting, such as knob.strength=[1,2,5].")
    return run(cfg)
