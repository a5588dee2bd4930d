"""Attention biasing towards a part of the source, by profile [I, P]."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from zsc.data.layout import FIRST_TURN, KNOWLEDGE, Source
from zsc.knobs.bias import biased_cross_attention, check_strength, check_supported, check_weights

PROFILES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "knowledge": lambda segments: segments == KNOWLEDGE,
    "dialog": lambda segments: segments >= FIRST_TURN,
}


class NoSuchSpan(ValueError):
    """A source holds no position of the profile; ``row`` is its place in the batch."""

    def __init__(self, profile: str, row: int):
        super().__init__(f"the source in row {row} has no {profile} to bias towards.")
        self.profile, self.row = profile, row


@dataclass(frozen=True)
class AttentionBias:
    """Weight ``strength`` on the positions of ``profile`` (knowledge or dialog), 1 elsewhere.

    Raises ValueError for an unknown profile or a strength that is not a finite number of at least 0.
    """

    profile: str = "knowledge"
    strength: float = 5.0

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ValueError(f"profile {self.profile!r} is not one of {', '.join(PROFILES)}.")
        check_strength(self.strength)

    def __str__(self) -> str:
        return f"attn_bias({self.profile}, {self.strength:g})"

    def weights(self, source: Source) -> torch.Tensor:
        """Return the weights b, float32 of shape (batch, source positions). Raises NoSuchSpan."""
        chosen = PROFILES[self.profile](source.segments) & source.attention_mask.bool()
        for row, found in enumerate(chosen.any(dim=1).tolist()):
            if not found:
                raise NoSuchSpan(self.profile, row)
        weights = torch.ones(source.segments.shape, dtype=torch.float32, device=source.segments.device)
        return weights.masked_fill(chosen, self.strength)

    def check(self, model: PreTrainedModel, source: Source) -> None:
        """Raise what ``apply`` would: NoSuchSpan, ValueError for a row left without positions, UnsupportedModel."""
        check_weights(self.weights(source), source.attention_mask)
        check_supported(model)

    def apply(self, model: PreTrainedModel, source: Source) -> AbstractContextManager[PreTrainedModel]:
        """Return a context in which ``model`` attends to ``source`` with these weights."""
        return biased_cross_attention(model, self.weights(source), source.attention_mask)
