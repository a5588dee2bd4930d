"""Items, one response each, as lines of a file: each with a checksum of its own, so that a broken one is known."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FIELDS = {"id", "response", "tokens", "nll"}
LATER = {"ended"}  # which items of earlier versions lack
CHECK = "check"


def lines(items: Iterable[Mapping[str, Any]]) -> str:
    """Return ``items`` as lines."""
    return "".join(
        json.dumps({**item, CHECK: _check(item)}, ensure_ascii=False, allow_nan=False) + "\n" for item in items
    )


def whole(content: bytes, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the items of ``content`` as far as they are whole, and those of the records ``ids`` in order."""
    items: list[dict[str, Any]] = []
    for identity, line in zip(ids, content.splitlines(keepends=True), strict=False):
        try:
            item = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(item, dict) or item.pop(CHECK, None) != _check(item):
            break
        if set(item) - LATER != FIELDS or item["id"] != identity:
            break
        items.append(item)
    return items


def read(line: bytes) -> dict[str, Any]:
    """Return the item of a line that was checked."""
    item: dict[str, Any] = json.loads(line)
    del item[CHECK]
    return item


def _check(item: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(item, sort_keys=True, allow_nan=False).encode()).hexdigest()[:8]
