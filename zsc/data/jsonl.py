"""Records from a JSON Lines file of one's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zsc.data.files import byte_lines, check_file, decoded, parse_json
from zsc.data.record import Record, parse_record, unique
from zsc.errors import ZscError


def load(path: str | None) -> list[Record]:
    """Read one record per line, with an id and what :func:`zsc.data.record.parse_record` takes beside it."""
    if not path:
        raise ZscError("dataset jsonl needs dataset.path=FILE.jsonl, one record per line.")
    file = check_file(Path(str(path)))
    return unique((where, parse_record(value, where)) for where, value in read_lines(file))


def read_lines(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield the value of every line that is not empty, with where it stands. Raises ZscError for a broken line."""
    for number, line in enumerate(byte_lines(file), start=1):
        if line.strip():
            where = f"{file}, line {number}"
            yield where, parse_json(decoded(line, file, where), where, unique=True)


def read_rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the object of every line, with where it stands. Raises ZscError for a line that holds none."""
    for where, value in read_lines(file):
        if not isinstance(value, dict):
            hint = " A list of all rows is no JSON Lines: call the file .json." if isinstance(value, list) else ""
            raise ZscError(f"{where}: must be a JSON object, not {type(value).__name__}.{hint}")
        yield where, value
