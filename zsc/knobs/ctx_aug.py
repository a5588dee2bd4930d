"""Knob C, context augmentation [I, P, K]: encoded control phrases beside what the model has read of the input."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from zsc.data.source import Source
from zsc.knobs.additions import Additions, prompt_length
from zsc.knobs.anatomy import UnsupportedModel, biases_distance, check_choice, check_integer, is_causal
from zsc.knobs.base import USE_OF_KNOWLEDGE, AdditiveKnob, Dose
from zsc.knobs.bias import check_strength
from zsc.knobs.masks import Code
from zsc.knobs.read import read_phrases
from zsc.knobs.supported import check_codes

VARIANTS = ("mean", "concat", "single", "token_mean")
SET_MOVES = {"questions": "question_rate", "topic_": "topic_keywords", "positive": "positive_rate",
             "negative": "negative_rate"}  # by how the name of a set of phrases begins  # fmt: skip


@dataclass(frozen=True)
class ContextAugmentation(AdditiveKnob):
    """Encode ``count`` of ``phrases``, drawn with ``seed``, into a code that the decoder attends to beside the input.

    Phrases and input are never read together. The code stands in front of the input's states and is attended to with
    the weight ``strength``; a strength of 0 leaves it out. ``variant``:

    - ``mean``: states averaged position by position over the phrases that reach the position [P, K];
    - ``concat``: all states side by side; ``single``: those of the first phrase drawn; ``token_mean``: one state, the
      mean over all tokens of all phrases [D].

    In a decoder alone the code is one of keys and values of each layer, in front of the prompt, to which the response
    attends and the prompt never does; see :func:`zsc.knobs.prompt.phrase_states` for positions. Phrases are read as if
    the model said them: behind an opening (:func:`zsc.knobs.opening.opening_of`) that is no part of the code [D].

    ``literal`` repeats the earlier code's padding: phrases are padded to the longest, encoded without a mask, and
    the pads averaged into the code. Raises ValueError for bad values, or fewer than ``count`` phrases.
    """

    dose = Dose("strength", neutral=0.0, weakest=0.1, strongest=100.0, geometric=True)
    naming = ("label",)

    phrases: Sequence[str] = field(repr=False)
    tokenizer: PreTrainedTokenizerBase = field(repr=False, compare=False)
    strength: float = 5.0
    count: int = 10
    seed: int = 0
    variant: str = "mean"
    literal: bool = False
    label: str = "phrases"

    def __post_init__(self) -> None:
        check_strength(self.strength)
        check_choice("variant", self.variant, VARIANTS)
        check_integer("seed", self.seed, 0)
        if isinstance(self.phrases, str):
            raise ValueError(f"phrases must be a list of texts, got one text, {self.phrases!r}.")
        if not isinstance(self.literal, bool):
            raise ValueError(f"literal={self.literal!r} must be true or false.")
        if type(self.count) is not int or not 1 <= self.count <= len(self.phrases):
            raise ValueError(f"count={self.count} must lie between 1 and the {len(self.phrases)} phrases of the set.")
        if self.literal and self.variant != "mean":
            raise ValueError(f"literal=true goes with variant=mean only, not with {self.variant}.")

    def __str__(self) -> str:
        details = [f"{self.strength:g}", f"K={1 if self.variant == 'single' else self.count}"]
        details += [self.variant] * (self.variant != "mean") + ["literal"] * self.literal
        details += [f"seed {self.seed}"] * (self.seed != 0)
        return f"ctx_aug({self.label}, {', '.join(details)})"

    @classmethod
    def moves(cls, values: Mapping[str, Any]) -> tuple[str, ...]:
        label = str(values.get("label", ""))
        named = next((metric for start, metric in SET_MOVES.items() if label.startswith(start)), None)
        return USE_OF_KNOWLEDGE if named is None else (named,)

    @property
    def neutral(self) -> bool:
        """Whether these fields are meant to change nothing."""
        return self.strength == 0

    @property
    def drawn(self) -> list[str]:
        """The phrases that make the code."""
        chosen = random.Random(self.seed).sample(list(self.phrases), self.count)
        return chosen[:1] if self.variant == "single" else chosen

    @property
    def control_phrases(self) -> Mapping[str, Sequence[str]]:
        return {self.label: self.drawn}

    @torch.inference_mode()
    def code(self, model: PreTrainedModel) -> torch.Tensor:
        """Return the code, states of shape (1, length, width as the decoder reads them)."""
        return combine(*read_phrases(model, self.tokenizer, self.drawn, self.literal), self.variant)[None]

    def check(self, model: PreTrainedModel, source: Source | None) -> None:
        """Raise UnsupportedModel for a model whose attention cannot be biased, that has no place for a code, or whose
        encoder would not read texts afterwards as before, and ValueError for a prompt that is not given."""
        if is_causal(model) and biases_distance(model):
            raise UnsupportedModel(
                f"{type(model).__name__} biases attention by how far keys lie (ALiBi), and knows no place before its"
                " prompt: ctx_aug needs a model whose positions are embedded or rotated into keys."
            )
        check_codes(model)
        prompt_length(model, source)
        if not is_causal(model) and getattr(model.get_encoder().config, "attention_type", None) == "block_sparse":
            raise UnsupportedModel(
                f"the encoder of {type(model).__name__} turns to full attention for good once it reads a text as short"
                ' as a phrase: set "attention_type": "original_full" in its config.json.'
            )

    def additions(self, model: PreTrainedModel, source: Source | None) -> Additions:
        """Return what it adds to the decoder of ``model``."""
        if self.neutral:
            return Additions()
        self.check(model, source)
        code = Code(self.code(model), float(self.strength))
        return Additions(codes=[code], prompt=prompt_length(model, source))


def combine(states: torch.Tensor, mask: torch.Tensor, variant: str) -> torch.Tensor:
    """Make a code (length, width) of the ``states`` (phrases, positions, width) whose ``mask`` is 1."""
    if variant in ("concat", "single"):
        return states[mask.bool()]
    weights = mask.to(states.dtype)[:, :, None]
    if variant == "token_mean":
        return ((states * weights).sum(dim=(0, 1)) / weights.sum())[None]
    return (states * weights).sum(dim=0) / weights.sum(dim=0)
