"""Masks for decoders that lose, or use otherwise, an additive mask they are given: each attention module gets its own.

LED hands its layers no mask at steps with a cache, NLLB-MoE leaves tokens out of its experts where the mask is not 0,
T5Gemma has other masks in layers with a sliding window, and T5Gemma 2 joins the masks of past and source, of which one
may be boolean.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import pad

from zsc.knobs.masks import (
    Bias,
    Code,
    as_additive,
    attended_mask,
    biased,
    causal_mask,
    check_rows,
    log_weights,
    precision,
)

Logs = list[tuple[Bias, torch.Tensor]]


@dataclass(eq=False)
class LayerMask:
    """The mask of one attention module: its own with ``logs`` added, the last columns of both over the same keys.

    ``base`` makes the additive mask of a module that is given none.
    """

    logs: Logs
    base: Callable[[], torch.Tensor]
    dtype: torch.dtype
    combined: torch.Tensor | None = None

    def __call__(self, own: torch.Tensor | None) -> torch.Tensor:
        """Return the mask in place of ``own`` (rows, 1, queries, keys), which may be one that was made here."""
        if self.combined is None or own is not self.combined:
            base = self.base() if own is None else as_additive(own, self.dtype)
            self.combined = biased(base, [(bias, log[..., -base.shape[-1] :]) for bias, log in self.logs])
        return self.combined


def layer_masks(
    cross: Sequence[Bias],
    past: Sequence[Bias],
    codes: Sequence[Code],
    states: torch.Tensor,
    mask: torch.Tensor | None,
    steps: torch.Tensor,
    depth: int,
    merged: bool,
) -> tuple[torch.Tensor, torch.Tensor | None, dict[str, dict[int, LayerMask]]]:
    """Return the encoder ``states`` (rows, positions, width) with codes in front, their ``mask`` (rows, positions), and
    the masks of ``depth`` layers for queries at ``steps``, by kind of attention.

    ``merged``: the decoder attends to its past and the source in one softmax, the past first.
    """
    across = [(bias, log_weights(bias, steps, states.shape[1], states)) for bias in cross]
    if len(across) > 1:
        check_rows(biased(attended_mask(mask, states, len(steps)), across), "source")
    for code in codes:
        given = code.states.to(states).repeat_interleave(states.shape[0] // code.states.shape[0], dim=0)
        length = given.shape[1]
        states = torch.cat([given, states], dim=1)
        mask = None if mask is None else pad(mask, (length, 0), value=1)
        across = [(bias, pad(log, (length, 0))) for bias, log in across]
        across.append((Bias(one), code_log(code, states.shape[1]).to(states.device, precision(states.dtype))))
    keys = int(steps[-1]) + 1
    own = [(bias, log_weights(bias, steps, keys, states)) for bias in past]
    if merged:
        own = [(bias, pad(log, (0, states.shape[1]))) for bias, log in own]
        own += [(bias, pad(log, (keys, 0))) for bias, log in across]
        across = []
    bases = {
        "cross": lambda: attended_mask(mask, states, len(steps)),
        "past": lambda: causal_mask(None, steps, len(states), states.dtype),
    }
    return (
        states,
        mask,
        {
            kind: {
                number: LayerMask(
                    [(bias, log) for bias, log in logs if bias.layers is None or number in bias.layers],
                    bases[kind],
                    states.dtype,
                )
                for number in range(depth)
            }
            for kind, logs in (("cross", across), ("past", own))
            if logs
        },
    )


def one(steps: torch.Tensor, positions: int) -> torch.Tensor:
    """Return weights of 1."""
    return torch.ones(1, 1, positions, device=steps.device)


def code_log(code: Code, positions: int) -> torch.Tensor:
    """Return the log-weights (rows or 1, 1, positions) of ``code`` and the states behind it."""
    strength = torch.as_tensor(code.strength, dtype=torch.float64).reshape(-1, 1, 1).log()
    return pad(strength.expand(-1, 1, code.states.shape[1]), (0, positions - code.states.shape[1]))
