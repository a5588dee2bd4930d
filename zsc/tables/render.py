"""Render tables of scores and of names: for a terminal, as Markdown, CSV or JSON."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from zsc.errors import ZscError, suggestion

FORMATS = ("table", "md", "csv", "json")

Cells = Sequence[Mapping[str, Any]]


def check_format(name: str) -> None:
    """Raise ZscError unless ``name`` is one of FORMATS."""
    if name not in FORMATS:
        raise ZscError(f"format={name} is not one of {', '.join(FORMATS)}.{suggestion(str(name), FORMATS)}")


def render_scores(rows: Cells, style: str) -> str:
    """Render score rows. ``table`` and ``md`` show one line per metric and one column per setting."""
    if style in ("csv", "json"):
        return render(rows, style)
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    wide: dict[str, dict[str, str]] = {}
    for row in rows:
        signed = row["setting"] == "difference"
        wide.setdefault(row["metric"], {"metric": row["metric"]})[row["setting"]] = cell(row, signed)
    return render([{"metric": name, **{s: line.get(s, "") for s in settings}} for name, line in wide.items()], style)


def cell(row: Mapping[str, Any], signed: bool) -> str:
    """Return ``value [low, high]``, with the sign of differences written out."""
    style = "+" if signed else ""
    return f"{_number(row['value'], style)} [{_number(row['low'], style)}, {_number(row['high'], style)}]"


def render(rows: Cells, style: str) -> str:
    """Render any list of flat mappings that share their keys."""
    check_format(style)
    return RENDERERS[style](rows)


def _number(value: float, sign: str) -> str:
    digits = 3 if abs(value) < 10 else 1
    return f"{value:{sign}.{digits}f}"


def _table(rows: Cells) -> str:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console = Console(file=io.StringIO(), width=200, color_system=None)
    console.print(table)
    return "\n".join(line.rstrip() for line in console.file.getvalue().strip("\n").splitlines())  # type: ignore[attr-defined]


def _markdown(rows: Cells) -> str:
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines)


def _csv(rows: Cells) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")


def _json(rows: Cells) -> str:
    return json.dumps([dict(row) for row in rows], indent=2)


RENDERERS: dict[str, Callable[[Cells], str]] = {"table": _table, "md": _markdown, "csv": _csv, "json": _json}
