"""What a training costs: seconds per step, bytes of the optimiser's state, bytes kept for the backward pass."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback


class StepTimes(TrainerCallback):
    """Seconds of each optimiser step from its first forward pass to its end, without loading data and evaluation."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.started = now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds.append(now() - self.started)


def now() -> float:
    """Return a clock's seconds once the accelerator, if there is one, has done what was asked of it."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return time.perf_counter()


def optimiser_bytes(optimiser: torch.optim.Optimizer) -> int:
    """Return the bytes of all tensors in the state of ``optimiser``."""
    states = optimiser.state.values()
    return sum(value.nbytes for state in states for value in state.values() if isinstance(value, torch.Tensor))


class Saved:
    """Storages that autograd kept for the backward pass, each counted once; ``bytes`` leaves out parameters."""

    def __init__(self, model: nn.Module):
        self._parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self._storages: dict[int, torch.UntypedStorage] = {}

    def add(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._parameters:
            self._storages[storage.data_ptr()] = storage
        return tensor

    @property
    def bytes(self) -> int:
        return sum(storage.nbytes() for storage in self._storages.values())


@contextmanager
def saved_activations(model: nn.Module) -> Iterator[Saved]:
    """Count what autograd keeps for the backward pass of what runs inside the context.

    All of it is held until the :class:`Saved` goes, so that no address is used twice: after a forward pass, ``bytes``
    is the peak that a backward pass starts from.
    """
    saved = Saved(model)
    with torch.autograd.graph.saved_tensors_hooks(saved.add, lambda tensor: tensor):
        yield saved
