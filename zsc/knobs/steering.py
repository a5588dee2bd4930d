"""What knobs add to a decoder while it runs: weights on what it attends to, and states beside the encoder's.

One forward pre-hook on the decoder carries every knob that is active, so that knobs combine the same way in whatever
order they were entered: weights multiply, codes stand side by side.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from transformers import PreTrainedModel

from zsc.knobs.anatomy import decoder_layers, masked_in_layers, merges_attention
from zsc.knobs.cache import given_cache
from zsc.knobs.in_layers import LayerMask, layer_masks
from zsc.knobs.masks import Bias, Code, attended_mask, biased, causal_mask, check_rows, with_columns

MASK_NAMES = ("merged_attention_mask", "encoder_attention_mask", "attention_mask", "mask")


@dataclass(frozen=True, eq=False)
class Additions:
    """What knobs add to a decoder: biases of cross-attention and of attention to its own past, and codes."""

    cross: Sequence[Bias] = ()
    past: Sequence[Bias] = ()
    codes: Sequence[Code] = ()

    def __bool__(self) -> bool:
        return bool(self.cross or self.past or self.codes)


@dataclass(eq=False)
class Steering:
    """Everything active on one decoder. ``in_layers``: see :func:`zsc.knobs.anatomy.masked_in_layers`."""

    in_layers: bool = False
    merged: bool = False
    depth: int = 0
    cross: list[Bias] = field(default_factory=list)
    past: list[Bias] = field(default_factory=list)
    codes: list[Code] = field(default_factory=list)
    handle: Any = None
    layered: dict[str, dict[int, torch.Tensor]] | dict[str, dict[int, LayerMask]] = field(default_factory=dict)

    def empty(self) -> bool:
        return not (self.cross or self.past or self.codes)

    def rewrite(self, decoder: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the arguments of the forward of ``decoder`` with what is active put in."""
        if args:
            raise ValueError("a decoder with knobs on takes its arguments by name.")
        inputs = kwargs["input_ids"] if kwargs.get("input_ids") is not None else kwargs["inputs_embeds"]
        cache = given_cache(decoder, kwargs)
        check_cache(cache)
        seen = 0 if cache is None else int(cache.get_seq_length())
        queries = inputs.shape[1]
        steps = torch.arange(seen, seen + queries, device=inputs.device)
        states = kwargs["encoder_hidden_states"]
        if self.in_layers:
            mask = kwargs.get("encoder_attention_mask")
            states, mask, self.layered = layer_masks(
                self.cross, self.past, self.codes, states, mask, steps, self.depth, self.merged
            )
            return args, kwargs | {"encoder_hidden_states": states, "encoder_attention_mask": mask}
        changed: dict[str, Any] = {}
        if self.cross or self.codes:
            base = attended_mask(kwargs.get("encoder_attention_mask"), states, queries)
            whole, layered = self._masks("cross", self.cross, base, steps)
            if seen == 0 or len(self.cross) > 1:
                for mask in (whole, *layered.values()):
                    check_rows(mask, "source")
            for code in self.codes:
                rows = code.states.to(states).repeat_interleave(states.shape[0] // code.states.shape[0], dim=0)
                states = torch.cat([rows, states], dim=1)
                whole = with_columns(whole, rows.shape[1], code.strength)
                layered |= {i: with_columns(mask, rows.shape[1], code.strength) for i, mask in layered.items()}
            changed |= {"encoder_hidden_states": states, "encoder_attention_mask": whole}
        if self.past:
            base = causal_mask(kwargs.get("attention_mask"), steps, inputs.shape[0], states.dtype)
            whole, layered = self._masks("past", self.past, base, steps)
            if len(self.past) > 1:
                for mask in (whole, *layered.values()):
                    check_rows(mask, "past")
            changed["attention_mask"] = whole
        return args, kwargs | changed

    def _masks(
        self, kind: str, biases: list[Bias], base: torch.Tensor, steps: torch.Tensor
    ) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
        """Return the mask of all layers and, by number, those of layers with biases of their own.

        The latter are kept for the hooks of these layers.
        """
        logs = [(bias, bias.weights(steps, base.shape[-1]).to(base.device).log()) for bias in biases]
        whole = biased(base, [(bias, log) for bias, log in logs if bias.layers is None])
        numbers = sorted({layer for bias in biases for layer in bias.layers or ()})
        self.layered[kind] = {
            number: biased(base, [(bias, log) for bias, log in logs if bias.layers is None or number in bias.layers])
            for number in numbers
        }
        return whole, self.layered[kind]


def check_cache(cache: Any) -> None:
    """Raise ValueError for a cache of fixed size, whose masks and states have another shape than the knobs expect."""
    if cache is not None and cache.is_compileable:
        raise ValueError("knobs need a cache that grows: leave cache_implementation at its default (dynamic).")


_ACTIVE: "WeakKeyDictionary[nn.Module, Steering]" = WeakKeyDictionary()


def steering_hook(decoder: nn.Module) -> Callable[..., Any]:
    """Return a forward pre-hook that applies what is active on ``decoder`` at the time of a call, if anything is."""

    def rewrite(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        steering = _ACTIVE.get(decoder)
        return (args, kwargs) if steering is None else steering.rewrite(module, args, kwargs)

    return rewrite


def layer_hooks(model: PreTrainedModel, leader: nn.Module) -> list[Any]:
    """Register hooks that give the layers of ``model``'s decoder the masks that ``leader``, itself or another decoder,
    has for single layers at the time of a call. Return their handles."""

    def replace(kind: str, number: int) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            steering = _ACTIVE.get(leader)
            mask = None if steering is None else steering.layered.get(kind, {}).get(number)
            return (args, kwargs) if mask is None else _with_mask(module, args, kwargs, mask)

        return hook

    kinds = {"past": "self_attention"} | ({} if merges_attention(model) else {"cross": "cross_attention"})
    return [
        layer.component(component)[1].register_forward_pre_hook(replace(kind, number), with_kwargs=True)
        for number, layer in enumerate(decoder_layers(model))
        for kind, component in kinds.items()
    ]


@contextmanager
def removed(handles: Sequence[Any]) -> Iterator[None]:
    """Remove the hooks of ``handles`` when the context closes."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _with_mask(
    module: nn.Module, args: Any, kwargs: dict[str, Any], mask: torch.Tensor | LayerMask
) -> tuple[Any, dict[str, Any]]:
    """Return the arguments of an attention module's forward with ``mask``, or what it makes of the module's own."""
    signature = inspect.signature(module.forward)
    bound = signature.bind(*args, **kwargs)
    own = [name for name in MASK_NAMES if bound.arguments.get(name) is not None and bound.arguments[name].dim() == 4]
    if isinstance(mask, LayerMask):
        name = next(iter([*own, *(name for name in MASK_NAMES if name in signature.parameters)]))
        bound.arguments[name] = mask(bound.arguments.get(name))
    elif own:
        bound.arguments[own[0]] = mask
    else:
        raise ValueError(f"{type(module).__name__} takes no attention mask of its own: bias all layers.")
    return bound.args, bound.kwargs


@contextmanager
def steered(model: PreTrainedModel, additions: Additions) -> Iterator[PreTrainedModel]:
    """While the context is open, add to what is active on the decoder of ``model``. Contexts nest in any order."""
    if not additions:
        yield model
        return
    decoder, in_layers = model.get_decoder(), masked_in_layers(model)
    handles = (
        layer_hooks(model, decoder)
        if in_layers or any(bias.layers is not None for bias in (*additions.cross, *additions.past))
        else []
    )
    steering = _ACTIVE.setdefault(
        decoder, Steering(in_layers, merges_attention(model), len(decoder_layers(model)) if in_layers else 0)
    )
    if steering.empty():
        steering.handle = decoder.register_forward_pre_hook(steering_hook(decoder), with_kwargs=True)
    added: list[tuple[list[Any], Sequence[Any]]] = [
        (steering.cross, additions.cross),
        (steering.past, additions.past),
        (steering.codes, additions.codes),
    ]
    for entries, new in added:
        entries.extend(new)
    try:
        yield model
    finally:
        for handle in handles:
            handle.remove()
        for entries, new in added:
            for entry in new:
                entries.remove(entry)
        if steering.empty():
            steering.handle.remove()
            del _ACTIVE[decoder]
