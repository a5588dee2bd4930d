"""What a run has found, in plain words: what its settings changed by the tests of its table, and what they did not."""

from collections.abc import Mapping, Sequence

from zsc.metrics import described
from zsc.metrics.score import Row, difference, settings_of
from zsc.tables.render import ALPHA, number

FEW = 3  # settings that are told of one by one; of more, the strongest


def summary(
    rows: Sequence[Row], responses: int, changed: Mapping[str, int], moves: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return paragraphs on ``rows``: one of each setting, or of the :func:`strongest` where they are many.

    Each setting has so many ``responses``, of which it ``changed`` so many. The metrics that it is meant to move, which
    are its ``moves``, come first, the others in the order of the table.
    """
    off, *others = settings_of(rows)
    if not others:
        return [alone(rows, off, responses)]
    told = {name: change(rows, name, responses, changed[name], moves.get(name, ())) for name in others}
    if len(others) == 1:
        return [told[others[0]]]
    if len(others) <= FEW:
        return [f"{name}: {text}" for name, text in told.items()]
    metric = main_metric(rows, moves)
    most = strongest(rows, metric)
    words = described(metric).words or metric
    return [f"Of {len(others)} settings, {most} is farthest from {off} in {words}: {told[most]}"]


def main_metric(rows: Sequence[Row], moves: Mapping[str, Sequence[str]]) -> str:
    """Return the metric that a setting is meant to move, the first that ``rows`` have, or else the first of these."""
    scored = list(dict.fromkeys(row.metric for row in rows))
    return next(name for name in (*(one for names in moves.values() for one in names), *scored) if name in scored)


def strongest(rows: Sequence[Row], metric: str) -> str:
    """Return the setting in which ``metric`` changed the most, up or down; the first of several."""
    off, *others = settings_of(rows)
    changes = {row.setting: row.value for row in rows if row.metric == metric and row.value is not None}
    return max(others, key=lambda name: abs(changes.get(difference(name, [off, *others]), 0.0)))


def alone(rows: Sequence[Row], setting: str, responses: int) -> str:
    """Return a sentence on a setting that there is none to compare with."""
    values = [(described(row.metric).words, row.value) for row in rows]
    parts = [f"{words} {number(value, '')}" for words, value in values if words and value is not None]
    return f"{responses:,} responses of {setting}, with nothing to compare them to" + (
        f": {'; '.join(parts)}." if parts else "."
    )


def change(rows: Sequence[Row], setting: str, responses: int, changed: int, moves: Sequence[str]) -> str:
    """Return sentences on what ``setting`` does beside the first one."""
    settings, values = settings_of(rows), {(row.setting, row.metric): row for row in rows}
    metrics = dict.fromkeys(row.metric for row in rows)
    moved: list[str] = []
    unmoved: list[str] = []
    first = moved
    for name in sorted(metrics, key=lambda one: moves.index(one) if one in moves else len(moves)):
        metric, tested = described(name), values.get((difference(setting, settings), name))
        if not metric.words or tested is None or tested.p_holm is None or tested.value is None:
            continue
        if tested.p_holm >= ALPHA:
            first = first if moved else unmoved
            unmoved.append(metric.words)
            continue
        how = metric.risen if tested.value > 0 else metric.fallen
        off, on = (number(values[one, name].value, "") for one in (settings[0], setting))
        moved.append(f"{how}: {off} to {on}" if how else f"{metric.words} {off} to {on}")
    text = "; ".join(moved)
    sentences = [f"{text[:1].upper()}{text[1:]}." if moved else ""]
    sentences.insert(first is moved, f"No significant change of {listed(unmoved)}." if unmoved else "")
    return " ".join(filter(None, [f"{changed:,} of {responses:,} responses changed.", *sentences]))


def listed(names: Sequence[str]) -> str:
    """Return ``names`` as a list in a sentence."""
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
