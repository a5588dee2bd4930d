"""Linear layers on the CPU by oneDNN, with weights that are laid out for its kernels once (prepacking) [D].

In float32 torch computes them by MKL, which lays the weights out again in every call, and has no kernels with AVX-512
for processors that are not Intel's. oneDNN's kernels are chosen by what a processor can do, and give a row the same
numbers however many rows are beside it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeGuard
from weakref import WeakKeyDictionary

import psutil
import torch
from torch import nn

SHARE = 0.5  # of the memory that is free, for weights laid out once more
PROCESSORS = ("AVX2", "AVX512")
TOLERANCE = 1e-4


class Packed(NamedTuple):
    """``weights`` for oneDNN, of the ``weight`` when its numbers were ``data``, which had so many changes
    (``version``)."""

    weight: torch.Tensor
    data: torch.Tensor
    version: int
    weights: torch.Tensor

    def still(self, weight: torch.Tensor) -> bool:
        """Say whether ``weight`` is that one, and as it was."""
        data = self.data
        return (
            weight is self.weight
            and weight._version == self.version
            and weight.data_ptr() == data.data_ptr()
            and weight.stride() == data.stride()
            and weight.shape == data.shape
        )


@dataclass
class Layout:
    """The weight of a layer as oneDNN wants it; ``users`` counts the contexts that are open on it."""

    users: int = 0
    packed: Packed | None = None  # all at once, since threads share it

    def of(self, weight: torch.Tensor) -> torch.Tensor:
        """Return ``weight`` laid out, again if it is another, or was changed, since the last time."""
        known = self.packed
        if known is None or not known.still(weight):
            version, data = weight._version, weight.detach()
            known = self.packed = Packed(weight, data, version, _laid_out(data))
        return known.weights


_LAYOUTS: "WeakKeyDictionary[nn.Module, Layout]" = WeakKeyDictionary()
_LOCK = threading.Lock()


class Prepacked(nn.Linear):
    """A linear layer while :func:`prepacked` is open on it. A copy of it is an ordinary one.

    What oneDNN does not do is computed as ever: with gradients, in other numbers, in a model that is compiled.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        layout, weight = _LAYOUTS.get(self), self.weight
        if (
            torch.compiler.is_compiling()
            or torch.jit.is_tracing()
            or layout is None
            or torch.is_grad_enabled()
            or torch.is_autocast_enabled("cpu")
            or not input.dtype == weight.dtype == torch.float32
            or not input.device == weight.device == torch.device("cpu")
            or weight.is_inference()  # which has no version
            or not weight.numel()
            or input.shape[-1:] != weight.shape[1:]
        ):
            return nn.functional.linear(input, weight, self.bias)
        return _linear(input, layout.of(weight), self.bias)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return object.__new__, (nn.Linear,), self.__dict__.copy()


@contextmanager
def prepacked(*models: nn.Module) -> Iterator[None]:
    """While the context is open, the linear layers of ``models`` that stand on the CPU, in float32, compute by oneDNN.

    Where torch has it not, or the memory does not hold the weights twice, nothing changes. What gives a layer other
    weights meanwhile, or changes them, is seen, but for changes in place of a parameter's ``data``. Contexts nest, in
    any order and thread.
    """
    layers = list({one: None for model in models for one in model.modules() if _fits(one)})
    size = sum(one.weight.nbytes for one in layers)
    if not layers or not available() or size > SHARE * psutil.virtual_memory().available:
        yield
        return
    with _LOCK:
        for one in layers:
            _LAYOUTS.setdefault(one, Layout()).users += 1
            one.__class__ = Prepacked
    try:
        yield
    finally:
        with _LOCK:
            for one in layers:
                _LAYOUTS[one].users -= 1
                if not _LAYOUTS[one].users:
                    del _LAYOUTS[one]
                    one.__class__ = nn.Linear


@cache
def available() -> bool:
    """Say whether torch has oneDNN's linear layer, which is none of its public functions, and that is one."""
    if not torch.backends.mkldnn.is_available() or torch.backends.cpu.get_cpu_capability() not in PROCESSORS:
        return False
    generator = torch.Generator().manual_seed(0)
    weight, bias, rows = (torch.randn(*shape, generator=generator) for shape in ((5, 40), (5,), (3, 40)))
    expected = nn.functional.linear(rows, weight, bias)
    try:
        actual = _linear(rows, _laid_out(weight), bias)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return bool(torch.allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE))


def _fits(layer: nn.Module) -> TypeGuard[nn.Linear]:
    if type(layer) not in (nn.Linear, Prepacked):
        return False
    weight: Any = layer.weight
    return bool(weight.dtype == torch.float32 and weight.device.type == "cpu")


def _laid_out(weight: torch.Tensor) -> torch.Tensor:
    operators: Any = torch.ops.mkldnn
    packed: torch.Tensor = operators._reorder_linear_weight(weight)
    return packed


def _linear(rows: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    operators: Any = torch.ops.mkldnn
    result: torch.Tensor = operators._linear_pointwise(rows, packed, bias, "none", [], "")
    return result
