"""Every precision: double against eager models re-weighted in double, half against double, and no other."""

import copy
from dataclasses import replace

import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput

from tests.families import tiny_family
from tests.reference import cross_attentions, reweighted, self_attentions
from zsc.data.layout import BucketLayout
from zsc.knobs import (
    AttentionBias,
    ContextAugmentation,
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
PHRASES = ["What do you think?", "Why?"]
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


def on_knowledge(source):
    return weights_of(source, source.segments == 1)[:, None, None]


def gradual_by_hand(source):
    start, end = weights_of(source, source.segments == 1), weights_of(source, source.segments > 1)
    shares = [step / 3 if step < 3 else 1.0 for step in range(STEPS)]
    return torch.stack([(1 - share) * start + share * end for share in shares], dim=1)[:, None]


def on_the_past():
    return torch.full((STEPS, STEPS), STRENGTH, dtype=torch.float64).fill_diagonal_(1.0).expand(3, 1, -1, -1)


CASES = {
    "constant": (AttentionBias("knowledge", STRENGTH), cross_attentions, on_knowledge),
    "gradual": (AttentionBias("gradual", STRENGTH, steps=3), cross_attentions, gradual_by_hand),
    "past": (SelfAttentionBias("uniform", STRENGTH), self_attentions, lambda source: on_the_past()),
}


@pytest.mark.parametrize(("family", "backend"), BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_double_precision_equals_the_definition_in_it(case, family, backend, tokenizer, source):
    knob, modules, weights = CASES[case]
    reference, model = model_of(family, tokenizer, backend="eager"), model_of(family, tokenizer, backend=backend)
    with reweighted(modules(reference), weights(source)):
        expected = logits(reference, source)
    plain = logits(model, source)
    with apply(model, [knob], source):
        actual = logits(model, source)
    assert actual.dtype == torch.float64 and (actual - plain).abs().max() > 1e-3
    torch.testing.assert_close(actual, expected, atol=1e-11, rtol=1e-11)
    with stacked(model, [[knob], []], source):
        for one, alone in zip(logits(model, source.repeat(2)).chunk(2), (expected, plain), strict=True):
            torch.testing.assert_close(one, alone, atol=1e-11, rtol=1e-11)
    with apply(model, [type(knob)(strength=1.0)], source):
        assert torch.equal(logits(model, source), plain)


@pytest.mark.parametrize("family", ["bart", "t5", "marian", "led"])
def test_codes_in_double_precision(family, tokenizer, source):
    knob = ContextAugmentation(PHRASES, tokenizer, strength=STRENGTH, count=2)
    reference, model = model_of(family, tokenizer, backend="eager"), model_of(family, tokenizer)
    code = knob.code(reference)
    with torch.no_grad():
        given = reference.get_encoder()(input_ids=source.input_ids, attention_mask=source.attention_mask)[0]
    longer = torch.cat([code.expand(3, -1, -1), given], dim=1)
    mask = torch.cat([torch.ones(3, code.shape[1], dtype=torch.long), source.attention_mask], dim=1)
    weights = torch.ones(3, 1, 1, longer.shape[1], dtype=torch.float64)
    weights[..., : code.shape[1]] = STRENGTH
    with torch.no_grad(), reweighted(cross_attentions(reference), weights):
        states = BaseModelOutput(last_hidden_state=longer)
        expected = reference(encoder_outputs=states, attention_mask=mask, decoder_input_ids=IDS).logits
    with apply(model, [knob], source):
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
@pytest.mark.parametrize("case", CASES)
def test_half_precision_is_off_by_no_more_than_the_model_itself(case, family, dtype, tokenizer, source):
    knob = replace(CASES[case][0], strength=30.0)
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
def test_other_precisions_are_refused(dtype, tokenizer, source):
    model = model_of("bart", tokenizer, torch.float32)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    for knob in (AttentionBias(), SelfAttentionBias(), ContextAugmentation(PHRASES, tokenizer, count=1)):
        with pytest.raises(UnsupportedModel, match="not of float16, bfloat16, float32, float64"):
            knob.check(model, source)
