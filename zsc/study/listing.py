"""What can be chosen beside the options of config groups: sets of control phrases, and metrics."""

import inspect

from zsc.data.control_phrases import load_phrases, phrase_sets
from zsc.metrics import METRICS, family


def phrase_rows() -> list[dict[str, str]]:
    """Return a row for each set of control phrases."""
    rows = []
    for name in phrase_sets():
        phrases = load_phrases(name)
        rows.append({"kind": "phrases", "name": name, "what": f"{len(phrases)} control phrases, such as: {phrases[0]}"})
    return rows


def metric_rows() -> list[dict[str, str]]:
    """Return a row for each metric, with the columns that it reads."""
    rows = []
    for name, build in METRICS.items():
        metric = build(name)
        what = f"{(inspect.getdoc(type(metric)) or '').splitlines()[0]} [on:{':'.join(metric.columns)}]"
        rows.append({"kind": "metric", "name": name, "what": f"{family(name)}: {what}"})
    return rows
