"""Knob A, attention biasing [I, P]: re-weight attention over source positions and renormalise.

With attention probabilities a over the source positions and non-negative weights b,

    a'_i = a_i b_i / sum_j a_j b_j  =  softmax(scores + log b)_i

so the weights enter as an additive mask and no attention code is replaced. In an encoder-decoder it is cross-attention.
A decoder alone attends to its prompt and its past in one softmax, in which past positions have the weight 1; only
queries of the response have weights (:mod:`zsc.knobs.prompt`) [D].
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from transformers import PreTrainedModel

from zsc.knobs.additions import Additions
from zsc.knobs.anatomy import (
    UnsupportedModel,
    check_indices,
    check_within,
    decoder_layers,
    family,
    head_count,
    is_causal,
)
from zsc.knobs.masks import Bias, precision
from zsc.knobs.steering import steered
from zsc.knobs.supported import check_supported

SMALLEST, LARGEST = 1e-30, 1e30  # what single precision holds with room to spare
ONE_MASK = ("led", "mvp")  # families whose attention takes the same mask for all heads only


def check_strength(strength: Any) -> None:
    """Raise ValueError unless ``strength`` is a finite number of at least 0."""
    if isinstance(strength, bool) or not isinstance(strength, (int, float)):
        raise ValueError(f"strength must be a number, got {strength!r}.")
    if not 0 <= strength < math.inf:
        raise ValueError(f"strength must be a finite number of at least 0, got {strength}. 1 changes nothing.")
    if strength and not SMALLEST <= strength <= LARGEST:
        raise ValueError(f"strength {strength} must be 0 or lie between {SMALLEST:g} and {LARGEST:g}.")


def biased_cross_attention(
    model: PreTrainedModel,
    weights: torch.Tensor,
    attention_mask: torch.Tensor,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
) -> AbstractContextManager[PreTrainedModel]:
    """While the returned context is open, attention of ``model`` to its source uses ``weights`` over the positions.

    It is cross-attention, or in a decoder alone, whose source is its prompt, that of the response to the prompt.
    ``weights`` and ``attention_mask`` have the shape (batch, source positions): weights are non-negative real numbers,
    1 leaves a position as it is and 0 removes it; positions whose mask is 0 stay hidden. ``layers`` and ``heads``
    restrict the bias to these decoder layers and heads. ``model.generate`` may be called with beams (rows are then
    taken to be expanded in order, as ``generate`` does) and with or without a cache. Contexts nest; the weights of
    nested contexts multiply.

    Weights of 1 at every attended position leave the model untouched, so its outputs are bit-equal.
    Raises ValueError for weights that are negative, not finite, of another shape, or that leave a row no position,
    and UnsupportedModel for a model that cannot be biased.
    """
    return steered(model, constant_bias(model, weights, attention_mask, layers, heads))


def constant_bias(
    model: PreTrainedModel,
    weights: torch.Tensor,
    attention_mask: torch.Tensor,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
) -> Additions:
    """Return what :func:`biased_cross_attention` adds to the decoder: nothing for weights of 1."""
    check_weights(weights, attention_mask)
    attended = attention_mask.bool()
    if bool((weights[attended] == 1).all()):
        return Additions()
    constant = weights.to(precision(model.dtype)).masked_fill(~attended, 0)[:, None, :]
    return scheduled_bias(model, lambda steps: constant, weights.shape[1], layers, heads)


def scheduled_cross_attention(
    model: PreTrainedModel,
    weights_at: Callable[[torch.Tensor], torch.Tensor],
    positions: int,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
) -> AbstractContextManager[PreTrainedModel]:
    """As :func:`biased_cross_attention`, with weights over ``positions`` of the source that depend on the step.

    ``weights_at`` is given steps (queries,), the positions in the target that the queries stand at, 0 for the start
    token, and returns weights (batch, queries or 1, positions).
    """
    return steered(model, scheduled_bias(model, weights_at, positions, layers, heads))


def scheduled_bias(
    model: PreTrainedModel,
    weights_at: Callable[[torch.Tensor], torch.Tensor],
    positions: int,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
) -> Additions:
    """Return what :func:`scheduled_cross_attention` adds to the decoder."""
    check_supported(model)
    chosen = head_mask(model, layers, heads)

    def weights(steps: torch.Tensor, positions: int) -> torch.Tensor:
        given = weights_at(steps)
        if given.shape[-1] != positions:
            raise ValueError(f"the weights are for {given.shape[-1]} source positions, the source has {positions}.")
        return given

    return Additions(cross=[Bias(weights, layers, chosen)], prompt=positions if is_causal(model) else None)


def head_mask(model: PreTrainedModel, layers: Sequence[int] | None, heads: Sequence[int] | None) -> torch.Tensor | None:
    """Check ``layers`` and ``heads`` against the decoder; return the latter as booleans (heads,), None for all.

    Raises ValueError for numbers that are ill-formed or beyond the model, and UnsupportedModel for heads that cannot
    be told apart.
    """
    check_indices("layers", layers)
    check_indices("heads", heads)
    if layers is not None:
        check_within("layer", layers, len(decoder_layers(model)))
    if heads is None:
        return None
    count = head_count(model)
    check_within("head", heads, count)
    if family(model) in ONE_MASK:
        raise UnsupportedModel(f"{type(model).__name__} takes one mask for all heads of a layer: leave heads=null.")
    return torch.isin(torch.arange(count), torch.tensor(list(heads)))


def restricted(layers: Sequence[int] | None, heads: Sequence[int] | None) -> str:
    """Say which layers and heads a bias is restricted to, for the name of a setting."""
    parts = [
        f", {name} {' '.join(map(str, chosen))}" for name, chosen in (("layers", layers), ("heads", heads)) if chosen
    ]
    return "".join(parts)


def check_weights(weights: torch.Tensor, attention_mask: torch.Tensor) -> None:
    """Raise ValueError for weights that :func:`biased_cross_attention` cannot use."""
    if weights.shape != attention_mask.shape or weights.dim() != 2:
        raise ValueError(
            f"weights {tuple(weights.shape)} and attention_mask {tuple(attention_mask.shape)} must both have the shape"
            " (batch, source positions)."
        )
    if not weights.is_floating_point():
        raise ValueError(f"weights must be real numbers, got {weights.dtype}: 0.5 would silently become 0.")
    if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()):
        raise ValueError("weights must be finite and at least 0.")
    empty = ~((weights > 0) & attention_mask.bool()).any(dim=1)
    if bool(empty.any()):
        raise ValueError(f"row {int(empty.nonzero()[0])} of the weights leaves no source position to attend to.")
