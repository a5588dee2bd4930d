"""Nucleus filtering without sorting the vocabulary, or by its values alone where a nucleus is wide."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import LogitsProcessor

LIKELY = 64  # how many of the most likely tokens are looked at first


class Nuclei(NamedTuple):
    """Of some ``rows`` (rows,) the ``tokens`` (rows, count) among which a nucleus is, and which are ``kept`` for it."""

    rows: torch.Tensor
    tokens: torch.Tensor
    kept: torch.Tensor


def nuclei(scores: torch.Tensor, mass: float) -> Iterator[Nuclei]:
    """Yield the most likely tokens of ``scores`` (rows, vocabulary) before which less than ``mass`` has accumulated.

    The set is that of `transformers.TopPLogitsWarper` (Holtzman et al., 2020). It is looked for among the most likely
    tokens, and in those rows alone that need more among all, so that a row does not depend on the others.
    """
    probabilities = scores.softmax(dim=-1)
    rows = torch.arange(len(scores), device=scores.device)
    if scores.shape[-1] > LIKELY:
        top = probabilities.topk(LIKELY, dim=-1)
        sums = top.values.cumsum(dim=-1)
        found = sums[:, -1] >= mass
        before = torch.nn.functional.pad(sums[:, :-1], (1, 0))
        yield Nuclei(rows[found], top.indices[found], before[found] < mass)
        rows = rows[~found]
    if len(rows):
        yield _wide(rows, probabilities[rows], mass)


def _wide(rows: torch.Tensor, probabilities: torch.Tensor, mass: float) -> Nuclei:
    """Return the nuclei of ``rows``, whose ``probabilities`` (rows, vocabulary) are sorted without their tokens: of
    tokens as likely as the last one of a nucleus the first ones are in it."""
    values = _descending(probabilities)
    sums, last = values.cumsum(dim=-1), values.shape[-1] - 1
    place = torch.searchsorted(sums, sums.new_full((len(rows), 1), mass)).clamp(max=last)  # of a nucleus's last token
    least = values.gather(1, place)
    kept = probabilities >= least
    if bool(((place < last) & (values.gather(1, (place + 1).clamp(max=last)) == least)).any()):
        above, same = probabilities > least, probabilities == least
        kept = above | (same & (same.cumsum(dim=-1) <= place + 1 - above.sum(dim=-1, keepdim=True)))
    tokens = pad_sequence(kept.nonzero()[:, 1].split((place[:, 0] + 1).tolist()), batch_first=True)
    return Nuclei(rows, tokens, torch.arange(tokens.shape[1], device=tokens.device) <= place)


def _descending(values: torch.Tensor) -> torch.Tensor:
    """Return each row of ``values`` sorted: on the CPU by NumPy, whose vectorised sort is tens of times as fast."""
    if values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64):
        return values.sort(dim=-1, descending=True).values
    return torch.from_numpy(-np.sort(-values.detach().numpy(), axis=-1))


class TopP(LogitsProcessor):
    """Keep the tokens of :func:`nuclei`; rule the others out."""

    def __init__(self, mass: float):
        self.mass = mass

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        kept = torch.zeros_like(scores, dtype=torch.bool)
        for found in nuclei(scores, self.mass):
            of, places = found.kept.nonzero(as_tuple=True)
            kept[found.rows[of], found.tokens[of, places]] = True
        return scores.masked_fill(~kept, -torch.inf)
