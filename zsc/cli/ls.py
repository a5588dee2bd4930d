"""`zsc ls`: what can be chosen, with a line each."""

from zsc.cli.flags import split_arguments
from zsc.cli.groups import RUN_GROUPS, config_folder, group_options, headline
from zsc.options import read
from zsc.study.listing import metric_rows, phrase_rows
from zsc.study.options import LsOptions
from zsc.tables.render import render


def ls(words: list[str]) -> None:
    """Print the options of every config group, the sets of control phrases and the metrics."""
    flags, overrides = split_arguments(words)
    options, folder = read(LsOptions, dict(override.split("=", 1) for override in overrides)), config_folder(flags)
    rows = [
        {"kind": kind, "name": option, "what": headline(kind, option, folder)}
        for kind in (*RUN_GROUPS, "table", "launcher", "log")
        for option in group_options(kind, folder)
    ]
    print(render([*rows, *phrase_rows(), *metric_rows()], options.format))
