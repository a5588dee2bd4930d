"""The metrics of every response by itself, in a run's folder: as CSV, or of a large run as Parquet."""

import csv
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from zsc.data.record import Record
from zsc.files import replacing
from zsc.generation.cells import Place
from zsc.generation.folder import RunFolder
from zsc.metrics.score import Statistics, each_response
from zsc.spreadsheets import csv_lines, unguarded

if TYPE_CHECKING:
    import pandas

CSV, PARQUET = "items.csv", "items.parquet"
LARGE = 200_000  # responses of a run above which it has Parquet
LINES = 1000  # of CSV that are put together at once
KEYS = ("setting", "seed", "id")

Values = Iterator[tuple[Place, list[np.ndarray]]]  # of each cell, by metric: (records,), NaN where there is no value


def write_items(folder: RunFolder, records: Sequence[Record], statistics: Statistics) -> str:
    """Write one row per response with each metric of it by itself, empty where it has no value, one cell after another;
    return the name of the file. One of the other form is removed."""
    places = list(next(iter(statistics.values()), {}))
    names = [metric.measure for metric in statistics]
    values: Values = (
        (place, [each_response(metric, cells[place]) for metric, cells in statistics.items()]) for place in places
    )
    write: Callable[[BinaryIO, list[str], list[str], Values], None]
    (file, write), other = (CSV, _write_csv), PARQUET
    if len(records) * len(places) > LARGE:
        (file, write), other = (PARQUET, _write_parquet), CSV
    with folder.writing():
        with replacing(folder.path / file) as handle:
            write(handle, names, [record.id for record in records], values)
        (folder.path / other).unlink(missing_ok=True)
    return file


def read_items(folder: RunFolder) -> "pandas.DataFrame":
    """Return what :func:`write_items` has written in either form: setting, seed, id, and the metrics."""
    import pandas

    if (file := folder.path / PARQUET).is_file():
        return pandas.read_parquet(file)
    with (folder.path / CSV).open(encoding="utf-8", newline="") as handle:
        names, *rows = csv.reader(handle)
    kinds: dict[str, Callable[[str], Any]] = dict(zip(KEYS, (unguarded, int, unguarded), strict=True))
    return pandas.DataFrame(
        {name: [*map(kinds.get(name, _number), column)] for name, *column in zip(names, *rows, strict=True)}
    )


def _number(field: str) -> float:
    return float(field) if field else np.nan


def each_value(folder: RunFolder, metric: str) -> Iterator[tuple[str, int, str, float]]:
    """Yield the setting, seed and id of each response that has a value of ``metric``, and that."""
    if (file := folder.path / PARQUET).is_file():
        from pyarrow import parquet

        for batch in parquet.ParquetFile(file).iter_batches(columns=[*KEYS, metric]):
            for row in batch.to_pylist():
                if row[metric] is not None:
                    yield row["setting"], row["seed"], row["id"], row[metric]
        return
    with (folder.path / CSV).open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            if row[metric]:
                yield unguarded(row["setting"]), int(row["seed"]), unguarded(row["id"]), float(row[metric])


def _write_csv(handle: BinaryIO, names: list[str], ids: list[str], values: Values) -> None:
    handle.write(csv_lines([[*KEYS, *names]]).encode())
    for place, columns in values:
        for start in range(0, len(ids), LINES):
            part = slice(start, start + LINES)
            numbers = ([None if one != one else one for one in column[part].tolist()] for column in columns)
            handle.write(csv_lines([*place, *line] for line in zip(ids[part], *numbers, strict=True)).encode())


def _write_parquet(handle: BinaryIO, names: list[str], ids: list[str], values: Values) -> None:
    """Write a row group for each cell."""
    import pyarrow
    from pyarrow import parquet

    keys = zip(KEYS, (pyarrow.string(), pyarrow.int64(), pyarrow.string()), strict=True)
    schema = pyarrow.schema([*keys, *((name, pyarrow.float64()) for name in names)])
    with parquet.ParquetWriter(handle, schema) as writer:
        for (setting, seed), columns in values:
            numbers = [pyarrow.array(column, from_pandas=True) for column in columns]  # NaN becomes null
            rows = [pyarrow.array([setting] * len(ids)), pyarrow.array([seed] * len(ids)), pyarrow.array(ids), *numbers]
            writer.write_table(pyarrow.table(rows, schema=schema), row_group_size=max(len(ids), 1))
