"""Counter-based noise: published bits, plain integers, the distribution, and what it depends on."""

import hashlib
import math

import pytest
import torch

from zsc.generation.noise import TOKENS, gumbel, random_bits, stream_keys
from zsc.generation.sampling import perturbed

MASK = 2**64 - 1


def splitmix64(seed, position):
    """The published algorithm on Python's integers, which do not wrap around by themselves."""
    state = (seed + (position + 1) * 0x9E3779B97F4A7C15) & MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def test_the_bits_are_the_published_ones_of_splitmix64():
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    bits = random_bits(torch.tensor(1234567), torch.arange(4))
    assert [int(b) & MASK for b in bits] == published


def test_noise_is_the_gumbel_transform_of_the_bits_at_its_step_and_token():
    key = stream_keys(["example"], 5)
    for step, token in [(0, 0), (1, 0), (39, 50_264), (3, 7)]:
        bits = splitmix64(int(key) & MASK, step * TOKENS + token)
        uniform = ((bits >> 11) + 0.5) / 2**53
        expected = -math.log(-math.log(uniform))
        assert math.isclose(float(gumbel(key, step, torch.tensor([token]))), expected, rel_tol=1e-12)


def test_keys_are_those_of_seed_and_id():
    expected = int.from_bytes(hashlib.sha256(b"7\0a/1").digest()[:8], "big", signed=True)
    assert stream_keys(["a/1"], 7).tolist() == [expected]
    assert len({int(k) for seed in range(3) for k in stream_keys(["a", "b"], seed)}) == 6


def test_noise_has_the_moments_and_tails_of_a_standard_gumbel():
    noise = gumbel(stream_keys([str(i) for i in range(200)], 0)[:, None], 4, torch.arange(5000)[None]).flatten()
    assert abs(noise.mean() - 0.5772157) < 0.005 and abs(noise.var() - math.pi**2 / 6) < 0.01
    for quantile in (0.001, 0.01, 0.5, 0.99, 0.999):
        below = (noise <= -math.log(-math.log(quantile))).double().mean()
        assert abs(below - quantile) < 4 * math.sqrt(quantile * (1 - quantile) / len(noise))
    assert noise.isfinite().all()


def test_noise_of_neighbouring_tokens_steps_and_examples_is_not_correlated():
    keys, tokens = stream_keys([f"example/{i}" for i in range(50)], 0)[:, None], torch.arange(2000)[None]
    now, later = gumbel(keys, 3, tokens), gumbel(keys, 4, tokens)
    pairs = [(now, later), (now[:, 1:], now[:, :-1]), (now[1:], now[:-1])]
    for one, other in pairs:
        assert abs(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]) < 0.015


@pytest.mark.parametrize("block", [1, 8, 2**16])  # of one row, of two, of all
@pytest.mark.parametrize("allowed", [[0, 3], [0, 1, 2, 4], [0, 1, 2, 3, 4]])  # few, most, all
@pytest.mark.parametrize("tokens", [None, [[5, 3, 4, 0, 50_264], [1, 2, 9, 8, 7], [6, 5, 4, 3, 2]]])
def test_scores_get_the_noise_of_their_row_step_and_token(monkeypatch, block, allowed, tokens):
    """By Python's integers and floats, number by number."""
    monkeypatch.setattr("zsc.generation.noise.BLOCK", block)
    keys, steps = stream_keys(["a", "b", "c"], 5), torch.tensor([0, 7, 39])
    scores = torch.full((3, 5), -torch.inf)
    scores[:, allowed] = torch.arange(3 * len(allowed)).view(3, -1).float()
    found = perturbed(scores, keys, steps, None if tokens is None else torch.tensor(tokens))
    for row in range(3):
        for column in range(5):
            token = column if tokens is None else tokens[row][column]
            bits = splitmix64(int(keys[row]) & MASK, int(steps[row]) * TOKENS + token)
            noise = -math.log(-math.log(((bits >> 11) + 0.5) / 2**53))
            assert float(found[row, column]) == pytest.approx(float(scores[row, column]) + noise, rel=1e-6)
