"""Knob D, the bias of knob A on the decoder's own past [I]: text degenerates as its strength grows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.additions import Additions, prompt_length
from zsc.knobs.anatomy import check_choice, check_indices, check_integer
from zsc.knobs.base import AdditiveKnob, Dose
from zsc.knobs.bias import check_strength, head_mask, restricted
from zsc.knobs.masks import Bias, precision
from zsc.knobs.supported import check_supported

# of positions in the target: queries (queries, 1), keys (keys,), the knob's size and seed; to booleans (queries, keys)
PROFILES: dict[str, Callable[[torch.Tensor, torch.Tensor, int, int], torch.Tensor]] = {
    "recent": lambda query, key, size, seed: key > query - size,
    "distant": lambda query, key, size, seed: key <= query - size,
    "start": lambda query, key, size, seed: (key == 0).expand(len(query), -1),
    "random": lambda query, key, size, seed: tosses(len(key), seed).to(key.device).expand(len(query), -1),
    "uniform": lambda query, key, size, seed: key < query,
}


@dataclass(frozen=True)
class SelfAttentionBias(AdditiveKnob):
    """Weight ``strength`` on part of what the decoder attends to of its own past, by ``profile`` [D]:

    - ``recent``: the last ``size`` positions, the query's own among them; ``distant``: all before these;
    - ``start``: the first position, the start token;
    - ``random``: about half of the positions, drawn with ``seed``, the same for all queries and examples;
    - ``uniform``: the whole past alike, against the query's own position.

    The past of a decoder alone begins at the last token of its prompt, which stands for the start token; the rest of
    the prompt keeps the weight 1. The causal mask is kept. A query that would lose every key of the past, which only a
    strength of 0 can do, keeps its weights.
    Raises ValueError for an unknown profile, a size below 1, or a bad strength.
    """

    dose = Dose("strength", neutral=1.0, weakest=1.0, strongest=100.0, geometric=True)
    lists = frozenset({"layers", "heads"})
    naming = ("profile",)

    profile: str = "recent"
    strength: float = 5.0
    size: int = 3
    seed: int = 0
    layers: Sequence[int] | None = None
    heads: Sequence[int] | None = None

    def __post_init__(self) -> None:
        check_choice("profile", self.profile, PROFILES)
        check_integer("size", self.size, 1)
        check_integer("seed", self.seed, 0)
        check_strength(self.strength)
        check_indices("layers", self.layers)
        check_indices("heads", self.heads)

    def __str__(self) -> str:
        numbers = {"recent": f" {self.size}", "distant": f" {self.size}", "random": f" seed {self.seed}"}
        where = restricted(self.layers, self.heads)
        return f"self_attn_bias({self.profile}{numbers.get(self.profile, '')}, {self.strength:g}{where})"

    @classmethod
    def moves(cls, values: Mapping[str, Any]) -> tuple[str, ...]:
        return ("distinct2",)

    @property
    def neutral(self) -> bool:
        """Whether these fields are meant to change nothing."""
        return self.strength == 1

    def weights(self, steps: torch.Tensor, positions: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Return b, of shape (1, queries, positions), for queries at ``steps`` of the target."""
        query, key = steps[:, None], torch.arange(positions, device=steps.device)
        chosen = PROFILES[self.profile](query, key, self.size, self.seed)
        weights = torch.ones(chosen.shape, dtype=dtype, device=steps.device).masked_fill(chosen, self.strength)
        lost = ~((weights > 0) & (key <= query)).any(dim=1, keepdim=True)
        return weights.masked_fill(lost, 1)[None]

    def check(self, model: PreTrainedModel, source: Source | None) -> None:
        """Raise UnsupportedModel, or ValueError for layers or heads beyond the model, or a prompt that is not given."""
        check_supported(model)
        prompt_length(model, source)
        head_mask(model, self.layers, self.heads)

    def additions(self, model: PreTrainedModel, source: Source | None) -> Additions:
        """Return what it adds to the decoder of ``model``."""
        if self.neutral:
            return Additions()
        self.check(model, source)
        weights = partial(self.weights, dtype=precision(model.dtype))
        bias = Bias(weights, self.layers, head_mask(model, self.layers, self.heads))
        return Additions(past=[bias], prompt=prompt_length(model, source))


def tosses(count: int, seed: int) -> torch.Tensor:
    """Return ``count`` coin tosses; the first ones do not depend on how many follow."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, generator=generator, dtype=torch.float64) < 0.5
