"""How what knobs add is put into decoders of each kind: what the source's keys are, and which queries are weighted."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import PreTrainedModel

from zsc.knobs.additions import Additions
from zsc.knobs.anatomy import decoder_layers, is_causal, masked_in_layers, merges_attention
from zsc.knobs.cache import given_cache
from zsc.knobs.in_layers import LayerMask, layer_masks
from zsc.knobs.masks import Bias, attended_mask, biased, causal_mask, check_rows, log_weights, with_columns
from zsc.knobs.prompt_masks import PromptMask, named_arguments, prompt_masks

Layered = Mapping[str, Mapping[int, torch.Tensor | LayerMask | PromptMask]]  # by kind of attention and layer


class Steering(ABC):
    """What becomes of the arguments of a decoder of one kind. ``attended`` names its kinds of attention, with the
    components that compute them."""

    attended: ClassVar[Mapping[str, str]] = {"past": "self_attention", "cross": "cross_attention"}
    in_layers: ClassVar[bool] = True

    @abstractmethod
    def rewrite(
        self, decoder: nn.Module, added: Additions, args: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, dict[str, Any], Layered]:
        """Return the arguments of the forward of ``decoder`` with what is ``added``, and the masks of single layers."""


def steering_of(model: PreTrainedModel) -> Steering:
    """Return how knobs are put into the decoder of ``model``."""
    if is_causal(model):
        return PromptSteering(len(decoder_layers(model)))
    if not masked_in_layers(model):
        return CrossSteering()
    return (MergedSteering if merges_attention(model) else LayerSteering)(len(decoder_layers(model)))


class CrossSteering(Steering):
    """Of decoders that use the masks they are given: in most families of encoder-decoders."""

    in_layers = False

    def rewrite(
        self, decoder: nn.Module, added: Additions, args: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, dict[str, Any], Layered]:
        inputs, steps = _read(decoder, args, kwargs)
        states = kwargs["encoder_hidden_states"]
        changed: dict[str, Any] = {}
        every: dict[str, Mapping[int, torch.Tensor]] = {}
        if added.cross or added.codes:
            base = attended_mask(kwargs.get("encoder_attention_mask"), states, len(steps))
            common, layered = _masks(added.cross, base, steps)
            if int(steps[0]) == 0 or len(added.cross) > 1:
                for mask in (common, *layered.values()):
                    check_rows(mask, "source")
            for code in added.codes:
                rows = code.states.to(states).repeat_interleave(states.shape[0] // code.states.shape[0], dim=0)
                states = torch.cat([rows, states], dim=1)
                common = with_columns(common, rows.shape[1], code.strength)
                layered |= {i: with_columns(mask, rows.shape[1], code.strength) for i, mask in layered.items()}
            changed |= {"encoder_hidden_states": states, "encoder_attention_mask": common}
            every["cross"] = layered
        if added.past:
            base = causal_mask(kwargs.get("attention_mask"), steps, inputs.shape[0], states.dtype)
            common, layered = _masks(added.past, base, steps)
            if len(added.past) > 1:
                for mask in (common, *layered.values()):
                    check_rows(mask, "past")
            changed["attention_mask"] = common
            every["past"] = layered
        return args, kwargs | changed, every


@dataclass(frozen=True)
class LayerSteering(Steering):
    """Of decoders that need masks in their ``depth`` layers: see :mod:`zsc.knobs.in_layers`."""

    depth: int
    merged: ClassVar[bool] = False

    def rewrite(
        self, decoder: nn.Module, added: Additions, args: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, dict[str, Any], Layered]:
        _, steps = _read(decoder, args, kwargs)
        states, mask = kwargs["encoder_hidden_states"], kwargs.get("encoder_attention_mask")
        states, mask, masks = layer_masks(
            added.cross, added.past, added.codes, states, mask, steps, self.depth, self.merged
        )
        return args, kwargs | {"encoder_hidden_states": states, "encoder_attention_mask": mask}, masks


class MergedSteering(LayerSteering):
    """Of a decoder that attends to its past and the source in one module."""

    merged = True
    attended: ClassVar[Mapping[str, str]] = {"past": "self_attention"}


@dataclass(frozen=True)
class PromptSteering(Steering):
    """Of a decoder alone, whose past is its source: see :mod:`zsc.knobs.prompt`."""

    depth: int
    attended: ClassVar[Mapping[str, str]] = {"past": "self_attention"}

    def rewrite(
        self, decoder: nn.Module, added: Additions, args: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, dict[str, Any], Layered]:
        assert added.prompt is not None
        given = named_arguments(decoder, args, kwargs)
        inputs, steps = _read(decoder, (), given)
        masks = prompt_masks(
            added.cross, added.past, added.codes, added.prompt, int(steps[0]), inputs, given.get("attention_mask"),
            next(decoder.parameters()).dtype, self.depth,
        )  # fmt: skip
        return args, kwargs, {"past": masks}


def _read(decoder: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a decoder reads, (rows, queries, ...), and the positions (queries,) behind what it has cached."""
    if args:
        raise ValueError("a decoder with knobs on takes its arguments by name.")
    inputs = kwargs["input_ids"] if kwargs.get("input_ids") is not None else kwargs["inputs_embeds"]
    cache = given_cache(decoder, kwargs)
    check_cache(cache)
    seen = 0 if cache is None else int(cache.get_seq_length())
    return inputs, torch.arange(seen, seen + inputs.shape[1], device=inputs.device)


def _masks(
    biases: Sequence[Bias], base: torch.Tensor, steps: torch.Tensor
) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    """Return the mask of all layers and, by number, those of layers with biases of their own."""
    logs = [(bias, log_weights(bias, steps, base.shape[-1], base)) for bias in biases]
    common = biased(base, [(bias, log) for bias, log in logs if bias.layers is None])
    numbers = sorted({layer for bias in biases for layer in bias.layers or ()})
    return common, {
        number: biased(base, [(bias, log) for bias, log in logs if bias.layers is None or number in bias.layers])
        for number in numbers
    }


def check_cache(cache: Any) -> None:
    """Raise ValueError for a cache of fixed size, whose masks and states have another shape than the knobs expect."""
    if cache is not None and cache.is_compileable:
        raise ValueError("knobs need a cache that grows: leave cache_implementation at its default (dynamic).")
