"""Write files so that none is ever left half-written."""

import os
from pathlib import Path


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write ``content``, a text as UTF-8, to a temporary name beside ``path``, flush it to disk, and rename."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as handle:
        handle.write(content.encode() if isinstance(content, str) else content)
        handle.flush()
        os.fsync(handle.fileno())
    partial.replace(path)


def drop_partial_line(path: Path) -> None:
    """Cut off a last line that a kill left without its end, so that appending is safe. A missing file stays so."""
    if path.is_file():
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            write_atomic(path, whole.decode("utf-8"))
