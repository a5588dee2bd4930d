"""The effect of knobs measured before a run, and the refusal of knobs that do nothing."""

from contextlib import contextmanager

import pytest
import torch

from tests.knob_cases import Given, made_knob, stepped_ways
from tests.reference import cross_attentions, reweighted, self_attentions
from zsc.data.layouts import BucketLayout
from zsc.knobs import AttentionBias, ComponentSwap, ContextAugmentation, DecoderMixing, SelfAttentionBias
from zsc.knobs.cached import LostAtCachedSteps, check_cached
from zsc.knobs.finite import NotFinite
from zsc.knobs.probe import PROBED_TOKENS, NoEffect, moved, probe
from zsc.models.load import load_model


@pytest.fixture
def source(parlor, tokenizer):
    return BucketLayout().encode(parlor[:3], tokenizer)


def test_moved_mass_by_hand():
    off = torch.tensor([0.5, 0.5, 0.0]).expand(2, 1, 1, 2, 3)
    on = torch.tensor([0.4, 0.1, 0.5, 0.0]).expand(2, 1, 1, 2, 4)
    kept = torch.tensor([[True, False]])
    assert moved(off, on, kept) == pytest.approx(0.4)
    assert moved(off, off, kept) == 0


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("family", ["bart", "t5"])
def test_the_effect_grows_with_the_strength_and_the_backend_is_kept(tiny, tokenizer, source, family, backend):
    model = tiny(family, backend)
    effects = [probe(model, [AttentionBias("knowledge", strength)], source) for strength in (1.0, 2.0, 8.0)]
    assert effects[0].kl == effects[0].cross_moved == 0
    assert 0 < effects[1].kl < effects[2].kl and 0 < effects[1].cross_moved < effects[2].cross_moved < 1
    assert model.get_decoder().config._attn_implementation == backend


def test_kl_is_that_of_the_two_distributions_along_the_greedy_tokens(tiny, source):
    model, reference, knob = tiny("bart", "sdpa"), tiny("bart", "eager"), AttentionBias("knowledge", 8.0)
    inputs = {"input_ids": source.input_ids, "attention_mask": source.attention_mask}
    weights = torch.where(source.segments == 1, 8.0, 1.0)[:, None, None]
    with torch.no_grad():
        generated = reference.generate(**inputs, max_new_tokens=PROBED_TOKENS, do_sample=False, num_beams=1)
        off = reference(**inputs, decoder_input_ids=generated).logits.softmax(-1)
        with reweighted(cross_attentions(reference), weights):
            on = reference(**inputs, decoder_input_ids=generated).logits.softmax(-1)
    divergences = []
    for row, tokens in enumerate(generated):
        ended = (tokens[1:] == 2).nonzero()
        steps = range(1 + int(ended[0]) if len(ended) else len(tokens))
        divergences += [float((on[row, i] * (on[row, i] / off[row, i]).log()).sum()) for i in steps]
    assert probe(model, [knob], source).kl == pytest.approx(sum(divergences) / len(divergences), rel=1e-3)


def test_a_knob_that_does_nothing_is_found_in_a_list(tiny, source):
    model = tiny("bart", "sdpa")
    with pytest.raises(NoEffect, match="tokens:0:999"):
        probe(model, [AttentionBias("knowledge", 6.0), AttentionBias("tokens:0:999", 7.0)], source)


def test_mass_on_a_code_counts_as_moved(tiny, tokenizer, source):
    knob = ContextAugmentation(["Why?", "How so?"], tokenizer, strength=1e6, count=2)
    assert probe(tiny("bart", "sdpa"), [knob], source).cross_moved == pytest.approx(1, abs=1e-3)


def test_self_attention_moves_under_its_own_bias(tiny, source):
    effect = probe(tiny("bart", "sdpa"), [SelfAttentionBias("recent", 1e6, size=1)], source)
    assert effect.self_moved > 0.2


def test_knobs_that_change_nothing_are_refused(tiny, source):
    model = tiny("bart", "sdpa")
    everything = AttentionBias("tokens:0:999", 7.0)
    with pytest.raises(NoEffect, match=r"attn_bias\(tokens:0:999, 7\) changes nothing"):
        probe(model, [everything], source)
    with pytest.raises(NoEffect):
        probe(model, [DecoderMixing(tiny("bart", "sdpa"), 0.5, "probs")], source)  # the same weights
    probe(model, [AttentionBias(strength=1.0)], source)


def test_in_half_precision_weak_knobs_are_not_taken_for_none(parlor):
    loaded = load_model("mini", device="cpu", dtype="bfloat16")
    source = BucketLayout().encode(parlor[:4], loaded.tokenizer)
    for strength in (1.5, 2.0, 5.0):
        assert probe(loaded.model, [AttentionBias("knowledge", strength)], source).cross_moved > 0


