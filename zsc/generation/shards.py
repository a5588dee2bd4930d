"""Shards: the responses of a cell to a range of its records, made by one worker at a time, joined when all are there.

    CELL/shards/START-STOP.lease        who makes it
                START-STOP.TOKEN.part   what one worker has made of it, response by response
                START-STOP.jsonl        all of it

Every worker writes a file of its own, and puts it in its place whole. So two that make the same shard, where leases
fail or one of them stood still for long, cost time and change no byte.
"""

import contextlib
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from zsc.files import append, refuse_link, write_atomic
from zsc.generation.items import lines, whole
from zsc.leases import Lease

FOLDER = "shards"
NAME = re.compile(r"(\d+)-(\d+)\.(jsonl|lease|[0-9a-f]{32}\.part)")
LEFT = re.compile(r"\..+\.(partial|new|gone|now)")  # of a write that was killed


class Owner(Protocol):
    """The cell of a shard."""

    @property
    def path(self) -> Path: ...
    @property
    def items(self) -> Path: ...
    @property
    def ids(self) -> Sequence[str]: ...


class Shard:
    """The responses of ``cell`` to its records from ``start`` to before ``stop``, which one worker writes."""

    def __init__(self, cell: Owner, start: int, stop: int):
        self.cell, self.start, self.stop = cell, start, stop
        self.name = f"{start}-{stop}"
        self.path = cell.path / FOLDER / f"{self.name}.jsonl"
        self.lease = Lease(cell.path / FOLDER / f"{self.name}.lease")
        self._part = cell.path / FOLDER / f"{self.name}.{uuid.uuid4().hex}.part"

    def __len__(self) -> int:
        return self.stop - self.start

    def whole(self) -> bool:
        """Say whether all of it is there; a file in its place that is not whole is removed."""
        refuse_link(self.path)
        if not self.path.is_file():
            return False
        if len(whole(self.path.read_bytes(), self.cell.ids[self.start : self.stop])) == len(self):
            return True
        self.path.unlink(missing_ok=True)
        return False

    def begin(self) -> int:
        """Begin this worker's file with what is there of it in any; return how many responses that are."""
        found = max((list(one) for one in self._known()), key=len, default=[])
        write_atomic(self._part, lines(found))
        return len(found)

    def append(self, items: Sequence[Mapping[str, Any]]) -> None:
        append(self._part, lines(items))

    def publish(self) -> bool:
        """Put what this worker wrote in its place, unless it is there; say whether all of it is there now."""
        with self._part.open("rb") as handle:
            content = handle.read()
            os.fsync(handle.fileno())
        if len(whole(content, self.cell.ids[self.start : self.stop])) == len(self):
            try:
                os.link(self._part, self.path)
            except FileExistsError:
                pass
            except OSError:  # no hard links here
                self._part.replace(self.path)
        for file, start, stop in files(self.cell.path):
            if file.suffix == ".part" and (start, stop) == (self.start, self.stop):
                file.unlink(missing_ok=True)
        return self.path.exists()

    def _known(self) -> Iterator[list[dict[str, Any]]]:
        """Yield what is there of it, from its first response on, in files of any range."""
        places = [*files(self.cell.path), (self.cell.items, 0, len(self.cell.ids))]
        for file, start, stop in places:
            if start <= self.start < stop and file.suffix in (".jsonl", ".part"):
                with contextlib.suppress(FileNotFoundError):
                    yield whole(file.read_bytes(), self.cell.ids[start:stop])[self.start - start : self.stop - start]


def files(cell: Path) -> list[tuple[Path, int, int]]:
    """Return the files of shards in the folder of a cell, with the range of each."""
    found = ((cell / FOLDER / name, NAME.fullmatch(name)) for name in names(cell))
    return [(path, int(match[1]), int(match[2])) for path, match in found if match]


def names(cell: Path) -> list[str]:
    """Return what lies in the folder of a cell's shards, sorted."""
    try:
        return sorted(os.listdir(cell / FOLDER))
    except (FileNotFoundError, NotADirectoryError):
        return []


def foreign(cell: Path) -> list[str]:
    """Return what lies among the shards of a cell and is of none."""
    return [name for name in names(cell) if not (NAME.fullmatch(name) or LEFT.fullmatch(name))]


def ready(cell: Owner) -> int:
    """Return how many responses of an unfinished cell are there, in any file."""
    there: set[int] = set()
    for file, start, stop in [*files(cell.path), (cell.items, 0, len(cell.ids))]:
        if file.suffix in (".jsonl", ".part"):
            with contextlib.suppress(FileNotFoundError):
                there |= set(range(start, start + len(whole(file.read_bytes(), cell.ids[start:stop]))))
    return len(there)


def sound(cell: Owner) -> bool:
    """Say whether the responses are whole that an earlier version, which wrote all to one file, left of a cell."""
    if not cell.items.is_file():
        return not cell.items.exists()
    content = cell.items.read_bytes()
    return len(whole(content, cell.ids)) >= content.count(b"\n")


def remove(cell: Path) -> None:
    """Remove all shards of a cell, what their makers hold among them, and leave what is not theirs."""
    for name in names(cell):
        if NAME.fullmatch(name) or LEFT.fullmatch(name):
            (cell / FOLDER / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # something else is in it
        (cell / FOLDER).rmdir()
