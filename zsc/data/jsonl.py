"""Records from a JSON Lines file of one's own."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from zsc.data.files import byte_lines, check_file, decoded, parse_json
from zsc.data.record import Record, parse_record, unique
from zsc.errors import ZscError


def load(path: str | None) -> list[Record]:
    """Read one record per line, with an id and what :func:`zsc.data.record.parse_record` takes beside it."""
    if not path:
        raise ZscError("dataset jsonl needs dataset.path=FILE.jsonl, one record per line.")
    file = check_file(Path(str(path)))
    return unique((where, parse_record(value, where)) for where, _, value in read_lines(file))


def read_lines(file: Path) -> Iterator[tuple[str, int, Any]]:
    """Yield the value of every line that is not empty, with where it stands and the byte that its line begins at.

    Raises ZscError for a broken line.
    """
    for number, (begin, line) in enumerate(byte_lines(file), start=1):
        if line.strip():
            where = f"{file}, line {number}"
            yield where, begin, parse_json(decoded(line, file, where), where, unique=True)


def read_rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the object of every line, with where it stands. Raises ZscError for a line that holds none."""
    return ((where, row) for where, _, row in read_placed(file))


def read_placed(file: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield what :func:`read_rows` yields, and between the two the byte that the line begins at."""
    for where, begin, value in read_lines(file):
        if not isinstance(value, dict):
            hint = " A list of all rows is no JSON Lines: call the file .json." if isinstance(value, list) else ""
            raise ZscError(f"{where}: must be a JSON object, not {type(value).__name__}.{hint}")
        yield where, begin, value


def read_at(file: Path, begins: Iterable[int]) -> list[Any]:
    """Return the values of the lines of ``file`` that begin at these bytes, which were read before."""
    with file.open("rb") as handle:
        return [json.loads(_line_at(handle, begin)) for begin in begins]


def _line_at(handle: BinaryIO, begin: int) -> bytes:
    handle.seek(begin)
    return handle.readline().splitlines()[0]
