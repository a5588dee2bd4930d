"""Numbers that are not finite stop a run, and the line says where."""

import json
import shutil

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from zsc.data import load_records
from zsc.data.layouts import BucketLayout
from zsc.errors import ZscError
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, decode, generate
from zsc.knobs import KNOBS
from zsc.knobs.encoder import EncoderReading, encode
from zsc.knobs.read import read
from zsc.models.load import load_model

GREEDY = Decoding(max_new_tokens=6, min_new_tokens=6, sample=False)


@pytest.fixture(scope="module")
def laid_out(checkpoints):
    loaded = load_model(str(checkpoints["bart"]), device="cpu")
    records = load_records("parlor", limit=3)
    source = BucketLayout(8, 2, 8).encode(records, loaded.tokenizer)
    return loaded, source, [record.id for record in records]


def spoil(value, row, step):
    """Return a hook that puts ``value`` among the logits of one row at one step."""
    calls = iter(range(100))

    def hook(module, arguments, output):
        if next(calls) == step:
            output.logits[row, -1, 7] = value

    return hook


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("beams", [1, 2])
def test_the_record_the_setting_and_the_step_are_named(laid_out, value, beams):
    loaded, source, ids = laid_out
    bias = KNOBS["attn_bias"](profile="knowledge", strength=2.0)
    jobs, decoding = [Job([], 0), Job([bias], 0)], Decoding(6, 6, sample=False, num_beams=beams)
    states = encode(loaded.model, source)
    for row, message in [(2 * beams, f"record {ids[2]}: .* step 4 of the unmodified model"),
                      ((3 + 1) * beams, rf"record {ids[1]}: .* step 4 with attn_bias\(knowledge, 2\)")]:  # fmt: skip
        handle = loaded.model.register_forward_hook(spoil(value, row, 4))
        with pytest.raises(ZscError, match=f"{message}.*bfloat16"):
            decode(EncoderReading(loaded.model, source, states), ids, jobs, decoding)
        handle.remove()
    assert not loaded.model._forward_hooks


def test_tokens_ruled_out_are_no_fault(laid_out):
    """By the model's own logits, by processors (the least length, bad words), or by sampling's."""
    loaded, source, ids = laid_out
    states = encode(loaded.model, source)
    handle = loaded.model.register_forward_hook(spoil(-torch.inf, 0, 2))
    loaded.model.generation_config.bad_words_ids = [[9]]
    try:
        for decoding in (GREEDY, Decoding(max_new_tokens=6, min_new_tokens=3, top_k=5)):
            assert decode(EncoderReading(loaded.model, source, states), ids, [Job([], 0)], decoding).shape[0] == 3
    finally:
        loaded.model.generation_config.bad_words_ids = None
        handle.remove()


def test_states_and_likelihoods_are_checked(laid_out):
    loaded, source, ids = laid_out
    states = encode(loaded.model, source)
    broken = states.clone()
    broken[1, 0, 3] = torch.nan
    with pytest.raises(ZscError, match=f"record {ids[1]}: its encoder states are not finite.*bfloat16"):
        decode(EncoderReading(loaded.model, source, broken), ids, [Job([], 0)], GREEDY)
    handle = loaded.model.register_forward_hook(spoil(torch.nan, 2, GREEDY.max_new_tokens))  # the call after decoding
    with pytest.raises(ZscError, match=f"record {ids[2]}: .*likelihood of the response is not finite"):
        generate(read(loaded.model, source), loaded.target_tokenizer, ids, [Job([], 0)], GREEDY)
    handle.remove()


@pytest.mark.parametrize("knob", ["none", "attn_bias"])
def test_t5_that_overflows_half_precision_stops(checkpoints, tmp_path, command, knob):
    """Its queries reach beyond 65,504."""
    folder = shutil.copytree(checkpoints["t5"], tmp_path / "large")
    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    with torch.no_grad():
        for block in model.encoder.block:
            block.layer[0].SelfAttention.q.weight.mul_(6e4)
    model.save_pretrained(folder)
    arguments = ["run", f"model={folder}", "model.device=cpu", "dataset.limit=2", "seeds=[0]", "format=json",
                 "decoding.max_new_tokens=4", "resampling.resamples=20", "output=run", "metrics=[length]"]  # fmt: skip
    status, out, err = command(*arguments, "model.dtype=float16", f"knob={knob}")
    assert status == 2 and not out and "not finite" in err and "bfloat16" in err and "Traceback" not in err
    assert not list(tmp_path.glob("runs/cells/*/done.json"))
    status, out, err = command(*arguments, "model.dtype=bfloat16", f"knob={knob}")
    assert status == 0, err
    assert json.loads(out, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "override", ["temperature=inf", "length_penalty=nan", "repetition_penalty=nan", "repetition_penalty=0"]
)
def test_settings_of_decoding_are_finite(command, override):
    status, _, err = command("run", f"decoding.{override}", "dataset.limit=1")
    assert status == 2 and err.count("\n") == 1 and "is out of range" in err
