"""What lies in a store of cells, finished or not."""

import os
from pathlib import Path

PASSING = (".lease", ".plan", ".partial", ".new", ".gone", ".now")  # endings of files that are there while one works


def kept(folder: Path) -> list[bytes]:
    """The whole responses in all cells below ``folder``, each once, also while they are made."""
    lines: dict[tuple[Path, bytes], None] = {}
    # os.walk passes over folders that are removed meanwhile
    there = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    for file in sorted(there):
        if file.name == "items.jsonl" or (file.parent.name == "shards" and file.suffix in (".part", ".jsonl")):
            try:
                content = file.read_bytes()
            except FileNotFoundError:  # published or joined meanwhile
                continue
            cell = file.parent.parent if file.parent.name == "shards" else file.parent
            lines |= {(cell, line): None for line in content.splitlines(keepends=True) if line.endswith(b"\n")}
    return [line for _, line in lines]


def files(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` that stays, by name."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in PASSING)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
