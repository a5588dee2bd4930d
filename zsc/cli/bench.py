"""`zsc bench`: how fast responses are made, or what a knob costs, as ratios of times taken in turn within one run."""

from omegaconf import DictConfig

from zsc.cli.compose import options_of
from zsc.study.bench import bench as measure
from zsc.study.options import BenchOptions
from zsc.study.watch import Terminal
from zsc.tables.render import render, rounded


def bench(cfg: DictConfig) -> None:
    """Print how fast responses are made, or what every setting of a knob costs."""
    options = options_of(BenchOptions, cfg)
    rows = measure(options, Terminal())
    print(render(rows if options.format in ("csv", "json") else rounded(rows), options.format))
