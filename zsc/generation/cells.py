"""Cells: the responses of one setting and seed to a list of records, stored under a hash of all that decides them.

    ROOT/HASH/cell.json     what the hash is of, and the effect of the setting as probed
              items.jsonl   one response per record, in the order of the records, written as they come, each with a
                            checksum of its own
              done.json     how many items there are, and their hash: the mark of a finished cell

Nothing in a finished cell depends on how often it was stopped, on what it was made together with, or on who made it,
but where two tokens tie within rounding; likelihoods may differ in the fifth decimal with the size of the batch.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import BaseFileLock

from zsc.data.record import Record
from zsc.errors import ZscError, first_line
from zsc.files import append, lock_at, partial_name, refuse_link, write_atomic
from zsc.generation.code import code_hash

LIBRARIES = ("torch", "transformers", "tokenizers")
MADE_WITH = ("code", "libraries")  # parts of a cell's spec: what makes its responses of the others
FIELDS = {"id", "response", "tokens", "nll"}
CHECK, LOCK = "check", ".lock"
PARTS = ("cell.json", "items.jsonl", "done.json")

Place = tuple[str, int]  # of a cell in a run: setting and seed


class State(Enum):
    MISSING = "missing"
    BEGUN = "begun"
    DONE = "done"
    BROKEN = "broken"


@dataclass(frozen=True)
class Stored:
    """What a cell's folder holds: its ``state``, its whole ``items``, and for a broken cell ``why``."""

    state: State
    items: list[dict[str, Any]]
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
        return _hashed(self.spec)

    @property
    def content(self) -> str:
        """As ``identity``, whatever the code and the versions of libraries."""
        return _hashed({name: part for name, part in self.spec.items() if name not in MADE_WITH})

    @property
    def path(self) -> Path:
        return self.root / self.identity[:32]

    @property
    def items(self) -> Path:
        return self.path / "items.jsonl"

    @property
    def lock(self) -> BaseFileLock:
        """A lock for whoever writes."""
        return lock_at(self.path / LOCK)

    def check_place(self) -> None:
        """Raise ZscError where a symbolic link or a file lies in the place of the cell, or a link in that of one of its
        files."""
        for place in (self.path, *(self.path / name for name in (*PARTS, LOCK))):
            refuse_link(place)
        if self.path.exists() and not self.path.is_dir():
            raise ZscError(f"{self.path} is a file in the place of a cell. Remove it, or set cells=FOLDER.")

    def foreign(self) -> list[str]:
        """Return what lies in the cell's folder and is not of the cell, sorted by name."""
        own = {LOCK, *PARTS, *(partial_name(self.path / name).name for name in PARTS)}
        return sorted(part.name for part in self.path.iterdir() if part.name not in own) if self.path.is_dir() else []

    def stored(self) -> Stored:
        """Return what is there, checked against the cell's hash, its records and its mark.

        Raises what :meth:`check_place` raises.
        """
        self.check_place()
        try:
            described = json.loads((self.path / "cell.json").read_text(encoding="utf-8"))
            mark = _content(self.path / "done.json")  # before the responses, which may be finished meanwhile
            content = _content(self.items) or b""
        except (FileNotFoundError, NotADirectoryError):
            return Stored(State.MISSING, [])
        except (ValueError, OSError) as error:
            return Stored(State.BROKEN, [], f"its files cannot be read ({first_line(error)})")
        known = isinstance(described, dict) and set(described) == {"spec", "effect"}
        if not known or canonical(described["spec"]) != canonical(self.spec):
            return Stored(State.BROKEN, [], "cell.json describes another cell")
        items = self._complete(content)
        if mark is not None and (mark != _mark(content).encode() or len(items) < len(self.ids)):
            return Stored(State.BROKEN, [], "its responses are not those it was finished with")
        if mark is None and len(items) < content.count(b"\n"):
            return Stored(State.BROKEN, [], "a response is not the one that was written")
        return Stored(State.BEGUN if mark is None else State.DONE, items)

    def done(self) -> bool:
        """Say whether the cell is finished, by :meth:`stored`, which is asked again only where its files change.

        Raises what :meth:`check_place` raises.
        """
        files = self._files()
        if files not in self._seen and self.stored().state is State.DONE:
            self._seen.add(files)
        return files in self._seen

    def effect(self) -> dict[str, Any] | None:
        """Return the effect recorded with the cell."""
        effect: dict[str, Any] | None = json.loads((self.path / "cell.json").read_text(encoding="utf-8"))["effect"]
        return effect

    def begin(self, effect: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        """Make the cell, which must be locked, ready for writing; return its whole items.

        A broken cell loses its own files and keeps any others, and a line that a kill left without its end is cut off.
        Raises what :meth:`check_place` raises, and ZscError where a folder with content lies in the place of a file.
        """
        found = self.stored()
        if found.state in (State.MISSING, State.BROKEN):
            for name in PARTS:
                _remove(self.path / name)
            described = {"spec": self.spec, "effect": effect}
            write_atomic(
                self.path / "cell.json", json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
            )
        expected = _lines(found.items)
        if self.items.is_file() and self.items.read_text(encoding="utf-8", errors="replace") != expected:
            write_atomic(self.items, expected)
        return found.items

    def append(self, items: Sequence[Mapping[str, Any]]) -> None:
        append(self.items, _lines(items))

    def finish(self) -> None:
        """Mark the cell as finished, once its items are on disk."""
        with self.items.open("rb") as handle:
            content = handle.read()
            os.fsync(handle.fileno())
        write_atomic(self.path / "done.json", _mark(content))

    def _files(self) -> tuple[int, ...]:
        """Return what tells one state of the files from another."""
        found = [file.stat() for name in PARTS if (file := self.path / name).exists()]
        return tuple(number for one in found for number in (one.st_mtime_ns, one.st_size, one.st_ino))

    def _complete(self, content: bytes) -> list[dict[str, Any]]:
        """Return the items of ``content`` as far as they are whole and those of the records in order."""
        items: list[dict[str, Any]] = []
        for identity, line in zip(self.ids, content.splitlines(keepends=True), strict=False):
            try:
                item = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n") or not isinstance(item, dict) or item.pop(CHECK, None) != _check(item):
                break
            if set(item) != FIELDS or item["id"] != identity:
                break
            items.append(item)
        return items


def identified(cells: Mapping[Place, Cell]) -> dict[str, Any]:
    """Return what a run's manifest tells of its ``cells``, which are given by setting and seed.

    ``identity`` is a hash of all that decides the responses and of the names of the settings, ``content`` the same
    whatever the code and the versions of libraries, and ``code`` the hash of the code of each setting.
    """
    return {
        "identity": _hashed([[*place, cell.identity] for place, cell in cells.items()]),
        "content": _hashed([[*place, cell.content] for place, cell in cells.items()]),
        "code": {name: cell.spec["code"] for (name, _), cell in cells.items()},
        "cells": {f"{name} seed {seed}": cell.identity for (name, seed), cell in cells.items()},
    }


def _hashed(value: Any) -> str:
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


def _lines(items: Sequence[Mapping[str, Any]]) -> str:
    return "".join(
        json.dumps({**item, CHECK: _check(item)}, ensure_ascii=False, allow_nan=False) + "\n" for item in items
    )


def _check(item: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(item, sort_keys=True, allow_nan=False).encode()).hexdigest()[:8]


def _mark(content: bytes) -> str:
    mark = {"items": content.count(b"\n"), "sha256": hashlib.sha256(content).hexdigest()}
    return json.dumps(mark, allow_nan=False) + "\n"


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
