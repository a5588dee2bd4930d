"""`zsc report`: one page about finished runs, with its plots as files."""

from pathlib import Path

from omegaconf import DictConfig

from zsc.cli.compose import options_of
from zsc.study.options import ReportOptions
from zsc.study.report import report as write
from zsc.study.watch import Terminal


def report(cfg: DictConfig) -> None:
    """Write the page that ``cfg`` (configs/report.yaml) asks for, and print where it is."""
    options = options_of(ReportOptions, cfg)
    paths = {Path(run).resolve(): Path(run) for run in reversed(options.runs)}
    written = write(list(reversed(paths.values())), options, Terminal())
    for line in written.verdicts:
        print(line)
    print(f"page: {written.page}")
    print(f"plots: {written.plots}, each as PNG, SVG and PDF beside it")
