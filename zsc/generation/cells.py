"""Cells: the responses of one setting and seed to a list of records, stored under a hash of all that decides them.

    ROOT/HASH/cell.json     what the hash is of, and the effect of the setting as probed
              shards/       what is there of an unfinished cell, range by range of its records, as it comes
              items.jsonl   one response per record, in the order of the records, each with a checksum of its own
              done.json     how many items there are, and their hash: the mark of a finished cell

Nothing in a finished cell depends on how often it was stopped, on what it was made together with, or on who made it,
but where two tokens tie within rounding; likelihoods may differ in the fifth decimal with the size of the batch.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zsc.data.record import Record
from zsc.errors import ZscError, first_line
from zsc.files import is_partial_of, refuse_link, replacing, write_atomic
from zsc.generation import shards
from zsc.generation.code import code_hash
from zsc.generation.items import read
from zsc.generation.shards import Shard
from zsc.leases import held

LIBRARIES = ("torch", "transformers", "tokenizers")
MADE_WITH = ("code", "libraries")  # parts of a cell's spec: what makes its responses of the others
LEASE, LOCK = ".lease", ".lock"  # the latter of earlier versions
PARTS = ("cell.json", "items.jsonl", "done.json")

Place = tuple[str, int]  # of a cell in a run: setting and seed


class State(Enum):
    MISSING = "missing"
    BEGUN = "begun"
    DONE = "done"
    BROKEN = "broken"


@dataclass(frozen=True)
class Stored:
    """What a cell's folder holds: its ``state``, and for a broken cell ``why``."""

    state: State
    why: str = ""


def canonical(value: Any) -> str:
    """Return ``value`` as JSON in which equal options look alike: sorted keys, and 5.0 as 5."""

    def plain(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {str(key): plain(inner) for key, inner in part.items()}
        if isinstance(part, list | tuple):
            return [plain(inner) for inner in part]
        return int(part) if isinstance(part, float) and part.is_integer() else part

    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False, allow_nan=False)


@cache
def code_version(kinds: frozenset[type]) -> str:
    """Return the hash of the code that responses under a layout and knobs of ``kinds`` can reach, read once."""
    return code_hash(kinds)


def records_hash(records: Sequence[Record]) -> str:
    """Return a hash of the content of ``records``, in their order."""
    return hashlib.sha256("".join(canonical(record.to_json()) for record in records).encode()).hexdigest()


def library_versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


