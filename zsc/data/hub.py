"""Any dataset that the `datasets` library loads, from the Hugging Face hub or a folder."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from zsc.data.columns import COLUMNS, Row, check_columns, check_split, parse_rows
from zsc.data.files import guarded
from zsc.data.record import Record
from zsc.errors import ZscError, first_line, suggestion


def load(
    path: str | None,
    name: str | None = None,
    split: str = "test",
    revision: str | None = None,
    columns: Mapping[str, Any] = COLUMNS,
    turns: str = "one",
) -> list[Record]:
    """Return one record per row of a split, its fields taken from ``columns``; ``turns`` as in a table."""
    check_split(turns, "dataset.turns")
    rows = load_split(path, name, split, revision)
    where = f"{path}, split {split}"
    return records(rows, check_columns(columns, rows.column_names, where), where, turns)


def records(rows: Any, columns: Mapping[str, str], where: str, turns: str = "one") -> list[Record]:
    """Return one record per row of a split, its fields taken from ``columns`` that are there."""
    return parse_rows(read_rows(rows, where), columns, turns)


def check_names(wanted: Iterable[str], names: Sequence[str], where: str) -> None:
    """Raise ZscError unless all columns ``wanted`` are among those of a dataset."""
    if lacking := [name for name in wanted if name not in names]:
        raise ZscError(
            f"{where}: no column {lacking[0]}. There are: {', '.join(names)}. For another layout use dataset=hub with"
            " dataset.columns.FIELD=COLUMN."
        )


def load_split(path: str | None, name: str | None, split: str, revision: str | None) -> Any:
    """Return a split as a `datasets.Dataset`. No code of the dataset is run. Raises ZscError if it cannot be had."""
    import datasets

    if not path:
        raise ZscError("dataset.path needs the name of a dataset on the hub, or a folder.")
    datasets.config.HF_DATASETS_TRUST_REMOTE_CODE = False  # versions below 4 would ask on the terminal
    datasets.disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # whose warnings of retries come twice
    try:
        found = datasets.load_dataset(str(path), name, revision=revision)
    except Exception as error:  # each format and HTTP library has errors of its own
        raise ZscError(
            f"dataset {path} cannot be loaded: {first_line(error)} Check dataset.path, dataset.name and the network."
        ) from error
    if split not in found:
        raise ZscError(f"{path} has no split '{split}'.{suggestion(str(split), found)} It has: {', '.join(found)}.")
    return found[split]


def read_rows(rows: Any, where: str) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a split, with where they stand. Raises ZscError for one that cannot be had."""
    import pyarrow

    for number in range(len(rows)):
        here = f"{where}, row {number + 1}"
        with guarded(here, also=(pyarrow.ArrowException,)):
            row = rows[number]
        yield here, row
