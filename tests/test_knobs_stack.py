"""Settings side by side in one batch give what each gives alone."""

import pytest
import torch

from tests.families import tiny_family
from tests.knob_cases import Given, additive_ways, made_knob
from zsc.data.layouts import BucketLayout
from zsc.data.source import Source
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, decode, fit_together, generate
from zsc.knobs import AttentionBias, ComponentSwap, ContextAugmentation, apply
from zsc.knobs.encoder import EncoderReading, encode
from zsc.knobs.stack import additive, stacked

DECODINGS = {
    "greedy": Decoding(max_new_tokens=7, sample=False),
    "sampling": Decoding(max_new_tokens=7),
    "beams": Decoding(max_new_tokens=7, sample=False, num_beams=3),
}


@pytest.fixture
def settings(tokenizer):
    phrases = ["What do you think?", "Why is that?", "How so, and when?"]
    code = ContextAugmentation(phrases, tokenizer, strength=3.0, count=3)
    return [
        [],
        *([made_knob(way, Given(tokenizer, None))] for way in additive_ways()),
        [AttentionBias("dialog", 0.0), AttentionBias("turn:1", 3.0)],
        [ContextAugmentation(phrases, tokenizer, strength=0.5, count=3), AttentionBias("knowledge", 2.0)],
        [ContextAugmentation(phrases, tokenizer, strength=2.0, count=1, variant="single"), code],
        [AttentionBias("knowledge", 1.0)],
    ]


def laid_out(model, tokenizer, records):
    source = BucketLayout(turns=2).encode(records, tokenizer)
    return source, encode(model, source)


@pytest.mark.parametrize("family", ["bart", "t5", "marian", "encoder-decoder"])
@pytest.mark.parametrize("backend", ["eager", "sdpa"])
def test_logits_side_by_side_are_those_of_each_alone(family, backend, tokenizer, parlor, settings):
    model = tiny_family(family, len(tokenizer), backend)
    source, _ = laid_out(model, tokenizer, parlor[:3])
    target = torch.randint(10, 500, (3, 6), generator=torch.Generator().manual_seed(2))

    def logits(rows: Source, ids):
        with torch.inference_mode():
            return model(input_ids=rows.input_ids, attention_mask=rows.attention_mask, decoder_input_ids=ids).logits

    alone = []
    for knobs in settings:
        with apply(model, knobs, source):
            alone.append(logits(source, target))
    with stacked(model, settings, source):
        together = logits(source.repeat(len(settings)), target.repeat(len(settings), 1)).chunk(len(settings))
    for name, one, beside in zip(settings, alone, together, strict=True):
        torch.testing.assert_close(beside, one, atol=2e-5, rtol=1e-5, msg=lambda text, name=name: f"{name}: {text}")
    assert len({tuple(one.argmax(-1).flatten().tolist()) for one in alone}) > 3
    torch.testing.assert_close(logits(source, target), alone[0], atol=0, rtol=0)


@pytest.mark.parametrize("decoding", DECODINGS)
def test_tokens_side_by_side_are_those_of_each_alone(decoding, tokenizer, parlor, settings, tiny):
    model = tiny("bart", "sdpa")
    source, states = laid_out(model, tokenizer, parlor[:4])
    ids = [record.id for record in parlor[:4]]
    jobs = [Job(knobs, seed) for knobs in settings for seed in (0, 1)]
    together = generate(EncoderReading(model, source, states), tokenizer, ids, jobs, DECODINGS[decoding])
    alone = [
        generate(EncoderReading(model, source, states), tokenizer, ids, [job], DECODINGS[decoding])[0] for job in jobs
    ]
    assert together == alone  # likelihoods too, to the last digit
    assert len({tuple(one.text for one in responses) for responses in alone}) > len(settings) // 2


def test_seeds_side_by_side_for_a_knob_that_replaces_weights(tokenizer, parlor, tiny):
    model = tiny("bart")
    source, states = laid_out(model, tokenizer, parlor[:3])
    ids = [record.id for record in parlor[:3]]
    swap = [ComponentSwap(by="random", seed=1)]
    assert not additive(swap) and not fit_together(Job(swap, 0), Job([], 0))
    jobs = [Job(swap, 0), Job(swap, 1)]
    assert fit_together(*jobs)
    together = decode(EncoderReading(model, source, states), ids, jobs, DECODINGS["sampling"]).chunk(2)
    for job, responses in zip(jobs, together, strict=True):
        alone = decode(EncoderReading(model, source, states), ids, [job], DECODINGS["sampling"])
        assert torch.equal(responses[:, : alone.shape[1]], alone)
