"""The table of a run as wide as a terminal is: what does not fit is left out in a stated order, or stands below."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from zsc.metrics.score import DIFFERENCE
from zsc.tables.lines import printed, widest, wrapped
from zsc.tables.render import ALPHA, Rows, as_table, by_metric, by_setting, numbered, star
from zsc.terminal import one_line

Line = dict[str, Any]
COUNTS = "n, dropped"
SHORT = "on"  # what a column is called for whose name there is no room
LEGEND = {
    "[": "[low, high]: bootstrap interval",
    "p (Holm)": "p (Holm): paired sign-flip test, corrected for the table",
    "effect": "effect: Cohen's d",
    "dropped": "dropped: responses without a value",
}
STAR = f"*: differs from {{}} at p < {str(ALPHA).removeprefix('0')} after Holm's correction"


def fitted(rows: Rows, width: int | None) -> str:
    """Return the table of score ``rows`` and what its columns are, in lines of at most ``width`` columns.

    Without a width the table is whole, and the legend one line. With more than two settings the columns of settings
    that do not fit stand in further tables below. With two, the name of the second becomes SHORT, and columns and
    intervals are left out in the order of :func:`narrower`, until it fits; where nothing helps, each value has a line.
    """
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    if any(setting.startswith(f"{DIFFERENCE}: ") for setting in settings):
        return of_many(by_setting(rows, settings), width)
    return of_two(rows, settings, width)


def of_many(lines: Sequence[Line], width: int | None) -> str:
    """Return the table of more than two settings, under numbers."""
    notes = [STAR.format("0"), LEGEND["dropped"], "format=csv has intervals and tests"]
    if width is None:
        return "\n".join([numbered(lines), "; ".join(notes)])
    names = [part for i, line in enumerate(lines) for part in wrapped(line["setting"], width, "   ", f"{i}  ")]
    metrics = [name for name in lines[0] if name != "setting"]

    def columns(places: Sequence[int]) -> list[Line]:
        return [{"metric": one, **{str(i): lines[i][one] for i in places}} for one in metrics]

    parts = [[0]]
    for place in range(1, len(lines)):
        if len(parts[-1]) > 1 and widest(tight(columns([*parts[-1], place]))) > width:
            parts.append([0])
        parts[-1].append(place)
    tables = [tight(columns(places)) for places in parts]
    if any(widest(table) > width for table in tables):
        tables = [stacked(columns(range(len(lines))))]
    return "\n".join([printed(names, colour=False), "\n\n".join(tables), noted(notes, width)])


def tight(lines: Sequence[Line]) -> str:
    return as_table(lines, tight=True)


def of_two(rows: Rows, settings: Sequence[str], width: int | None) -> str:
    """Return the table of one or two settings."""
    lines, starred = by_metric(rows, settings), {row["metric"] for row in rows if star(row["p_holm"])}
    if width is None:
        return "\n".join([as_table(lines), "; ".join(legend(lines, settings[0]))])
    head, left, alike = [], [], same_examples(lines)
    if DIFFERENCE in settings and widest(tight(lines)) > width and len(settings[1]) > len(SHORT):
        head = wrapped(f"{SHORT}: {one_line(settings[1])}", width)
        lines = [{SHORT if name == settings[1] else name: value for name, value in line.items()} for line in lines]
    for what, fewer in narrower(lines, starred):
        if widest(tight(lines)) <= width:
            break
        left += [what] if fewer != lines and not (what == COUNTS and alike) else []
        lines = fewer
    table = tight(lines) if widest(tight(lines)) <= width else stacked(lines)
    notes = legend(lines, settings[0])
    if "n" not in lines[0] and alike:
        notes.append(alike)
    if left:
        notes.append(f"left out for want of room: {', '.join(left)}; format=md has all")
    return "\n".join([*filter(None, [printed(head, colour=False)]), table, noted(notes, width)])


def narrower(lines: Sequence[Line], starred: Collection[str]) -> Iterator[tuple[str, list[Line]]]:
    """Yield what is left out next, and the ``lines`` without that and all before it; where there are no p-values, there
    are stars at the differences of metrics that are ``starred``."""
    given = [name for name in lines[0] if name not in ("metric", DIFFERENCE, "p (Holm)", "effect", "n", "dropped")]
    lines = [without(line, "n", "dropped") for line in lines]
    yield COUNTS, lines
    lines = [bare(line, given) for line in lines]
    yield "intervals of each setting", lines
    lines = [without(line, "effect") for line in lines]
    yield "effect", lines
    lines = [bare(line, [DIFFERENCE]) for line in lines]
    yield "interval of the difference", lines
    lines = [with_star(without(line, "p (Holm)"), line["metric"] in starred) for line in lines]
    yield "p (Holm)", lines


def without(line: Line, *names: str) -> Line:
    return {name: value for name, value in line.items() if name not in names}


def bare(line: Line, names: Sequence[str]) -> Line:
    """Return ``line`` without the intervals of the values called ``names``."""
    return line | {name: line[name].partition(" [")[0] for name in names if name in line}


def with_star(line: Line, starred: bool) -> Line:
    return line | {DIFFERENCE: f"{line[DIFFERENCE]}*"} if starred else line


def stacked(lines: Sequence[Line]) -> str:
    """Return each metric on a line, its values below it."""
    return "\n".join(
        one_line(str(value)) if name == "metric" else f"  {one_line(name)}: {value}"
        for line in lines
        for name, value in line.items()
    )


def same_examples(lines: Sequence[Line]) -> str:
    """Say how many examples every one of ``lines`` is of; nothing where they differ or a response has no value."""
    counts = {(line["n"], line["dropped"]) for line in lines}
    ((n, dropped), *others) = counts
    return "" if others or dropped else f"n is {n} and dropped 0 in every row"


def legend(lines: Sequence[Line], off: str) -> list[str]:
    """Say what there is to know of what ``lines`` show."""
    shown = {*lines[0], *("[" for line in lines for value in line.values() if " [" in str(value))}
    notes = [text for name, text in LEGEND.items() if name in shown]
    return notes if "p (Holm)" in lines[0] or DIFFERENCE not in lines[0] else [STAR.format(one_line(off)), *notes]


def noted(notes: Sequence[str], width: int) -> str:
    return printed(wrapped("; ".join(notes), width), colour=False)
