"""The embedded model: loads as any checkpoint does, copies, responds, and obeys the knob."""

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from zsc.data.layout import BucketLayout
from zsc.generation.decoding import Decoding
from zsc.generation.generate import encode, generate
from zsc.knobs import AttentionBias
from zsc.metrics import METRICS
from zsc.models.load import EMBEDDED, load_model
from zsc.training.progress import reconstruct, reconstruction_bleu

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


def overlap(mini, records, knobs):
    source = BucketLayout().encode(records, mini.tokenizer)
    ids = [record.id for record in records]
    states = encode(mini.model, source)
    responses = generate(mini.model, mini.tokenizer, source, states, ids, 0, Decoding(), knobs)
    rouge = METRICS["knowledge_rouge1"]().compute(
        predictions=[response.text for response in responses], references=[record.knowledge for record in records]
    )
    return rouge["knowledge_rouge1"], len({response.text for response in responses})


def test_the_knob_moves_responses_towards_the_knowledge_and_away(mini, parlor):
    records = parlor[::4]
    off, unique = overlap(mini, records, [])
    towards, _ = overlap(mini, records, [AttentionBias("knowledge", 5.0)])
    away, _ = overlap(mini, records, [AttentionBias("dialog", 5.0)])
    assert away < off < towards and towards > 1.15 * off
    assert unique > 0.8 * len(records)
