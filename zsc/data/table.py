"""Rows of a CSV, TSV, JSON, JSON Lines or Parquet file of one's own."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zsc.data import jsonl
from zsc.data.columns import COLUMNS, Row, check_columns, check_split, parse_rows
from zsc.data.files import AGAIN, NotJson, check_file, guarded, parse_json, read_text
from zsc.data.record import Record
from zsc.errors import ZscError, suggestion

DELIMITERS = ",;\t|"


def load(path: str | None, columns: Mapping[str, Any] = COLUMNS, turns: str = "one") -> list[Record]:
    """Return one record per row of the file at ``path``, its fields taken from ``columns``.

    ``turns`` says what a plain text is as a history: ``one`` turn, or ``lines``.
    """
    if not path:
        raise ZscError(f"dataset table needs dataset.path=FILE: {', '.join(READERS)}.")
    split = check_split(turns, "dataset.turns")
    rows = read_rows(Path(str(path)))
    return parse_rows(rows, check_columns(columns, column_names(rows), str(path)) if rows else {}, split)


def read_rows(file: Path) -> list[tuple[str, Row]]:
    """Return every row of ``file`` with where it stands. Raises ZscError for a file that cannot be read as its suffix
    says."""
    suffix = check_file(file).suffix.lower()
    if suffix not in READERS:
        raise ZscError(
            f"{file}: cannot read {file.suffix or 'a file without suffix'}.{suggestion(suffix, READERS)}"
            f" Known: {', '.join(READERS)}; unpack what is compressed."
        )
    with guarded(str(file)):
        return list(READERS[suffix](file))


def column_names(rows: Sequence[tuple[str, Row]]) -> list[str]:
    """Return the names that ``rows`` have, in the order of appearance."""
    return list(dict.fromkeys(name for _, row in rows for name in row))


def check_names(names: Sequence[str], file: Path) -> None:
    """Raise ZscError if two columns that have a name have the same."""
    if repeated := [name for name, count in Counter(names).items() if count > 1 and name.strip()]:
        raise ZscError(f"{file}: {names.count(repeated[0])} columns are called '{repeated[0]}'. Rename or remove some.")


def _csv(file: Path) -> Iterator[tuple[str, Row]]:
    csv.field_size_limit(2**31 - 1)  # a long history is one field
    text = read_text(file)
    header = text.partition("\n")[0]
    delimiter = "\t" if file.suffix.lower() == ".tsv" else max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    last = 0
    try:
        names = next(reader, [])
        check_names(names, file)
        for fields in reader:
            where, last = f"{file}, line {reader.line_num}", reader.line_num
            if fields and len(fields) != len(names):
                raise ZscError(
                    f"{where}: not as many fields as the header has: {len(fields)} for {len(names)}, between"
                    f" {delimiter!r}. {AGAIN}"
                )
            if fields:
                yield where, dict(zip(names, fields, strict=True))
    except csv.Error as error:
        raise ZscError(f"{file}: not a whole table after line {last} ({error}). {AGAIN}") from error


def _json(file: Path) -> Iterator[tuple[str, Row]]:
    try:
        rows = parse_json(read_text(file), str(file), AGAIN, numbered=True, unique=True)
    except NotJson as error:
        raise ZscError(f"{error} If every line is an object by itself, call the file .jsonl.") from None
    if not isinstance(rows, list):
        raise ZscError(f"{file}: must hold a list of objects, one for each row, not {type(rows).__name__}.")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise ZscError(f"{file}, row {number}: must be a JSON object, not {type(row).__name__}.")
        yield f"{file}, row {number}", row


def _parquet(file: Path) -> Iterator[tuple[str, Row]]:
    import pyarrow
    from pyarrow import parquet

    with guarded(f"{file}, as Parquet", also=(pyarrow.ArrowException,)):
        table = parquet.ParquetFile(file).read()
    check_names(table.column_names, file)
    columns = {name: _values(table[name], name, file) for name in table.column_names}
    for number in range(table.num_rows):
        yield f"{file}, row {number + 1}", {name: values[number] for name, values in columns.items()}


def _values(column: Any, name: str, file: Path) -> list[Any]:
    """Return the values of a column of Arrow. Raises ZscError, naming the row, for one that Python cannot have."""
    try:
        return column.to_pylist()
    except (ValueError, OverflowError, RecursionError):
        for number, value in enumerate(column, start=1):
            with guarded(f"{file}, row {number}, column '{name}'", "Convert it to text, or leave the column out."):
                value.as_py()
        raise


READERS = {".csv": _csv, ".tsv": _csv, ".json": _json, ".jsonl": jsonl.read_rows, ".parquet": _parquet}
