"""Datasets of the Hugging Face hub whose columns are the fields of a record under other names."""

from collections.abc import Mapping

from zsc.data import hub
from zsc.data.columns import cell, decoded
from zsc.data.record import Record
from zsc.errors import ZscError, suggestion


def load_wmt(
    path: str | None = "wmt/wmt14",
    name: str | None = "de-en",
    split: str = "test",
    revision: str | None = None,
    source_language: str = "en",
    target_language: str = "de",
) -> list[Record]:
    """Return one record per pair of sentences of a WMT, or of another dataset with a column ``translation``.

    The pair of languages is that of ``name``, in either direction. The sentence to translate is the field ``source``.
    """
    rows = hub.load_split(path, name, split, revision)
    where = f"{path}, split {split}"
    hub.check_names(("translation",), rows.column_names, where)
    first = decoded(cell(rows[0], "translation")) if len(rows) else None
    languages = list(first) if isinstance(first, Mapping) else []
    for option, wanted in (("source_language", source_language), ("target_language", target_language)):
        if len(rows) and wanted not in languages:
            raise ZscError(
                f"dataset.{option}={wanted} is no language of {where}.{suggestion(str(wanted), languages)} It has:"
                f" {', '.join(languages)}. dataset.name chooses the pair."
            )
    columns = {"source": f"translation.{source_language}", "reference": f"translation.{target_language}"}
    return hub.records(rows, columns, where)


def load_cnn_dailymail(
    path: str | None = "abisee/cnn_dailymail",
    name: str | None = "3.0.0",
    split: str = "test",
    revision: str | None = None,
) -> list[Record]:
    """Return one record per article, as the field ``document``; its highlights are the reference."""
    return _renamed(path, name, split, revision, {"id": "id", "document": "article", "reference": "highlights"})


def load_samsum(
    path: str | None = "knkarthick/samsum", split: str = "test", revision: str | None = None
) -> list[Record]:
    """Return one record per chat, as one text in the field ``document``; its summary is the reference."""
    return _renamed(path, None, split, revision, {"id": "id", "document": "dialogue", "reference": "summary"})


def _renamed(
    path: str | None, name: str | None, split: str, revision: str | None, columns: Mapping[str, str]
) -> list[Record]:
    rows = hub.load_split(path, name, split, revision)
    where = f"{path}, split {split}"
    hub.check_names(columns.values(), rows.column_names, where)
    return hub.records(rows, columns, where)
