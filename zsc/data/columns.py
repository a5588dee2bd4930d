"""Records from rows of any table, by a mapping of the fields of a record to columns."""

import math
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from zsc.data.files import NotJson, parse_json
from zsc.data.record import FIELDS, Record, checked_name, parse_record, sound, unique
from zsc.errors import ZscError, suggestion
from zsc.terminal import say

Row = Mapping[str, Any]

COLUMNS: Mapping[str, str] = {field: field for field in FIELDS}
SPLITS = ("one", "lines")  # what a plain text is as a history: one turn, or one turn per line
LIST = re.compile(r"\s*\[\s*[\"'{]")  # how a list of texts or objects begins, as JSON or as Python prints it


def check_columns(columns: Any, names: Sequence[str], where: str, key: str = "dataset.columns") -> dict[str, str]:
    """Return the column of each field that is there, ``names`` being those of the table.

    ``columns``, the option ``key``, maps fields to names, or to null for a field that is not to be read. A field under
    its own name may be absent. Raises ZscError for an unknown field, for a column that is named but absent, and where
    a column's name is so close to an absent history that it may be meant.
    """
    if not isinstance(columns, Mapping):
        raise ZscError(f"{key}={columns} must be a mapping of {', '.join(FIELDS)} to column names.")
    for field in columns:
        if field not in FIELDS:
            raise ZscError(f"{key}.{field} is no field of a record.{suggestion(str(field), FIELDS)}")
    chosen: dict[str, str] = {}
    for field, name in columns.items():
        if name is not None and (found := check_column(str(name), field, names, where, key)):
            chosen[field] = found
    others = [name for name in names if name not in chosen.values()]
    meant = suggestion("history", others)
    if columns.get("history") is not None and "history" not in chosen and meant:
        raise ZscError(
            f"{where}: no column 'history' for {key}.history.{meant} Say {key}.history=NAME, or {key}.history=null for"
            f" a table without one. There are: {', '.join(names)}."
        )
    if set(chosen) <= {"id"} and key == "dataset.columns":
        raise ZscError(f"{where}: no column for any of {', '.join(FIELDS[1:])}. There are: {', '.join(names)}.")
    return chosen


def check_column(name: str, field: str, names: Sequence[str], where: str, key: str) -> str | None:
    """Return ``name`` if it is one of ``names``, None if it is absent and but the name of the ``field`` itself.

    Raises ZscError for any other column that is absent.
    """
    if name in names:
        return name
    if name == field:
        return None
    raise ZscError(
        f"{where}: no column '{name}' for {key}.{field}.{suggestion(name, names)} There are: {', '.join(names)}."
    )


def check_split(split: Any, key: str) -> str:
    """Return ``split``. Raises ZscError unless it says what a plain text is as a history."""
    if split not in SPLITS:
        raise ZscError(f"{key}={split} must be one of {', '.join(SPLITS)}: a plain text is one turn, or one per line.")
    return str(split)


def parse_rows(
    rows: Iterable[tuple[str, Row]], columns: Mapping[str, str], split: str = "one", key: str = "dataset.turns"
) -> list[Record]:
    """Build a record from each of ``rows``, given with where it stands.

    A row without an id gets its number [D]. Plain text of several lines is a history of one turn, which is then said on
    stderr with the option ``key``, unless ``split`` is ``lines``. Raises ZscError, naming the place and the field, for
    a row that is no record, and for an id that occurs twice.
    """
    of_lines: list[str] = []

    def records() -> Iterator[tuple[str, Record]]:
        for number, (where, row) in enumerate(rows, start=1):
            value = {field: present(row.get(column)) for field, column in columns.items()}
            value["id"] = named(value.get("id"), where, "id") or str(number)
            history = listed(value.get("history"), f"{where}: field 'history'")
            if isinstance(history, str) and len(lines(history)) > 1:
                of_lines.append(where)
            value["history"] = turns(history, split)
            yield where, parse_record(value, where)

    found = unique(records())
    if of_lines and split == "one":
        say(
            f"{len(of_lines)} of {len(found)} histories are plain text of several lines, each taken for one turn"
            f" (first: {of_lines[0]}). If every line is a turn, of two speakers in alternation: {key}=lines."
        )
    return found


def listed(value: Any, where: str) -> Any:
    """Return JSON text of a list as that list, and anything else as it is.

    Raises ZscError for text that is meant as a list, of texts or objects, and is no JSON.
    """
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        found = parse_json(value, where)
    except NotJson as error:
        if LIST.match(value):
            raise ZscError(f"{error} It looks like a list: write lists as JSON, with double quotes.") from None
        return value
    return found if isinstance(found, list) else value


def turns(value: Any, split: str) -> Any:
    """Return a history as a list of turns with ``speaker`` and ``text``.

    Taken are a list of such turns, a list of texts, and plain text, one turn in all or with one per line, as ``split``
    says. Speakers of texts without any alternate, also past an empty one in a list, which is then left out [D].
    Anything else is returned as it is.
    """
    if isinstance(value, str):
        value = lines(value) if split == "lines" else [value]
    if not isinstance(value, list) or any(isinstance(turn, Mapping) for turn in value):
        return value
    spoken = [{"speaker": "AB"[i % 2], "text": one} if isinstance(one, str) else one for i, one in enumerate(value)]
    return [turn for turn in spoken if not isinstance(turn, dict) or turn["text"].strip()]


def lines(text: str) -> list[str]:
    """Return the lines of ``text`` that are not empty."""
    return [line for line in text.splitlines() if line.strip()]


def present(value: Any) -> Any:
    """Return ``value``, None where it is NaN or a text of nothing but white space."""
    missing = (isinstance(value, float) and math.isnan(value)) or (isinstance(value, str) and not value.strip())
    return None if missing else value


def named(value: Any, where: str, field: str) -> str | None:
    """Return an id or the name of a system as text, or None where there is none.

    Raises ZscError for what is neither text nor a number, and for a text that cannot be printed on a line.
    """
    if (value := present(value)) is None:
        return None
    number = isinstance(value, int) or (isinstance(value, float | Decimal) and math.isfinite(value))
    if not isinstance(value, str) and (not number or isinstance(value, bool)):
        raise ZscError(f"{where}: field '{field}' must be text or a number, got {reprlib.repr(value)}.")
    text = " ".join(str(value).split())
    return checked_name(sound(text, where, field), where, field)
