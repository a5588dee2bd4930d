"""Records from rows of any table, by a mapping of the fields of a record to columns."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zsc.data.record import Record, parse_record
from zsc.errors import ZscError, suggestion

FIELDS = ("id", "history", "reference", "knowledge", "topic")
Row = Mapping[str, Any]


def check_columns(columns: Any, names: Sequence[str], where: str, key: str = "dataset.columns") -> dict[str, str]:
    """Return the column of each field that is there, ``names`` being those of the table.

    ``columns``, the setting ``key``, maps fields to names, or to null for a field that is not to be read. A field under
    its own name may be absent, except the history. Raises ZscError for an unknown field, and for a column that is named
    but absent.
    """
    if not isinstance(columns, Mapping):
        raise ZscError(f"{key}={columns} must be a mapping of {', '.join(FIELDS)} to column names.")
    for field in columns:
        if field not in FIELDS:
            raise ZscError(f"{key}.{field} is no field of a record.{suggestion(str(field), FIELDS)}")
    chosen = {}
    for field, name in columns.items():
        if name in names:
            chosen[field] = str(name)
        elif name is not None and (name != field or field == "history"):
            raise ZscError(
                f"{where}: no column '{name}' for {key}.{field}.{suggestion(str(name), names)} There are:"
                f" {', '.join(names)}."
            )
    if "history" not in chosen:
        raise ZscError(f"{where}: {key}.history must name a column. There are: {', '.join(names)}.")
    return chosen


def parse_rows(rows: Iterable[tuple[str, Row]], columns: Mapping[str, str]) -> list[Record]:
    """Build a record from each of ``rows``, given with where it stands.

    A row without an id gets its number [D]. Raises ZscError, naming the place and the field, for a row that is no
    record, and for an id that occurs twice.
    """
    records: dict[str, Record] = {}
    for number, (where, row) in enumerate(rows, start=1):
        value = {field: present(row.get(column)) for field, column in columns.items()}
        identity = value.get("id")
        value["id"] = str(number if identity is None else identity)
        value["history"] = turns(value["history"])
        record = parse_record(value, where)
        if record.id in records:
            raise ZscError(f"{where}: id {record.id!r} repeats; ids must be unique.")
        records[record.id] = record
    return list(records.values())


def turns(value: Any) -> Any:
    """Return a history as a list of turns with ``speaker`` and ``text``.

    Taken are a list of such turns, a list of texts, JSON text of either, and plain text with one turn per line.
    Speakers of texts without any alternate, also past an empty one in a list, which is then left out [D]. Anything else
    is returned as it is.
    """
    if isinstance(value, str):
        try:
            decoded = json.loads(value)
        except ValueError:
            decoded = None
        value = decoded if isinstance(decoded, list) else [line for line in value.splitlines() if line.strip()]
    if isinstance(value, list) and all(isinstance(turn, str) for turn in value):
        return [{"speaker": "AB"[i % 2], "text": text} for i, text in enumerate(value) if text.strip()]
    return value


def present(value: Any) -> Any:
    """Return ``value``, None where it is NaN or a text of nothing but white space."""
    missing = (isinstance(value, float) and math.isnan(value)) or (isinstance(value, str) and not value.strip())
    return None if missing else value