@contextmanager
def forgetful(model):
    """Lose the mask of the decoder's self-attention at steps with a cache, as LED and BertGeneration do."""

    def forget(module, args, kwargs):
        (states,) = args or (kwargs["hidden_states"],)
        lost = states.shape[1] == 1
        return args, {key: None if lost and key.endswith("mask") else value for key, value in kwargs.items()}

    handles = [one.register_forward_pre_hook(forget, with_kwargs=True) for one in self_attentions(model)]
    yield
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["bart", "t5"])
def test_a_knob_that_a_model_loses_at_cached_steps_is_refused(tiny, source, family, dtype):
    model, knob = tiny(family, "sdpa").to(dtype), [SelfAttentionBias("recent", 50.0)]
    effect = probe(model, knob, source)
    with forgetful(model):
        if family == "bart":  # T5 puts its position bias into the mask, which it then loses without knobs too
            with pytest.raises(LostAtCachedSteps, match=r"self_attn_bias\(.*decoding.use_cache=false"):
                probe(model, knob, source)
        assert probe(model, knob, source, cached=False) == effect
        assert probe(model, [AttentionBias("knowledge", 5.0)], source).kl > 0  # which it does not lose


@pytest.mark.parametrize("family", ["bart", "t5"])
@pytest.mark.parametrize("case", stepped_ways())
def test_a_cache_that_is_not_read_is_noticed(pair, source, tokenizer, monkeypatch, case, family):
    """What happened when the cache had a name that nobody knew: every step was taken for the first."""
    model, other = pair(family)
    knobs = [made_knob(case, Given(tokenizer, other))]
    assert probe(model, knobs, source).kl > 0
    monkeypatch.setattr("zsc.knobs.kinds.given_cache", lambda module, kwargs: None)
    monkeypatch.setattr("zsc.knobs.dec_mix.follower", lambda cache, owner: None)
    with pytest.raises(LostAtCachedSteps):
        probe(model, knobs, source)


def test_a_model_that_differs_with_a_cache_of_itself_is_not_the_knobs_fault(tiny, source, monkeypatch):
    monkeypatch.setattr("zsc.knobs.supported.measured", lambda model: True)  # others are tried, and refused for this
    model = tiny("bart", "sdpa")
    modules = [layer.self_attn for layer in model.get_decoder().layers]
    for module in modules:  # what it gives depends on how many tokens it reads at once
        module.register_forward_hook(
            lambda module, args, output: (output[0] * (1 + 0.01 * (output[0].shape[1] == 1)), *output[1:])
        )
    assert probe(model, [SelfAttentionBias("recent", 1.05)], source).kl > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_refused(tiny, source, value):
    model = tiny("bart", "sdpa")
    with torch.no_grad():
        model.get_decoder().layers[1].fc2.bias[3] = value
    with pytest.raises(NotFinite, match=r"without knobs \(row 0, decoding step 0\).*model.dtype=bfloat16"):
        probe(model, [AttentionBias("knowledge", 5.0)], source)


def test_a_knob_that_makes_logits_overflow_is_named(pair, source):
    model, other = pair("bart")
    with torch.no_grad():
        other.get_decoder().layers[1].fc2.bias[3] = float("nan")
    with pytest.raises(NotFinite, match=r"not finite with dec_mix\(hidden, 0.5\) \(row 0"):
        probe(model, [DecoderMixing(other, 0.5, "hidden")], source)


def test_tokens_that_a_model_rules_out_do_not_spoil_the_divergence(tiny, source):
    model = tiny("bart", "sdpa")
    expected = probe(model, [AttentionBias("knowledge", 5.0)], source)
    model.final_logits_bias[0, 0] = -float("inf")
    effect = probe(model, [AttentionBias("knowledge", 5.0)], source)
    assert effect.kl == pytest.approx(expected.kl, rel=0.05)


def test_other_weights_are_not_compared_at_cached_steps(tiny, source, monkeypatch):
    """Nothing can lose them there; in a model that they ruin, rounding makes of a cache whatever it likes."""
    model = tiny("bart")
    monkeypatch.setattr("zsc.knobs.probe.check_cached", lambda *args: 1 / 0)
    assert probe(model, [ComponentSwap(by="random")], source).kl > 0
    with pytest.raises(ZeroDivisionError):
        probe(model, [SelfAttentionBias("recent", 9.0)], source)


def test_rounding_that_grows_with_a_strong_knob_is_no_loss():
    """As seen on SmolLM2 under a weight of 100 on the past: 1.1e-4 off, where the knob changes whole nats."""
    check_cached("strong", 1.1e-4, 1e-6, 4.0, 30.0, torch.float32)
    with pytest.raises(LostAtCachedSteps, match="strong acts otherwise"):
        check_cached("strong", 0.05, 1e-6, 4.0, 30.0, torch.float32)
    with pytest.raises(LostAtCachedSteps):
        check_cached("weak", 1.1e-4, 1e-6, 2e-4, 30.0, torch.float32)
