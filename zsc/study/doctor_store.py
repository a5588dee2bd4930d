"""Whether a file system can hold a store of cells that several workers, on several machines, work on."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from zsc.leases import LIMIT
from zsc.study.crew import present
from zsc.study.findings import Finding

SKEW = LIMIT / 4  # seconds between two clocks that are worth a word
SEEN = 5.0  # seconds after which a file that another process has made must be seen
ROOM = 2**30  # bytes
MAKES = "import pathlib, sys; sys.stdin.readline(); pathlib.Path(sys.argv[1]).write_text('made')"


def store(root: Path) -> Iterator[Finding]:
    """Try, in a folder of its own that is removed, what workers need of the file system of the store ``root``."""
    nearest = next(path for path in (root.absolute(), *root.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(nearest).free
    state, advice = ("ok", "") if free > ROOM else ("warn", "set cells=FOLDER to a place with room")
    yield Finding("store", state, f"{root}: {free / 2**30:.1f} GiB free", advice)  # type: ignore[arg-type]
    try:
        with TemporaryDirectory(prefix=".zsc-doctor-", dir=nearest) as folder:
            yield from _file_system(Path(folder))
    except OSError as error:
        yield Finding("store", "fail", f"{nearest} cannot be written: {error.strerror or error}", "set cells=FOLDER")
    if workers := present(root):
        yield Finding("workers", "ok", "; ".join(map(str, workers)))


def _file_system(folder: Path) -> Iterator[Finding]:
    yield (
        Finding("store: creation", "ok", "is exclusive")
        if _exclusive(folder)
        else Finding(
            "store: creation",
            "fail",
            "two can make the same file, so that two workers take the same",
            "use another place",
        )
    )
    yield (
        Finding("store: rename", "ok", "is atomic")
        if _renames_once(folder)
        else Finding(
            "store: rename", "fail", "does not replace a file, or finds one that was moved", "use another place"
        )
    )
    seen = _seen_after(folder)
    if seen is None:
        yield Finding("store: sight", "fail", f"a file of another process is not seen in {SEEN:.0f} s",
                      "mount it without caching of attributes")  # fmt: skip
    else:
        yield Finding("store: sight", "ok", f"a file of another process is seen after {1000 * seen:.0f} ms")
    skew = _skew(folder)
    if abs(skew) > SKEW:
        yield Finding("store: clock", "warn", f"is {skew:+.0f} s off this machine's; leases go by it", "set the clocks")
    else:
        yield Finding("store: clock", "ok", f"is {skew:+.1f} s off this machine's")


def _exclusive(folder: Path) -> bool:
    (folder / "lease").touch()
    try:
        os.close(os.open(folder / "lease", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return True
    return False


def _renames_once(folder: Path) -> bool:
    for name in ("old", "new"):
        (folder / name).write_text(name)
    (folder / "new").replace(folder / "old")
    try:
        (folder / "new").replace(folder / "old")
    except FileNotFoundError:
        return (folder / "old").read_text() == "new"
    return False


def _seen_after(folder: Path) -> float | None:
    """Return the seconds after which a file that another process makes is seen, with its content."""
    file = folder / "other"
    file.exists()  # so that its absence may be remembered
    with subprocess.Popen([sys.executable, "-c", MAKES, str(file)], stdin=subprocess.PIPE, text=True) as other:
        other.communicate("now\n")
    started = time.monotonic()
    while time.monotonic() - started < SEEN:
        if file.is_file() and file.read_text() == "made":
            return time.monotonic() - started
        time.sleep(0.001)
    return None


def _skew(folder: Path) -> float:
    """Return by how many seconds the clock of the file system is ahead of this machine's."""
    probe = folder / "clock"
    probe.touch()
    return probe.stat().st_mtime - time.time()
