"""Knobs together: one result in any order, nothing left behind, and no dependence on the batch."""

import random

import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput

from tests.knob_cases import Given, made_knob, mixture, mixtures, shared_ways
from tests.reference import cross_attentions, interpolated_copy, reweighted, self_attentions
from zsc.data.layouts import BucketLayout
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, decode
from zsc.knobs import (
    AttentionBias,
    ComponentSwap,
    ContextAugmentation,
    DecoderMixing,
    SelfAttentionBias,
    UnsupportedModel,
    apply,
)
from zsc.knobs.encoder import EncoderReading, encode
from zsc.knobs.masks import as_additive

SAMPLED, BEAMS = Decoding(max_new_tokens=8), Decoding(max_new_tokens=8, sample=False, num_beams=3)
PHRASES = ["What do you think?", "Have you ever been there?", "Why?"]


@pytest.fixture
def records(parlor):
    return parlor[:5]


def states(model, source):
    return encode(model, source)


def logits(model, source):
    decoder_ids = source.input_ids[:, 1:7]
    with torch.no_grad():
        return model(
            input_ids=source.input_ids, attention_mask=source.attention_mask, decoder_input_ids=decoder_ids
        ).logits


def test_all_together_equal_an_eager_model_built_by_hand(tiny, tokenizer, records):
    """Interpolated weights, a longer context, and both kinds of attention re-weighted, each in the plainest way."""
    model, other = (tiny("bart", "sdpa", seed) for seed in (0, 1))
    shared = {name: tensor for name, tensor in model.state_dict().items() if "decoder." not in name}
    other.load_state_dict(shared, strict=False)
    source = BucketLayout().encode(records, tokenizer)
    phrases = ContextAugmentation(PHRASES, tokenizer, strength=2.0, count=3)
    knobs = [
        DecoderMixing(other, 0.4, "weights"),
        AttentionBias("knowledge", 4.0),
        phrases,
        SelfAttentionBias("uniform", 2.0),
    ]
    with apply(model, knobs, source):
        actual = logits(model, source)
    reference = tiny("bart", "eager", 0)
    reference.load_state_dict(interpolated_copy(model, other, 0.4).state_dict())
    code = phrases.code(reference)
    longer = torch.cat([code.expand(len(records), -1, -1), states(reference, source)], dim=1)
    mask = torch.cat([torch.ones(len(records), code.shape[1], dtype=torch.long), source.attention_mask], dim=1)
    cross = torch.ones(mask.shape)
    cross[:, : code.shape[1]] = 2.0
    cross[:, code.shape[1] :][source.segments == 1] = 4.0
    past = torch.full((6, 6), 2.0).fill_diagonal_(1.0)
    with (
        torch.no_grad(),
        reweighted(cross_attentions(reference), cross[:, None, None]),
        reweighted(self_attentions(reference), past[None, None].expand(len(records), 1, -1, -1)),
    ):
        expected = reference(
            encoder_outputs=BaseModelOutput(last_hidden_state=longer),
            attention_mask=mask,
            decoder_input_ids=source.input_ids[:, 1:7],
        ).logits
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("number", mixtures())
@pytest.mark.parametrize("family", ["bart", "t5"])
def test_any_order_gives_one_result(tokenizer, records, pair, family, number):
    model, other = pair(family)
    source = BucketLayout().encode(records, tokenizer)
    knobs = mixture(number, Given(tokenizer, other))
    results = []
    for seed in range(8):
        with apply(model, random.Random(seed).sample(knobs, len(knobs)), source):
            results.append(logits(model, source))
    assert all(torch.equal(result, results[0]) for result in results)
    assert (results[0] - logits(model, source)).abs().max() > 1e-3


