"""Records from a JSON Lines file of one's own."""

import json
from pathlib import Path

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
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            value = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            raise ZscError(f"{where}: not UTF-8 text.") from None
        except json.JSONDecodeError as error:
            raise ZscError(f"{where}: not valid JSON ({error.msg}).") from None
        record = parse_record(value, where)
        if record.id in records:
            raise ZscError(f"{where}: field 'id' repeats {record.id!r}; ids must be unique.")
        records[record.id] = record
    return list(records.values())
