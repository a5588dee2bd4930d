"""Decoder mixing against interpolated copies, separate models, and layers run one by one."""

import copy

import pytest
import torch

from tests.families import tiny_family
from tests.reference import cross_attentions, interpolated_copy
from zsc.knobs import DecoderMixing, apply

FAMILIES = ["bart", "mbart", "t5"]
LEVELS = ["weights", "hidden", "cross_attention", "probs"]


DECODER_IDS = torch.randint(10, 500, (3, 6), generator=torch.Generator().manual_seed(2))


def logits(model, inputs):
    with torch.no_grad():
        return model(**inputs, decoder_input_ids=DECODER_IDS).logits


def generated(model, inputs, beams, cache):
    return model.generate(**inputs, max_new_tokens=8, num_beams=beams, do_sample=False, use_cache=cache)


def expected_logits(level, model, other, weight, inputs):
    if level == "weights":
        return logits(interpolated_copy(model, other, weight), inputs)
    if level == "probs":
        mixed = (1 - weight) * logits(model, inputs).softmax(-1) + weight * logits(other, inputs).softmax(-1)
        return mixed.log()
    if level == "cross_attention":
        mixed = copy.deepcopy(model)
        for mine, theirs in zip(cross_attentions(mixed), cross_attentions(other), strict=True):
            mine.forward = blended(mine.forward, theirs.forward, weight)
        return logits(mixed, inputs)
    raise NotImplementedError


