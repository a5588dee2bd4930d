"""Knobs at work on a decoder while it runs.

One forward pre-hook on the decoder carries every knob that is active, so that knobs combine the same way in whatever
order they were entered: weights multiply, codes stand side by side. Which are active is the running thread's matter
(:mod:`zsc.knobs.contexts`), where they go in that of the kind of decoder (:mod:`zsc.knobs.kinds`).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from transformers import PreTrainedModel

from zsc.knobs.additions import Additions, united
from zsc.knobs.anatomy import decoder_layers
from zsc.knobs.cache import NAMES
from zsc.knobs.contexts import Opened, hooked, open_here, opened
from zsc.knobs.in_layers import LayerMask
from zsc.knobs.kinds import Layered, steering_of
from zsc.knobs.prompt_masks import PromptMask, named_arguments, parameters

PAST_MASK_NAMES = ("attention_mask", "mask")  # a decoder alone may have a name for a cross-attention it has none of
MASK_NAMES = ("merged_attention_mask", "encoder_attention_mask", *PAST_MASK_NAMES)
CACHE_NAMES = (*NAMES, "layer_past")  # of attention modules


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
    leader, steering = model.get_decoder(), steering_of(model)

    def rewrite(module: nn.Module, args: Any, kwargs: dict[str, Any] | None = None) -> Any:
        if kwargs is None or not when():  # without kwargs: a hook that another thread registers or removes right now
            return None
        added = united([one.additions for one in open_here(leader) if one.additions])
        _RUNNING.layered[leader] = {}
        if not added:
            return None
        args, kwargs, _RUNNING.layered[leader] = steering.rewrite(module, added, args, kwargs)
        return args, kwargs

    return rewrite


def layer_hooks(model: PreTrainedModel, leader: nn.Module, when: Callable[[], bool] = always) -> list[Any]:
    """Register hooks that give the layers of ``model``'s decoder the masks that ``leader``, itself or another decoder,
    has for single layers in the running thread, where ``when`` says so. Return their handles."""
    layers = decoder_layers(model)

    def replace(kind: str, number: int) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, kwargs: dict[str, Any] | None = None) -> Any:
            mask = _RUNNING.layered.get(leader, {}).get(kind, {}).get(number)
            if mask is None or kwargs is None or not when():
                return None
            return _with_mask(module, args, kwargs, mask, number, len(layers))

        return hook

    return [
        layer.component(component)[1].register_forward_pre_hook(replace(kind, number), with_kwargs=True)
        for number, layer in enumerate(layers)
        for kind, component in steering_of(model).attended.items()
    ]


def _with_mask(
    module: nn.Module,
    args: Any,
    kwargs: dict[str, Any],
    mask: torch.Tensor | LayerMask | PromptMask,
    number: int,
    depth: int,
) -> tuple[Any, dict[str, Any]]:
    """Return the arguments of the forward of an attention module, that of layer ``number``, with ``mask``, or with what
    it makes of the module's own, and with what that puts in front."""
    names = parameters(type(module).forward)[1:]
    given = named_arguments(module, args, kwargs)
    known = PAST_MASK_NAMES if isinstance(mask, PromptMask) else MASK_NAMES
    own = [name for name in known if given.get(name) is not None and given[name].dim() == 4]
    if not isinstance(mask, torch.Tensor):
        name = next(iter([*own, *(name for name in known if name in names)]))
        given[name] = mask(given.get(name))
    elif own:
        given[own[0]] = mask
    else:
        raise ValueError(f"{type(module).__name__} takes no attention mask of its own: bias all layers.")
    if isinstance(mask, PromptMask) and mask.codes:
        name = next(name for name in CACHE_NAMES if name in names)
        given[name] = mask.front(given.get(name), number, depth)
    return (), given


@contextmanager
def steered(model: PreTrainedModel, additions: Additions) -> Iterator[PreTrainedModel]:
    """While the context is open, add to what is active on the decoder of ``model`` in this thread.

    Contexts nest in any order. Without additions the thread has opened one all the same.
    """
    decoder = model.get_decoder()
    single = any(bias.layers is not None for bias in (*additions.cross, *additions.past))
    needed = additions and (single or steering_of(model).in_layers)
    hooks = partial(layer_hooks, model, decoder) if needed else list
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
