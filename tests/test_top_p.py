"""The nucleus without sorting is that of the library's sorted one."""

import pytest
import torch
from transformers import TopPLogitsWarper

from zsc.generation.top_p import LIKELY, TopP


def spread_scores(spread, vocabulary=2000):
    return torch.randn(40, vocabulary, generator=torch.Generator().manual_seed(0)) * spread


@pytest.mark.parametrize("mass", [0.05, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("spread", [0.5, 1.5, 3.0, 8.0])
@pytest.mark.parametrize("vocabulary", [40, 300, 2000])
def test_same_tokens_as_the_library(mass, spread, vocabulary):
    scores = spread_scores(spread, vocabulary)
    assert torch.equal(TopP(mass)(None, scores), TopPLogitsWarper(mass)(None, scores))


def test_every_stage_is_reached():
    def sizes(spread):
        return (TopP(0.9)(None, spread_scores(spread)) > -torch.inf).sum(dim=1)

    assert sizes(8.0).max() < LIKELY[0] < sizes(2.0).median() < LIKELY[1] < sizes(0.5).min()


def test_a_row_does_not_depend_on_the_others():
    scores = torch.randn(6, 2000, generator=torch.Generator().manual_seed(0)) * torch.tensor([[0.5], [2.0], [9.0]] * 2)
    together = TopP(0.9)(None, scores)
    assert all(torch.equal(together[i : i + 1], TopP(0.9)(None, scores[i : i + 1])) for i in range(6))


def test_by_hand():
    scores = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert (TopP(0.6)(None, scores) > -torch.inf).tolist() == [[True, True, False, False]]
    assert (TopP(0.01)(None, scores) > -torch.inf).tolist() == [[True, False, False, False]]
    ruled_out = scores.masked_fill(torch.tensor([[True, False, False, False]]), -torch.inf)
    assert (TopP(0.99)(None, ruled_out) > -torch.inf).tolist() == [[False, True, True, True]]
