"""What a run found out about its cells, kept beside them: the same run, made once, is found without its model.

Kept under a hash of all that could make a difference: options, records, control phrases, every file of the models by
size and times, the source of this package, the versions of libraries, and the devices there are. Whatever does not
agree to the letter is not found, and the run is prepared as ever; cells are checked against their own description.
"""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from zsc.data.control_phrases import load_phrases
from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.files import write_atomic
from zsc.generation.cells import Cell, Place, library_versions, records_hash
from zsc.models.local import stamp
from zsc.options import plain
from zsc.study.options import KnobChoice, RunOptions

FOLDER = ".known"  # in the store of cells
PACKAGE = Path(__file__).parents[1]
DECIDING = ("model", "decoding", "layout", "task", "seeds")  # options; knobs and records count as well


@dataclass(frozen=True)
class Known:
    """A finished run: its manifest, the remarks on its format, and its cells."""

    manifest: dict[str, Any]
    remarks: str
    cells: dict[Place, Cell]

    @property
    def summary(self) -> str:
        """What became of its cells."""
        return f"cells: {len(self.cells)}, {len(self.cells)} found, 0 made"


def key_of(options: RunOptions, choices: Sequence[KnobChoice], records: Sequence[Record]) -> str | None:
    """Return the hash of all that decides what a run finds; None where a model is in no folder of its own, or a knob is
    not of this package."""
    parts = [part for choice in choices for part in choice.parts]
    if any(_foreign(part.name) for part in parts):
        return None
    others = [part.values["other"] for part in parts if isinstance(part.values.get("other"), Mapping)]
    stamps = [stamp(str(name)) for name in (options.model.checkpoint, *(one.get("checkpoint") for one in others))]
    if not all(stamps):
        return None
    found = {
        "options": {name: plain(getattr(options, name)) for name in DECIDING},
        "knobs": plain(choices),
        "phrases": [_phrases(part.values.get("phrases")) for part in parts],
        "records": records_hash(records),
        "models": stamps,
        "source": source_hash(),
        "libraries": library_versions(),
        "machine": [platform.platform(), platform.machine(), platform.python_version(), _devices()],
    }
    return hashlib.sha256(json.dumps(plain(found), sort_keys=True).encode()).hexdigest()  # values not checked yet: nan


def _foreign(name: str) -> bool:
    """Say whether somebody has added the knob called ``name`` in this process, which has then imported the others."""
    knobs = sys.modules.get("zsc.knobs")
    kind = knobs.KNOBS.get(name) if knobs else None
    return kind is not None and not kind.__module__.startswith(f"{PACKAGE.name}.")


def _phrases(names: Any) -> list[list[str]]:
    given = names if isinstance(names, list) else [names]
    return [load_phrases(name) for name in given if isinstance(name, str)]


def _devices() -> list[str]:
    """Return what decides whether there is an accelerator, as far as it can be told without asking one."""
    nodes = sorted(str(path) for pattern in ("nvidia*", "kfd", "dri") for path in Path("/dev").glob(pattern))
    return [*nodes, *(f"{name}={value}" for name, value in sorted(os.environ.items()) if "VISIBLE_DEVICES" in name)]


@cache
def source_hash() -> str:
    """Return a hash of all source code of this package."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{file.relative_to(PACKAGE)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def remember(
    key: str | None, options: RunOptions, manifest: Mapping[str, Any], remarks: str, cells: Mapping[Place, Cell]
) -> None:
    """Keep what a finished run found, unless the store cannot be written."""
    if key is None:
        return
    specs = [[*place, cell.spec] for place, cell in cells.items()]
    content = {"key": key, "made": manifest, "remarks": remarks, "cells": specs}
    folder = Path(options.cells) / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / f"{key[:32]}.json", json.dumps(content, allow_nan=False))
    except OSError:
        pass


def recall(
    options: RunOptions, choices: Sequence[KnobChoice], records: Sequence[Record], command: str | None
) -> Known | None:
    """Return the finished run that ``options`` with ``choices`` of knobs ask for, if it is known and whole."""
    try:
        key = key_of(options, choices, records)
        file = Path(options.cells) / FOLDER / f"{str(key)[:32]}.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        if key is None or content["key"] != key:
            return None
        ids = [record.id for record in records]
        cells = {(str(name), int(seed)): Cell(Path(options.cells), spec, ids) for name, seed, spec in content["cells"]}
        manifest = {**content["made"], "command": command}
    except (OSError, ValueError, KeyError, TypeError, ZscError):
        return None
    if not all(cell.done() for cell in cells.values()):
        return None
    return Known(manifest, str(content["remarks"]), cells)
