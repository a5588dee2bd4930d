"""What knobs add to a decoder while it runs: weights on what it attends to, and states beside the encoder's.

One forward pre-hook on the decoder carries every knob that is active, so that knobs combine the same way in whatever
order they were entered: weights multiply, codes stand side by side.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import nn
from transformers import PreTrainedModel

from zsc.knobs.anatomy import decoder_layers
from zsc.knobs.cache import given_cache

MASK_NAMES = ("encoder_attention_mask", "attention_mask", "mask")


class Weights(Protocol):
    """Non-negative weights b of attention, which multiply its probabilities before they are normalised again."""

    def __call__(self, steps: torch.Tensor, positions: int) -> torch.Tensor:
        """Return b for the queries at ``steps`` (queries,), whole numbers from 0, over ``positions`` keys.

        Shape (batch or 1, queries or 1, positions), float32.
        """


@dataclass(frozen=True, eq=False)
class Bias:
    """``weights`` in the decoder layers of these numbers and where ``heads`` (heads,) is true; None: everywhere."""

    weights: Weights
    layers: Sequence[int] | None = None
    heads: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Code:
    """States (1 or batch, length, width) in front of the encoder's, attended to with the weight ``strength``, one for
    all rows or (batch,) for each."""

    states: torch.Tensor
    strength: float | torch.Tensor


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
    """Everything active on one decoder."""

    cross: list[Bias] = field(default_factory=list)
    past: list[Bias] = field(default_factory=list)
    codes: list[Code] = field(default_factory=list)
    handle: Any = None
    layered: dict[str, dict[int, torch.Tensor]] = field(default_factory=dict)

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
        changed: dict[str, Any] = {}
        if self.cross or self.codes:
            base = attended_mask(kwargs.get("encoder_attention_mask"), states, queries)
            whole, layered = self._masks("cross", self.cross, base, steps)
            if seen == 0 or len(self.cross) > 1:
                for mask in (whole, *layered.values()):
                    _check_rows(mask, "source")
            for code in self.codes:
                rows = code.states.to(states).repeat_interleave(states.shape[0] // code.states.shape[0], dim=0)
                states = torch.cat([rows, states], dim=1)
                whole = _with_columns(whole, rows.shape[1], code.strength)
                layered |= {i: _with_columns(mask, rows.shape[1], code.strength) for i, mask in layered.items()}
            changed |= {"encoder_hidden_states": states, "encoder_attention_mask": whole}
        if self.past:
            base = causal_mask(kwargs.get("attention_mask"), steps, inputs.shape[0], states.dtype)
            whole, layered = self._masks("past", self.past, base, steps)
            if len(self.past) > 1:
                for mask in (whole, *layered.values()):
                    _check_rows(mask, "past")
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


def as_additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a four-dimensional mask in additive form; a boolean one is true where a position is attended to."""
    if mask.dtype == torch.bool:
        return torch.where(mask, 0.0, torch.finfo(dtype).min).to(dtype)
    return mask.to(dtype)


def attended_mask(mask: torch.Tensor | None, states: torch.Tensor, queries: int) -> torch.Tensor:
    """Return the additive mask (rows, 1, queries, positions) that a decoder's ``encoder_attention_mask`` stands for."""
    rows, positions, _ = states.shape
    if mask is None:
        return states.new_zeros(rows, 1, queries, positions)
    if mask.dim() == 4:
        return as_additive(mask, states.dtype)
    additive = torch.where(mask.bool(), 0.0, torch.finfo(states.dtype).min).to(states.dtype)
    return additive[:, None, None, :].expand(rows, 1, queries, positions)


