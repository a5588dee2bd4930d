"""Nucleus filtering without sorting the vocabulary."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from transformers import LogitsProcessor

LIKELY = (64, 512)  # how many of the most likely tokens are looked at first, and next


class Nuclei(NamedTuple):
    """Of some ``rows`` (rows,) the most likely ``tokens`` (rows, count), likeliest first, and which are ``kept``."""

    rows: torch.Tensor
    tokens: torch.Tensor
    kept: torch.Tensor


def nuclei(scores: torch.Tensor, mass: float) -> Iterator[Nuclei]:
    """Yield the most likely tokens of ``scores`` (rows, vocabulary) before which less than ``mass`` has accumulated.

    The set is that of `transformers.TopPLogitsWarper` (Holtzman et al., 2020). It is looked for among the most likely
    tokens, and among more of them in those rows alone that need them, so that a row does not depend on the others.
    """
    probabilities = scores.softmax(dim=-1)
    rows, vocabulary = torch.arange(len(scores), device=scores.device), scores.shape[-1]
    for count in (*(likely for likely in LIKELY if likely < vocabulary), vocabulary):
        top = (probabilities if len(rows) == len(scores) else probabilities[rows]).topk(count, dim=-1)
        accumulated = top.values.cumsum(dim=-1)
        found = (accumulated[:, -1] >= mass) | (count == vocabulary)
        before = torch.nn.functional.pad(accumulated[:, :-1], (1, 0))
        yield Nuclei(rows[found], top.indices[found], before[found] < mass)
        rows = rows[~found]
        if not len(rows):
            return


class TopP(LogitsProcessor):
    """Keep the tokens of :func:`nuclei`; rule the others out."""

    def __init__(self, mass: float):
        self.mass = mass

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        kept = torch.zeros_like(scores, dtype=torch.bool)
        for found in nuclei(scores, self.mass):
            kept[found.rows] = torch.zeros_like(kept[found.rows]).scatter(1, found.tokens, found.kept)
        return scores.masked_fill(~kept, -torch.inf)
