"""What a model has read of a source, from which all settings of knobs go on: here the two kinds of models part.

An encoder-decoder has encoder states (:mod:`zsc.knobs.encoder`), a decoder alone the keys and values of its prompt
(:mod:`zsc.knobs.prompt`). What a target is, and which attention lies on the source, is the same behind both.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from transformers import PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.masks import Code

KeysAndValues = Sequence[tuple[torch.Tensor, torch.Tensor]]  # (rows, heads, positions, width) each, layer by layer


class Decoded(NamedTuple):
    """``logits`` (rows, steps, vocabulary) of a target, and, where they were asked for, shares of attention of shape
    (layers, rows, heads, steps, positions): of the source, what knobs put in front of it first, and of the past. A
    decoder alone attends to both at once; its start token is of the source."""

    logits: torch.Tensor
    source: torch.Tensor | None = None
    past: torch.Tensor | None = None


class Reading(ABC):
    """What ``model`` has read of ``source``. A target is the token that decoding starts from, and what follows."""

    model: PreTrainedModel
    source: Source
    called: ClassVar[str]  # what it is, in words

    @property
    @abstractmethod
    def before(self) -> int:
        """How many tokens ``generate`` has in front of the one that decoding starts from."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """The memory that it takes, in bytes."""

    @abstractmethod
    def repeat(self, times: int) -> "Reading":
        """Return ``times`` copies, one after the other."""

    @abstractmethod
    def select(self, rows: Sequence[int]) -> "Reading":
        """Return some of the rows."""

    @abstractmethod
    def afresh(self) -> "Reading":
        """Return what a model reads under knobs that change how it reads: nothing yet, if a source is read by what the
        knobs change."""

    @abstractmethod
    def unsound(self) -> torch.Tensor:
        """Return which rows (rows,) hold numbers that are not finite at an attended position."""

    @abstractmethod
    def generate(self, **options: Any) -> Any:
        """Return what ``generate`` of the model gives: sequences of the shape (rows, start and what it says)."""

    @abstractmethod
    def decode(self, target_ids: torch.Tensor, attentions: bool = False, **more: Any) -> Decoded:
        """Return what the model gives for ``target_ids`` (rows, steps), read at once, without keeping a cache."""

    @property
    @abstractmethod
    def begins(self) -> torch.Tensor:
        """The token (rows,) that decoding starts from."""

    @abstractmethod
    def keys(self, codes: Sequence[Sequence[Code]]) -> tuple[KeysAndValues, list[KeysAndValues | None]]:
        """Return keys and values of what was read, the token that decoding starts from left out, and of the ``codes``
        of each of several jobs, side by side, None for a job that has none."""


def side_by_side(several: Sequence[KeysAndValues]) -> KeysAndValues | None:
    """Return the positions of ``several`` one after the other, as many rows of each as the most have."""
    if not several:
        return None
    rows = max(len(layers[0][0]) for layers in several)
    return [
        tuple(torch.cat([one[which].expand(rows, -1, -1, -1) for one in layer], dim=2) for which in (0, 1))  # type: ignore[misc]
        for layer in zip(*several, strict=True)
    ]
