"""Additive masks of attention, and weights on what is attended to put into them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch


class Weights(Protocol):
    """Non-negative weights b of attention, which multiply its probabilities before they are normalised again."""

    def __call__(self, steps: torch.Tensor, positions: int) -> torch.Tensor:
        """Return b for the queries at ``steps`` (queries,), whole numbers from 0, over ``positions`` keys.

        Shape (batch or 1, queries or 1, positions); double precision counts where the model has it.
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


def precision(dtype: torch.dtype) -> torch.dtype:
    """Return the type that weights are computed in for a model of ``dtype``: single precision, or double for double."""
    return torch.promote_types(dtype, torch.float32)


def as_additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a four-dimensional mask in additive form; a boolean one is true where a position is attended to."""
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)
    return mask.to(dtype)


def attended_mask(mask: torch.Tensor | None, states: torch.Tensor, queries: int) -> torch.Tensor:
    """Return the additive mask (rows, 1, queries, positions) that a decoder's ``encoder_attention_mask`` stands for."""
    rows, positions, _ = states.shape
    if mask is None:
        return states.new_zeros(rows, 1, queries, positions)
    if mask.dim() == 4:
        return as_additive(mask, states.dtype)
    return as_additive(mask.bool()[:, None, None, :], states.dtype).expand(rows, 1, queries, positions)


def causal_mask(mask: torch.Tensor | None, steps: torch.Tensor, rows: int, dtype: torch.dtype) -> torch.Tensor:
    """Return the additive causal mask (rows, 1, queries, keys), with what the decoder's own ``mask`` hides."""
    if mask is not None and mask.dim() == 4:
        return as_additive(mask, dtype)
    keys = torch.arange(int(steps[-1]) + 1, device=steps.device)
    visible = (keys <= steps[:, None]).expand(rows, 1, -1, -1)
    if mask is not None:
        visible = visible & mask.bool()[:, None, None, :]
    return as_additive(visible, dtype)


def log_weights(bias: Bias, steps: torch.Tensor, positions: int, base: torch.Tensor) -> torch.Tensor:
    """Return log b on the device of ``base``, in single precision or, for a ``base`` in double, in that."""
    return bias.weights(steps, positions).to(base.device, precision(base.dtype)).log()


def biased(base: torch.Tensor, logs: list[tuple[Bias, torch.Tensor]]) -> torch.Tensor:
    """Add log-weights to the additive mask ``base`` (rows, 1, queries, positions); rows may be beams, in order.

    A hidden slot is set to the lowest number rather than added to, which would overflow in half precision.
    """
    rows, lowest = base.shape[0], torch.finfo(base.dtype).min
    total = torch.zeros(1, 1, 1, 1, device=base.device, dtype=precision(base.dtype))
    for bias, log in logs:
        if rows % log.shape[0]:
            raise ValueError(f"the decoder runs {rows} rows, not a multiple of the {log.shape[0]} rows of the weights.")
        term = log.repeat_interleave(rows // log.shape[0], dim=0)[:, None]
        if bias.heads is not None:
            term = torch.where(bias.heads.to(base.device)[None, :, None, None], term, 0.0)
        total = total + term
    mask = (base + total.clamp(min=lowest).to(base.dtype)).clamp(min=lowest)
    return mask.masked_fill((base <= lowest) | (total == -torch.inf), lowest)


def with_columns(mask: torch.Tensor, count: int, strength: float | torch.Tensor) -> torch.Tensor:
    logs = torch.as_tensor(strength, dtype=torch.float64).reshape(-1).log().clamp(min=torch.finfo(mask.dtype).min)
    rows = logs.repeat_interleave(mask.shape[0] // len(logs)).to(mask)
    return torch.cat([rows[:, None, None, None].expand(*mask.shape[:-1], count), mask], dim=-1)


def check_rows(mask: torch.Tensor, what: str) -> None:
    """Raise ValueError if a query of ``mask`` (rows, heads, queries, positions) has nothing left to attend to."""
    empty = ~(mask > torch.finfo(mask.dtype).min).any(dim=-1).flatten(1).all(dim=1)
    if bool(empty.any()):
        raise ValueError(f"together, the knobs leave row {int(empty.nonzero()[0])} no {what} position to attend to.")
