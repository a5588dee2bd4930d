"""Decoders alone with knobs on, as a library and in batches: alone, padded, side by side, with a cache and without."""

from dataclasses import replace

import pytest
import torch

from tests.causal import (
    BIASED,
    MODELS,
    PROMPTS,
    STEPS,
    TARGETS,
    code,
    known,
    known_logits,
    known_reading,
    left_alone,
    logits_at_once,
    make_prompts,
)
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, decode
from zsc.knobs import AttentionBias, SelfAttentionBias, apply
from zsc.knobs.read import read

DECODINGS = {
    "greedy": Decoding(max_new_tokens=5, sample=False),
    "sampling": Decoding(max_new_tokens=5, temperature=1.5, top_p=1.0),
    "beams": Decoding(max_new_tokens=5, sample=False, num_beams=3),
}
IDS = ["a", "b", "c"]
NEUTRAL = [AttentionBias("knowledge", 1.0), AttentionBias("gradual", 1.0), SelfAttentionBias("recent", 1.0)]
BACKENDS = {family: [backend for one, backend in MODELS if one == family] for family, _ in MODELS}
FASTEST = [(family, backends[-1]) for family, backends in BACKENDS.items()]
FEW = ("llama", "gemma3_text", "gpt2", "bloom")
DECODED = [(*model, name) for model in FASTEST for name in DECODINGS if name == "sampling" or model[0] == "llama"]


def knobs_of(family):
    """Return one knob of each kind that goes with ``family``, so strong that responses change."""
    biases = [AttentionBias("gradual", 30.0, steps=3), SelfAttentionBias("recent", 9.0, size=2)]
    return biases if family in BIASED else [*biases, code(2.0)]


def decoded(reading, knobs, name, ids=IDS, **changes):
    return decode(reading, ids, [Job(knobs, 0)], replace(DECODINGS[name], **changes))


def same(first, second):
    """Say whether sequences of token ids are the same but for padding behind them."""
    rows = [[[token for token in row.tolist() if token != 1] for row in one] for one in (first, second)]
    return rows[0] == rows[1]


@pytest.mark.parametrize(("family", "backend"), MODELS)
def test_neutral_knobs_change_no_bit(family, backend):
    model = known(family, backend)
    for knob in NEUTRAL:
        with apply(model, [knob], PROMPTS):
            assert torch.equal(logits_at_once(model), known_logits(family, backend))
    if family in FEW:
        reading = known_reading(family, backend)
        assert torch.equal(decoded(reading, NEUTRAL, "sampling"), decoded(reading, [], "sampling"))


@pytest.mark.parametrize(
    ("family", "backend", "name"), [(*one, "beams" if one[0] in FEW else "greedy") for one in FASTEST]
)
def test_a_prompt_read_once_is_as_plain_use_of_the_library(family, backend, name):
    model, knobs = known(family, backend), knobs_of(family)
    inputs = {"input_ids": PROMPTS.input_ids, "attention_mask": PROMPTS.attention_mask}
    with left_alone(model), apply(model, knobs, PROMPTS):
        beams = DECODINGS[name].num_beams
        plain = model.generate(**inputs, max_new_tokens=5, min_new_tokens=1, num_beams=beams, do_sample=False)
    responses = decoded(known_reading(family, backend), knobs, name)
    assert torch.equal(responses, plain[:, PROMPTS.input_ids.shape[1] - 1 :])
    assert torch.equal(responses[:, 0], PROMPTS.input_ids[:, -1])
    if name == "greedy":
        assert not same(responses, decoded(known_reading(family, backend), [], name))


@pytest.mark.parametrize(("family", "backend", "name"), DECODED)
def test_a_cache_changes_nothing(family, backend, name):
    reading, knobs = known_reading(family, backend), knobs_of(family)
    assert torch.equal(decoded(reading, knobs, name), decoded(reading, knobs, name, use_cache=False))


