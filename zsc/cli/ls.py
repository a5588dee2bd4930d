"""`zsc ls`: what can be chosen, with a line each."""

import inspect

from zsc.cli.configs import RUN_GROUPS, group_options, headline
from zsc.data.control_phrases import load_phrases, phrase_sets
from zsc.errors import ZscError
from zsc.metrics import GROUPS, METRICS
from zsc.tables.render import check_format, render


def ls(arguments: list[str]) -> None:
    """Print the options of every config group, the sets of control phrases and the metrics."""
    style = "table"
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key != "format":
            raise ZscError(f"zsc ls takes format=table|md|csv|json only, not '{argument}'.")
        style = value
    check_format(style)
    rows = [
        {"kind": kind, "name": option, "what": headline(kind, option)}
        for kind in (*RUN_GROUPS, "table")
        for option in group_options(kind)
    ]
    for name in phrase_sets():
        phrases = load_phrases(name)
        rows.append({"kind": "phrases", "name": name, "what": f"{len(phrases)} control phrases, such as: {phrases[0]}"})
    groups = {name: group for group, metrics in GROUPS.items() for name in metrics}
    for name, build in METRICS.items():
        metric = build(name)
        what = (inspect.getdoc(type(metric)) or "").splitlines()[0] + f" [{metric.signature.split('|')[1]}]"
        rows.append({"kind": "metric", "name": name, "what": f"{groups[name]}: {what}"})
    print(render(rows, style))
