"""Two decoders alone mixed, and their parts swapped, against models whose parameters are those of the mixture."""

import copy
import re

import pytest
import torch

from tests.causal import MODELS, PROMPTS, known, known_logits, left_alone, logits_at_once, logits_by_step, tiny_causal
from zsc.knobs import ComponentSwap, DecoderMixing, UnsupportedModel, apply

WEIGHT = 0.4
EAGER = [family for family, backend in MODELS if backend == "eager"]
PARTS = {
    "self_attention": r"\.(self_attn|attn|attention|self_attention)\.",
    "feed_forward": r"\.(mlp|fc1|fc2|ffn|feed_forward|block_sparse_moe)\.",
}


def pair(family, backend="eager"):
    return known(family, backend), known(family, backend, 1)


def with_parameters(model, changed):
    """Return a copy of ``model`` with other tensors, by name."""
    second = copy.deepcopy(model)
    second.load_state_dict(model.state_dict() | changed)
    return second


@pytest.mark.parametrize("family", EAGER)
def test_mixed_weights_are_those_of_a_model_with_parameters_between(family):
    """The prompt is read by the mixture too."""
    model, other = pair(family)
    theirs = other.state_dict()
    floating = {name: one for name, one in model.state_dict().items() if one.is_floating_point()}
    mixed = with_parameters(model, {n: (1 - WEIGHT) * one + WEIGHT * theirs[n] for n, one in floating.items()})
    with left_alone(model) as plain, left_alone(other), apply(model, [DecoderMixing(other, WEIGHT, "weights")]):
        ways = [logits_at_once(model), logits_by_step(model)]
    for actual in ways:
        torch.testing.assert_close(actual, logits_at_once(mixed), atol=2e-4, rtol=1e-4)
    assert (ways[0] - plain).abs().max() > 0.01


@pytest.mark.parametrize(("family", "backend"), MODELS)
def test_mixed_probabilities_are_those_of_the_two_models_mixed(family, backend):
    model, other = pair(family, backend)
    knob = DecoderMixing(other, WEIGHT, "probs")
    with left_alone(model) as plain, left_alone(other) as theirs, apply(model, [knob]):
        ways = [logits_at_once(model), logits_by_step(model)]
    should_be = ((1 - WEIGHT) * plain.softmax(-1) + WEIGHT * theirs.softmax(-1)).log()
    for actual in ways:
        torch.testing.assert_close(actual, should_be, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("family", EAGER)
def test_mixed_states_end_at_either_model(family):
    """At 1 they are the other's to the last bit, embeddings and output included; between, steps agree with a cache."""
    model, other = pair(family)
    with left_alone(model) as plain, left_alone(other) as theirs:
        for weight, should_be in ((0.0, plain), (1.0, theirs)):
            with apply(model, [DecoderMixing(other, weight, "hidden")]):
                assert torch.equal(logits_at_once(model), should_be)
        with apply(model, [DecoderMixing(other, WEIGHT, "hidden")]):
            once, by_step = logits_at_once(model), logits_by_step(model)
    torch.testing.assert_close(by_step, once, atol=2e-4, rtol=1e-4)
    assert min((once - end).abs().max() for end in (plain, theirs)) > 0.01


@pytest.mark.parametrize("level", ["weights", "probs", "hidden"])
def test_nothing_mixed_is_nothing_changed(level):
    model, other = pair("llama")
    with apply(model, [DecoderMixing(other, 0.0, level)]):
        assert torch.equal(logits_at_once(model), known_logits("llama"))


@pytest.mark.parametrize("component", PARTS)
@pytest.mark.parametrize("family", EAGER)
def test_a_swapped_component_is_that_of_a_model_with_its_tensors(family, component):
    model, other = pair(family)
    theirs = {name: one for name, one in other.state_dict().items() if re.search(PARTS[component], name)}
    should_be = logits_at_once(with_parameters(model, theirs))
    with left_alone(model) as plain, left_alone(other), apply(model, [ComponentSwap(component, other=other)]):
        actual = logits_at_once(model)
    assert torch.equal(actual, should_be) and not torch.equal(actual, plain)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_there_is_no_cross_attention(family):
    model, other = tiny_causal(family), tiny_causal(family, seed=1)
    for knob in (ComponentSwap("cross_attention", other=other), DecoderMixing(other, WEIGHT, "cross_attention")):
        with left_alone(model), pytest.raises(UnsupportedModel, match=r"0 has no cross-attention module .* known here"):
            knob.check(model, PROMPTS)
