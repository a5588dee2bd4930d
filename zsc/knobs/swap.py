"""Knob SWAP [I]: one component of the decoder replaced by another model's, or by controls [D]."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.anatomy import (
    COMPONENTS,
    check_choice,
    check_indices,
    check_integer,
    check_within,
    decoder_layers,
    head_count,
)
from zsc.knobs.base import Knob
from zsc.knobs.masks import precision
from zsc.knobs.parameters import component_parameters, replaced_parameters
from zsc.knobs.steering import changed_alone
from zsc.knobs.supported import check_model

OF_ANOTHER = ("other", "averaged")
DRAWN = ("random", "shuffled", "averaged_random")
SOURCES = (*OF_ANOTHER, "layer_mean", *DRAWN)


@dataclass(frozen=True)
class ComponentSwap(Knob):
    """Give the modules of one ``component`` of the decoder other weights, in ``layers`` or in all.

    A layer norm beside a module stays (in BART and T5); one inside it goes along (in BERT).

    ``by`` says whose: those of ``other``, a model whose decoder has the component in the same shapes; ``averaged``,
    half way between own and ``other``'s [D]; ``layer_mean``, the mean of the component over the decoder's layers [D];
    ``random``, normal with each tensor's own mean and standard deviation; ``shuffled``, each tensor's own entries in
    random order; or ``averaged_random``, half way between own and ``random``, without which ``averaged`` says little:
    half of the own weights may be all that is needed. The last three [D] draw with ``seed``, each tensor on its own,
    the same in whatever layers are swapped.

    Raises ValueError for an unknown ``component`` or ``by``, a missing ``other``, or ill-formed layers.
    """

    lists = frozenset({"layers"})
    precedence = 2

    component: str = "self_attention"
    by: str = "other"
    other: PreTrainedModel | None = field(default=None, repr=False, compare=False)
    layers: Sequence[int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("component", self.component, COMPONENTS)
        check_choice("by", self.by, SOURCES)
        check_integer("seed", self.seed, 0)
        if self.by in OF_ANOTHER and self.other is None:
            raise ValueError(f"by={self.by!r} needs another model in other.")
        check_indices("layers", self.layers)

    def __str__(self) -> str:
        seed = f" seed {self.seed}" if self.by in DRAWN else ""
        where = f", layers {' '.join(map(str, self.layers))}" if self.layers else ""
        return f"swap({self.component}, {self.by}{seed}{where})"

    @classmethod
    def moves(cls, values: Mapping[str, Any]) -> tuple[str, ...]:
        return ("distinct2",)

    @classmethod
    def needs_other(cls, values: Mapping[str, Any]) -> bool:
        return values.get("by", "other") in OF_ANOTHER

    @property
    def neutral(self) -> bool:
        return False

    @property
    def weights_alone(self) -> bool:
        return True

    def values(self, model: PreTrainedModel) -> dict[str, torch.Tensor]:
        """Return the new parameters by name inside the decoder. Raises ValueError if ``other`` does not fit."""
        check_within("layer", self.layers, len(decoder_layers(model)))
        layers = None if self.layers is None else set(self.layers)
        own = component_parameters(model, self.component, layers)
        if self.by in DRAWN:
            return {name: control(tensor.data, self.by, stream(self.seed, name)) for name, tensor in own.items()}
        if self.other is None or self.by == "layer_mean":
            means = layer_means(model, self.component)
            return {name: means[name] for name in own}
        check_alike(model, self.other)
        theirs = component_parameters(self.other, self.component, layers)
        for name, tensor in own.items():
            if name not in theirs or theirs[name].shape != tensor.shape:
                raise ValueError(f"the other model's decoder has no {name} of shape {tuple(tensor.shape)}.")
        share = 1.0 if self.by == "other" else 0.5
        return {name: torch.lerp(tensor.data, theirs[name].data.to(tensor), share) for name, tensor in own.items()}

    def check(self, model: PreTrainedModel, source: Source | None) -> None:
        """Raise what ``apply`` would, and UnsupportedModel for a model that does not decode soundly."""
        check_model(model)
        self.values(model)

    @contextmanager
    def apply(self, model: PreTrainedModel, source: Source | None) -> Iterator[None]:
        """Open a context in which the decoder of ``model`` has the other weights, which no other thread may use then.

        Raises ThreadConflict, beside what ``check`` raises, if one does.
        """
        with changed_alone(model, self.other), replaced_parameters(model.get_decoder(), self.values(model)):
            yield


def check_alike(model: PreTrainedModel, other: PreTrainedModel) -> None:
    """Raise ValueError unless the decoders of both are of one kind, with as many layers and heads."""
    for what, measure in (
        ("kind", lambda one: type(one.get_decoder()).__name__),
        ("number of layers", lambda one: len(decoder_layers(one))),
        ("number of heads", head_count),
    ):
        if (own := measure(model)) != (foreign := measure(other)):
            raise ValueError(f"the other model's decoder differs in its {what}: {foreign} instead of {own}.")


def layer_means(model: PreTrainedModel, component: str) -> dict[str, torch.Tensor]:
    """Return, for each parameter of ``component`` by name inside the decoder, its mean over the layers that have it."""
    alike: dict[str, list[str]] = {}
    tensors: dict[str, torch.Tensor] = {}
    for number, layer in enumerate(decoder_layers(model)):
        for name, parameter in component_parameters(model, component, {number}).items():
            alike.setdefault(name.removeprefix(layer.path), []).append(name)
            tensors[name] = parameter.data
    return {
        name: torch.stack([tensors[one] for one in names]).mean(dim=0) for names in alike.values() for name in names
    }


def stream(seed: int, name: str) -> int:
    """Return a seed of its own for the tensor called ``name``."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:4])


def control(tensor: torch.Tensor, kind: str, seed: int) -> torch.Tensor:
    """Return a tensor like ``tensor`` of one of the kinds in ``DRAWN``, drawn with ``seed`` on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    values = tensor.detach().to(precision(tensor.dtype)).cpu()
    if kind == "shuffled":
        drawn = values.flatten()[torch.randperm(values.numel(), generator=generator)].view_as(values)
    else:
        drawn = torch.randn(values.shape, generator=generator).to(values) * values.std(correction=0) + values.mean()
    if kind == "averaged_random":
        drawn = torch.lerp(values, drawn, 0.5)
    return drawn.to(tensor)
