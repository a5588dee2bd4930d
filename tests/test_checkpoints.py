"""Checkpoints that are not whole, or not what they seem: one line each, and no number from any of them."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BartForCausalLM,
    BartForSequenceClassification,
    BartModel,
    T5EncoderModel,
)

from tests.broken import WEIGHTS, content, prefixed, saved_as, settings, tensors, token_ids, valued, without
from zsc.errors import ZscError
from zsc.models.load import load_model

LAST = "model.decoder.layers.1.fc2.weight"


@pytest.fixture
def folder(checkpoints, tmp_path):
    return lambda family: shutil.copytree(checkpoints[family], tmp_path / "copy")


class Evil:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def pickled(change):
    """Return a change to weights as a pickle, of what ``change`` makes of the tensors."""

    def apply(folder):
        named = load_file(folder / WEIGHTS)
        (folder / WEIGHTS).unlink()
        torch.save(change(named), folder / "pytorch_model.bin")

    return apply


def cut(name):
    def apply(folder):
        intact = (folder / name).read_bytes()
        (folder / name).write_bytes(intact[: len(intact) // 2])

    return apply


def sharded(then):
    def apply(folder):
        model = AutoModelForSeq2SeqLM.from_pretrained(folder)
        (folder / WEIGHTS).unlink()
        model.save_pretrained(folder, max_shard_size="50KB")
        then(folder)

    return apply


def longer_tokenizer(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<one>", "<two>"])
    tokenizer.save_pretrained(folder)


def renamed(name, new):
    return lambda folder: (folder / name).rename(folder / new)


def linked(folder):
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to(folder / "nowhere")


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
BROKEN = {
    "a missing tensor": ("bart", without(LAST), rf"lacks 1 of the weights of a Bart\w+, the first of them {LAST}"),
    "a missing norm": ("t5", without("decoder.final_layer_norm.weight"), "first of them decoder.final_layer_norm.wei"),
    "no embeddings, all tied": ("bart", without("model.shared.weight"), "the first of them model.shared.weight"),
    "torch.compile": ("bart", prefixed("_orig_mod."), r"begin with '_orig_mod\.' \(torch.compile: save model._orig"),
    "DataParallel": ("t5", prefixed("module."), r"lacks 50 .*first of them shared.weight\..* 'module\.' \(DataPar"),
    "T5 under model.": ("t5", prefixed("model."), r"begin with 'model\.'"),
    "any prefix": ("bart", prefixed("net.0."), r"begin with 'net\.0\.'"),
    "fewer layers in config": ("bart", settings("config.json", decoder_layers=1), r"hold model\.decoder\.layers\.1"),
    "more layers in config": ("bart", settings("config.json", decoder_layers=3), r"lacks 26 .*decoder\.layers\.2"),
    "another shape": ("bart", settings("config.json", decoder_ffn_dim=40), r"has the shape 48(x32)?, but 40"),
    "a classification head": ("bart", saved_as(BartForSequenceClassification), "classification_head.* a BartForSeq"),
    "a decoder alone": ("bart", saved_as(BartForCausalLM), r"lacks 35 .*model\.encoder\.embed_positions"),
    "an encoder alone": ("t5", saved_as(T5EncoderModel), r"lacks 28 .*decoder\.block\.0"),
    "another family": ("bart", settings("config.json", model_type="mbart"), r"lacks 4 .*model\.encoder\.layer_norm"),
    "another kind": ("t5", settings("config.json", model_type="bart"), "config.json is that of another model"),
    "an unknown kind": ("bart", settings("config.json", model_type="nope"), "cannot be loaded: .*nope"),
    "a mistyped config": ("bart", settings("config.json", vocab_size="many"), "cannot be loaded: .*vocab_size"),
    "not encoder-decoder": ("bart", settings("config.json", is_encoder_decoder=False), "is not an encoder-decoder"),
    "tokens without a row": ("bart", longer_tokenizer, r"2 tokens more than .* \(600\).*'<one>' \(600"),
    "no padding": ("bart", token_ids(pad_token_id=None), "names no padding token: set pad_token_id"),
    "no end": ("bart", token_ids(eos_token_id=None), "names no end token: set eos_token_id"),
    "no start": ("bart", token_ids(decoder_start_token_id=None, bos_token_id=None), "names no token that the dec"),
    "an end that is no token": ("bart", settings("generation_config.json", eos_token_id=[2, 600]), "eos_token_id=600"),
    "an end in quotes": ("bart", settings("generation_config.json", eos_token_id="2"), "eos_token_id=2 is no token"),
    "a tokenizer without padding": ("t5", settings("tokenizer_config.json", pad_token=None), "has no padding token"),
    "a tokenizer without an end": ("t5", settings("tokenizer_config.json", eos_token=None), "has no end token"),
    "another tokenizer": ("t5", settings("tokenizer_config.json", eos_token="<s>", pad_token="</s>"), "another model"),
    "an unsafe pickle": ("bart", pickled(lambda named: named | {"x": Evil()}), "unsafe pickle, which could run code"),
    "a pickle cut short": ("bart", lambda f: (pickled(dict)(f), cut("pytorch_model.bin")(f)), "broken or cut short"),
    "no pickle": ("bart", lambda f: (pickled(dict)(f), content("pytorch_model.bin", b"x" * 99)(f)), "a broken file"),
    "weights inside more": ("bart", pickled(lambda named: {"state_dict": named, "epoch": 3}), "lacks 94 .*epoch"),
    "weights cut short": ("bart", cut(WEIGHTS), "broken or cut short"),
    "empty weights": ("bart", content(WEIGHTS, b""), "model.safetensors is empty"),
    "a pointer": ("bart", content(WEIGHTS, LFS), "pointer to a large file.*git lfs pull"),
    "a tokenizer's pointer": ("bart", content("tokenizer.json", LFS), "tokenizer.json is a pointer to a large file"),
    "a web page": ("bart", content(WEIGHTS, b"\n<!DOCTYPE html><html>"), "model.safetensors is a web page"),
    "a link to nothing": ("bart", linked, "model.safetensors cannot be read"),
    "a shard that is not there": (
        "bart", sharded(lambda f: sorted(f.glob("model-*"))[1].unlink()), r"no model-00002-of-\d+\.safetensors, which"
    ),
    "a shard elsewhere": (
        "bart", sharded(settings("model.safetensors.index.json", weight_map={"x": "../other/model.safetensors"})),
        r"names \.\./other/model",
    ),
    "config cut short": ("bart", cut("config.json"), "config.json is no valid JSON"),
    "generation config cut short": ("bart", cut("generation_config.json"), "generation_config.json is no valid JSON"),
    "tokenizer cut short": ("bart", cut("tokenizer.json"), "tokenizer.json is no valid JSON"),
    "tokenizer of nothing": ("bart", content("tokenizer.json", b"{}"), "the tokenizer of model .* cannot be loaded"),
    "deep nesting": ("bart", content("config.json", b"[" * 100_000), "config.json is no valid JSON"),
    "no object": ("bart", content("config.json", b"[1]"), "config.json must hold an object, not list"),
    "code of a model": ("bart", settings("config.json", auto_map={"AutoConfig": "evil.C"}), r"evil\.C.*runs no"),
    "code of a tokenizer": (
        "bart", settings("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.T", None]}), "runs no checkpoint'"
    ),
    "an adapter": ("bart", content("adapter_config.json", b"{}"), "is an adapter"),
    "weights elsewhere": ("bart", settings("config.json", transformers_weights="x.safetensors"), "names other weights"),
    "TensorFlow": ("bart", renamed(WEIGHTS, "tf_model.h5"), r"no weights .* tf_model.h5 \(TensorFlow\)"),
    "Flax": ("bart", renamed(WEIGHTS, "flax_model.msgpack"), r"flax_model.msgpack \(Flax\)"),
    "GGUF": ("bart", renamed(WEIGHTS, "model.gguf"), "model.gguf is no GGUF file"),
    "an adapter alone": ("bart", renamed(WEIGHTS, "adapter_model.safetensors"), r"safetensors \(an adapter"),
    "a vocabulary without merges": (
        "bart", lambda f: (renamed("tokenizer.json", "vocab.json")(f),
                           settings("tokenizer_config.json", tokenizer_class="BartTokenizer")(f)), "tokenizer of model",
    ),
    "NaN": ("bart", valued(LAST, float("nan")), f"{LAST} holds values that are not finite"),
    "infinite": ("t5", valued("shared.weight", float("inf")), r"shared.weight holds values that are not finite\."),
    "a NaN in a buffer": ("bart", valued("final_logits_bias", float("nan")), "final_logits_bias holds values"),
    "whole numbers": (
        "bart", tensors(lambda named: {name: (t * 9).to(torch.int8) for name, t in named.items()}), "is stored as I8"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_checkpoint_is_one_line(folder, case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    family, damage, message = BROKEN[case]
    broken = folder(family)
    damage(broken)
    with pytest.raises(ZscError, match=message) as error:
        load_model(str(broken), device="cpu")
    assert "\n" not in str(error.value) and not (tmp_path / "ran").exists()


WHOLE = {
    "its base model": ("bart", saved_as(BartModel)),
    "names under a known prefix": ("bart", prefixed("model.")),
    "names without a known prefix": (
        "bart", tensors(lambda named: {name.removeprefix("model."): tensor for name, tensor in named.items()})
    ),
    "what older versions saved": (
        "bart", tensors(lambda named: named | {"encoder.version": torch.ones(1), "position_ids": torch.ones(1)})
    ),
    "a bias that was dropped": (
        "t5", tensors(lambda named: named | {
            "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": torch.ones(32, 4)
        })
    ),
    "a start token alone": ("bart", token_ids(decoder_start_token_id=None)),
    "a pickle of tensors": ("t5", pickled(dict)),
    "double precision": ("t5", tensors(lambda named: {name: tensor.double() for name, tensor in named.items()})),
    "shards": ("bart", sharded(lambda folder: None)),
}  # fmt: skip


@pytest.mark.parametrize("case", WHOLE)
def test_what_transformers_reads_whole_loads(folder, case):
    family, change = WHOLE[case]
    altered = folder(family)
    change(altered)
    loaded = load_model(str(altered), device="cpu").model.state_dict()
    if case != "its base model":
        plain = AutoModelForSeq2SeqLM.from_pretrained(altered).state_dict()
        assert all(torch.equal(loaded[name], plain[name]) for name in plain)


def test_values_beyond_half_precision_are_said(folder):
    broken = folder("bart")
    valued(LAST, 1e6)(broken)
    with pytest.raises(ZscError, match=f"{LAST} .* not finite in float16. Set dtype to bfloat16 or float32"):
        load_model(str(broken), device="cpu", dtype="float16")
    assert load_model(str(broken), device="cpu", dtype="bfloat16").model.dtype == torch.bfloat16


def test_a_decoder_file_is_checked(folder):
    broken = folder("bart")
    for data, message in [(b"", "is empty"), (LFS, "pointer"), (b"x" * 40, "broken or cut short")]:
        (broken / "other.safetensors").write_bytes(data)
        with pytest.raises(ZscError, match=f"decoder file .*{message}"):
            load_model(str(broken), decoder="other.safetensors", device="cpu")
    save_file({"layers.0.fc1.weight": torch.full((48, 32), torch.nan)}, broken / "other.safetensors")
    with pytest.raises(ZscError, match=r"decoder file .*fc1\.weight holds values that are not finite"):
        load_model(str(broken), decoder="other.safetensors", device="cpu")


def test_missing_weights_make_no_cell(folder, command, tmp_path):
    broken = folder("bart")
    without(LAST)(broken)
    swap = ["knob=swap", f"knob.other.checkpoint={broken}", "knob.other.decoder=null"]
    for arguments in ([f"model={broken}"], swap):
        status, out, err = command("run", *arguments, "model.device=cpu", "dataset.limit=2", "seeds=[0]")
        assert status == 2 and LAST in err and err.count("\n") == 1 and not out
    assert not list(tmp_path.glob("runs/**/items.jsonl"))


def test_a_mask_token_alone_may_lie_beyond_the_embeddings(checkpoints, tokenizer, command, tmp_path):
    """So it does in published checkpoints; a text that holds it is refused, where it would be read out of bounds."""
    folder = shutil.copytree(checkpoints["bart"], tmp_path / "copy")
    altered = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added = next(token for token in altered["added_tokens"] if token["content"] == "<mask>")
    altered["added_tokens"].append(added | {"id": len(tokenizer), "content": "<hole>"})
    (folder / "tokenizer.json").write_text(json.dumps(altered), encoding="utf-8")
    settings("tokenizer_config.json", mask_token="<hole>")(folder)
    assert load_model(str(folder), device="cpu").tokenizer.mask_token_id == len(tokenizer)
    texts = ["A text.", "A <hole> text."]
    lines = [{"id": f"r{i}", "history": [{"speaker": "a", "text": text}], "knowledge": text, "reference": text}
             for i, text in enumerate(texts)]  # fmt: skip
    (tmp_path / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, _, err = command(
        "run", f"model={folder}", "model.device=cpu", "dataset=jsonl", "dataset.path=records.jsonl"
    )
    assert status == 2 and "record r1 holds a token that the model has no embedding for" in err


def test_a_folder_that_cannot_be_read(folder, monkeypatch):
    """As a superuser reads everything, the refusal is made up."""
    unreadable = folder("bart")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(unreadable), "iterdir", refuse)
    with pytest.raises(ZscError, match="cannot be read: Permission denied"):
        load_model(str(unreadable), device="cpu")
