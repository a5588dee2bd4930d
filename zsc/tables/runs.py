"""Runs as a list: one a line, as wide as the terminal is."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from zsc.tables.fitted import STAR, stacked, without
from zsc.tables.lines import printed, widest, wrapped
from zsc.tables.render import as_table, number, render, star
from zsc.terminal import one_line

LEFT_OUT = ("dataset", "model", "setting", "date", "n")  # where there is no room, in this order
DONE, NOT_SCORED = "done", "not scored"


@dataclass(frozen=True)
class Listed:
    """A run called ``run`` as its files have it: ``date``, when its command was last run, what it is of, and of its
    main ``metric`` the values ``off`` and ``on`` in the setting where it changed most. ``state`` is DONE, or what it
    lacks; what is not known is None."""

    run: str
    date: datetime
    state: str
    model: str | None = None
    dataset: str | None = None
    settings: tuple[str, ...] = ()
    examples: int | None = None
    seeds: int | None = None
    metric: str | None = None
    setting: str | None = None
    off: float | None = None
    on: float | None = None
    p_holm: float | None = None


def render_runs(runs: Sequence[Listed], style: str) -> str:
    """Return ``runs`` as ``csv`` or ``json``."""
    rows = [asdict(run) | {"date": run.date.isoformat(" ", "seconds")} for run in runs]
    if style == "csv":
        rows = [row | {"settings": "; ".join(row["settings"])} for row in rows]
    return render(rows, style) if rows else ("[]" if style == "json" else "")


def listed_text(runs: Sequence[Listed], width: int | None, today: datetime) -> str:
    """Return ``runs`` as a table of at most ``width`` columns, or without a width a whole one.

    What there is no room for is left out in the order of LEFT_OUT, which is said below; where that does not help, each
    value has a line.
    """
    lines, left = [line(run, today) for run in runs], list[str]()
    for name in LEFT_OUT:
        if width is None or widest(as_table(lines, tight=True)) <= width:
            break
        lines, left = [without(one, name) for one in lines], [*left, name]
    table = as_table(lines, tight=True)
    if width is not None and widest(table) > width:
        table = stacked([{"metric": run.run} | without(line(run, today), "run") for run in runs])
        left = []
    notes = list(legend(runs, lines, left))
    return "\n".join([table, *(printed(wrapped(note, width or 10**6), colour=False) for note in notes)])


def line(run: Listed, today: datetime) -> dict[str, str]:
    """Return the columns of a run."""
    count = "-" if run.examples is None or run.seeds is None else f"{run.examples} x {run.seeds}"
    return {
        "run": run.run,
        "date": f"{run.date:%d %b %H:%M}" if run.date.year == today.year else f"{run.date:%d %b %Y}",
        "model": run.model or "-",
        "dataset": run.dataset or "-",
        "setting": setting(run),
        "n": count,
        "result": result(run),
    }


def setting(run: Listed) -> str:
    """Return the setting that the result is of, and of how many beside the first one; or else the last one."""
    if not run.settings:
        return "-"
    others = len(run.settings) - 1
    return f"{run.setting or run.settings[-1]}{f', 1 of {others}' if others > 1 else ''}"


def result(run: Listed) -> str:
    """Say what a run found, or what it lacks."""
    if run.state != DONE or run.metric is None:
        return run.state
    if run.setting is None:
        return f"{run.metric} {number(run.off, '')}"
    return f"{run.metric} {number(run.off, '')} to {number(run.on, '')}{star(run.p_holm)}"


def legend(runs: Sequence[Listed], lines: Sequence[dict[str, Any]], left: Sequence[str]) -> Iterator[str]:
    """Say what there is to know of ``lines``, of which the columns ``left`` are not shown."""
    notes = ["n: examples x seeds"] if "n" in lines[0] else []
    if any(star(run.p_holm) for run in runs):
        notes.append(STAR.format(one_line(next(run.settings[0] for run in runs if star(run.p_holm)))))
    if left:
        notes.append(f"left out for want of room: {', '.join(left)}; format=csv has all")
    if notes:
        yield "; ".join(notes)
