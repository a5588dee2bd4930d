"""What lies in a store of cells, finished or not."""

from pathlib import Path

PASSING = (".lease", ".plan", ".partial", ".new", ".gone", ".now")  # endings of files that are there while one works


def kept(folder: Path) -> list[bytes]:
    """The whole responses in all cells below ``folder``, also while they are made."""
    lines = []
    for file in sorted(folder.glob("**/*.*")):
        if file.name == "items.jsonl" or (file.parent.name == "shards" and file.suffix in (".part", ".jsonl")):
            try:
                content = file.read_bytes()
            except FileNotFoundError:  # published or joined meanwhile
                continue
            lines += [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
    return lines


def files(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` that stays, by name."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in PASSING)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
