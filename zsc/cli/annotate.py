"""`zsc annotate`: export blind pairs of responses for people to judge, and read their answers back."""

import shlex
from pathlib import Path

from omegaconf import DictConfig

from zsc.cli.compose import options_of
from zsc.generation.folder import RunFolder
from zsc.study.annotate import export, read_back
from zsc.study.options import AnnotateOptions
from zsc.study.watch import Terminal
from zsc.tables.render import render, rounded


def annotate(cfg: DictConfig) -> None:
    """Export pairs of the run that ``cfg`` (configs/annotate.yaml) names, or read answers to its pairs back."""
    options = options_of(AnnotateOptions, cfg)
    if options.answers is not None:
        show(options)
        return
    exported = export(RunFolder(Path(options.run)), options, Terminal())
    print(f"{exported.pairs} pairs in {exported.folder}")
    print("give out form.html or pairs.csv, and keep key.json to yourself; then:")
    print(f"  zsc annotate {shlex.quote(str(exported.folder))} 'answers=[FILE,...]'")


def show(options: AnnotateOptions) -> None:
    """Print how often the response with the knob is preferred, question by question."""
    judged = read_back(Path(options.run), options.answers or ())
    if options.format in ("table", "md"):
        print(f"{judged.summary}\n")
    print(render(judged.rows if options.format in ("csv", "json") else rounded(judged.rows), options.format))
