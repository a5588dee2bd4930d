"""How responses are shown that did not end by themselves; those of older runs, which do not say, as they are."""

from collections.abc import Mapping
from typing import Any

ELLIPSIS = "…"
SHOWN = f"{ELLIPSIS} ends what was cut at the most tokens it may have"


def is_cut(row: Mapping[str, Any]) -> bool:
    """Say whether the response of ``row`` is known not to have ended by itself."""
    return row.get("ended") is False


def as_shown(row: Mapping[str, Any]) -> str:
    """Return the response of ``row`` for people to read: with an ellipsis where it was cut."""
    return str(row["response"]) + ELLIPSIS * is_cut(row)
