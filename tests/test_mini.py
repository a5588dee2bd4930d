"""The embedded model: loads as any checkpoint does, copies, responds, and obeys the knob."""

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from zsc.data.control_phrases import load_phrases
from zsc.data.layouts import BucketLayout
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, generate
from zsc.knobs import AttentionBias, ContextAugmentation, DecoderMixing, SelfAttentionBias
from zsc.knobs.read import read
from zsc.metrics import METRICS
from zsc.metrics.as_evaluate import AsEvaluate
from zsc.models.load import load_model
from zsc.models.local import EMBEDDED
from zsc.training.callbacks import reconstruct, reconstruction_bleu

FOLDER = EMBEDDED["mini"]


@pytest.fixture(scope="module")
def mini():
    return load_model("mini", device="cpu")


@pytest.fixture(scope="module")
def denoiser():
    return load_model("mini", decoder="denoiser.safetensors", device="cpu")


def test_it_stays_within_its_size():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 48_000_000


def test_from_pretrained_alone_loads_it(mini):
    model = AutoModelForSeq2SeqLM.from_pretrained(FOLDER, dtype=torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), mini.model.parameters(), strict=True))
    assert len(AutoTokenizer.from_pretrained(FOLDER)) == model.config.vocab_size


def test_both_decoders_read_the_same_encoder(mini, denoiser):
    dialogue, copier = mini.model.state_dict(), denoiser.model.state_dict()
    differing = [name for name in dialogue if not torch.equal(dialogue[name], copier[name])]
    assert differing and all(name.startswith("model.decoder.layer") for name in differing)


def test_the_denoising_decoder_copies_sentences_it_never_saw(denoiser, parlor):
    sentences = denoiser.tokenizer([r.knowledge for r in parlor[::4]], add_special_tokens=False)["input_ids"]
    outputs, originals = reconstruct(denoiser.model, denoiser.tokenizer, [ids for ids in sentences if len(ids) <= 40])
    assert len(originals) >= 50 and reconstruction_bleu(outputs, originals) > 90


def responses_of(mini, records, knobs):
    source = BucketLayout().encode(records, mini.tokenizer)
    ids = [record.id for record in records]
    (responses,) = generate(read(mini.model, source), mini.tokenizer, ids, [Job(knobs, 0)], Decoding())
    return [response.text for response in responses]


def overlap(mini, records, knobs):
    """Return ROUGE-1 of responses against their knowledge, and how many responses differ."""
    responses = responses_of(mini, records, knobs)
    metric = AsEvaluate(METRICS["knowledge_rouge1"]("knowledge_rouge1"))
    rouge = metric.compute(predictions=responses, references=[record.knowledge for record in records])
    return rouge["knowledge_rouge1"], len(set(responses))


def test_biasing_moves_responses_towards_the_knowledge_and_away(mini, parlor):
    records = parlor[::4]
    off, unique = overlap(mini, records, [])
    towards, _ = overlap(mini, records, [AttentionBias("knowledge", 5.0)])
    away, _ = overlap(mini, records, [AttentionBias("dialog", 5.0)])
    assert away < 0.8 * off and towards > 1.2 * off
    assert unique > 0.85 * len(records)


def test_question_phrases_make_it_ask_in_its_own_words(mini, parlor):
    records, phrases = parlor[::4], load_phrases("questions")
    knob = ContextAugmentation(phrases, mini.tokenizer, strength=5.0)
    asking = responses_of(mini, records, [knob])
    rate = lambda responses: sum("?" in response for response in responses) / len(responses)  # noqa: E731
    assert rate(asking) > rate(responses_of(mini, records, [])) + 0.12
    copy_rate = METRICS["phrase_copy_rate"]("phrase_copy_rate")
    copied = AsEvaluate(copy_rate).compute(predictions=asking, references=["\n".join(knob.drawn)] * len(asking))
    assert copied["phrase_copy_rate"] <= 0.05


def test_mixing_goes_from_responding_to_copying(mini, denoiser, parlor):
    records = parlor[::6]
    overlaps = [overlap(mini, records, [DecoderMixing(denoiser.model, weight)])[0] for weight in (0.0, 0.5, 1.0)]
    assert min(overlaps[1:]) > 1.5 * overlaps[0]


def test_self_attention_bias_spoils_the_text(mini, parlor):
    """Under the unmodified model, what is responses_of with a strong bias is far less likely."""
    records = parlor[::6]
    source = BucketLayout().encode(records, mini.tokenizer)

    def nats_per_token(knobs):
        ids = [r.id for r in records]
        (responses,) = generate(read(mini.model, source), mini.tokenizer, ids, [Job(knobs, 0)], Decoding())
        return sum(r.nll for r in responses) / sum(r.tokens for r in responses)

    assert nats_per_token([SelfAttentionBias("start", 100.0)]) > nats_per_token([]) + 0.3
