"""Responses of other systems, from a table, as a run's folder: what follows generation takes them like zsc's own."""

import hashlib
import json
import math
import reprlib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from zsc import __version__
from zsc.data.columns import KNOWN, Row, cell, check_column, check_columns, heads, named, parse_rows, present
from zsc.data.record import Record, sound
from zsc.data.table import column_names, read_rows
from zsc.errors import ZscError, suggestion
from zsc.generation.folder import RunFolder
from zsc.metrics.score import DIFFERENCE
from zsc.spreadsheets import unguarded
from zsc.terminal import say

OWN = ("response", "setting", "seed", "nll", "tokens")
SHEET = {"pair", "context", "knowledge", "A", "B"}
COLUMNS = {field: field for field in (*KNOWN, *OWN)}


def import_outputs(file: Path, columns: Mapping[str, Any], parent: Path, turns: int, split: str = "one") -> RunFolder:
    """Write the responses in ``file`` as the folder of a run in ``parent``, and return it.

    A row holds a ``response`` and the example it answers (a history, knowledge, and what else a record has, all of
    which may be absent), and may name the ``setting`` or system it is of, its ``seed``, and its ``nll`` and ``tokens``
    under the model that made it. ``columns`` overrides the names of columns; those that are not read are named on
    stderr. ``split`` says what a plain text is as a history, as in :mod:`zsc.data.columns`. Rows of the same id are of
    the same example; without ids the first rows of all settings and seeds are, and so on [D]. A missing response (null)
    has no value in any metric; an empty one does. Raises ZscError where a setting and seed lacks an example, and where
    rows of one id hold different examples.
    """
    rows = read_rows(file)
    if not rows:
        raise ZscError(f"{file} holds no row.")
    names = column_names(rows)
    if {*names} >= SHEET:  # which `zsc annotate` has written
        rows = [(where, {name: _as_written(value) for name, value in row.items()}) for where, row in rows]
    wanted = {**COLUMNS, **columns}
    own = {field: wanted.pop(field) for field in OWN}
    chosen = check_columns(wanted, names, str(file), "columns", [str(name) for name in own.values() if name])
    read = {
        field: None if name is None else check_column(str(name), field, names, str(file), "columns")
        for field, name in own.items()
    }
    if read["response"] is None:
        raise ZscError(
            f"{file}: no column 'response' for columns.response.{suggestion('response', names)} Say"
            f" columns.response=NAME. There are: {', '.join(names)}."
        )
    taken = {name for name in (*chosen.values(), *read.values()) if name is not None}
    if unread := [name for name in names if name not in {*taken, *(head for one in taken for head, _ in heads(one))}]:
        known = f"{', '.join(COLUMNS)} or any other word"
        say(f"{file}: columns not read: {', '.join(unread)}. columns.FIELD=NAME reads one as {known}.")
    lines = _lines(rows, read, chosen.get("id"))
    records = parse_rows(_examples(rows, lines, chosen), {**chosen, "id": "id"}, split, "")
    settings = list(dict.fromkeys(line["setting"] for line in lines))
    seeds = sorted({line["seed"] for line in lines})
    _check_complete(records, lines, settings, seeds, file)
    content = json.dumps(
        [__version__, lines, [record.to_json() for record in records]], sort_keys=True, allow_nan=False
    )
    identity = hashlib.sha256(content.encode()).hexdigest()
    folder = RunFolder(parent / f"outputs-{file.stem}-{identity[:10]}")
    manifest = {"identity": identity, "outputs": file.name, "settings": settings, "seeds": seeds, "zsc": __version__}
    with folder.locked():
        folder.create(json.dumps({"layout": {"turns": turns}}, allow_nan=False) + "\n", manifest, records)
        folder.write_rows(lines)
    return folder


def _as_written(value: Any) -> Any:
    return unguarded(value) if isinstance(value, str) else value


def _examples(
    rows: Sequence[tuple[str, Row]], lines: Sequence[Row], columns: Mapping[str, str]
) -> list[tuple[str, Row]]:
    """Return the row of each example, with where it first stands. Raises ZscError if rows disagree on what it holds."""
    first: dict[str, tuple[str, Row]] = {}
    for line, (where, row) in zip(lines, rows, strict=True):
        known_at, known = first.setdefault(line["id"], (where, {**row, "id": line["id"]}))
        for field, column in columns.items():
            if field != "id" and present(cell(row, column)) != present(cell(known, column)):
                raise ZscError(
                    f"{where}: the {field} of example {line['id']} is not that of {known_at}. Systems are compared on"
                    " the same examples: give different ones different ids."
                )
    return list(first.values())


def _lines(
    rows: Sequence[tuple[str, Row]], own: Mapping[str, str | None], id_column: str | None
) -> list[dict[str, Any]]:
    lines, seen = [], Counter[tuple[str, int]]()
    for where, row in rows:
        value = {field: None if column is None else cell(row, column) for field, column in own.items()}
        response = value["response"]
        missing = response is None or response != response  # NaN, which is not equal to itself
        if not missing and not isinstance(response, str):
            raise ZscError(f"{where}: field '{own['response']}' must be text, got {reprlib.repr(response)}.")
        setting = _composed(named(value["setting"], where, str(own["setting"]))) or "outputs"
        seed = _number(value["seed"], own["seed"], int, where) or 0
        if setting.partition(":")[0] == DIFFERENCE:
            raise ZscError(f"{where}: no system can be called '{setting}', which tables use: rename it.")
        seen[setting, seed] += 1
        identity = _composed(named(cell(row, id_column), where, id_column)) if id_column else None
        line: dict[str, Any] = {"setting": setting, "seed": seed, "id": identity or str(seen[setting, seed])}
        line["response"] = None if missing else " ".join(sound(str(response), where, str(own["response"])).split())
        line["tokens"] = _number(value["tokens"], own["tokens"], int, where)
        line["nll"] = _number(value["nll"], own["nll"], float, where)
        lines.append(line)
    return lines


def _composed(name: str | None) -> str | None:
    """Return ``name`` with its characters composed, so that the same ones are equal however they were encoded."""
    return None if name is None else unicodedata.normalize("NFC", name)


def _number(value: Any, column: str | None, kind: type, where: str) -> Any:
    """Return a finite number, a whole one for the kind ``int``, None where the field is empty."""
    value = present(value)
    if value is None:
        return None
    if kind is int and type(value) is int:
        return value
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found) or (kind is int and not found.is_integer()):
        shown = reprlib.repr(value)
        raise ZscError(f"{where}: field '{column}' must be a {'whole ' * (kind is int)}number, got {shown}.")
    return kind(found)


def _check_complete(
    records: Sequence[Record], lines: Sequence[Row], settings: Sequence[str], seeds: Sequence[int], file: Path
) -> None:
    found = Counter((line["setting"], line["seed"], line["id"]) for line in lines)
    for setting, seed in product(settings, seeds):
        for record in records:
            if count := found[setting, seed, record.id] - 1:
                what = "no response" if count < 0 else "several responses"
                raise ZscError(
                    f"{file}: {what} of {setting}, seed {seed}, to example {record.id}. Every setting and seed needs"
                    " one to every example, so that they can be compared."
                )
