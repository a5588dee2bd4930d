"""Find and read data files, with errors that say what to do: every file that a user names is read through here."""

import gzip
import json
import lzma
import os
import shlex
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zsc.data.card import load_card
from zsc.errors import ZscError, first_line

DATA_VARIABLE = "ZSC_DATA"
AGAIN = "Export or fetch the file again."
FETCH_AGAIN = "Fetch the file again."
ENCODINGS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
KINDS = {  # how files begin that are no plain text, what they are, and what makes text of them
    b"\x1f\x8b": "gzip: unpack it with gunzip",
    b"BZh": "bzip2: unpack it with bunzip2",
    b"\xfd7zXZ\0": "xz: unpack it with unxz",
    b"\x28\xb5\x2f\xfd": "Zstandard: unpack it with unzstd",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet: unpack it, or export it as CSV",
    b"PAR1": "Parquet: call it .parquet",
    b"ARROW1": "Arrow: write it as Parquet",
}

LONGEST_MARK = 8  # bytes, of which KINDS and ENCODINGS tell a file

PACKED = {".gz": gzip.decompress, ".xz": lzma.decompress}


class NotJson(ZscError):
    """A text that breaks the syntax of JSON, other than by its size or depth."""


class _Repeated(ValueError):
    """An object of JSON that has two fields of one name."""


def dataset_folder(loader: str, path: str | None, fetch: str) -> Path:
    """Return where a dataset lies: ``path``, else the first folder of $ZSC_DATA that bears a name on its card.

    ``fetch`` says in one sentence what to download. Raises ZscError with it if no such folder exists.
    """
    root = os.environ.get(DATA_VARIABLE)
    names = load_card(loader).folders
    folders = [Path(str(path))] if path else [Path(root) / name for name in names] if root else []
    for folder in folders:
        if folder.is_dir():
            return folder
    looked = f"no folder {' or '.join(map(str, folders))}" if folders else "no data folder given"
    raise ZscError(f"{loader}: {looked}. {fetch} Then set dataset.path=FOLDER, or {DATA_VARIABLE}=PARENT.")


@contextmanager
def guarded(where: str, remedy: str = AGAIN, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Return a context in which content that cannot be had becomes a ZscError, one line that begins with ``where``.

    Caught is what libraries raise for broken, hostile or unreachable content, and ``also`` errors of their own.
    """
    failures: tuple[type[Exception], ...] = (OSError, ValueError, OverflowError, *also)
    try:
        yield
    except ZscError:
        raise
    except RecursionError:
        raise ZscError(f"{where}: nested too deeply. {remedy}") from None
    except MemoryError:
        raise ZscError(
            f"{where}: exceeds the memory. Split the file, or leave columns out that are not needed."
        ) from None
    except PermissionError:
        raise ZscError(f"{where}: there is no permission to read it.") from None
    except failures as error:
        text = getattr(error, "strerror", None) or first_line(error).rstrip(".")
        raise ZscError(f"{where}: cannot be read ({text}). {remedy}") from error


def check_file(file: Path) -> Path:
    """Return ``file``. Raises ZscError unless it is a regular file."""
    with guarded(str(file), "Give the path of a file."):
        if file.is_file():
            return file
        if file.is_dir():
            raise ZscError(f"{file} is a folder. Give the path of a file in it.")
        if file.exists():
            raise ZscError(f"{file} is no regular file, such as a pipe. Save what it holds to a file first.")
    raise ZscError(f"no file {file}.")


def read_bytes(file: Path) -> bytes:
    """Return the content of a text file. Raises ZscError if it is missing, or clearly something else."""
    with guarded(str(check_file(file))):
        content = file.read_bytes()
    _check_beginning(content, file)
    return content


def byte_lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a text file one after another, each with the byte that it begins at.

    Raises ZscError as :func:`read_bytes`, and for UTF-16.
    """
    with guarded(str(check_file(file))), file.open("rb") as handle:
        beginning = handle.read(LONGEST_MARK)
        _check_beginning(beginning, file)
        if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
            decoded(beginning + handle.read(), file, str(file))  # which names the encoding
        handle.seek(0)
        begin = 0
        for ended in handle:
            for line in ended.splitlines(keepends=True):
                yield begin, line.rstrip(b"\r\n")
                begin += len(line)


def _check_beginning(content: bytes, file: Path) -> None:
    for beginning, kind in KINDS.items():
        if content.startswith(beginning):
            raise ZscError(f"{file} is no plain text but {kind}.")


def read_unpacked(file: Path) -> bytes:
    """Return the content of a file, unpacked if it is called ``.gz`` or ``.xz``. Raises ZscError if there is none."""
    unpack = PACKED.get(file.suffix.lower())
    if unpack is None:
        return read_bytes(file)
    with guarded(str(check_file(file)), FETCH_AGAIN, also=(lzma.LZMAError, EOFError, zlib.error)):
        return unpack(file.read_bytes())


def read_text(file: Path) -> str:
    """Return the text of a UTF-8 file, without its mark if it has one. Raises ZscError for what is none."""
    return decoded(read_bytes(file), file, str(file))


def decoded(content: bytes, file: Path, where: str) -> str:
    """Return ``content``, found in ``file`` at ``where``, as text. Raises ZscError unless it is UTF-8 without NUL."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        encoding = next((name for mark, name in ENCODINGS.items() if content.startswith(mark)), "WINDOWS-1252")
        fault = f"not UTF-8 text at byte {error.start}. {_conversion(encoding, file)}"
        raise ZscError(f"{where}{_line(content, error.start)}: {fault}") from None
    if "\0" in text:
        fault = f"no plain text, since it holds a NUL character. If it is UTF-16: {_conversion('UTF-16LE', file)}"
        raise ZscError(f"{where}{_line(content, content.index(0))}: {fault}")
    return text


def _line(content: bytes, at: int) -> str:
    """Name the line of byte ``at``, if ``content`` has several."""
    before = content[:at].count(b"\n")
    return f", line {before + 1}" if b"\n" in content else ""


def _conversion(encoding: str, file: Path) -> str:
    old, new = shlex.quote(file.name), shlex.quote(f"new{file.suffix}")
    return f"Convert it, for instance by `iconv -f {encoding} -t UTF-8 {old} > {new}`."


def parse_json(text: str, where: str, remedy: str = "", numbered: bool = False, unique: bool = False) -> Any:
    """Return the value of JSON ``text``. Raises ZscError, one line that begins with ``where``, for what cannot be read.

    ``numbered`` adds the line at fault; ``unique`` refuses objects with two fields of one name.
    """
    after = f" {remedy}" if remedy else ""
    try:
        return json.loads(text, object_pairs_hook=_unique if unique else None)
    except json.JSONDecodeError as error:
        line = f", line {error.lineno}" if numbered else ""
        raise NotJson(f"{where}{line}: not valid JSON ({error.msg}).{after}") from None
    except RecursionError:
        raise ZscError(f"{where}: not valid JSON (nested too deeply).{after}") from None
    except _Repeated as error:
        raise ZscError(f"{where}: two fields are called {error}. Rename or remove one of them.") from None
    except ValueError:  # of int(), whose text is about a limit of Python
        raise ZscError(f"{where}: holds a whole number of thousands of digits.{after}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Repeated(repr(name))
        found[name] = value
    return found


def read_json(file: Path, fetch: str) -> Any:
    """Return the decoded JSON file. Raises ZscError if it is missing (with ``fetch``) or broken (with the line)."""
    if not file.exists():
        raise ZscError(f"missing file {file}. {fetch}")
    return parse_json(read_text(file), str(file), FETCH_AGAIN, numbered=True)