@dataclass(frozen=True)
class Cell:
    """A cell of the store at ``root``. ``spec`` is all that decides its responses, ``ids`` are those of its records."""

    root: Path
    spec: Mapping[str, Any]
    ids: Sequence[str]
    _seen: set[tuple[int, ...]] = field(default_factory=set, init=False, repr=False, compare=False)

    @property
    def identity(self) -> str:
        return hashed(self.spec)

    @property
    def content(self) -> str:
        """As ``identity``, whatever the code and the versions of libraries."""
        return hashed({name: part for name, part in self.spec.items() if name not in MADE_WITH})

    @property
    def path(self) -> Path:
        return self.root / self.identity[:32]

    @property
    def items(self) -> Path:
        return self.path / "items.jsonl"

    def lease(self) -> AbstractContextManager[None]:
        """Return a context for short work on the cell as a whole, in which no other worker does any."""
        return held(self.path / LEASE)

    def shards(self, size: int) -> list[Shard]:
        """Return the cell in parts of ``size`` records, the last one of what is left."""
        count = len(self.ids)
        return [Shard(self, start, min(start + size, count)) for start in range(0, count, size)]

    def check_place(self) -> None:
        """Raise ZscError where a symbolic link or a file lies in the place of the cell, or a link in that of one of its
        files."""
        for place in (self.path, *(self.path / name for name in (*PARTS, LEASE, shards.FOLDER))):
            refuse_link(place)
        if self.path.exists() and not self.path.is_dir():
            raise ZscError(f"{self.path} is a file in the place of a cell. Remove it, or set cells=FOLDER.")

    def foreign(self) -> list[str]:
        """Return what lies in the cell's folder and is not of the cell, sorted by name."""
        if not self.path.is_dir():
            return []
        own = {LEASE, LOCK, shards.FOLDER, *PARTS}
        others = [
            part.name
            for part in self.path.iterdir()
            if part.name not in own and not is_partial_of(part.name, (*PARTS, LEASE))
        ]
        return sorted([*others, *(f"{shards.FOLDER}/{name}" for name in shards.foreign(self.path))])

    def stored(self) -> Stored:
        """Return what is there, checked against the cell's hash, its records and its mark.

        Raises what :meth:`check_place` raises.
        """
        self.check_place()
        try:
            described = json.loads((self.path / "cell.json").read_text(encoding="utf-8"))
            mark = _content(self.path / "done.json")
            as_marked = mark is not None and self.items.is_file() and mark == _mark(self.items, len(self.ids))
        except (FileNotFoundError, NotADirectoryError):
            return Stored(State.MISSING)
        except (ValueError, OSError) as error:
            return Stored(State.BROKEN, f"its files cannot be read ({first_line(error)})")
        known = isinstance(described, dict) and set(described) == {"spec", "effect"}
        if not known or canonical(described["spec"]) != canonical(self.spec):
            return Stored(State.BROKEN, "cell.json describes another cell")
        if mark is None and not shards.sound(self):
            return Stored(State.BROKEN, "a response is not the one that was written")
        if mark is None:
            return Stored(State.BEGUN)
        if not as_marked:
            return Stored(State.BROKEN, "its responses are not those it was finished with")
        return Stored(State.DONE)

    def ready(self) -> int:
        """Return how many responses are there."""
        return len(self.ids) if self.done() else shards.ready(self)

    def done(self) -> bool:
        """Say whether the cell is finished, by :meth:`stored`, which is asked again only where its files change.

        Raises what :meth:`check_place` raises.
        """
        files = self._files()
        if files not in self._seen and (self.path / "done.json").exists() and self.stored().state is State.DONE:
            self._seen.add(files)
        return files in self._seen

    def responses(self) -> Iterator[dict[str, Any]]:
        """Yield the items of a finished cell, in the order of its records. Raises ZscError if it is not finished."""
        if not self.done():
            raise ZscError(f"cell {self.path} was changed while it was read. Repeat the command.")
        with self.items.open("rb") as handle:
            yield from map(read, handle)

    def effect(self) -> dict[str, Any] | None:
        """Return the effect recorded with the cell."""
        effect: dict[str, Any] | None = json.loads((self.path / "cell.json").read_text(encoding="utf-8"))["effect"]
        return effect

    def begin(self, effect: Mapping[str, Any] | None) -> None:
        """Make the cell ready for the writers of its shards, unless it is.

        A broken cell loses its own files and keeps any others. Raises what :meth:`check_place` raises, and ZscError
        where a folder with content lies in the place of a file.
        """
        self.check_place()
        self.path.mkdir(parents=True, exist_ok=True)
        if self._lacks_description():
            with self.lease():
                if self._lacks_description():
                    self._describe(effect)
        if not self.done():
            (self.path / shards.FOLDER).mkdir(exist_ok=True)

    def join(self, parts: Sequence[Shard]) -> bool:
        """Finish the cell where all of its ``parts`` are there; say whether it is finished."""
        if self.done() and not (self.path / shards.FOLDER).exists():
            return True
        with self.lease():
            if not self.done():
                if [shard for shard in parts if not shard.whole()]:
                    return False
                with replacing(self.items) as file:
                    for shard in parts:
                        file.write(shard.path.read_bytes())
                write_atomic(self.path / "done.json", _mark(self.items, len(self.ids)))
            shards.remove(self.path)
        return True

    def _lacks_description(self) -> bool:
        return self.stored().state in (State.MISSING, State.BROKEN)

    def _describe(self, effect: Mapping[str, Any] | None) -> None:
        for name in PARTS:
            _remove(self.path / name)
        shards.remove(self.path)
        described = {"spec": self.spec, "effect": effect}
        text = json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False)
        write_atomic(self.path / "cell.json", f"{text}\n")

    def _files(self) -> tuple[int, ...]:
        """Return what tells one state of the files from another."""
        numbers: list[int] = []
        for name in PARTS:
            with suppress(FileNotFoundError, NotADirectoryError):
                found = (self.path / name).stat()
                numbers += [found.st_mtime_ns, found.st_size, found.st_ino]
        return tuple(numbers)


def identified(cells: Mapping[Place, Cell]) -> dict[str, Any]:
    """Return what a run's manifest tells of its ``cells``, which are given by setting and seed.

    ``identity`` is a hash of all that decides the responses and of the names of the settings, ``content`` the same
    whatever the code and the versions of libraries, and ``code`` the hash of the code of each setting.
    """
    return {
        "identity": hashed([[*place, cell.identity] for place, cell in cells.items()]),
        "content": hashed([[*place, cell.content] for place, cell in cells.items()]),
        "code": {name: cell.spec["code"] for (name, _), cell in cells.items()},
        "cells": {f"{name} seed {seed}": cell.identity for (name, seed), cell in cells.items()},
    }


def hashed(value: Any) -> str:
    """Return the hash of ``value``, in which equal options look alike."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _remove(part: Path) -> None:
    """Remove one file of a cell, or an empty folder in its place."""
    if not part.is_dir():
        part.unlink(missing_ok=True)
    elif any(part.iterdir()):
        raise ZscError(f"{part} is a folder with content in the place of a cell's file. Move it away.")
    else:
        part.rmdir()


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


def _mark(items: Path, count: int) -> bytes:
    """Return the mark of a finished cell of ``count`` responses in the file ``items``."""
    with items.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return (json.dumps({"items": count, "sha256": digest}, allow_nan=False) + "\n").encode()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write into a ZscError that names ``folder``."""
    try:
        yield
    except OSError as error:
        raise ZscError(
            f"cannot write to {folder}: {error.strerror or error}. What was written is kept; make room or set another"
            " folder, and repeat the command."
        ) from error
