"""`zsc bench`: what a knob costs, as ratios of times measured in turn within one run."""

from omegaconf import DictConfig

from zsc.cli.compose import options_of
from zsc.study.bench import bench as measure
from zsc.study.options import BenchOptions
from zsc.study.watch import Terminal
from zsc.tables.render import render


def bench(cfg: DictConfig) -> None:
    """Print what one setting of a knob costs, or what several settings cost together."""
    options = options_of(BenchOptions, cfg)
    print(render([measure(options, Terminal())], options.format))
