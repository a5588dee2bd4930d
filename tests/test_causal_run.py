"""The runner on decoders alone: the responses are the library's own, and every command takes such a model."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.causal_checkpoints import save_causal
from zsc.data.layouts import read_layout
from zsc.generation.attended import attended
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, generate
from zsc.knobs import AttentionBias, apply
from zsc.knobs.read import read
from zsc.models.load import load_model

QUICK = ["dataset.limit=5", "seeds=[0,1]", "batch_size=3", "decoding.max_new_tokens=8", "resampling.resamples=20",
         "model.device=cpu", "metrics=[length,knowledge_precision]"]  # fmt: skip
KNOBS = {
    "attn_bias": ["knob=attn_bias", "knob.strength=[1,5]"],
    "ctx_aug": ["knob=ctx_aug"],
    "self_attn_bias": ["knob=self_attn_bias"],
    "dec_mix": ["knob=dec_mix", "knob.level=[weights,probs]"],
    "swap": ["knob=swap", "knob.component=[self_attention,feed_forward]", "knob.by=random"],
}
SYSTEM = "You are talking with someone. Reply in one or two sentences, using the knowledge below.\n\nKnowledge: "


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tokenizer_folder):
    """A checkpoint with a chat template, another of its kind, and one without a template."""
    made = {}
    for name, template, seed in (("chat", "smollm2", 0), ("other", "smollm2", 1), ("base", None, 0)):
        tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
        made[name] = save_causal(tmp_path_factory.mktemp(name), "llama", tokenizer, template, seed)
    return made


def items(folder: Path) -> dict[str, bytes]:
    return {file.parent.name: file.read_bytes() for file in folder.glob("**/items.jsonl")}


def said(folder: Path) -> dict[str, list[tuple[str, str, int]]]:
    """What was said, cell by cell; the last digits of likelihoods depend on the padding beside a row."""
    cells = {name: [json.loads(line) for line in content.splitlines()] for name, content in items(folder).items()}
    return {name: [(one["id"], one["response"], one["tokens"]) for one in cell] for name, cell in cells.items()}


def chat_messages(record):
    roles = ["user", "assistant"] * len(record.history)
    turns = [{"role": role, "content": turn.text} for turn, role in zip(record.history[::-1], roles, strict=False)]
    return [{"role": "system", "content": SYSTEM + record.knowledge}, *turns[::-1]]


def librarys_own(model, tokenizer, record, new_tokens):
    """Return the response that the library makes of its own rendering of the dialogue, and how many tokens it has."""
    ids = torch.tensor(
        [tokenizer.apply_chat_template(chat_messages(record), add_generation_prompt=True, return_dict=False)]
    )
    # without the options that the checkpoint was published with
    response = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=new_tokens, min_new_tokens=1, do_sample=False
    )[0, ids.shape[1] :]
    return " ".join(tokenizer.decode(response, skip_special_tokens=True).split()), len(response)


def test_greedy_responses_are_the_librarys_alone_and_in_batches(folders, command, tmp_path, parlor):
    arguments = [f"model={folders['chat']}", *QUICK, "decoding=greedy", "seeds=[0]"]
    assert command("run", *arguments, "batch_size=1", "cells=alone")[0] == 0
    assert command("run", *arguments, "batch_size=5", "cells=batch")[0] == 0
    (alone,), (batch,) = said(tmp_path / "alone").values(), said(tmp_path / "batch").values()
    assert alone == batch
    model = AutoModelForCausalLM.from_pretrained(folders["chat"]).eval()
    tokenizer = AutoTokenizer.from_pretrained(folders["chat"])
    assert len({response for _, response, _ in alone}) > 1
    records = {record.id: record for record in parlor}
    for identity, *found in alone:
        assert tuple(found) == librarys_own(model, tokenizer, records[identity], 8)


@pytest.mark.parametrize(("name", "knob"), [*(("chat", knob) for knob in KNOBS), ("base", "attn_bias")])
def test_every_knob_acts_and_its_cells_are_those_of_batches_of_another_size(folders, command, tmp_path, name, knob):
    arguments = [f"model={folders[name]}", *QUICK, "metrics=[length]", *KNOBS[knob]]
    if knob == "dec_mix":
        arguments += [f"other.checkpoint={folders['other']}", "other.decoder=null"]
    status, _, err = command("run", *arguments, "cells=first")
    assert status == 0, err
    layout = "chat, by the checkpoint's chat template" if name == "chat" else "base_dialogue, by the checkpoint's lack"
    assert f"layout: {layout}" in err
    assert command("run", *arguments, "cells=second", "batch_size=5", "together=1")[0] == 0
    first, second = said(tmp_path / "first"), said(tmp_path / "second")
    assert first == second and len(first) == 2 * (2 if knob in ("ctx_aug", "self_attn_bias") else 3)
    assert len({str(cell) for cell in first.values()}) >= 4  # seeds, and what the knob makes of them


def test_what_was_cut_off_is_resumed_to_the_same_bytes(folders, command, tmp_path):
    arguments = ["run", f"model={folders['chat']}", *QUICK, *KNOBS["attn_bias"]]
    assert command(*arguments)[0] == 0
    whole = items(tmp_path)
    for file in (tmp_path / "runs" / "cells").glob("*/items.jsonl"):
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(lines[:2]) + lines[2][:7])
        for other in file.parent.iterdir():
            if other.name not in ("items.jsonl", "cell.json"):
                other.unlink()
    for folder in (tmp_path / "runs").glob("attn_bias-*"):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    assert any(content != whole[name] for name, content in items(tmp_path).items())
    status, _, err = command(*arguments)
    assert status == 0 and "6 made" in err and items(tmp_path) == whole


def test_other_commands_take_a_decoder_alone(folders, command, tmp_path):
    common = [f"model={folders['chat']}", *QUICK]
    status, out, err = command("plan", *common, *KNOBS["attn_bias"])
    assert status == 0 and "6 cells, 0 done; 30 responses to make" in out + err
    assert command("run", *common, *KNOBS["attn_bias"], "output=one")[0] == 0
    status, out, _ = command("score", "one", "metrics=[length]", "format=json")
    assert status == 0 and {row["metric"] for row in json.loads(out)} == {"length"}
    assert command("score", "one", "metrics=[length,knowledge_precision,perplexity_corpus]")[0] == 0
    status, out, err = command("report", "one")
    assert status == 0, err
    (page,) = tmp_path.glob("**/report.html")
    assert "attn_bias" in page.read_text(encoding="utf-8")
    few = [one for one in common if not one.startswith("metrics")]
    status, out, err = command("bench", *few, "knob=attn_bias", "measure=cost", "repeats=2", "format=json")
    assert status == 0 and json.loads(out)[0]["on/off median"] > 0
    status, out, err = command("table", *few, "seeds=[0]", "dataset.limit=3", "table=questions", "make=true")
    assert status == 0 and "ctx_aug(questions, 5, K=10)" in out, err
    status, out, err = command("doctor", f"model={folders['chat']}", "model.device=cpu", "format=json")
    found = {row["check"]: row["state"] for row in json.loads(out)}
    assert {found[one] for one in ("model", "examples", "steps", "padding", "weights", "batches")} == {"ok"}
    assert {found[f"knob {one}"] for one in ("attn_bias", "ctx_aug", "self_attn_bias")} == {"ok"}


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("base", ["layout=chat"], "layout=chat: this checkpoint's tokenizer has no chat template"),
        ("chat", ["knob=dec_mix"], "With decoder=null (model.decoder, other.decoder"),
        ("chat", ["knob=dec_mix", "other.decoder=null"], "the other model is the model itself. Set other.checkpoint"),
        ("chat", ["knob=dec_mix", "other.decoder=null", "other.checkpoint=mini"], "of different kinds, LlamaForCaus"),
        ("chat", ["knob=swap", "knob.component=cross_attention", "knob.by=random"], "has no cross-attention module"),
        ("chat", ["decoding.max_new_tokens=600"], "a prompt and responses take 600, but this model has a window of"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(folders, command, tmp_path, name, arguments, message):
    status, out, err = command("run", f"model={folders[name]}", *QUICK, *arguments)
    assert status == 2 and not out and message in err and err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_the_attention_that_a_report_shows_is_the_models_own(folders, parlor):
    """Shares are those of one pass over prompt and response, averaged over layers, heads and the tokens chosen."""
    loaded = load_model(str(folders["chat"]), device="cpu")
    source = read_layout("layout", "chat").encode(parlor[:1], loaded.tokenizer)
    response = "Yes, in the evening."
    knobs = [AttentionBias("knowledge", 8.0)]
    shown = attended(loaded, source, knobs, response)
    said = loaded.tokenizer(response, add_special_tokens=False)["input_ids"]
    ids = torch.cat([source.input_ids, torch.tensor([said])], dim=1)
    model = AutoModelForCausalLM.from_pretrained(folders["chat"], attn_implementation="eager").eval()
    with torch.inference_mode():
        attention = torch.stack(model(ids, output_attentions=True).attentions)
    length = source.input_ids.shape[1]
    expected = attention[:, 0, :, length - 1 :, :length].mean(dim=(0, 1, 2))
    assert [token.off for token in shown.tokens] == pytest.approx(expected.tolist(), abs=1e-6)
    known = [(token.off, token.on) for token in shown.tokens if token.segment == 1]
    assert known and sum(on for _, on in known) > sum(off for off, _ in known)


def test_smollm2_says_what_the_library_lets_it_say(smollm2, parlor):
    source = read_layout("layout", "chat").encode(parlor[:2], smollm2.tokenizer)
    ids = [record.id for record in parlor[:2]]
    decoding = Decoding(max_new_tokens=6, sample=False)
    (found,) = generate(read(smollm2.model, source), smollm2.tokenizer, ids, [Job([], 0)], decoding)
    for one, record in zip(found, parlor, strict=False):
        assert (one.text, one.tokens) == librarys_own(smollm2.model, smollm2.tokenizer, record, 6)


@torch.inference_mode()
def test_on_smollm2_a_neutral_knob_changes_no_bit_and_another_one_does(smollm2, parlor):
    source = read_layout("layout", "chat").encode(parlor[:2], smollm2.tokenizer)
    reading = read(smollm2.model, source)
    targets = torch.cat([source.input_ids[:, -1:], source.input_ids[:, 30:33]], dim=1)
    off = reading.decode(targets).logits
    for strength in (1.0, 5.0):
        with apply(smollm2.model, [AttentionBias("knowledge", strength)], source):
            assert torch.equal(reading.decode(targets).logits, off) == (strength == 1)
