"""The decoder's own past re-weighted, against eager models."""

import pytest
import torch

from tests.reference import reweighted, self_attentions
from zsc.knobs import SelfAttentionBias, apply
from zsc.knobs.self_attn_bias import tosses

FAMILIES = ["bart", "mbart", "marian", "t5"]
STEPS = 6
DECODER_IDS = torch.randint(10, 500, (3, STEPS), generator=torch.Generator().manual_seed(2))


def logits(model, inputs):
    with torch.no_grad():
        return model(**inputs, decoder_input_ids=DECODER_IDS).logits


def weights_by_hand(profile, strength):
    """Row q, column k: the weight of key k for query q, written out from the words of the profile."""
    rows = []
    for query in range(STEPS):
        chosen = {
            "recent": lambda key, query=query: query - 2 < key <= query,
            "distant": lambda key, query=query: key <= query - 2,
            "start": lambda key: key == 0,
            "random": lambda key: (
                torch.rand(STEPS, generator=torch.Generator().manual_seed(3), dtype=torch.float64)[key] < 0.5
            ),
            "uniform": lambda key, query=query: key < query,
        }[profile]
        rows.append([strength if chosen(key) else 1.0 for key in range(STEPS)])
    return torch.tensor(rows)[None, None].expand(3, 1, -1, -1)


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("profile", ["recent", "distant", "start", "random", "uniform"])
def test_profiles_equal_the_definition(tiny, inputs, profile, family, backend):
    reference, model = tiny(family, "eager"), tiny(family, backend)
    modules = self_attentions(reference)
    assert len(modules) == 2
    with reweighted(modules, weights_by_hand(profile, 6.0)):
        expected = logits(reference, inputs)
    with apply(model, [SelfAttentionBias(profile, 6.0, size=2, seed=3)]):
        actual = logits(model, inputs)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
    assert (actual - logits(model, inputs)).abs().max() > 1e-3


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_single_layers_and_heads(tiny, inputs, family, backend):
    reference, model = tiny(family, "eager"), tiny(family, backend)
    weights = torch.ones(3, 4, STEPS, STEPS)
    weights[:, 2:3] = weights_by_hand("recent", 6.0)
    with reweighted(self_attentions(reference)[1:], weights):
        expected = logits(reference, inputs)
    with apply(model, [SelfAttentionBias("recent", 6.0, size=2, layers=[1], heads=[2])]):
        torch.testing.assert_close(logits(model, inputs), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("profile", ["recent", "random", "uniform"])
def test_cache_and_no_cache_agree(tiny, inputs, profile, family, beams):
    model = tiny(family, "sdpa")
    with apply(model, [SelfAttentionBias(profile, 6.0, size=2)]):
        cached, recomputed = (
            model.generate(**inputs, max_new_tokens=9, num_beams=beams, do_sample=False, use_cache=cache)
            for cache in (True, False)
        )
    assert torch.equal(cached, recomputed)


def test_a_strength_of_zero_leaves_every_query_a_key(tiny, inputs):
    model = tiny("bart", "sdpa")
    for profile in ("recent", "distant", "start", "random", "uniform"):
        with apply(model, [SelfAttentionBias(profile, 0.0, size=2)]):
            assert torch.isfinite(logits(model, inputs)).all()
    weights = SelfAttentionBias("start", 0.0).weights(torch.arange(3), 3)[0]
    assert weights.tolist() == [[1, 1, 1], [0, 1, 1], [0, 1, 1]]


def test_the_causal_mask_is_kept(tiny, inputs):
    model = tiny("bart", "sdpa")
    with apply(model, [SelfAttentionBias("recent", 6.0)]):
        full = logits(model, inputs)
        with torch.no_grad():
            first = model(**inputs, decoder_input_ids=DECODER_IDS[:, :3]).logits
    torch.testing.assert_close(first, full[:, :3], atol=1e-5, rtol=1e-5)


def test_tosses_do_not_depend_on_their_number():
    assert torch.equal(tosses(50, 1)[:20], tosses(20, 1)) and not torch.equal(tosses(50, 1), tosses(50, 2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"profile": "near"}, "recent, distant"),
        ({"size": 0}, "at least 1"),
        ({"strength": -2}, "at least 0"),
        ({"seed": "a"}, "seed='a' must be"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        SelfAttentionBias(**settings)
