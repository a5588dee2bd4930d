"""Sources that rows have in common: their keys are kept once, and read once a step for all of these rows together [D].

Cross-attention knows no order among queries, so that the rows that read a source may be so many queries to it: its
modules are given sources as rows, and the hidden states of those that read one side by side.
"""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import torch
from torch import nn

from zsc.generation.slots.holes import filled
from zsc.knobs.contexts import hooked
from zsc.knobs.prompt_masks import named_arguments

SIZED = ("key_value_states", "encoder_hidden_states")  # of which a module that has the keys reads no more than sizes


class Sources:
    """Which source each row reads: ``of`` is its place, row by row."""

    def __init__(self) -> None:
        self.of: list[int] = []
        self.names: list[Hashable] = []
        self._places: dict[Hashable, int] = {}

    def begin(self, names: Sequence[Hashable]) -> list[int]:
        """Take in a row for each of ``names``, those of what it reads; return the numbers of the first of new ones."""
        new = []
        for number, name in enumerate(names):
            if name not in self._places:
                self._places[name] = len(self.names)
                self.names.append(name)
                new.append(number)
            self.of.append(self._places[name])
        return new

    def end(self, moved: Sequence[tuple[int, int]], left: int) -> list[tuple[int, int]]:
        """Let the rows go behind the ``left`` first ones, once those that stay have ``moved``; return from where to
        where sources move into the places of those that no row reads."""
        for source, target in moved:
            self.of[target] = self.of[source]
        del self.of[left:]
        read = {*self.of}
        moves = filled([place for place in range(len(self.names)) if place not in read], len(self.names))
        for source, target in moves:
            self.names[target] = self.names[source]
        del self.names[len(read) :]
        self._places = {name: place for place, name in enumerate(self.names)}
        now = dict(moves)
        self.of = [now.get(place, place) for place in self.of]
        return moves


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows by the source that they read: ``rows`` (sources, queries) of each, the first one again where it has fewer,
    and ``places`` (rows,) of rows among them. ``alone``: each row reads the source in its own place."""

    rows: torch.Tensor
    places: torch.Tensor
    alone: bool

    def gather(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the arguments of a cross-attention, those of rows with one query each, as those of sources."""
        given = named_arguments(module, args, kwargs)
        for name, one in given.items():
            if not isinstance(one, torch.Tensor) or len(one) != len(self.places):
                continue
            if name in SIZED:
                given[name] = one[: len(self.rows)]
            elif one.dim() == 4:  # a mask, or what stands for one: (rows, heads or 1, 1, positions)
                given[name] = one[self.rows, :, 0].transpose(1, 2)
            elif one.dim() == 3:
                given[name] = one[self.rows, 0]
        return (), given

    def scatter(self, output: Any) -> Any:
        """Return the hidden states (sources, queries, width) that a module gives as those of rows (rows, 1, width)."""
        states = output if isinstance(output, torch.Tensor) else output[0]
        rows = states.flatten(0, 1)[self.places, None]
        return rows if states is output else (rows, *output[1:])


def groups_of(sources: Sequence[int], device: torch.device) -> Groups:
    """Return the groups of rows that read ``sources``, which are numbered from 0."""
    members: list[list[int]] = [[] for _ in range(max(sources) + 1)]
    for row, source in enumerate(sources):
        members[source].append(row)
    most = max(map(len, members))
    places = [0] * len(sources)
    for source, own in enumerate(members):
        for number, row in enumerate(own):
            places[row] = source * most + number
    rows = [own + own[:1] * (most - len(own)) for own in members]
    alone = [*sources] == [*range(len(sources))]
    return Groups(torch.tensor(rows, device=device), torch.tensor(places, device=device), alone)


@contextmanager
def grouped(modules: Sequence[nn.Module], groups: Groups) -> Iterator[None]:
    """While the context is open, this thread runs the cross-attention ``modules`` by source."""
    thread = get_ident()

    def before(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        return groups.gather(module, args, kwargs) if get_ident() == thread else None

    def behind(module: nn.Module, args: Any, output: Any) -> Any:
        return groups.scatter(output) if get_ident() == thread else None

    def register() -> list[Any]:
        handles = [one.register_forward_pre_hook(before, with_kwargs=True) for one in modules]
        return handles + [one.register_forward_hook(behind) for one in modules]

    with hooked(register):
        yield
