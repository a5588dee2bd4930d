"""Nucleus filtering without sorting the vocabulary."""

import torch
from transformers import LogitsProcessor

LIKELY = 64  # tokens among which the nucleus is looked for first


class TopP(LogitsProcessor):
    """Keep the most likely tokens before which less than ``mass`` has accumulated; rule the others out.

    The set is that of `transformers.TopPLogitsWarper` (Holtzman et al., 2020). It is found among the ``LIKELY`` most
    likely tokens; only rows whose nucleus is larger are sorted, so that a row does not depend on the others.
    """

    def __init__(self, mass: float):
        self.mass = mass

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        filtered = torch.full_like(scores, -torch.inf)
        probabilities = scores.softmax(dim=-1)
        vocabulary = scores.shape[-1]
        enough = self._keep(scores, probabilities, filtered, min(LIKELY, vocabulary))
        if not bool(enough.all()):
            rows = (~enough).nonzero().flatten()
            rest = filtered[rows]
            self._keep(scores[rows], probabilities[rows], rest, vocabulary)
            filtered[rows] = rest
        return filtered

    def _keep(
        self, scores: torch.Tensor, probabilities: torch.Tensor, filtered: torch.Tensor, count: int
    ) -> torch.Tensor:
        """Copy the nucleus among the ``count`` most likely tokens into ``filtered``; return which rows it suffices."""
        top = probabilities.topk(count, dim=-1)
        mass = top.values.cumsum(dim=-1)
        before = torch.nn.functional.pad(mass[:, :-1], (1, 0))
        kept = scores.gather(1, top.indices).masked_fill(before >= self.mass, -torch.inf)
        filtered.scatter_(1, top.indices, kept)
        return mass[:, -1] >= self.mass