@pytest.mark.parametrize(("family", "backend", "name"), DECODED)
def test_a_row_gives_what_it_gives_alone_in_any_order_and_padding(family, backend, name):
    """The noise of sampling too is that of the record, wherever its row stands."""
    model, knobs = known(family, backend), knobs_of(family)
    together = decoded(known_reading(family, backend), knobs, name)
    turned = decoded(read(model, PROMPTS.select([2, 1, 0])), knobs, name, IDS[::-1])
    assert same(turned.flip(0), together)
    for row, length in ((1, 9), (2, 7)):
        alone = PROMPTS.select([row])
        cut = replace(alone, **{n: getattr(alone, n)[:, -length:] for n in ("input_ids", "attention_mask", "segments")})
        assert cut.attention_mask.all()
        assert same(decoded(read(model, cut), knobs, name, [IDS[row]]), together[row : row + 1])


@pytest.mark.parametrize(
    ("family", "name"), [("llama", "greedy"), ("llama", "beams"), *((family, "sampling") for family in FEW)]
)
def test_settings_side_by_side_are_those_of_each_alone(family, name):
    backend = BACKENDS[family][-1]
    reading = known_reading(family, backend)
    settings = [[], *([knob] for knob in knobs_of(family)), knobs_of(family), [AttentionBias("dialog", 0.1)]]
    settings += [] if family in BIASED else [[code(0.5), AttentionBias("knowledge", 9.0, heads=[1])], [code(0.0)]]
    jobs = [*(Job(knobs, 0) for knobs in settings), Job(settings[1], 1)]
    together = decode(reading, IDS, jobs, DECODINGS[name]).chunk(len(jobs))
    alone = [decode(reading, IDS, [job], DECODINGS[name]) for job in jobs]
    assert all(same(one, other) for one, other in zip(together, alone, strict=True))
    assert len({str(one.tolist()) for one in alone}) > len(settings) // 2


def test_a_prompt_of_one_token_has_nothing_before_it():
    model = known("llama", "sdpa")
    longer = make_prompts((5, 5))
    one = replace(longer, **{n: getattr(longer, n)[:, :1] for n in ("input_ids", "attention_mask", "segments")})
    knobs = [SelfAttentionBias("recent", 9.0, size=1), code(2.0)]
    with apply(model, knobs, one):
        plain = model.generate(
            input_ids=one.input_ids, attention_mask=one.attention_mask, max_new_tokens=5, do_sample=False
        )
    assert torch.equal(decoded(read(model, one), knobs, "greedy", IDS[:2]), plain)


@torch.inference_mode()
@pytest.mark.parametrize(("family", "together"), [("llama", STEPS), ("gpt2", STEPS), ("gemma3_text", 11 + STEPS)])
@pytest.mark.parametrize("fresh", [True, False])
def test_shares_of_attention_are_those_of_one_pass_but_hold_no_square_of_the_prompt(family, together, fresh):
    """The whole pass is the library's own. Behind a cache only the queries of the response are there; a sliding window
    drops keys from its cache, so there the pass is over everything."""
    model, knobs, widths = known(family, "eager"), [*knobs_of(family)[:2], code(2.0)], []
    reading = known_reading(family, "eager")
    ids = torch.cat([PROMPTS.input_ids[:, :-1], TARGETS], dim=1)
    mask = torch.nn.functional.pad(PROMPTS.attention_mask, (0, STEPS - 1), value=1)
    places = (mask.cumsum(dim=1) - 1).clamp(min=0)
    with apply(model, knobs, PROMPTS):
        passed = model.get_decoder().layers if family != "gpt2" else model.get_decoder().h
        with passed[-1].register_forward_pre_hook(lambda module, args: widths.append(args[0].shape[1])):
            found = (reading.afresh() if fresh else reading).decode(TARGETS, attentions=True)
        output = model(input_ids=ids, attention_mask=mask, position_ids=places, output_attentions=True, use_cache=False)
    assert widths == ([11, together] if fresh else [together])
    expected = torch.stack(output.attentions)[:, :, :, -STEPS:]
    assert found.source.shape[-1] + found.past.shape[-1] == expected.shape[-1]
    torch.testing.assert_close(torch.cat([found.source, found.past], dim=-1), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.logits, output.logits[:, -STEPS:], atol=1e-4, rtol=1e-4)
