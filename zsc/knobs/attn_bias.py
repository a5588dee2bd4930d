"""Knob A, attention biasing towards a part of the source [I, P], constant or moving over the decoding steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from zsc.data.source import Source
from zsc.knobs.additions import Additions
from zsc.knobs.anatomy import check_choice, check_indices, check_integer
from zsc.knobs.base import USE_OF_KNOWLEDGE, AdditiveKnob, Dose
from zsc.knobs.bias import (
    check_strength,
    check_weights,
    constant_bias,
    head_mask,
    restricted,
    scheduled_bias,
)
from zsc.knobs.masks import precision
from zsc.knobs.spans import chosen_positions, parse_span
from zsc.knobs.supported import check_supported

GRADUAL = "gradual"
SCHEDULES = ("linear", "step")


@dataclass(frozen=True)
class AttentionBias(AdditiveKnob):
    """Weight ``strength`` on the attended positions of ``profile``, 1 elsewhere.

    ``profile`` names a part of the source (see :data:`zsc.knobs.spans.FORMS`), or is ``gradual``: the weights then
    move from those of the profile ``start`` to those of ``end`` over the first ``steps`` decoding steps [D]:
    ``linear`` interpolates the weights, reaching ``end`` at step ``steps``; ``step`` changes over at that step.
    ``layers`` and ``heads`` restrict the bias to some of the decoder's; None means all. A profile ``text:REGEX`` needs
    the ``tokenizer`` that made the source.

    Raises ValueError for an unknown profile or schedule, a strength that is not a finite number of at least 0, or
    ill-formed numbers.
    """

    dose = Dose("strength", neutral=1.0, weakest=1.0, strongest=100.0, geometric=True)
    lists = frozenset({"layers", "heads"})
    naming = ("profile",)
    tried = ({"profile": GRADUAL},)

    profile: str = "knowledge"
    strength: float = 5.0
    start: str = "knowledge"
    end: str = "dialog"
    schedule: str = "linear"
    steps: int = 20
    layers: Sequence[int] | None = None
    heads: Sequence[int] | None = None
    tokenizer: PreTrainedTokenizerBase | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for profile in self._parts():
            parse_span(profile, self.tokenizer)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_integer("steps", self.steps, 1)
        check_strength(self.strength)
        check_indices("layers", self.layers)
        check_indices("heads", self.heads)

    def __str__(self) -> str:
        gradual = f" {self.start}>{self.end} {self.schedule} {self.steps}" if self.profile == GRADUAL else ""
        return f"attn_bias({self.profile}{gradual}, {self.strength:g}{restricted(self.layers, self.heads)})"

    @classmethod
    def moves(cls, values: Mapping[str, Any]) -> tuple[str, ...]:
        return USE_OF_KNOWLEDGE

    @property
    def neutral(self) -> bool:
        """Whether these fields are meant to change nothing."""
        return self.strength == 1

    def weights(
        self, source: Source | None, profile: str | None = None, dtype: torch.dtype = torch.float32
    ) -> torch.Tensor:
        """Return the weights b of one part, of shape (batch, source positions). Raises NoSuchSpan."""
        name = profile or self.profile
        chosen = chosen_positions(name, parse_span(name, self.tokenizer), source)
        return torch.ones(chosen.shape, dtype=dtype, device=chosen.device).masked_fill(chosen, self.strength)

    def check(self, model: PreTrainedModel, source: Source) -> None:
        """Raise what ``apply`` would: NoSuchSpan, ValueError for a row left without positions, UnsupportedModel."""
        for profile in self._parts():
            check_weights(self.weights(source, profile), source.attention_mask)
        check_supported(model)
        head_mask(model, self.layers, self.heads)

    def additions(self, model: PreTrainedModel, source: Source) -> Additions:
        """Return what it adds to the decoder of ``model`` while that reads ``source``."""
        dtype = precision(model.dtype)
        if self.profile != GRADUAL:
            weights = self.weights(source, dtype=dtype)
            return constant_bias(model, weights, source.attention_mask, self.layers, self.heads)
        if self.neutral:
            return Additions()
        hidden = ~source.attention_mask.bool()
        start, end = (self.weights(source, part, dtype).masked_fill(hidden, 0)[:, None, :] for part in self._parts())

        def weights_at(steps: torch.Tensor) -> torch.Tensor:
            share = schedule_share(steps.to(start.device, dtype), self.schedule, self.steps)[None, :, None]
            return (1 - share) * start + share * end

        return scheduled_bias(model, weights_at, hidden.shape[1], self.layers, self.heads)

    def _parts(self) -> tuple[str, ...]:
        return (self.start, self.end) if self.profile == GRADUAL else (self.profile,)


def schedule_share(steps: torch.Tensor, schedule: str, length: int) -> torch.Tensor:
    """Return how far, from 0 to 1, a schedule of ``length`` steps has come at each of ``steps``, real numbers."""
    if schedule == "step":
        return (steps >= length).to(steps.dtype)
    return (steps / length).clamp(max=1)
