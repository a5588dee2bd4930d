"""`zsc export`: one setting of a finished run as a folder that can be served."""

from omegaconf import DictConfig

from zsc.cli.compose import options_of
from zsc.study.export import export as write
from zsc.study.options import ExportOptions
from zsc.study.watch import Terminal


def export(cfg: DictConfig) -> None:
    """Export what ``cfg`` (configs/export.yaml) names, and print how it is loaded."""
    options = options_of(ExportOptions, cfg)
    setting = write(options, Terminal())
    print(f"{setting.name} in {options.to}; from Python:\n  zsc.load({options.to!r}).generate(history=[...])")
