"""Which responses were cut by their limit, as a run has stored it, and how they are shown."""

from collections.abc import Mapping
from typing import Any

ELLIPSIS = "…"


def most_tokens(manifest: Mapping[str, Any]) -> int | None:
    """Return how many tokens of its own a response of the run of ``manifest`` may have, None where that is unknown.

    A first token that the model is forced to begin with is none of its own, but one of the limit.
    """
    limit: int | None = (manifest.get("decoding") or {}).get("max_new_tokens")
    forced = [
        (manifest.get("decoding") or {}).get("forced_first"),
        (manifest.get("token_ids") or {}).get("forced_bos_token_id"),
    ]
    return None if limit is None else limit - any(token is not None for token in forced)


def is_cut(row: Mapping[str, Any], most: int | None) -> bool:
    """Say whether the response of ``row`` has as many tokens as it may have.

    The end token counts as one: of a response that ends with the last token it may have, that is said as well.
    """
    return most is not None and row.get("tokens") is not None and row["tokens"] >= most


def as_shown(row: Mapping[str, Any], most: int | None) -> str:
    """Return the response of ``row`` for people to read: with an ellipsis where it was cut."""
    return str(row["response"]) + ELLIPSIS * is_cut(row, most)
