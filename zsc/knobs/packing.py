"""The attended positions of a source alone: an encoder that reads them as if the hidden ones between them were there.

Layouts of a fixed frame pad inside a source. What stands there is never attended to, so that behind the embeddings,
which know where each token stands, no layer needs it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from transformers import PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.anatomy import UnsupportedModel, layer_list
from zsc.knobs.encoder import EncoderReading, encode
from zsc.knobs.supported import drawn_tokens

TOLERANCE = 2e-4  # of the largest logit
STEPS = 4
_SOUND: "WeakKeyDictionary[PreTrainedModel, dict[int, bool]]" = WeakKeyDictionary()


class NotPacked(ValueError):
    """A layer of an encoder takes something of which it is not known where its positions are."""


def attended_first(mask: torch.Tensor) -> torch.Tensor:
    """Return which positions (rows, width) of ``mask`` (rows, positions) are those that a row attends to, in their
    order and at the right; of rows that attend to fewer than others, hidden ones come before them."""
    shown = mask.bool()
    return shown.long().argsort(dim=1, stable=True)[:, -int(shown.sum(dim=1).max()) :]


def packed(reading: EncoderReading) -> EncoderReading:
    """Return ``reading`` without positions that no row attends to: those of each row stand together, at the right."""
    order = attended_first(reading.source.attention_mask)
    states = reading.states.gather(1, order[:, :, None].expand(-1, -1, reading.states.shape[2]))
    return replace(reading, source=reading.source.at(order), states=states)


def read_packed(model: PreTrainedModel, source: Source) -> EncoderReading:
    """Return what :func:`packed` makes of ``source``, whose hidden positions no layer of the encoder computes.

    Raises NotPacked where that cannot be; whether it gives the same is what :func:`packs` says.
    """
    order = attended_first(source.attention_mask)
    if order.shape == source.input_ids.shape:
        return EncoderReading(model, source, encode(model, source))
    with packing(model.get_encoder(), order, source.input_ids.shape[1]):
        states = encode(model, source)
    return EncoderReading(model, source.at(order), states)


@contextmanager
def packing(encoder: nn.Module, order: torch.Tensor, positions: int) -> Iterator[None]:
    """While the context is open, the layers of ``encoder`` see the positions ``order`` (rows, width) of ``positions``.

    They must take states (rows, positions, width), tables of the same shape for rotary embeddings, and masks (rows,
    heads, targets, positions), and nothing else that has numbers. Raises NotPacked where they do not.
    """

    def enter(layer: nn.Module, args: Any, kwargs: Any) -> Any:
        return tuple(taken(one, order, positions) for one in args), {
            name: taken(one, order, positions) for name, one in kwargs.items()
        }

    handles = [layer.register_forward_pre_hook(enter, with_kwargs=True) for layer in layer_list(encoder)[1]]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def taken(given: Any, order: torch.Tensor, positions: int) -> Any:
    """Return the positions ``order`` of what a layer is ``given``, unless it has those alone. Raises NotPacked."""
    if isinstance(given, tuple | list):
        return type(given)(taken(one, order, positions) for one in given)
    if not isinstance(given, torch.Tensor):
        return given
    (rows, width), shape = order.shape, tuple(given.shape)
    if len(shape) == 3 and shape[0] in (1, rows) and shape[1] in (positions, width):
        if shape[1] == width:
            return given
        return given.expand(rows, -1, -1).gather(1, order[:, :, None].expand(-1, -1, shape[2]))
    if len(shape) == 4 and shape[0] in (1, rows) and shape[3] in (positions, width):
        if shape[3] == width:
            return given
        heads, targets = shape[1:3]
        given = given.expand(rows, -1, -1, -1).gather(3, order[:, None, None].expand(-1, heads, targets, -1))
        if targets == 1:
            return given
        return given.gather(2, order[:, None, :, None].expand(-1, heads, -1, width))
    raise NotPacked(f"a layer takes numbers of the shape {shape}.")


def packs(model: PreTrainedModel, source: Source) -> bool:
    """Say whether an encoder may leave out hidden positions: each model is asked once for sources as long as the first
    of ``source``, on that with a third of its positions hidden, what its decoder makes of both [D].

    In half precision rounding would hide a difference, so that none may.
    """
    known, length = _SOUND.setdefault(model, {}), source.input_ids.shape[1]
    if length not in known:
        known[length] = torch.finfo(model.dtype).bits >= 32 and _same(model, source.select([0]))
    return known[length]


@torch.inference_mode()
def _same(model: PreTrainedModel, source: Source) -> bool:
    ids, mask = source.input_ids, source.attention_mask.clone()
    third = ids.shape[1] // 3
    mask[:, third : 2 * third] = 0
    source = replace(source, attention_mask=mask)
    if third == 0 or not bool(mask.any()):
        return False
    try:
        apart = read_packed(model, source)
    except (UnsupportedModel, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return False
    whole = EncoderReading(model, source, encode(model, source))
    said = drawn_tokens(model, STEPS, torch.Generator().manual_seed(0))
    targets = torch.cat([whole.begins[:, None], said[None]], dim=1)
    expected, actual = whole.decode(targets).logits, apart.decode(targets).logits
    return float((actual - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())
