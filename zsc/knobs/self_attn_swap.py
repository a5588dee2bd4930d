"""Knob SWAP [I]: the decoder's self-attention replaced by another model's, or by controls [D]."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from zsc.data.layout import Source
from zsc.knobs.anatomy import check_choice, check_indices, check_whole, check_within, decoder_layers
from zsc.knobs.parameters import component_parameters, replaced_parameters

SOURCES = ("other", "random", "shuffled")


@dataclass(frozen=True)
class SelfAttentionSwap:
    """Give the decoder's self-attention modules other weights, in ``layers`` or in all.

    A layer norm beside the module stays (in BART and T5); one inside it goes along (in BERT).

    ``by`` says whose: those of ``other``, a model with decoder self-attention of the same shapes; ``random``, normal
    with each tensor's own mean and standard deviation; or ``shuffled``, each tensor's own entries in random order. The
    two controls [D] draw with ``seed``, each tensor on its own.

    Raises ValueError for an unknown ``by``, a missing ``other``, or ill-formed layers.
    """

    by: str = "other"
    other: PreTrainedModel | None = field(default=None, repr=False, compare=False)
    layers: Sequence[int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("by", self.by, SOURCES)
        check_whole("seed", self.seed, 0)
        if self.by == "other" and self.other is None:
            raise ValueError("by='other' needs another model in other.")
        check_indices("layers", self.layers)

    def __str__(self) -> str:
        seed = f" seed {self.seed}" if self.by != "other" else ""
        where = f", layers {' '.join(map(str, self.layers))}" if self.layers else ""
        return f"self_attn_swap({self.by}{seed}{where})"

    @property
    def neutral(self) -> bool:
        return False

    def values(self, model: PreTrainedModel) -> dict[str, torch.Tensor]:
        """Return the new parameters by name inside the decoder. Raises ValueError if ``other`` does not fit."""
        check_within("layer", self.layers, len(decoder_layers(model)))
        layers = None if self.layers is None else set(self.layers)
        own = component_parameters(model, "self_attention", layers)
        if self.other is None or self.by != "other":
            return {name: control(tensor.data, self.by, self.seed + i) for i, (name, tensor) in enumerate(own.items())}
        theirs = component_parameters(self.other, "self_attention", layers)
        for name, tensor in own.items():
            if name not in theirs or theirs[name].shape != tensor.shape:
                raise ValueError(f"the other model's decoder has no {name} of shape {tuple(tensor.shape)}.")
        return {name: theirs[name].data for name in own}

    def check(self, model: PreTrainedModel, source: Source | None) -> None:
        """Raise what ``apply`` would."""
        self.values(model)

    def apply(self, model: PreTrainedModel, source: Source | None) -> AbstractContextManager[object]:
        """Return a context in which the decoder of ``model`` has the other self-attention."""
        return replaced_parameters(model.get_decoder(), self.values(model))


def control(tensor: torch.Tensor, kind: str, seed: int) -> torch.Tensor:
    """Return a ``random`` or ``shuffled`` tensor like ``tensor``, drawn with ``seed`` on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    values = tensor.detach().float().cpu()
    if kind == "shuffled":
        drawn = values.flatten()[torch.randperm(values.numel(), generator=generator)].view_as(values)
    else:
        drawn = torch.randn(values.shape, generator=generator) * values.std(correction=0) + values.mean()
    return drawn.to(tensor)
