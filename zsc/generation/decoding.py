"""Decoding settings, every one explicit, and sampling that does not depend on the batch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    PreTrainedModel,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
)

from zsc.errors import ZscError, suggestion
from zsc.generation.noise import gumbel
from zsc.generation.top_p import TopP
from zsc.models.load import PROTOCOL_FIELDS


@dataclass(frozen=True)
class Decoding:
    """How responses are decoded. ``sample`` draws tokens; otherwise greedy, or beam search if ``num_beams`` > 1."""

    max_new_tokens: int = 40
    min_new_tokens: int = 1
    sample: bool = True
    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 0
    num_beams: int = 1
    early_stopping: bool = False
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    repetition_penalty: float = 1.0
    use_cache: bool = True

    def __post_init__(self) -> None:
        checks = {
            "max_new_tokens": self.max_new_tokens >= 1,
            "min_new_tokens": 0 <= self.min_new_tokens <= self.max_new_tokens,
            "temperature": self.temperature > 0,
            "top_p": 0 < self.top_p <= 1,
            "top_k": self.top_k >= 0,
            "num_beams": self.num_beams >= 1,
            "repetition_penalty": self.repetition_penalty > 0,
        }
        checks |= {name: checks.get(name, True) and isfinite(value) for name, value in asdict(self).items()}
        for field, ok in checks.items():
            if not ok:
                raise ZscError(f"decoding.{field}={getattr(self, field)} is out of range.")
        if self.sample and self.num_beams > 1:
            raise ZscError("decoding.sample=true goes with decoding.num_beams=1: use decoding=beam for beam search.")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Decoding":
        """Build from a mapping. Raises ZscError for unknown or ill-typed fields."""
        known = cls.__dataclass_fields__
        for name, value in settings.items():
            if name not in known:
                raise ZscError(f"decoding.{name} is not a setting.{suggestion(name, known)}")
            wanted = type(known[name].default)
            if not isinstance(value, (int, float) if wanted is float else wanted) or (
                wanted is not bool and isinstance(value, bool)
            ):
                raise ZscError(f"decoding.{name}={value!r} must be of type {wanted.__name__}.")
        return cls(**settings)

    def generation_config(self, model: PreTrainedModel) -> GenerationConfig:
        """Return the full configuration for ``generate``: these settings and the token ids of ``model``.

        Sampling is greedy search over perturbed scores (see :class:`GumbelSampling`), so ``do_sample`` stays off.
        """
        fields = {k: v for k, v in asdict(self).items() if k not in ("sample", "temperature", "top_p", "top_k")}
        return GenerationConfig(
            **{field: getattr(model.generation_config, field) for field in PROTOCOL_FIELDS},
            **fields,
            do_sample=False,
            num_return_sequences=1,
            num_beam_groups=1,
        )

    def logits_processors(self, streams: torch.Tensor) -> list[LogitsProcessor]:
        """Return what turns greedy search into sampling with the noise of ``streams`` (rows,); empty unless ``sample``.

        :func:`zsc.generation.noise.stream_keys` makes streams.
        """
        if not self.sample:
            return []
        warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(float(self.temperature))]
        if self.top_k:
            warpers.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1:
            warpers.append(TopP(self.top_p))
        return [*warpers, GumbelSampling(streams)]


class GumbelSampling(LogitsProcessor):
    """Add Gumbel noise to the scores, so that their argmax is a sample of their softmax (the Gumbel-max trick) [D].

    The noise depends on seed, example, step and token alone (:mod:`zsc.generation.noise`). A response is therefore the
    same alone, in any batch and in any order, and runs that differ in a knob only share their noise, which makes their
    comparison a paired one. Tokens already ruled out need none.
    """

    def __init__(self, streams: torch.Tensor):
        self.keys = streams

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        rows, tokens = torch.nonzero(scores > -torch.inf, as_tuple=True)
        if scores.device.type == "mps":  # which has no float64
            noise = gumbel(self.keys[rows.cpu()], input_ids.shape[1], tokens.cpu()).float().to(scores.device)
        else:
            noise = gumbel(self.keys.to(scores.device)[rows], input_ids.shape[1], tokens).float()
        return scores.float().index_put((rows, tokens), noise, accumulate=True)
