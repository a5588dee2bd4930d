"""`zsc runs`: the runs in a folder."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from zsc.cli.plain import plain_options
from zsc.study.runs import RunsOptions, runs_in
from zsc.tables.runs import listed_text, render_runs
from zsc.terminal import say, screen


def runs(words: Sequence[str]) -> None:
    """Print the runs in the folder that ``words`` name."""
    options = plain_options(RunsOptions, words)
    found, on = runs_in(Path(options.folder)), screen()
    if options.format != "table":
        print(render_runs(found, options.format))
    elif found:
        print(listed_text(found, on.width if on.terminal else None, datetime.now()))
    else:
        say(f"no run in {options.folder}. `zsc run knob=attn_bias` makes one.")
