"""Any dataset that the `datasets` library loads, from the Hugging Face hub or a folder."""

import logging
from collections.abc import Mapping
from typing import Any

from zsc.data.columns import check_columns, parse_rows
from zsc.data.record import Record
from zsc.errors import ZscError, first_line, suggestion


def load(
    path: str | None, name: str | None, split: str, revision: str | None, columns: Mapping[str, Any]
) -> list[Record]:
    """Return one record per row of a split, its fields taken from ``columns``."""
    rows = load_split(path, name, split, revision)
    chosen = check_columns(columns, rows.column_names, f"{path}, split {split}")
    return parse_rows(((f"{path}, split {split}, row {i}", row) for i, row in enumerate(rows, start=1)), chosen)


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
