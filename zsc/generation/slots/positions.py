"""Embeddings of positions for rows at steps of their own, in decoders that count them from what is cached."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import torch
from torch import nn

NAMES = ("embed_positions", "position_embeddings", "wpe")


class Replay:
    """What modules gave at each position so far, given again to rows that come to it later.

    The row that is furthest decides how long the cache is, and so what a module gives of itself; no row can be at a
    position where none has been. Some families give a pad token that is said a position of its own, which it keeps.
    """

    def __init__(self) -> None:
        self.steps: torch.Tensor | None = None
        self.pads: torch.Tensor | None = None
        self.thread = get_ident()
        self.seen: dict[nn.Module, dict[int, torch.Tensor]] = {}

    @contextmanager
    def at(self, steps: torch.Tensor, pads: torch.Tensor) -> Iterator[None]:
        """While the context is open, rows are at ``steps`` (rows,); ``pads`` (rows,) says which read a pad token."""
        self.steps, self.pads = steps, pads
        try:
            yield
        finally:
            self.steps = self.pads = None

    def __call__(self, module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor | None:
        if self.steps is None or self.pads is None or get_ident() != self.thread:
            return None
        given, seen = output.reshape(-1, output.shape[-1]), self.seen.setdefault(module, {})
        by_row = len(given) == len(self.steps)
        if not by_row or not bool(self.pads.all()):
            seen[int(self.steps.max())] = given[int((~self.pads).nonzero()[0])] if by_row else given[0]
        steps = self.steps.tolist()
        if missing := {*steps} - {*seen} - ({*self.steps[self.pads].tolist()} if by_row else set()):
            raise ValueError(f"no row has been at position {min(missing)} yet.")
        rows = torch.stack([seen.get(step, given[0]) for step in steps])
        return (torch.where(self.pads[:, None], given, rows) if by_row else rows)[:, None]


@contextmanager
def replayed_positions(decoder: nn.Module) -> Iterator[Replay]:
    """While the context is open, ``decoder`` embeds positions of each row at its own step."""
    replay = Replay()
    found = [module for name, module in decoder.named_modules() if name.rpartition(".")[2] in NAMES]
    handles = [module.register_forward_hook(replay) for module in found]
    try:
        yield replay
    finally:
        for handle in handles:
            handle.remove()
