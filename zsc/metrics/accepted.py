"""Several accepted references of a response, for the metrics of sacrebleu, which take all of them."""

from collections.abc import Iterable, Sequence
from copy import copy
from itertools import zip_longest
from typing import Any, TypeVar

from zsc.metrics.base import Metric
from zsc.metrics.items import LISTS, Columns

ONE, ALL = "reference", "accepted"  # columns
Some = TypeVar("Some", bound=Metric)


def accepting(metric: Some, cells: Iterable[Columns]) -> Some:
    """Return ``metric`` against all that is accepted, if it compares with the reference and a response of ``cells`` has
    several."""
    accepted = (texts for columns in cells for texts in columns.get(ALL) or [])
    if metric.references != ONE or not any(len(texts) > 1 for texts in accepted if texts is not None):
        return metric
    changed = copy(metric)
    changed.references = ALL
    return changed


def streams(references: Iterable[str | Sequence[str]]) -> list[list[Any]]:
    """Return the first of the ``references`` of each response, the second of each and so on, None where there is none:
    what sacrebleu takes."""
    given = ((texts,) if isinstance(texts, str) else texts for texts in references)
    return [list(stream) for stream in zip_longest(*given)]


def counted(references: str | None) -> int:
    """Return how many references a response has in the column ``references`` as sacrebleu counts them: -1, which it
    calls ``var``, for several, such as all other responses where there is no column."""
    return -1 if references is None or references in LISTS else 1
