"""Records from rows of any table, by a mapping of the fields of a record to columns."""

import difflib
import math
import re
import reprlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from zsc.data.files import NotJson, parse_json
from zsc.data.record import FIELDS, NAME, RESERVED, Record, checked_name, parse_record, sound, unique
from zsc.errors import ZscError, suggestion
from zsc.terminal import say

Row = Mapping[str, Any]

TEXTS = ("source", "document", "question", "context", "answer", "summary", "dialogue", "instruction")
MARKED = ("focus", "references")
KNOWN = (*FIELDS, *TEXTS, *MARKED)
COLUMNS: Mapping[str, str] = {field: field for field in KNOWN}
ALIKE = 0.85  # from where on a name is taken for a mistyped one of KNOWN
SPLITS = ("one", "lines")  # what a plain text is as a history: one turn, or one turn per line
LIST = re.compile(r"\s*\[\s*[\"'{]")  # how a list of texts or objects begins, as JSON or as Python prints it
JSON = {"[": list, "{": dict}  # the beginning of a text that may be JSON, and what it then is


def check_columns(
    columns: Any, names: Sequence[str], where: str, key: str = "dataset.columns", taken: Collection[str] = ()
) -> dict[str, str]:
    """Return the column of each field that is there, ``names`` being those of the table.

    ``columns``, the option ``key``, maps fields to names, or to null for a field that is not to be read. A column may
    be a path into the values of one, see :func:`cell`. A field under its own name may be absent; one of TEXTS or MARKED
    leaves its column to another field that names it, as it leaves those ``taken``, unless that is only the focus.
    Raises ZscError for a field that cannot be, for a column that is named but absent, and where a column's name is so
    close to an absent history that it may be meant.
    """
    if not isinstance(columns, Mapping):
        raise ZscError(f"{key}={columns} must be a mapping of fields, such as {', '.join(KNOWN)}, to column names.")
    named_by_others = {*taken, *(str(name) for field, name in columns.items() if field not in (name, "focus"))}
    chosen: dict[str, str] = {}
    for field, name in columns.items():
        check_field(field, key)
        left = name == field and field not in FIELDS and name in named_by_others
        if name is not None and not left and (found := check_column(str(name), field, names, where, key)):
            chosen[field] = found
    others = [name for name in names if name not in chosen.values()]
    meant = suggestion("history", others)
    if columns.get("history") is not None and "history" not in chosen and meant:
        raise ZscError(
            f"{where}: no column 'history' for {key}.history.{meant} Say {key}.history=NAME, or {key}.history=null for"
            f" a table without one. There are: {', '.join(names)}."
        )
    if set(chosen) <= {"id"} and key == "dataset.columns":
        raise ZscError(
            f"{where}: no column for any of {', '.join(KNOWN[1:])}. Say {key}.FIELD=NAME, where FIELD is one of these"
            f" or any other word. There are: {', '.join(names)}."
        )
    return chosen


def check_field(field: Any, key: str) -> None:
    """Raise ZscError unless ``field`` can be one of a record, and looks like no mistyped one of KNOWN; plurals do
    not."""
    close = [] if field in KNOWN else difflib.get_close_matches(str(field), KNOWN, 1, ALIKE)
    if close and field != f"{close[0]}s":
        raise ZscError(f"{key}.{field} is no field of a record. Did you mean '{close[0]}'?")
    if not NAME.fullmatch(str(field)) or (field in RESERVED and field not in KNOWN):
        why = "has a meaning of its own" if field in RESERVED else "is no word of letters, digits and _"
        raise ZscError(f"{key}.{field}: no field can be called so, since '{field}' {why}. Choose another name.")


def check_column(name: str, field: str, names: Sequence[str], where: str, key: str) -> str | None:
    """Return ``name`` if it is one of ``names`` or a path that begins with one, None if it is absent and but the name
    of the ``field`` itself.

    Raises ZscError for any other column that is absent.
    """
    if name in names or any(head in names for head, _ in heads(name)):
        return name
    if name == field:
        return None
    raise ZscError(
        f"{where}: no column '{name}' for {key}.{field}.{suggestion(name, names)} There are: {', '.join(names)}."
    )


def heads(name: str) -> Iterator[tuple[str, str]]:
    """Yield every way to take ``name`` for a column and a path into it, between dots, the longest column first."""
    parts = name.split(".")
    for size in range(len(parts) - 1, 0, -1):
        yield ".".join(parts[:size]), ".".join(parts[size:])


