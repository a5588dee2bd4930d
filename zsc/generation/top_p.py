"""Nucleus filtering without sorting the vocabulary."""

import torch
from transformers import LogitsProcessor

LIKELY = (64, 512)  # how many of the most likely tokens are looked at first, and next


class TopP(LogitsProcessor):
    """Keep the most likely tokens before which less than ``mass`` has accumulated; rule the others out.

    The set is that of `transformers.TopPLogitsWarper` (Holtzman et al., 2020). It is looked for among the most likely
    tokens, and among more of them in those rows alone that need them, so that a row does not depend on the others.
    """

    def __init__(self, mass: float):
        self.mass = mass

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        probabilities = scores.softmax(dim=-1)
        kept = torch.zeros_like(scores, dtype=torch.bool)
        rows = torch.arange(len(scores), device=scores.device)
        vocabulary = scores.shape[-1]
        for count in (*(likely for likely in LIKELY if likely < vocabulary), vocabulary):
            top = probabilities[rows].topk(count, dim=-1)
            mass = top.values.cumsum(dim=-1)
            before = torch.nn.functional.pad(mass[:, :-1], (1, 0))
            kept[rows] = torch.zeros_like(kept[rows]).scatter(1, top.indices, before < self.mass)
            rows = rows[mass[:, -1] < self.mass]
            if not len(rows):
                break
        return scores.masked_fill(~kept, -torch.inf)
