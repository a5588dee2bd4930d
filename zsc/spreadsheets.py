"""CSV that people open: a text that a spreadsheet would take for a formula begins with an apostrophe (OWASP's rule)."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# what a spreadsheet takes for the start of a formula, perhaps behind quotes and spaces
FORMULA = re.compile(r"['\"\s]*[=+\-@\uff1d\uff0b\uff0d\uff20]|'*[\t\r\n]")
# a number, perhaps with its interval and a star, and the dash of a missing one
NUMBER = re.compile(r"-|[+-]?(\d[\d,]*(\.\d*)?|\.\d+)(e[+-]?\d+)?%?( \[[-+\d.,e ]+\])?\*?", re.IGNORECASE)


def _risky(text: str) -> bool:
    return bool(FORMULA.match(text)) and not NUMBER.fullmatch(text)


def guarded(value: Any) -> Any:
    """Return ``value``, a text that a spreadsheet might run behind an apostrophe; numbers stay as they are."""
    return f"'{value}" if isinstance(value, str) and _risky(value) else value


def unguarded(text: str) -> str:
    """Return what :func:`guarded` was given."""
    return text[1:] if text.startswith("'") and _risky(text[1:]) else text


def csv_text(rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> str:
    """Return ``rows`` as CSV with a header, every text :func:`guarded`; None and what is absent are empty fields."""
    return csv_lines([fields, *([row.get(field) for field in fields] for row in rows)])


def csv_lines(rows: Iterable[Iterable[Any]]) -> str:
    """Return ``rows`` of values as lines of CSV, every text :func:`guarded`."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([*map(guarded, row)] for row in rows)
    return out.getvalue()
