"""Records from a JSON Lines file of one's own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zsc.data.record import Record, parse_record
from zsc.errors import ZscError


def load(path: str | None) -> list[Record]:
    """Read one record per line: id, history [{speaker, text}], and optionally reference, knowledge and topic."""
    if not path:
        raise ZscError("dataset jsonl needs dataset.path=FILE.jsonl, one record per line.")
    file = Path(str(path))
    if not file.is_file():
        raise ZscError(f"no file {file}. Give dataset.path=FILE.jsonl, one record per line.")
    records: dict[str, Record] = {}
    for where, value in read_lines(file):
        record = parse_record(value, where)
        if record.id in records:
            raise ZscError(f"{where}: field 'id' repeats {record.id!r}; ids must be unique.")
        records[record.id] = record
    return list(records.values())


def read_lines(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield the value of every line that is not empty, with where it stands. Raises ZscError for a broken line."""
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            yield where, json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError:
            raise ZscError(f"{where}: not UTF-8 text.") from None
        except (json.JSONDecodeError, RecursionError) as error:
            raise ZscError(f"{where}: not valid JSON ({getattr(error, 'msg', 'nested too deeply')}).") from None


def read_rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the object of every line, with where it stands. Raises ZscError for a line that holds none."""
    for where, value in read_lines(file):
        if not isinstance(value, dict):
            raise ZscError(f"{where}: must be a JSON object, not {type(value).__name__}.")
        yield where, value
