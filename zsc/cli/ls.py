"""`zsc ls`: what can be chosen, with a line each."""

import inspect
from dataclasses import dataclass
from typing import Literal

from zsc.cli.flags import split_arguments
from zsc.cli.groups import RUN_GROUPS, config_folder, group_options, headline
from zsc.data.control_phrases import load_phrases, phrase_sets
from zsc.metrics import METRICS, family
from zsc.options import read
from zsc.tables.render import render

Format = Literal["table", "md", "csv", "json"]


@dataclass(frozen=True)
class LsOptions:
    """configs/ls.yaml"""

    format: Format = "table"


def ls(words: list[str]) -> None:
    """Print the options of every config group, the sets of control phrases and the metrics."""
    flags, overrides = split_arguments(words)
    options, folder = read(LsOptions, dict(override.split("=", 1) for override in overrides)), config_folder(flags)
    rows = [
        {"kind": kind, "name": option, "what": headline(kind, option, folder)}
        for kind in (*RUN_GROUPS, "table")
        for option in group_options(kind, folder)
    ]
    for name in phrase_sets():
        phrases = load_phrases(name)
        rows.append({"kind": "phrases", "name": name, "what": f"{len(phrases)} control phrases, such as: {phrases[0]}"})
    for name, build in METRICS.items():
        metric = build(name)
        what = f"{(inspect.getdoc(type(metric)) or '').splitlines()[0]} [on:{':'.join(metric.columns)}]"
        rows.append({"kind": "metric", "name": name, "what": f"{family(name)}: {what}"})
    print(render(rows, options.format))
