"""Rows of a CSV, TSV, JSON Lines or Parquet file of one's own."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zsc.data import jsonl
from zsc.data.columns import Row, check_columns, parse_rows
from zsc.data.record import Record
from zsc.errors import ZscError, first_line, suggestion

AGAIN = "Export or fetch the file again."


def load(path: str | None, columns: Mapping[str, Any]) -> list[Record]:
    """Return one record per row of the file at ``path``, its fields taken from ``columns``."""
    if not path:
        raise ZscError(f"dataset table needs dataset.path=FILE: {', '.join(READERS)}.")
    rows = read_rows(Path(str(path)))
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    return parse_rows(rows, check_columns(columns, names, str(path)) if rows else {})


def read_rows(file: Path) -> list[tuple[str, Row]]:
    """Return every row of ``file`` with where it stands. Raises ZscError for a file that cannot be read as its suffix
    says."""
    if not file.is_file():
        raise ZscError(f"no file {file}.")
    if file.suffix.lower() not in READERS:
        raise ZscError(
            f"{file}: cannot read {file.suffix or 'a file without suffix'}.{suggestion(file.suffix, READERS)}"
            f" Known: {', '.join(READERS)}."
        )
    return list(READERS[file.suffix.lower()](file))


def _csv(file: Path) -> Iterator[tuple[str, Row]]:
    csv.field_size_limit(2**31 - 1)  # a long history is one field
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            header = handle.readline()
            delimiter = "\t" if file.suffix.lower() == ".tsv" else max(",;", key=header.count)
            handle.seek(0)
            reader = csv.DictReader(handle, delimiter=delimiter, strict=True)
            for row in reader:
                where = f"{file}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise ZscError(f"{where}: not as many fields as the header has. {AGAIN}")
                yield where, row
    except UnicodeDecodeError as error:
        with file.open("rb") as binary:
            encoding = "UTF-16" if binary.read(2) in (b"\xff\xfe", b"\xfe\xff") else "WINDOWS-1252"
        raise ZscError(
            f"{file}: not UTF-8 text at byte {error.start}. Convert it, for instance by"
            f" `iconv -f {encoding} -t UTF-8 {file.name} > new{file.suffix}`."
        ) from error
    except csv.Error as error:
        raise ZscError(f"{file}: not a whole table ({error}). {AGAIN}") from error


def _parquet(file: Path) -> Iterator[tuple[str, Row]]:
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(file).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise ZscError(f"{file}: not a whole Parquet file ({first_line(error)}). {AGAIN}") from error
    return ((f"{file}, row {number}", row) for number, row in enumerate(rows, start=1))


READERS = {".csv": _csv, ".tsv": _csv, ".jsonl": jsonl.read_rows, ".parquet": _parquet}
