"""What knobs add to a decoder while it runs: weights on what it attends to, and states beside the encoder's.

One forward pre-hook on the decoder carries every knob that is active, so that knobs combine the same way in whatever
order they were entered: weights multiply, codes stand side by side. Which are active is the running thread's matter
(:mod:`zsc.knobs.contexts`).
"""

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from transformers import PreTrainedModel

from zsc.knobs.anatomy import decoder_layers, masked_in_layers, merges_attention
from zsc.knobs.cache import given_cache
from zsc.knobs.contexts import Opened, hooked, open_here, opened
from zsc.knobs.in_layers import LayerMask, layer_masks
from zsc.knobs.masks import Bias, Code, attended_mask, biased, causal_mask, check_rows, log_weights, with_columns

Layered = Mapping[str, Mapping[int, torch.Tensor | LayerMask]]  # by kind of attention and layer
MASK_NAMES = ("merged_attention_mask", "encoder_attention_mask", "attention_mask", "mask")


@dataclass(frozen=True, eq=False)
class Additions:
    """What knobs add to a decoder: biases of cross-attention and of attention to its own past, and codes."""

    cross: Sequence[Bias] = ()
    past: Sequence[Bias] = ()
    codes: Sequence[Code] = ()

    def __bool__(self) -> bool:
        return bool(self.cross or self.past or self.codes)


def united(several: Sequence[Additions]) -> Additions:
    """Return all of ``several``, first to last."""
    return Additions(
        [bias for one in several for bias in one.cross],
        [bias for one in several for bias in one.past],
        [code for one in several for code in one.codes],
    )


@dataclass(frozen=True)
class Steering:
    """What becomes of the arguments of a decoder. ``in_layers``, ``merged``: see :mod:`zsc.knobs.in_layers`, which also
    needs the ``depth``."""

    in_layers: bool
    merged: bool
    depth: int

    @classmethod
    def of(cls, model: PreTrainedModel) -> "Steering":
        in_layers = masked_in_layers(model)
        return cls(in_layers, merges_attention(model), len(decoder_layers(model)) if in_layers else 0)

    def rewrite(
        self, decoder: nn.Module, added: Additions, args: Any, kwargs: dict[str, Any]
    ) -> tuple[dict[str, Any], Layered]:
        """Return the arguments of the forward of ``decoder`` with what is ``added``, and the masks of single layers."""
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
            states, mask, masks = layer_masks(
                added.cross, added.past, added.codes, states, mask, steps, self.depth, self.merged
            )
            return kwargs | {"encoder_hidden_states": states, "encoder_attention_mask": mask}, masks
        changed: dict[str, Any] = {}
        every: dict[str, Mapping[int, torch.Tensor]] = {}
        if added.cross or added.codes:
            base = attended_mask(kwargs.get("encoder_attention_mask"), states, queries)
            common, layered = _masks(added.cross, base, steps)
            if seen == 0 or len(added.cross) > 1:
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
        return kwargs | changed, every


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


class Running(threading.local):
    """The masks of single layers in the forward of each decoder that this thread runs, or ran last."""

    def __init__(self) -> None:
        self.layered: WeakKeyDictionary[nn.Module, Layered] = WeakKeyDictionary()


_RUNNING = Running()


def always() -> bool:
    return True


def steering_hook(model: PreTrainedModel, when: Callable[[], bool] = always) -> Callable[..., Any]:
    """Return a forward pre-hook for the decoder of ``model``, or one that follows it, that puts in what the running
    thread has open on that of ``model``, where ``when`` says so."""
    leader, steering = model.get_decoder(), Steering.of(model)

    def rewrite(module: nn.Module, args: Any, kwargs: dict[str, Any] | None = None) -> Any:
        if kwargs is None or not when():  # without kwargs: a hook that another thread registers or removes right now
            return None
        added = united([one.additions for one in open_here(leader) if one.additions])
        _RUNNING.layered[leader] = {}
        if not added:
            return None
        kwargs, _RUNNING.layered[leader] = steering.rewrite(module, added, args, kwargs)
        return args, kwargs

    return rewrite


def layer_hooks(model: PreTrainedModel, leader: nn.Module, when: Callable[[], bool] = always) -> list[Any]:
    """Register hooks that give the layers of ``model``'s decoder the masks that ``leader``, itself or another decoder,
    has for single layers in the running thread, where ``when`` says so. Return their handles."""

    def replace(kind: str, number: int) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, kwargs: dict[str, Any] | None = None) -> Any:
            mask = _RUNNING.layered.get(leader, {}).get(kind, {}).get(number)
            return None if mask is None or kwargs is None or not when() else _with_mask(module, args, kwargs, mask)

        return hook

    kinds = {"past": "self_attention"} | ({} if merges_attention(model) else {"cross": "cross_attention"})
    return [
        layer.component(component)[1].register_forward_pre_hook(replace(kind, number), with_kwargs=True)
        for number, layer in enumerate(decoder_layers(model))
        for kind, component in kinds.items()
    ]


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
    """While the context is open, add to what is active on the decoder of ``model`` in this thread.

    Contexts nest in any order. Without additions the thread has opened one all the same.
    """
    decoder = model.get_decoder()
    single = any(bias.layers is not None for bias in (*additions.cross, *additions.past))
    hooks = partial(layer_hooks, model, decoder) if additions and (single or masked_in_layers(model)) else list
    with entered(model, additions), hooked(hooks):
        try:
            yield model
        finally:
            _RUNNING.layered.pop(decoder, None)


def entered(
    model: PreTrainedModel, additions: Additions | None = None, acts: bool = False, alone: bool = False
) -> AbstractContextManager[Opened]:
    """Return a context on the decoder of ``model``; the arguments are those of :class:`Opened`."""
    return opened(model.get_decoder(), Opened(additions, acts or bool(additions), alone), steering_hook(model))


@contextmanager
def changed_alone(model: PreTrainedModel, *others: PreTrainedModel | None) -> Iterator[None]:
    """Open a context in which ``model`` itself may be changed and no thread changes any of ``others``.

    Raises ThreadConflict if another thread uses the one or changes the other.
    """
    with ExitStack() as stack:
        for other in others:
            if other is not None:
                stack.enter_context(entered(other))
        stack.enter_context(entered(model, acts=True, alone=True))
        yield
