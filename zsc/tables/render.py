"""Render tables of scores and of names: for a terminal, as Markdown, CSV or JSON."""

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zsc.errors import ZscError, suggestion
from zsc.metrics.score import DIFFERENCE
from zsc.spreadsheets import csv_text
from zsc.terminal import one_line

ALPHA = 0.05
FORMATS = ("table", "md", "csv", "json")
PAPER_FORMATS = ("table", "md", "latex", "csv", "json")

Rows = Sequence[Mapping[str, Any]]


def check_format(name: str, formats: Sequence[str] = FORMATS) -> None:
    """Raise ZscError unless ``name`` is one of ``formats``."""
    if name not in formats:
        raise ZscError(f"format={name} is not one of {', '.join(formats)}.{suggestion(str(name), formats)}")


def rounded(rows: Rows) -> list[dict[str, Any]]:
    """Return ``rows`` with numbers to three digits, and a dash for what is missing."""

    def shown(value: Any) -> Any:
        return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else value

    return [{name: shown(value) for name, value in row.items()} for row in rows]


def render_scores(rows: Rows, signatures: Mapping[str, str], style: str) -> str:
    """Render score rows. ``table`` and ``md`` show one line per metric and one column per setting.

    With more than two settings they show plain values, a star where the difference to the first setting has an adjusted
    p-value below ALPHA: ``md`` one line per setting, ``table`` one column per setting, by number. ``signatures`` by
    metric stand in each row of ``csv`` and ``json`` and below ``md``.
    """
    if style in ("csv", "json"):
        return render([{**row, "signature": signatures[row["metric"]]} for row in rows], style)
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    if any(setting.startswith(f"{DIFFERENCE}: ") for setting in settings):
        lines = by_setting(rows, settings)
        shown = numbered(lines) if style == "table" else render(lines, style)
    else:
        shown = render(by_metric(rows, settings), style)
    if style == "md":
        shown += "\n\nSignatures:\n\n" + "\n".join(f"- {code_span(signature)}" for signature in signatures.values())
    return shown


def by_metric(rows: Rows, settings: Sequence[str]) -> list[dict[str, Any]]:
    """Return a line for each metric, with the ``settings`` and their difference beside each other."""
    entries = {(row["metric"], row["setting"]): row for row in rows}
    lines = []
    for name in dict.fromkeys(row["metric"] for row in rows):
        line = {"metric": name}
        line |= {one: entry(entries.get((name, one)), signed=one == DIFFERENCE) for one in settings}
        if DIFFERENCE in settings:
            change = entries.get((name, DIFFERENCE))
            line |= {"p (Holm)": _p_value(change), "effect": number(change["effect"] if change else None, "+")}
        lost = sum(entries[name, one]["dropped"] for one in settings if one != DIFFERENCE)
        lines.append(line | {"n": entries[name, settings[0]]["n"], "dropped": lost})
    return lines


def by_setting(rows: Rows, settings: Sequence[str]) -> list[dict[str, Any]]:
    """Return a line for each of ``settings``, with a star where a metric differs from the first one."""
    entries = {(row["setting"], row["metric"]): row for row in rows}
    metrics = list(dict.fromkeys(row["metric"] for row in rows))

    def short(setting: str, metric: str) -> str:
        change = entries.get((f"{DIFFERENCE}: {setting}", metric), {})
        return number(entries[setting, metric]["value"], "") + star(change.get("p_holm"))

    return [
        {"setting": setting}
        | {metric: short(setting, metric) for metric in metrics}
        | {"dropped": str(sum(entries[setting, metric]["dropped"] for metric in metrics))}
        for setting in settings
        if not setting.startswith(DIFFERENCE)
    ]


def numbered(rows: Rows) -> str:
    """Render ``rows``, each of a ``setting``, as columns under numbers, and what the numbers stand for."""
    names = [f"{place}  {one_line(row['setting'])}" for place, row in enumerate(rows)]
    metrics = [name for name in rows[0] if name != "setting"]
    columns = [{"metric": name, **{str(n): row[name] for n, row in enumerate(rows)}} for name in metrics]
    return "\n".join([*names, as_table(columns)])


def entry(row: Mapping[str, Any] | None, signed: bool) -> str:
    """Return ``value [low, high]``, with the sign of differences written out; a dash where there is no value, and the
    value alone where there is no interval."""
    if row is None or row["value"] is None:
        return "-"
    style = "+" if signed else ""
    if row["low"] is None:
        return number(row["value"], style)
    return f"{number(row['value'], style)} [{number(row['low'], style)}, {number(row['high'], style)}]"


def star(p_holm: float | None) -> str:
    """Return the mark of a difference with this p-value."""
    return "*" if p_holm is not None and p_holm < ALPHA else ""


def _p_value(row: Mapping[str, Any] | None) -> str:
    if row is None or row["p_holm"] is None:
        return "-"
    return "<0.001" if row["p_holm"] < 0.001 else f"{row['p_holm']:.3f}"


def render(rows: Rows, style: str) -> str:
    """Render any list of flat mappings that share their keys."""
    check_format(style)
    return RENDERERS[style](rows)


def number(value: float | None, sign: str) -> str:
    """Return ``value`` with three digits below 10, one above, ``sign`` as in a format; a dash where there is none.

    Whole numbers are counts, and have all their digits.
    """
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:{sign},}"
    if abs(value) >= 1e6:
        return f"{value:{sign}.3g}"
    digits = 3 if abs(value) < 10 else 1
    return f"{value:{sign}.{digits}f}"


def as_table(rows: Rows, tight: bool = False) -> str:
    """Return ``rows`` for a terminal; where ``tight``, two spaces part columns, and none is before the first."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=not tight, padding=(0, 1, 0, 0) if tight else (0, 1))
    for name in rows[0]:
        table.add_column(Text(one_line(name)), no_wrap=True)
    for row in rows:
        table.add_row(*(Text(one_line(str(value))) for value in row.values()))
    widest = max(200, 12 * len(rows[0]))
    console = Console(file=io.StringIO(), width=widest, color_system=None)
    console.print(table)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    return "\n".join(lines).strip("\n")


def _markdown(rows: Rows) -> str:
    names = [markdown_text(name) for name in rows[0]]
    lines = [names, ["---"] * len(names), *([markdown_text(str(value)) for value in row.values()] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown_text(text: str) -> str:
    """Return ``text`` for Markdown, in a table or not, so that it is read as it stands: no HTML, link or formula."""
    plain = re.sub(r"([\\|$`])", r"\\\1", one_line(text))
    plain = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", re.sub(r"&(?=#?\w+;)", "&amp;", plain))
    return plain.replace("](", "]\\(")


def code_span(text: str) -> str:
    """Return ``text`` as code in Markdown, between more backticks than stand in it."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " * (len(fence) > 1)
    return f"{fence}{space}{one_line(text)}{space}{fence}"


def _csv(rows: Rows) -> str:
    return csv_text(rows, list(rows[0])).rstrip("\n")


def _json(rows: Rows) -> str:
    return json.dumps([dict(row) for row in rows], indent=2, allow_nan=False)


RENDERERS: dict[str, Callable[[Rows], str]] = {"table": as_table, "md": _markdown, "csv": _csv, "json": _json}
