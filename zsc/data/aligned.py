"""Text files whose lines belong together, as parallel corpora come."""

from collections.abc import Sequence
from pathlib import Path

from zsc.data.files import decoded, read_unpacked
from zsc.errors import ZscError


def read_lines(file: Path) -> list[str]:
    """Return the lines of a UTF-8 text file, packed as ``.gz`` or ``.xz`` or not.

    Only line feeds end a line: other marks that Unicode counts as ends may stand in a text. Raises ZscError for what is
    no such file.
    """
    found = decoded(read_unpacked(file), file, str(file)).split("\n")
    return found if found[-1] else found[:-1]


def read_aligned(files: Sequence[Path]) -> list[tuple[str, ...]]:
    """Return each line of the first of ``files`` with those of the others at its place. Raises ZscError where the
    numbers of lines differ."""
    columns = [read_lines(file) for file in files]
    for file, column in zip(files, columns, strict=True):
        if len(column) != len(columns[0]):
            raise ZscError(
                f"{file} has {len(column):,} lines and {files[0]} {len(columns[0]):,}. Line by line they must belong"
                " together: fetch both again, or leave out what one lacks."
            )
    return list(zip(*columns, strict=True))