def cell(row: Any, column: str) -> Any:
    """Return what ``row`` has in ``column``, or None where there is nothing.

    A column of that whole name comes first. Any other is a path, such as ``translation.en``: in an object, also one in
    JSON, it goes on with the field that it names, in a list with the one of that number, from 0 on, or with all.
    """
    if isinstance(row, Mapping):
        if column in row:
            return row[column]
        inner = ((row[head], rest) for head, rest in heads(column) if head in row)
        return next((cell(decoded(value), rest) for value, rest in inner), None)
    if isinstance(row, list):
        number, _, rest = column.partition(".")
        if not number.isdecimal():
            return [cell(decoded(one), column) for one in row]
        one = row[int(number)] if int(number) < len(row) else None
        return cell(decoded(one), rest) if rest else one
    return None


def decoded(value: Any) -> Any:
    """Return JSON text of a list or an object as that, and anything else, texts that are no such JSON among it, as it
    is."""
    kind = JSON.get(value.lstrip()[:1]) if isinstance(value, str) else None
    if kind is None:
        return value
    try:
        found = parse_json(value, "")
    except ZscError:
        return value
    return found if isinstance(found, kind) else value


def check_split(split: Any, key: str) -> str:
    """Return ``split``. Raises ZscError unless it says what a plain text is as a history."""
    if split not in SPLITS:
        raise ZscError(f"{key}={split} must be one of {', '.join(SPLITS)}: a plain text is one turn, or one per line.")
    return str(split)


def parse_rows(
    rows: Iterable[tuple[str, Row]], columns: Mapping[str, str], split: str = "one", at: str = "dataset."
) -> list[Record]:
    """Build a record from each of ``rows``, given with where it stands.

    A row without an id gets its number [D]. Plain text of several lines is a history of one turn, which is then said on
    stderr with the option ``turns`` below ``at``, unless ``split`` is ``lines``. Raises ZscError, naming the place and
    the field, for a row that is no record, for an id that occurs twice, and for a path that leads nowhere in any row.
    """
    of_lines: list[str] = []
    nowhere = {field: column for field, column in columns.items() if "." in column}
    last: tuple[str, Row] | None = None

    def records() -> Iterator[tuple[str, Record]]:
        nonlocal last
        for number, (where, row) in enumerate(rows, start=1):
            last = (where, row)
            value = {field: present(cell(row, column)) for field, column in columns.items()}
            for field in [one for one, column in nowhere.items() if value[one] is not None or column in row]:
                del nowhere[field]
            value["id"] = named(value.get("id"), where, "id") or str(number)
            history = listed(value.get("history"), f"{where}: field 'history'")
            if isinstance(history, str) and len(lines(history)) > 1:
                of_lines.append(where)
            value["history"] = turns(history, split)
            yield where, parse_record(value | _marked(value, where) | _texts(value, where, at), where)

    found = unique(records())
    if last is not None:
        _check_paths(nowhere, *last, at)
    if of_lines and split == "one":
        say(
            f"{len(of_lines)} of {len(found)} histories are plain text of several lines, each taken for one turn"
            f" (first: {of_lines[0]}). If every line is a turn, of two speakers in alternation: {at}turns=lines."
        )
    return found


def _marked(value: Row, where: str) -> dict[str, Any]:
    """Return the references and the focus of a row, each a list, without what is empty in it."""
    found = {name: listed(value[name], f"{where}: field '{name}'") for name in MARKED if value.get(name) is not None}
    if "focus" in found:
        found["focus"] = decoded(found["focus"])
    every = {name: one if isinstance(one, list) else [one] for name, one in found.items()}
    return {name: [one for one in some if present(one) is not None] for name, some in every.items()}


def _texts(value: Row, where: str, at: str) -> dict[str, str]:
    """Return the further fields of a row. Raises ZscError for one that is no text."""
    found = {name: text for name, text in value.items() if name not in (*FIELDS, *MARKED) and text is not None}
    for name, text in found.items():
        if not isinstance(text, str):
            raise ZscError(
                f"{where}: field '{name}' must be text, got {reprlib.repr(text)}. {at}columns.{name}=null leaves it"
                " out."
            )
    return found


def _check_paths(nowhere: Mapping[str, str], where: str, row: Row, at: str) -> None:
    for field, path in nowhere.items():
        outer, _, last = path.rpartition(".")
        within = decoded(cell(row, outer))
        within = within[0] if isinstance(within, list) and within else within
        names = list(within) if isinstance(within, Mapping) else []
        there = f" {where} has there: {', '.join(names)}." if names else ""
        raise ZscError(
            f"{at}columns.{field}={path} leads to nothing in any row.{suggestion(last, names)}{there}"
            f" {at}columns.{field}=null leaves it out."
        )


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