@pytest.mark.parametrize("number", mixtures())
@pytest.mark.parametrize("family", ["bart", "t5"])
def test_the_models_are_bit_identical_afterwards_also_after_an_exception(tokenizer, records, pair, family, number):
    model, other = pair(family)
    source = BucketLayout().encode(records, tokenizer)
    before = [{name: tensor.clone() for name, tensor in m.state_dict().items()} for m in (model, other)]
    storage = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    plain = logits(model, source), logits(other, source)
    with pytest.raises(RuntimeError, match="stop"), apply(model, mixture(number, Given(tokenizer, other)), source):
        logits(model, source)
        raise RuntimeError("stop")
    for m, kept in zip((model, other), before, strict=True):
        assert all(torch.equal(tensor, kept[name]) for name, tensor in m.state_dict().items())
        hooks = [(x._forward_hooks, x._forward_pre_hooks) for x in m.modules()]
        assert not any(first or second for first, second in hooks)
    assert storage == {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    assert torch.equal(logits(model, source), plain[0]) and torch.equal(logits(other, source), plain[1])


def test_a_knob_that_fails_to_start_leaves_nothing_of_those_before_it(tokenizer, records, pair):
    model, _ = pair("bart")
    source = BucketLayout().encode(records, tokenizer)
    plain = logits(model, source)
    with pytest.raises(ValueError, match="layer 9"):
        apply(model, [ComponentSwap(by="random"), AttentionBias(layers=[9])], source).__enter__()
    assert torch.equal(logits(model, source), plain)


@pytest.mark.parametrize("decoding", [SAMPLED, BEAMS], ids=["sampled", "beams"])
@pytest.mark.parametrize("number", mixtures())
def test_alone_in_a_batch_and_in_any_order_give_the_same(tokenizer, records, pair, number, decoding):
    model, other = pair("bart")
    knobs = mixture(number, Given(tokenizer, other))
    source = BucketLayout().encode(records, tokenizer)
    full = states(model, source)

    def generated(rows):
        ids = [records[i].id for i in rows]
        tokens = decode(EncoderReading(model, source.select(rows), full[rows]), ids, [Job(knobs, 0)], decoding)
        return [[t for t in row.tolist() if t != tokenizer.pad_token_id] for row in tokens]

    together = generated([0, 1, 2, 3, 4])
    backwards = generated([4, 3, 2, 1, 0])[::-1]
    alone = [generated([i])[0] for i in range(5)]
    assert together == backwards == alone


@pytest.mark.parametrize("level", ["hidden", "cross_attention", "probs"])
def test_a_bias_of_every_layer_by_number_is_a_bias_of_all_also_in_the_second_decoder(tokenizer, records, pair, level):
    model, other = pair("bart")
    source = BucketLayout().encode(records, tokenizer)
    for all_layers, by_number in [
        (AttentionBias("knowledge", 6.0), AttentionBias("knowledge", 6.0, layers=[0, 1])),
        (SelfAttentionBias("uniform", 6.0), SelfAttentionBias("uniform", 6.0, layers=[0, 1])),
    ]:
        results = []
        for knob in (all_layers, by_number):
            with apply(model, [DecoderMixing(other, 0.5, level), knob], source):
                results.append(logits(model, source))
        torch.testing.assert_close(results[0], results[1], atol=1e-5, rtol=1e-5)


def test_two_mixtures_keep_their_caches_apart(tokenizer, records, pair, tiny):
    model, first = pair("bart")
    second = tiny("bart", "sdpa", 2)
    second.load_state_dict({n: t for n, t in model.state_dict().items() if "decoder." not in n}, strict=False)
    source = BucketLayout().encode(records, tokenizer)
    inputs = {"input_ids": source.input_ids, "attention_mask": source.attention_mask}
    for levels in [("probs", "probs"), ("hidden", "probs"), ("hidden", "cross_attention")]:
        knobs = [DecoderMixing(first, 0.4, levels[0]), DecoderMixing(second, 0.5, levels[1])]
        with apply(model, knobs, source):
            cached, recomputed = (
                model.generate(**inputs, max_new_tokens=8, num_beams=3, do_sample=False, use_cache=cache)
                for cache in (True, False)
            )
        assert torch.equal(cached, recomputed)


def test_a_bias_that_fails_to_start_leaves_no_hook(records, tokenizer, pair):
    model, _ = pair("bart")
    source = BucketLayout().encode(records, tokenizer)
    with apply(model, [AttentionBias("knowledge", 6.0)], source):
        expected = logits(model, source)
    layer = model.model.decoder.layers[1]
    hidden = layer._modules.pop("encoder_attn")
    with pytest.raises(UnsupportedModel, match="no cross-attention module"):
        apply(model, [AttentionBias("knowledge", 6.0, layers=[1])], source).__enter__()
    layer._modules["encoder_attn"] = hidden
    with apply(model, [AttentionBias("knowledge", 6.0)], source):
        assert torch.equal(logits(model, source), expected)


def test_a_cache_of_fixed_size_is_refused(records, tokenizer, pair):
    model, other = pair("bart")
    source = BucketLayout().encode(records, tokenizer)
    for knob in (made_knob(way, Given(tokenizer, other)) for way in shared_ways()):
        with pytest.raises(ValueError, match="cache that grows"), apply(model, [knob], source):
            model.generate(
                input_ids=source.input_ids, attention_mask=source.attention_mask, max_new_tokens=4,
                cache_implementation="static", disable_compile=True,
            )  # fmt: skip


def test_boolean_masks_are_true_where_attended():
    lowest = torch.finfo(torch.float32).min
    assert as_additive(torch.tensor([[[[True, False]]]]), torch.float32).tolist() == [[[[0.0, lowest]]]]


def test_queries_that_lose_their_whole_past_to_two_knobs_are_refused(records, tokenizer, pair):
    model, _ = pair("bart")
    source = BucketLayout().encode(records, tokenizer)
    knobs = [SelfAttentionBias("recent", 0.0, size=1), SelfAttentionBias("uniform", 0.0)]
    with pytest.raises(ValueError, match="no past position"), apply(model, knobs, source):
        logits(model, source)


def test_biasing_without_a_source_says_so(pair):
    with pytest.raises(ValueError, match="needs the source"):
        apply(pair("bart")[0], [AttentionBias()]).__enter__()
