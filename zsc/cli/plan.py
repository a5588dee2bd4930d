"""`zsc plan`: the cells of a run, what is there, and how long the rest will take."""

from omegaconf import DictConfig

from zsc.cli.compose import options_of
from zsc.study.experiment import prepare
from zsc.study.options import RunOptions
from zsc.study.plan import cell_rows, estimate
from zsc.tables.render import render
from zsc.terminal import say


def plan(cfg: DictConfig) -> None:
    """Print the cells of ``cfg`` (configs/plan.yaml) on stdout, and an estimate of time on stderr."""
    options = options_of(RunOptions, cfg)
    experiment = prepare(options)
    print(render(cell_rows(experiment), options.format))
    say(estimate(experiment))
