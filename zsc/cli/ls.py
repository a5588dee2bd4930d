"""`zsc ls`: what can be chosen, with a line each."""

import inspect

from zsc.cli.options import FOLDER_FLAGS, RUN_GROUPS, config_folder, group_options, headline
from zsc.cli.words import split_words
from zsc.data.control_phrases import load_phrases, phrase_sets
from zsc.errors import ZscError
from zsc.metrics import METRICS, family
from zsc.tables.render import check_format, render


def ls(arguments: list[str]) -> None:
    """Print the options of every config group, the sets of control phrases and the metrics."""
    flags, settings = split_words(arguments)
    style, folder = "table", config_folder(flags)
    for argument in [*(flag for flag in flags if flag.startswith("-")), *settings]:
        key, _, value = argument.partition("=")
        if key != "format" and key not in FOLDER_FLAGS:
            raise ZscError(f"zsc ls takes format=table|md|csv|json and --config-dir FOLDER only, not '{argument}'.")
        style = value if key == "format" else style
    check_format(style)
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
    print(render(rows, style))
