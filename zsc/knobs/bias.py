"""Knob A, attention biasing [I, P]: re-weight cross-attention over source positions and renormalise.

With attention probabilities a over the source positions and non-negative weights b,

    a'_i = a_i b_i / sum_j a_j b_j  =  softmax(scores + log b)_i

so the weights enter as an additive mask and no attention code is replaced.
"""

import inspect
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

BACKENDS = ("eager", "sdpa")
SMALLEST, LARGEST = 1e-30, 1e30  # what single precision holds with room to spare
EAGER_ONLY = ("longt5", "pegasus_x", "bigbird_pegasus", "switch_transformers")


class UnsupportedModel(ValueError):
    """The model cannot take a biased cross-attention mask; the text says why and what to do."""


def check_supported(model: PreTrainedModel) -> None:
    """Raise UnsupportedModel unless ``model`` is an encoder-decoder whose cross-attention takes an additive mask."""
    name = type(model).__name__
    if not model.config.is_encoder_decoder:
        raise UnsupportedModel(f"{name} is not an encoder-decoder: it has no cross-attention to bias.")
    if "encoder_attention_mask" not in inspect.signature(model.get_decoder().forward).parameters:
        raise UnsupportedModel(f"the decoder of {name} takes no encoder_attention_mask, so it cannot be biased.")
    kind, backend = model.config.model_type, model.get_decoder().config._attn_implementation
    if kind == "prophetnet":
        raise UnsupportedModel("ProphetNet builds its own cross-attention mask and ignores an additive one.")
    if backend not in BACKENDS:
        raise UnsupportedModel(
            f"attention backend {backend!r} takes no additive mask: load with {' or '.join(BACKENDS)}."
        )
    if kind in EAGER_ONLY and backend != "eager":
        raise UnsupportedModel(f"{name} takes an additive mask with the eager backend only: load it with eager.")


def check_strength(strength: Any) -> None:
    """Raise ValueError unless ``strength`` is a finite number of at least 0."""
    if isinstance(strength, bool) or not isinstance(strength, (int, float)):
        raise ValueError(f"strength must be a number, got {strength!r}.")
    if not 0 <= strength < math.inf:
        raise ValueError(f"strength must be a finite number of at least 0, got {strength}. 1 changes nothing.")
    if strength and not SMALLEST <= strength <= LARGEST:
        raise ValueError(f"strength {strength} must be 0 or lie between {SMALLEST:g} and {LARGEST:g}.")


@contextmanager
def biased_cross_attention(
    model: PreTrainedModel, weights: torch.Tensor, attention_mask: torch.Tensor
) -> Iterator[PreTrainedModel]:
    """While the context is open, every cross-attention of ``model`` uses ``weights`` over the source positions.

    ``weights`` and ``attention_mask`` have the shape (batch, source positions): weights are non-negative real numbers,
    1 leaves a position as it is and 0 removes it; positions whose mask is 0 stay hidden. ``model.generate`` may be
    called with beams (rows are then taken to be expanded in order, as ``generate`` does) and with or without a cache.
    Contexts nest; the weights of nested contexts multiply.

    Weights of 1 at every attended position leave the model untouched, so its outputs are bit-equal.
    Raises ValueError for weights that are negative, not finite, of another shape, or that leave a row no position,
    and UnsupportedModel for a model that cannot be biased.
    """
    check_weights(weights, attention_mask)
    attended = attention_mask.bool()
    if bool((weights[attended] == 1).all()):
        yield model
        return
    check_supported(model)
    log_weights = torch.where(attended & (weights > 0), weights.to(torch.float32), torch.nan).log()

    def replace_mask(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        states = kwargs["encoder_hidden_states"]
        queries = kwargs["input_ids"] if kwargs.get("input_ids") is not None else kwargs["inputs_embeds"]
        mask = additive_mask(log_weights, states.shape[0], queries.shape[1], states.dtype, states.device)
        outer = kwargs.get("encoder_attention_mask")
        if outer is not None and outer.dim() == 4:  # an enclosing context's mask: the weights multiply
            mask = (mask + outer).clamp(min=torch.finfo(mask.dtype).min)
        return args, kwargs | {"encoder_attention_mask": mask}

    handle = model.get_decoder().register_forward_pre_hook(replace_mask, with_kwargs=True)
    try:
        yield model
    finally:
        handle.remove()


def additive_mask(
    log_weights: torch.Tensor, rows: int, queries: int, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """Return the mask (rows, 1, queries, source) to add to attention scores.

    ``log_weights`` (batch, source) is NaN where a position is hidden; hidden slots are set to the lowest number of
    ``dtype`` rather than added to it, which would overflow. ``rows`` is a multiple of the batch: beams.
    """
    batch, source = log_weights.shape
    if rows % batch:
        raise ValueError(f"the decoder runs {rows} rows, not a multiple of the {batch} rows of the weights.")
    lowest = torch.finfo(dtype).min
    mask = log_weights.to(device).nan_to_num(lowest).clamp(min=lowest).to(dtype)
    return mask.repeat_interleave(rows // batch, dim=0)[:, None, None, :].expand(rows, 1, queries, source)


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