def blended(mine, theirs, weight):
    def forward(*args, **kwargs):
        own, foreign = mine(*args, **kwargs), theirs(*args, **kwargs)
        return ((1 - weight) * own[0] + weight * foreign[0], *own[1:])

    return forward


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("level", ["weights", "probs", "cross_attention"])
def test_levels_equal_their_definition(pair, inputs, level, family, backend):
    model, other = pair(family, backend)
    reference = pair(family, "eager")
    with apply(model, [DecoderMixing(other, 0.3, level)]):
        actual = logits(model, inputs)
        if level == "cross_attention":  # the reference's blended modules cannot be cached
            with torch.no_grad():
                actual = model(**inputs, decoder_input_ids=DECODER_IDS, use_cache=False).logits
    for module in reference[0], reference[1]:
        module.config.use_cache = module.get_decoder().config.use_cache = False
    expected = expected_logits(level, *reference, 0.3, inputs)
    if level == "probs":
        actual = actual.log_softmax(-1)
    torch.testing.assert_close(actual, expected, atol=2e-5, rtol=1e-4)
    assert (actual - logits(model, inputs)).abs().max() > 1e-3


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
def test_hidden_equals_both_stacks_run_layer_by_layer(pair, inputs, backend):
    """BART by hand: embed with both, mix; each layer of both on the mixed states, mix; project with the shared head."""
    model, other = pair("bart", backend)
    weight = 0.3
    mix = lambda a, b: (1 - weight) * a + weight * b  # noqa: E731
    with torch.no_grad():
        states = model.get_encoder()(**inputs).last_hidden_state
        mine, theirs = model.model.decoder, other.model.decoder

        def embedded(decoder):
            return decoder.embed_tokens(DECODER_IDS) + mix(*(d.embed_positions(DECODER_IDS) for d in (mine, theirs)))

        assert torch.equal(mine.embed_tokens.weight, theirs.embed_tokens.weight)
        hidden = mix(*(d.layernorm_embedding(embedded(d)) for d in (mine, theirs)))
        lowest = torch.finfo(torch.float32).min
        causal = torch.full((6, 6), lowest).triu(1)[None, None]
        visible = torch.where(inputs["attention_mask"].bool(), 0.0, lowest)[:, None, None, :].expand(-1, 1, 6, -1)
        for a, b in zip(mine.layers, theirs.layers, strict=True):
            run = [
                layer(hidden, attention_mask=causal, encoder_hidden_states=states, encoder_attention_mask=visible)
                for layer in (a, b)
            ]
            hidden = mix(*(out[0] if isinstance(out, tuple) else out for out in run))
        expected = model.lm_head(hidden) + model.final_logits_bias
    with apply(model, [DecoderMixing(other, weight, "hidden")]):
        torch.testing.assert_close(logits(model, inputs), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("level", LEVELS)
def test_weight_zero_is_the_model_and_one_the_other(pair, inputs, level, family):
    model, other = pair(family, "sdpa")
    plain = logits(model, inputs)
    with apply(model, [DecoderMixing(other, 0.0, level)]):
        assert torch.equal(logits(model, inputs), plain)
    target = other
    if level == "cross_attention":
        target = copy.deepcopy(model)
        for mine, theirs in zip(cross_attentions(target), cross_attentions(other), strict=True):
            mine.load_state_dict(theirs.state_dict())
    with apply(model, [DecoderMixing(other, 1.0, level)]):
        assert torch.equal(logits(model, inputs), logits(target, inputs))
        for beams in (1, 3):
            assert torch.equal(generated(model, inputs, beams, True), generated(target, inputs, beams, True))


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("level", LEVELS)
def test_cache_and_no_cache_agree_also_with_beams(pair, inputs, level, family, beams):
    """The second decoder's cache grows and follows the beams; recomputing every step needs neither."""
    model, other = pair(family, "sdpa")
    plain = generated(model, inputs, beams, True)
    with apply(model, [DecoderMixing(other, 0.5, level)]):
        cached, recomputed = (generated(model, inputs, beams, cache) for cache in (True, False))
    assert torch.equal(cached, recomputed) and not torch.equal(cached, plain)


@pytest.mark.parametrize("level", ["hidden", "cross_attention", "probs"])
def test_a_cache_from_outside_the_context_is_refused(pair, inputs, level):
    model, other = pair("bart")
    with torch.no_grad():
        begun = model(**inputs, decoder_input_ids=DECODER_IDS, use_cache=True).past_key_values
    with (
        pytest.raises(ValueError, match="begun without the second decoder"),
        apply(model, [DecoderMixing(other, 0.5, level)]),
    ):
        model(**inputs, decoder_input_ids=DECODER_IDS[:, :1], past_key_values=begun)


@pytest.mark.parametrize("level", ["hidden", "cross_attention", "probs"])
def test_steps_by_hand_with_the_returned_cache(pair, inputs, level):
    model, other = pair("bart")
    with torch.no_grad(), apply(model, [DecoderMixing(other, 0.5, level)]):
        full = model(**inputs, decoder_input_ids=DECODER_IDS).logits
        first = model(**inputs, decoder_input_ids=DECODER_IDS[:, :4], use_cache=True)
        second = model(
            **inputs, decoder_input_ids=DECODER_IDS[:, 4:], past_key_values=first.past_key_values, use_cache=True
        )
    torch.testing.assert_close(torch.cat([first.logits, second.logits], dim=1), full, atol=1e-5, rtol=1e-5)


def test_decoders_that_do_not_fit_are_refused(tiny, tokenizer, pair):
    model, other = pair("bart")
    knob = DecoderMixing(other, 0.5)
    knob.check(model, None)
    foreign = tiny("bart", seed=5)
    for unfit, message in [
        (tiny("mbart"), "different kinds"),
        (model, "is the model's own"),
        (foreign, "encoders are not the same .* freeze="),
        (resized(other, decoder_layers=3), "depth: 2 and 3"),
        (resized(other, d_model=48), "width: 32 and 48"),
        (resized(other, vocab_size=len(tokenizer) + 4), "vocabulary"),
        (resized(other, decoder_ffn_dim=40), "no .*fc1.* of shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            DecoderMixing(unfit, 0.5).check(model, None)
        with pytest.raises(ValueError, match=message):
            apply(model, [DecoderMixing(unfit, 0.5)]).__enter__()


def resized(model, **changes):
    config = copy.deepcopy(model.config)
    for name, value in changes.items():
        setattr(config, name, value)
    return type(model)(config)


@pytest.mark.parametrize("weight", [-0.1, 1.1, "0.5", None, True, float("nan")])
def test_bad_weights(pair, weight):
    with pytest.raises(ValueError, match="from 0 to 1"):
        DecoderMixing(pair("bart")[1], weight)


def test_bad_level(pair):
    with pytest.raises(ValueError, match="hidden, cross_attention, probs, weights"):
        DecoderMixing(pair("bart")[1], 0.5, "logits")


def test_an_encoder_decoder_model_with_another_projection_is_refused():
    model, other = (tiny_family("encoder-decoder", 60, seed=seed) for seed in (0, 1))
    other.encoder.load_state_dict(model.encoder.state_dict())
    with pytest.raises(ValueError, match=r"not the same \(weight differs\)"):
        DecoderMixing(other, 0.5).check(model, None)
    other.enc_to_dec_proj.load_state_dict(model.enc_to_dec_proj.state_dict())
    DecoderMixing(other, 0.5).check(model, None)


@pytest.mark.parametrize("level", ["weights", "hidden", "probs"])
def test_an_encoder_decoder_model_at_weight_one_is_the_other(level):
    model, other = (tiny_family("encoder-decoder", 600, seed=seed) for seed in (0, 1))
    shared = {n: t for n, t in model.state_dict().items() if not n.startswith("decoder.")}
    other.load_state_dict(shared, strict=False)
    ids = {"input_ids": DECODER_IDS, "attention_mask": torch.ones_like(DECODER_IDS)}
    with apply(model, [DecoderMixing(other, 1.0, level)]):
        torch.testing.assert_close(logits(model, ids), logits(other, ids), atol=1e-6, rtol=1e-6)


def test_mixed_probabilities_have_no_loss(pair, inputs):
    model, other = pair("bart")
    with pytest.raises(ValueError, match="no labels"), apply(model, [DecoderMixing(other, 0.5, "probs")]):
        model(**inputs, labels=DECODER_IDS)
