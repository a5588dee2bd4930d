"""Codes of control phrases before the prompt of a decoder alone, against keys and values put there by hand."""

import pytest
import torch
from transformers import DynamicCache

from tests.causal import (
    BEGIN,
    BIASED,
    EMBEDDED,
    MODELS,
    PHRASES,
    PROMPTS,
    RESPONSES,
    SIZES,
    STEPS,
    TARGETS,
    code,
    given,
    known,
    known_logits,
    known_reading,
    left_alone,
    logits_at_once,
    make_prompts,
    whole,
)
from zsc.knobs import AttentionBias, UnsupportedModel, apply
from zsc.knobs.cache import cache_name

LONGEST = 5
POSITIONS = PROMPTS.input_ids.shape[1]
WINDOW = {"mistral": (0, 1), "gemma2": (0,), "gemma3_text": (0,), "cohere2": (0,)}  # layers that see 4 keys
BY_HAND = [model for model in MODELS if model[0] not in BIASED]  # which take no positions


def phrases_apart(model, family, texts=tuple(PHRASES)):
    """Return keys and values (2 layers, 2, heads, positions, width) of each of ``texts`` alone behind the token BEGIN.

    That has one position for all: the one with which the longest ends right before the prompt, or that is embedded
    first.
    """
    first = 0 if family in EMBEDDED else -1 - max(len(PHRASES[text]) for text in texts)
    found = []
    for text in texts:
        row, cache = torch.tensor([[BEGIN, *PHRASES[text]]]), DynamicCache()
        places = torch.arange(first, first + row.shape[1])[None]
        with torch.inference_mode():
            model(**given(model, row, torch.ones_like(row), places), use_cache=True, **{cache_name(model): cache})
        found.append(torch.stack([torch.stack([one.keys[0], one.values[0]]) for one in cache.layers])[..., 1:, :])
    return found


def averaged(apart):
    """Average position by position over the phrases that reach it."""
    return torch.stack(
        [torch.stack([one[..., i, :] for one in apart if i < one.shape[-2]]).mean(dim=0) for i in range(LONGEST)],
        dim=-2,
    )


def behind(model, family, front, strength):
    """Return the logits of a response behind ``front``, keys and values that are put before those of the prompt, to
    which the response alone attends: their scores have log ``strength`` added, in every layer."""
    length, lowest = front.shape[-2], torch.finfo(torch.float32).min
    read_at_once = whole(model)
    before = {name: tensor[:, : POSITIONS - 1] for name, tensor in read_at_once.items()}
    cache = DynamicCache()
    with torch.inference_mode():
        model(**before, use_cache=True, **{cache_name(model): cache})
    for layer, one in zip(cache.layers, front, strict=True):
        rows = one[:, None].expand(-1, len(PROMPTS.input_ids), -1, -1, -1)
        layer.keys, layer.values = torch.cat([rows[0], layer.keys], 2), torch.cat([rows[1], layer.values], 2)
    query = torch.arange(POSITIONS - 1, POSITIONS + STEPS - 1)[:, None]
    key = torch.arange(POSITIONS + STEPS - 1)[None]
    attended = read_at_once["attention_mask"].bool()[:, None, None] & (key <= query)
    masks = []
    for visible in (attended, attended & (key > query - 4)):
        own = torch.zeros(visible.shape).masked_fill(~visible, lowest)
        columns = torch.full((*own.shape[:-1], length), torch.tensor(strength, dtype=torch.float64).log().float())
        masks.append(torch.cat([columns, own], dim=-1))
    if len(WINDOW.get(family, ())) == 1:
        mask = {"full_attention": masks[0], "sliding_attention": masks[1]}
    else:
        mask = masks[1] if family in WINDOW else masks[0]
    after = {name: tensor[:, POSITIONS - 1 :] for name, tensor in read_at_once.items()} | {"attention_mask": mask}
    with torch.inference_mode():
        return model(**after, use_cache=True, **{cache_name(model): cache}).logits


@pytest.mark.parametrize(("family", "backend"), BY_HAND)
def test_logits_equal_keys_and_values_put_there_by_hand(family, backend):
    """Also behind a prompt that was read before, whose keys and values are the same afterwards."""
    model = known(family, backend)
    reading = known_reading(family, backend)
    kept = [(layer.keys.clone(), layer.values.clone()) for layer in reading.cache.layers]
    with left_alone(model) as plain, apply(model, [code()], PROMPTS):
        ways = [logits_at_once(model), reading.decode(TARGETS).logits]
    should_be = behind(model, family, averaged(phrases_apart(model, family)), 6.3)
    for actual in ways:
        torch.testing.assert_close(actual, should_be, atol=2e-4, rtol=1e-4)
    assert (should_be - plain).abs().max() > 0.01
    for layer, (keys, values) in zip(reading.cache.layers, kept, strict=True):
        assert torch.equal(layer.keys, keys) and torch.equal(layer.values, values)


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "gpt2", "opt", "falcon"])
def test_a_strength_of_two_is_the_code_twice(family):
    model = known(family)
    twice = averaged(phrases_apart(model, family)).repeat(1, 1, 1, 2, 1)
    with apply(model, [code(2.0)], PROMPTS):
        actual = logits_at_once(model)
    torch.testing.assert_close(actual, behind(model, family, twice, 1.0), atol=2e-4, rtol=1e-4)
    with apply(model, [code(1.0), code(1.0)], PROMPTS):
        torch.testing.assert_close(logits_at_once(model), actual, atol=2e-4, rtol=1e-4)


VARIANTS = {
    "concat": lambda apart: torch.cat(apart, dim=-2),
    "single": lambda apart: apart[0],
    "token_mean": lambda apart: torch.cat(apart, dim=-2).mean(dim=-2, keepdim=True),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_variants(family, variant):
    model, knob = known(family), code(variant=variant)
    assert len(knob.drawn) == (1 if variant == "single" else 3)
    should_be = behind(model, family, VARIANTS[variant](phrases_apart(model, family, knob.drawn)), 6.3)
    with apply(model, [knob], PROMPTS):
        torch.testing.assert_close(logits_at_once(model), should_be, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("family", SIZES)
def test_no_strength_is_no_code(family):
    model = known(family)
    with apply(model, [code(0.0)], PROMPTS):
        assert torch.equal(logits_at_once(model), known_logits(family))


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "gpt2"])
def test_with_weights_on_the_prompt_and_none_of_them_padded(family):
    """Weights of the prompt stay with it, behind the code; a row alone gives what it gives beside others."""
    model, rows = known(family, "sdpa"), make_prompts((12, 5))
    knobs, responses = [code(2.0), AttentionBias("knowledge", 9.0, heads=[1, 2])], RESPONSES[:2]
    with apply(model, knobs, rows):
        together = logits_at_once(model, rows, responses)[:1]
    with apply(model, knobs[::-1], rows.select([0])):
        alone = logits_at_once(model, rows.select([0]), responses[:1])
    torch.testing.assert_close(alone, together, atol=2e-4, rtol=1e-4)
    for knob in knobs:
        with apply(model, [knob], rows.select([0])):
            assert (logits_at_once(model, rows.select([0]), responses[:1]) - alone).abs().max() > 0.01


@pytest.mark.parametrize("family", BIASED)
def test_no_place_before_a_prompt_whose_positions_are_distances(family):
    with pytest.raises(UnsupportedModel, match=r"biases attention by how far keys lie \(ALiBi\), .* rotated into keys"):
        code().check(known(family), PROMPTS)
