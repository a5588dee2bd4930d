"""Pieces of work: shards of cells, each claimed by one worker, and what is there of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import Any

from zsc.generation.cells import Cell
from zsc.generation.generate import Job, fit_together
from zsc.generation.shards import Shard, names


@dataclass(frozen=True)
class Task:
    """A cell, the job that fills it, and the effect of its knobs, to be noted with it."""

    cell: Cell
    job: Job
    effect: dict[str, Any] | None


@dataclass(eq=False)
class Piece:
    """The part ``shard`` of a task. Responses to records before ``ready`` are there, and ``counted`` of them were told;
    the ``waiting`` ones come after others that are not there."""

    task: Task
    shard: Shard
    ready: int
    counted: int = 0
    waiting: dict[int, dict[str, Any]] = field(default_factory=dict)

    def begin(self) -> int:
        """Go on from what is there of it; return how many responses are there that were not counted."""
        self.ready = self.shard.start + self.shard.begin()
        return self._count(self.ready - self.shard.start)

    def put(self, items: Mapping[int, dict[str, Any]]) -> int:
        """Take ``items`` by the number of their record, append those whose turn it is, and return how many.

        Where another worker has taken the piece meanwhile, nothing is lacking any more.
        """
        if self.shard.lease.lost:
            self.ready = self.shard.stop
            self.waiting.clear()
            return 0
        self.waiting |= {number: item for number, item in items.items() if number >= self.ready}
        turn = list(takewhile(self.waiting.__contains__, count(self.ready)))
        self.shard.append([self.waiting.pop(number) for number in turn])
        self.ready += len(turn)
        return self._count(self.ready - self.shard.start)

    def finished(self) -> int:
        """Return how many of its responses were not counted yet, now that all are there."""
        return self._count(len(self.shard))

    def lacks(self, rows: Sequence[int]) -> bool:
        """Say whether the response to one of the records ``rows`` is lacking."""
        return any(row >= self.ready and row not in self.waiting for row in rows)

    def _count(self, there: int) -> int:
        more = max(0, there - self.counted)
        self.counted += more
        return more


def pieces_of(tasks: Iterable[Task], size: int) -> list[Piece]:
    """Return ``tasks`` in pieces of ``size`` records, all those of the same records one after the other."""
    pieces = [Piece(task, shard, shard.start) for task in tasks for shard in task.cell.shards(size)]
    return sorted(pieces, key=lambda piece: piece.shard.start)


def missing(pieces: Sequence[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Return those of ``pieces`` that are not there, and those among them that nobody makes."""
    cells = {id(piece.task): piece.task.cell for piece in pieces}
    there = {key: None if cell.done() else {*names(cell.path)} for key, cell in cells.items()}
    lacking, free = [], []
    for piece in pieces:
        listed = there[id(piece.task)]
        if listed is not None and piece.shard.path.name not in listed:
            lacking.append(piece)
            lease = piece.shard.lease
            if lease.path.name not in listed or lease.holder() is None:
                free.append(piece)
    return lacking, free


def claim(pieces: Sequence[Piece], most: int, leases: ExitStack) -> list[Piece]:
    """Return up to ``most`` of ``pieces``, of the same records and such as fit together, that nobody else makes; their
    leases are given back when ``leases`` closes."""
    group: list[Piece] = []
    for piece in pieces:
        if len(group) < most and (not group or _fit(group[0], piece)):
            cell, lease = piece.task.cell, piece.shard.lease
            cell.begin(piece.task.effect)
            with suppress(FileNotFoundError):  # the cell was finished meanwhile
                if lease.take():
                    leases.callback(lease.release)
                    if not (cell.done() or piece.shard.whole()):
                        group.append(piece)
    return group


def evenly(pieces: Sequence[Piece], most: int) -> int:
    """Return how many of ``pieces``, at most ``most``, go side by side so that those that fit the first make even
    groups."""
    fitting_first = sum(_fit(pieces[0], piece) for piece in pieces)
    return math.ceil(fitting_first / math.ceil(fitting_first / most))


def _fit(first: Piece, second: Piece) -> bool:
    return first.shard.start == second.shard.start and fit_together(first.task.job, second.task.job)
