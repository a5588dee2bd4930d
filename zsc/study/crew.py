"""Who works on a store of cells: how many, whether they were started together, and whether they make the same."""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zsc.errors import ZscError
from zsc.generation.cells import Cell, Place, hashed, writing
from zsc.leases import Holder, Lease

FOLDER = ".workers"  # in the store of cells
RANKS = (  # variables that launchers set: the number of a process among those started together, and how many they are
    ("RANK", "WORLD_SIZE"),  # torchrun, accelerate
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),  # srun
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # mpirun
)
ARRAY = "SLURM_ARRAY_TASK_COUNT"
MADE_BY = (
    "weights",
    "model",
    "code",
    "libraries",
)  # parts of a cell's spec that are of the worker, not of what is asked

_here: dict[Path, Lease] = {}


def rank() -> int:
    """Return the number of this process among those that were started together, 0 for one by itself."""
    return _started_as()[0]


def started_together() -> int | None:
    """Return how many processes were started together with this one, itself included, where a launcher says so."""
    return _started_as()[1] or _number(ARRAY)


def _started_as() -> tuple[int, int | None]:
    for of_rank, of_size in RANKS:
        number, size = _number(of_rank), _number(of_size)
        if number is not None and size is not None:
            return number, size
    return 0, None


def _number(variable: str) -> int | None:
    value = os.environ.get(variable, "")
    return int(value) if value.isdecimal() else None


@contextmanager
def at_work(root: Path) -> Iterator[None]:
    """Open a context in which this process counts among those that work on the store ``root``.

    Of folders that it makes, those in which nothing lies at the end are removed.
    """
    if root in _here:
        yield
        return
    made = [folder for folder in (root / FOLDER, root, *root.parents) if not folder.exists()]
    lease = Lease(root / FOLDER / f"{uuid.uuid4().hex}.lease")
    with writing(root):
        while True:
            (root / FOLDER).mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # removed meanwhile, by another that came to its end
                lease.take()
                break
    _here[root] = lease
    try:
        yield
    finally:
        _here.pop(root).release()
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


def present(root: Path) -> list[Holder]:
    """Return the processes that work on the store ``root``."""
    return [holder for file in (root / FOLDER).glob("*.lease") if (holder := Lease(file).holder()) is not None]


@contextmanager
def making(root: Path, cells: Mapping[Place, Cell], refuse: bool) -> Iterator[str]:
    """Open a context in which others can see what cells this process makes of what it was asked for; it says how those
    of somebody who was there before and was asked for the same differ. Raises ZscError instead, if it is to
    ``refuse``."""
    asked = hashed([[*place, _asked(cell)] for place, cell in cells.items()])
    made_by = {name: hashed([cell.spec[name] for cell in cells.values()])[:12] for name in MADE_BY}
    lease = Lease(root / FOLDER / f"{uuid.uuid4().hex}.plan")
    lease.take(asked=asked, made_by=made_by)
    try:
        mine = lease.holder()
        others = [holder for file in (root / FOLDER).glob("*.plan") if (holder := Lease(file).holder()) is not None]
        before = [
            one for one in others if one.says.get("asked") == asked and mine is not None and one.since < mine.since
        ]
        why = next(filter(None, (_difference(made_by, one) for one in before)), "")
        if why and refuse:
            raise ZscError(f"{why} Workers need the same model, code and packages, and the same kind of device.")
        yield why
    finally:
        lease.release()


def _difference(mine: Mapping[str, str], other: Holder) -> str:
    theirs = other.says.get("made_by", {})
    parts = [
        f"{name} {mine[name]} in place of {theirs.get(name)}" for name in MADE_BY if theirs.get(name) != mine[name]
    ]
    return f"this makes other cells than {other}: {', '.join(parts)}." if parts else ""


def _asked(cell: Cell) -> dict[str, Any]:
    return {name: part for name, part in cell.spec.items() if name not in MADE_BY}
