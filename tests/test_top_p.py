"""The nucleus without sorting the vocabulary is that of the library's sorted one."""

import pytest
import torch
from transformers import TopPLogitsWarper

from zsc.generation.decoding import Decoding
from zsc.generation.noise import gumbel, stream_keys
from zsc.generation.sampling import drawn
from zsc.generation.top_p import LIKELY, TopP, nuclei


def spread_scores(spread, vocabulary=2000):
    return torch.randn(40, vocabulary, generator=torch.Generator().manual_seed(0)) * spread


def kept(scores, mass):
    return TopP(mass)(None, scores) > -torch.inf


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mass", [0.05, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("spread", [0.5, 1.5, 3.0, 8.0])
@pytest.mark.parametrize("vocabulary", [40, 300, 2000])
def test_same_tokens_as_the_library(mass, spread, vocabulary, dtype):
    scores = spread_scores(spread, vocabulary).to(dtype)
    assert torch.equal(TopP(mass)(None, scores), TopPLogitsWarper(mass)(None, scores))


def test_both_stages_are_reached_also_by_rows_of_one_batch():
    scores = torch.cat([spread_scores(8.0)[:3], spread_scores(0.5)[:2]])
    likely, wide = nuclei(scores, 0.9)
    assert likely.rows.tolist() == [0, 1, 2] and likely.tokens.shape == (3, LIKELY)
    assert wide.rows.tolist() == [3, 4] and wide.kept.sum(dim=1).min() > LIKELY


def test_a_row_does_not_depend_on_the_others():
    scores = torch.randn(6, 2000, generator=torch.Generator().manual_seed(0)) * torch.tensor([[0.5], [2.0], [9.0]] * 2)
    together = TopP(0.9)(None, scores)
    assert all(torch.equal(together[i : i + 1], TopP(0.9)(None, scores[i : i + 1])) for i in range(6))


def test_by_hand():
    scores = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert kept(scores, 0.6).tolist() == [[True, True, False, False]]
    assert kept(scores, 0.01).tolist() == [[True, False, False, False]]
    ruled_out = scores.masked_fill(torch.tensor([[True, False, False, False]]), -torch.inf)
    assert kept(ruled_out, 0.99).tolist() == [[False, True, True, True]]


def test_of_equals_at_the_edge_as_many_are_kept_as_by_the_library_the_first_ones():
    scores = torch.zeros(2, 200)
    scores[1, 150] = 1.0
    found, expected = kept(scores, 0.5), TopPLogitsWarper(0.5)(None, scores) > -torch.inf
    assert found.sum(dim=1).tolist() == expected.sum(dim=1).tolist()
    assert found[0, : found[0].sum()].all() and found[1, 150] and found[1, : found[1].sum() - 1].all()


@pytest.mark.parametrize("spread", [0.5, 2.0, 8.0])
def test_a_token_is_the_best_of_a_nucleus_with_noise(spread):
    """The best of the whole vocabulary, with what the library rules out ruled out and noise on all of it."""
    scores, keys, steps = spread_scores(spread), stream_keys([str(i) for i in range(40)], 0), torch.arange(40)
    noise = gumbel(keys[:, None], steps[:, None], torch.arange(2000))
    expected = (TopPLogitsWarper(0.9)(None, scores).double() + noise).argmax(dim=1)
    assert torch.equal(drawn(Decoding(top_p=0.9), scores, keys, steps), expected)