def causal_mask(mask: torch.Tensor | None, steps: torch.Tensor, rows: int, dtype: torch.dtype) -> torch.Tensor:
    """Return the additive causal mask (rows, 1, queries, keys), with what the decoder's own ``mask`` hides."""
    if mask is not None and mask.dim() == 4:
        return as_additive(mask, dtype)
    keys = torch.arange(int(steps[-1]) + 1, device=steps.device)
    visible = (keys <= steps[:, None]).expand(rows, 1, -1, -1)
    if mask is not None:
        visible = visible & mask.bool()[:, None, None, :]
    return torch.where(visible, 0.0, torch.finfo(dtype).min).to(dtype)


def biased(base: torch.Tensor, logs: list[tuple[Bias, torch.Tensor]]) -> torch.Tensor:
    """Add log-weights to the additive mask ``base`` (rows, 1, queries, positions); rows may be beams, in order.

    A hidden slot is set to the lowest number rather than added to, which would overflow in half precision.
    """
    rows, lowest = base.shape[0], torch.finfo(base.dtype).min
    total = torch.zeros(1, 1, 1, 1, device=base.device)
    for bias, log in logs:
        if rows % log.shape[0]:
            raise ValueError(f"the decoder runs {rows} rows, not a multiple of the {log.shape[0]} rows of the weights.")
        term = log.repeat_interleave(rows // log.shape[0], dim=0)[:, None]
        if bias.heads is not None:
            term = torch.where(bias.heads.to(base.device)[None, :, None, None], term, 0.0)
        total = total + term
    mask = (base + total.clamp(min=lowest).to(base.dtype)).clamp(min=lowest)
    return mask.masked_fill((base <= lowest) | (total == -torch.inf), lowest)


def _with_columns(mask: torch.Tensor, count: int, strength: float | torch.Tensor) -> torch.Tensor:
    logs = torch.as_tensor(strength, dtype=torch.float64).reshape(-1).log().clamp(min=torch.finfo(mask.dtype).min)
    rows = logs.repeat_interleave(mask.shape[0] // len(logs)).to(mask)
    return torch.cat([rows[:, None, None, None].expand(*mask.shape[:-1], count), mask], dim=-1)


def _check_rows(mask: torch.Tensor, what: str) -> None:
    """Raise ValueError if a query of ``mask`` (rows, heads, queries, positions) has nothing left to attend to."""
    empty = ~(mask > torch.finfo(mask.dtype).min).any(dim=-1).flatten(1).all(dim=1)
    if bool(empty.any()):
        raise ValueError(f"together, the knobs leave row {int(empty.nonzero()[0])} no {what} position to attend to.")


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

    return [
        layer.component(component)[1].register_forward_pre_hook(replace(kind, number), with_kwargs=True)
        for number, layer in enumerate(decoder_layers(model))
        for kind, component in (("cross", "cross_attention"), ("past", "self_attention"))
    ]


@contextmanager
def removed(handles: Sequence[Any]) -> Iterator[None]:
    """Remove the hooks of ``handles`` when the context closes."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _with_mask(module: nn.Module, args: Any, kwargs: dict[str, Any], mask: torch.Tensor) -> tuple[Any, dict[str, Any]]:
    """Return the arguments of an attention module's forward with ``mask`` in place of its own."""
    bound = inspect.signature(module.forward).bind(*args, **kwargs)
    own = [name for name in MASK_NAMES if bound.arguments.get(name) is not None and bound.arguments[name].dim() == 4]
    if not own:
        raise ValueError(f"{type(module).__name__} takes no attention mask of its own: bias all layers.")
    bound.arguments[own[0]] = mask
    return bound.args, bound.kwargs


@contextmanager
def steered(model: PreTrainedModel, additions: Additions) -> Iterator[PreTrainedModel]:
    """While the context is open, add to what is active on the decoder of ``model``. Contexts nest in any order."""
    if not additions:
        yield model
        return
    decoder = model.get_decoder()
    handles = (
        layer_hooks(model, decoder)
        if any(bias.layers is not None for bias in (*additions.cross, *additions.past))
        else []
    )
    steering = _ACTIVE.setdefault(decoder, Steering())
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
