"""Write files so that none is ever left half-written, and none is written or emptied through a symbolic link."""

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from zsc.errors import ZscError

ABANDONED = 3600  # seconds after which a file that is still not in its place is one of a write that was killed
CHUNK = 1 << 20  # bytes that are read at a time


def refuse_link(path: Path) -> None:
    """Raise ZscError if ``path`` is a symbolic link, whether or not it leads anywhere. The folders above it may be."""
    if path.is_symlink():
        raise ZscError(
            f"{path} is a symbolic link, to {os.readlink(path)}: zsc writes and empties nothing through one."
            " Remove it, or name another place."
        )


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write ``content``, a text as UTF-8, to a temporary name beside ``path``, flush it to disk, and rename.

    Raises ZscError where either is a symbolic link.
    """
    with replacing(path) as handle:
        handle.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a context to write in parts what :func:`write_atomic` writes at once; nothing is there before its end, nor
    after an error."""
    refuse_link(path)
    _drop_abandoned(path)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with os.fdopen(_opened(partial, os.O_CREAT | os.O_EXCL), "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_changed(path: Path, lines: Iterable[bytes]) -> None:
    """Write ``lines`` as :func:`write_atomic` does, holding one at a time, unless ``path`` has just these already."""
    given, same, other = iter(lines), 0, b""
    if path.is_file():
        with path.open("rb") as there:
            for other in given:
                if there.read(len(other)) != other:
                    break
                same += len(other)
            else:
                if not there.read(1):
                    return
                other = b""
    with replacing(path) as handle:
        if same:
            with path.open("rb") as there:
                while same:
                    same -= handle.write(there.read(min(same, CHUNK)))
        handle.write(other)
        handle.writelines(given)


def is_partial_of(name: str, files: Collection[str]) -> bool:
    """Say whether ``name`` is one that writing one of ``files`` leaves if it is killed."""
    return any(name.startswith(f".{file}.") for file in files)


def _drop_abandoned(path: Path) -> None:
    for partial in path.parent.glob(f".{path.name}.*.partial"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > ABANDONED:
                partial.unlink()


def append(path: Path, text: str) -> None:
    """Write ``text`` at the end of ``path``, which is made if need be. Raises ZscError for a symbolic link."""
    refuse_link(path)
    with os.fdopen(_opened(path, os.O_CREAT | os.O_APPEND), "ab") as handle:
        handle.write(text.encode())


def _opened(path: Path, flags: int) -> int:
    """Open ``path`` for writing, never through a link that is put there meanwhile."""
    return os.open(path, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | flags, 0o666)


def drop_partial_line(path: Path) -> None:
    """Cut off a last line that a kill left without its end, so that appending is safe. A missing file stays so."""
    refuse_link(path)
    if path.is_file():
        with os.fdopen(os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)), "r+b") as handle:
            end = handle.seek(0, os.SEEK_END)
            while end:
                start = max(end - CHUNK, 0)
                handle.seek(start)
                if newline := handle.read(end - start).rfind(b"\n") + 1:
                    start += newline
                    break
                end = start
            handle.truncate(start if end else 0)


def remove_folder(path: Path) -> None:
    """Remove a folder that zsc has made, and all in it. A missing one stays so; raises ZscError for a symbolic link."""
    refuse_link(path)
    if path.exists():
        shutil.rmtree(path)
