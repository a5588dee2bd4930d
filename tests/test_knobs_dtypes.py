"""Every precision: double against eager models re-weighted in double, half against double, and no other."""

import copy
from dataclasses import replace

import pytest
import torch

from tests.families import tiny_family
from tests.knob_cases import CASES, Given, first, made_knob, neutral, ways
from tests.reference import Plain, cross_attentions, reweighted
from zsc.data.layouts import BucketLayout
from zsc.knobs import (
    AdditiveKnob,
    AttentionBias,
    DecoderMixing,
    SelfAttentionBias,
    UnsupportedModel,
    apply,
    biased_cross_attention,
)
from zsc.knobs.stack import stacked
from zsc.knobs.swap import control

FAMILIES = ["bart", "t5", "marian", "encoder-decoder", "led"]
BACKENDS = [
    (family, backend) for family in FAMILIES for backend in ("eager", "sdpa") if (family, backend) != ("led", "sdpa")
]
STEPS = 5
STRENGTH = 0.3  # which single precision does not hold exactly
IDS = torch.randint(10, 500, (3, STEPS), generator=torch.Generator().manual_seed(5))
HALVES = [torch.float16, torch.bfloat16]


@pytest.fixture
def source(parlor, tokenizer):
    return BucketLayout(turns=2).encode(parlor[:3], tokenizer)


def model_of(family, tokenizer, dtype=torch.float64, backend="eager", seed=0):
    return tiny_family(family, len(tokenizer), backend, seed).to(dtype)


@torch.no_grad()
def logits(model, source):
    ids = IDS.repeat(len(source.input_ids) // 3, 1)
    return model(input_ids=source.input_ids, attention_mask=source.attention_mask, decoder_input_ids=ids).logits


def weights_of(source, chosen):
    return torch.ones(source.segments.shape, dtype=torch.float64).masked_fill(chosen, STRENGTH)


def gradual_by_hand(source):
    start, end = weights_of(source, source.segments == 1), weights_of(source, source.segments > 1)
    shares = [step / 3 if step < 3 else 1.0 for step in range(STEPS)]
    return torch.stack([(1 - share) * start + share * end for share in shares], dim=1)[:, None]


BIASES = [
    AttentionBias("knowledge", STRENGTH),
    AttentionBias("gradual", STRENGTH, steps=3),
    SelfAttentionBias("uniform", STRENGTH),
]


@pytest.mark.parametrize(("family", "backend"), BACKENDS)
@pytest.mark.parametrize("name", CASES)
def test_double_precision_equals_the_definition_in_it(name, family, backend, tokenizer, source, pair):
    reference, model = (model_of(family, tokenizer, backend=one) for one in ("eager", backend))
    other = pair(family, "eager")[1].double()
    expected = CASES[name].expected(Plain(reference, other, tokenizer, source, IDS))
    given = Given(tokenizer, other)
    knob, plain = first(name, given), logits(model, source)
    with apply(model, [knob], source):
        actual = logits(model, source)
    assert actual.dtype == torch.float64 and (actual - plain).abs().max() > 1e-3
    torch.testing.assert_close(actual, expected, atol=1e-11, rtol=1e-11)
    if isinstance(knob, AdditiveKnob):
        with stacked(model, [[knob], []], source):
            for one, alone in zip(logits(model, source.repeat(2)).chunk(2), (expected, plain), strict=True):
                torch.testing.assert_close(one, alone, atol=1e-11, rtol=1e-11)
    if knob.dose:
        with apply(model, [neutral(name, given)], source):
            assert torch.equal(logits(model, source), plain)


@pytest.mark.parametrize(("family", "backend"), BACKENDS)
def test_weights_that_move_in_double_precision(family, backend, tokenizer, source):
    reference, model = (model_of(family, tokenizer, backend=one) for one in ("eager", backend))
    with reweighted(cross_attentions(reference), gradual_by_hand(source)):
        expected = logits(reference, source)
    with apply(model, [AttentionBias("gradual", STRENGTH, steps=3)], source):
        torch.testing.assert_close(logits(model, source), expected, atol=1e-11, rtol=1e-11)


def test_weights_of_ones_own_keep_double_precision(tokenizer, source):
    weights = torch.full(source.input_ids.shape, 1.0, dtype=torch.float64)
    weights[:, 3] = 1 + 1e-9  # 1 in single precision
    model = model_of("bart", tokenizer)
    plain = logits(model, source)
    with biased_cross_attention(model, weights, source.attention_mask):
        assert 0 < (logits(model, source) - plain).abs().max() < 1e-7


@pytest.mark.parametrize("level", ["weights", "hidden", "cross_attention", "probs"])
def test_mixtures_in_double_precision_add_up(level, tokenizer, source):
    model, other = model_of("bart", tokenizer), model_of("bart", tokenizer, seed=1)
    shared = {name: tensor for name, tensor in model.state_dict().items() if "decoder." not in name}
    other.load_state_dict(shared, strict=False)
    with apply(model, [DecoderMixing(other, STRENGTH, level)]):
        actual = logits(model, source)
    assert actual.dtype == torch.float64
    if level == "probs":
        mine, theirs = (logits(one, source).softmax(-1) for one in (model, other))
        torch.testing.assert_close(actual.exp(), 0.7 * mine + 0.3 * theirs, atol=1e-13, rtol=1e-11)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bias", BIASES, ids=str)
def test_half_precision_is_off_by_no_more_than_the_model_itself(bias, family, dtype, tokenizer, source):
    knob = replace(bias, strength=30.0)
    half = model_of(family, tokenizer, dtype)
    double = copy.deepcopy(half).double()  # the very same weights
    off = (logits(half, source) - logits(double, source)).abs().mean()
    with apply(half, [knob], source), apply(double, [knob], source):
        actual, expected = logits(half, source), logits(double, source)
    assert torch.isfinite(actual).all() and (expected - logits(double, source)).abs().mean() > 3 * off
    assert (actual - expected).abs().mean() < 2 * off


def test_shuffled_entries_are_the_own_ones_in_double_precision():
    tensor = torch.rand(40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(control(tensor, "shuffled", 0).sort().values, tensor.sort().values)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.complex64])
def test_other_precisions_are_refused(dtype, tokenizer, source, pair):
    model, other = pair("bart")
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    for way in ways():
        with pytest.raises(UnsupportedModel, match="not of float16, bfloat16, float32, float64"):
            made_knob(way, Given(tokenizer, other)).check(model, source)
