"""Decoders put together from language models: what each tensor becomes, and from training to responses."""

import copy
import json
import re
from collections import Counter
from itertools import chain
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BertConfig,
    BertModel,
    BertTokenizer,
    EncoderDecoderModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Tokenizer,
    LlamaConfig,
    LlamaForCausalLM,
)

from tests.coverage import BACKENDS, COLUMNS, DECODINGS, measure
from tests.data import SPEAKERS
from tests.families import BART, BERT2GPT2, CAUSAL, tiny_family, tiny_model
from tests.reference import cross_attentions, reweighted
from zsc.cli.main import main
from zsc.data import load_records
from zsc.data.embedded import PARLOR
from zsc.data.layouts import BucketLayout
from zsc.errors import ZscError
from zsc.generation.attended import attended
from zsc.generation.checks import check_lengths
from zsc.generation.folder import RunFolder
from zsc.knobs import AttentionBias, ComponentSwap, apply
from zsc.knobs.components import ALL_COMPONENTS, components
from zsc.models.load import load_model
from zsc.training.assemble import complete, graft
from zsc.training.language_model import new_language_model

NORM_AFTER_ATTENTION = ["bart", "marian", "blenderbot-small", "plbart"]
CROSS = "encoder_attn."
TOKENS = torch.randint(10, 500, (3, 7), generator=torch.Generator().manual_seed(8))


def drawn_language_model(model, seed=5):
    """A language model on the embeddings of ``model``, all its other tensors drawn anew, layer norms included."""
    created = new_language_model(model).eval()
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in created.named_parameters():
            if "embed_" not in name:
                parameter.normal_(1.0 if "norm.weight" in name else 0.0, 0.2)
    return created


@pytest.mark.parametrize("family", CAUSAL)
def test_a_graft_takes_all_but_cross_attention_from_the_language_model(tokenizer, family):
    model = tiny_model(family, tokenizer)
    given = drawn_language_model(model)
    before, theirs = copy.deepcopy(model.state_dict()), given.get_decoder().state_dict()
    graft(model, given)
    after, own = model.state_dict(), model.get_decoder().state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert all("decoder." in name and "embed_" not in name for name in changed)
    differing = {name for name in own if not torch.equal(own[name], theirs[name])}
    assert differing == {name for name in own if CROSS in name}
    assert {f"model.decoder.{name}" for name in differing} <= changed
    weights = [own[name] for name in differing if name.endswith("weight")]
    assert len(weights) == 8 and all(0.01 < float(weight.std()) < 0.03 for weight in weights)  # the family's own init


@pytest.mark.parametrize("family", CAUSAL)
def test_without_cross_attention_a_graft_says_what_the_language_model_says(tokenizer, inputs, family):
    """Where a layer norm follows cross-attention, it follows nothing here: the language model never had it."""
    model = tiny_model(family, tokenizer)
    given = drawn_language_model(model)
    graft(model, given)

    def scores(one, **sources):
        with torch.no_grad():
            return one(**sources).logits

    grafted = scores(model, **inputs, decoder_input_ids=TOKENS)
    for layer in model.get_decoder().layers:
        for parameter in layer.encoder_attn.out_proj.parameters():
            parameter.data.zero_()
    silent = scores(model, **inputs, decoder_input_ids=TOKENS)
    if family in NORM_AFTER_ATTENTION:
        assert (silent - scores(given, input_ids=TOKENS)).abs().max() > 1e-2
        for layer in given.get_decoder().layers:
            layer.self_attn_layer_norm.register_forward_hook(
                lambda module, args, output, norm=layer.encoder_attn_layer_norm: norm(output)
            )
    torch.testing.assert_close(silent, scores(given, input_ids=TOKENS), rtol=1e-4, atol=1e-4)
    assert (grafted - silent).abs().max() > 1e-2


def with_settings(**settings):
    """A random BART that differs in ``settings``, over the very embeddings of the usual one."""
    usual = tiny_family("bart", 600)
    config = copy.deepcopy(usual.config)
    config.update(settings)
    other = AutoModelForSeq2SeqLM.from_config(config)
    if config.tie_word_embeddings:
        shared = {name: tensor for name, tensor in usual.state_dict().items() if "shared" in name or "embed_" in name}
        other.load_state_dict(shared, strict=False)
    return other


def small_gpt2(width=32, **more):
    return GPT2LMHeadModel(GPT2Config(vocab_size=600, n_embd=width, n_layer=2, n_head=4, n_positions=100, **more))


def shifted(language_model):
    language_model.get_input_embeddings().weight.data[3] += 1
    return language_model


@pytest.mark.parametrize(
    ("settings", "given", "message"),
    [
        ({}, lambda model: shifted(drawn_language_model(model)), "other token embeddings than the encoder"),
        ({}, lambda model: small_gpt2(), "a GPT2Model cannot take the place of a BartDecoder"),
        ({}, lambda model: drawn_language_model(tiny_family("mbart", 600)), "a MBartDecoder cannot take the place"),
        ({}, lambda model: new_language_model(with_settings(decoder_layers=1)), r"has no layers\.1\."),
        ({}, lambda model: new_language_model(with_settings(decoder_layers=3)), r"decoder has no layers\.2\."),
        (
            {},
            lambda model: new_language_model(with_settings(decoder_ffn_dim=40)),
            r"no layers\.0\.fc1\.weight",
        ),
        ({"tie_word_embeddings": False}, new_language_model, "are not tied"),
    ],
)
def test_language_models_that_do_not_fit_are_refused_and_change_nothing(settings, given, message):
    model = with_settings(**settings)
    language_model, before = given(model), copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message):
        graft(model, language_model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", COLUMNS[1:])
def test_knobs_act_by_their_definition_on_a_bert_that_a_gpt2_reads(name, backend):
    assert measure(name, BERT2GPT2, backend) == list(DECODINGS)


GPT2_NAMES = {"self_attention": "attn", "cross_attention": "crossattention", "feed_forward": "mlp"}


@pytest.mark.parametrize("component", GPT2_NAMES)
@pytest.mark.parametrize("by", ["other", "random"])
def test_a_swap_replaces_the_modules_of_gpt2(inputs, component, by):
    model, other = (tiny_family(BERT2GPT2, 600, seed=seed) for seed in (0, 1))
    inside = re.compile(rf"decoder\.transformer\.h\.\d\.{GPT2_NAMES[component]}\.")
    swap = ComponentSwap(component, by, other if by == "other" else None)
    replaced = {f"decoder.{name}": tensor for name, tensor in swap.values(model).items()}
    assert set(replaced) == {name for name, _ in model.named_parameters() if inside.match(name)}
    if by == "other":
        replaced = {name: tensor for name, tensor in other.state_dict().items() if name in replaced}
    changed = copy.deepcopy(model)
    changed.load_state_dict(replaced, strict=False)
    with torch.no_grad():
        expected, plain = (one(**inputs, decoder_input_ids=TOKENS).logits for one in (changed, model))
        with apply(model, [swap]):
            assert torch.equal(model(**inputs, decoder_input_ids=TOKENS).logits, expected)
    assert (expected - plain).abs().max() > 1e-2


def test_components_of_a_bert_that_a_gpt2_reads():
    model = tiny_family(BERT2GPT2, 600)
    parts = components(model)
    counts = Counter(name for parameters in parts.values() for name in parameters)
    assert counts == Counter(name for name, _ in model.named_parameters())
    assert list(parts) == [name for name in ALL_COMPONENTS if name != "output"]
    block = "decoder.transformer.h.1."
    for component, names in {
        "embeddings": ["decoder.transformer.wte.weight", "encoder.embeddings.word_embeddings.weight"],
        "encoder": ["enc_to_dec_proj.bias", "encoder.encoder.layer.1.output.dense.weight"],
        "self_attention": [f"{block}attn.c_attn.weight", f"{block}attn.c_proj.bias"],
        "cross_attention": [f"{block}crossattention.q_attn.weight", f"{block}crossattention.c_attn.bias"],
        "feed_forward": [f"{block}mlp.c_fc.weight"],
        "norms": [f"{block}ln_1.weight", f"{block}ln_cross_attn.bias", "decoder.transformer.ln_f.weight"],
    }.items():
        assert set(names) <= set(parts[component])


def test_lengths_are_those_of_the_encoder_and_of_the_decoder():
    encoder, decoder = torch.nn.Module(), torch.nn.Module()
    encoder.config, decoder.config = BertConfig(max_position_embeddings=60), GPT2Config(n_positions=40)
    config = SimpleNamespace(is_encoder_decoder=True)
    model = SimpleNamespace(get_encoder=lambda: encoder, get_decoder=lambda: decoder, config=config)
    check_lengths(model, 60, 40)
    check_lengths(model, 0, 40)
    with pytest.raises(ZscError, match="sources take 61 positions, but this model has 60"):
        check_lengths(model, 61, 40)
    for positions in (0, 60):
        with pytest.raises(ZscError, match="responses take 41 positions, but this model has 40"):
            check_lengths(model, positions, 41)


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        ({"eos_token": "e"}, "eee"),
        ({"bos_token": "b", "eos_token": "e"}, "bee"),
        ({"cls_token": "c", "sep_token": "s", "pad_token": "p"}, "csp"),
        ({"bos_token": "b", "eos_token": "e", "pad_token": "p", "cls_token": "c", "sep_token": "s"}, "bep"),
    ],
)
def test_begin_end_and_padding_tokens_are_those_there_are(given, tokens):
    names = ("bos", "eos", "pad", "cls", "sep")
    tokenizer = SimpleNamespace(**{f"{name}_token": given.get(f"{name}_token") for name in names})
    complete(tokenizer, "acme")
    assert f"{tokenizer.bos_token}{tokenizer.eos_token}{tokenizer.pad_token}" == tokens


def test_a_tokenizer_without_an_end_is_refused():
    with pytest.raises(ZscError, match=r"objective\.language_model=acme has no end token"):
        complete(SimpleNamespace(bos_token="b", eos_token=None, sep_token=None, pad_token=None, cls_token=None), "acme")


END = "<|endoftext|>"


@pytest.fixture(scope="module")
def folders(tmp_path_factory, parlor, tokenizer, checkpoint):
    """Tiny checkpoints: BERTs of two widths and GPT-2s with tokenizers of their own, a BART and its language models."""
    made = {name: tmp_path_factory.mktemp(name) for name in ("bert", "wide", "gpt2", "half", "grafted", "foreign")}
    texts = [text for r in parlor for text in (r.knowledge, r.reference, *(turn.text for turn in r.history))]
    words = Counter(word for text in texts for word in re.findall(r"\w+|[^\w\s]", text.lower()))
    letters = sorted(set("".join(words)))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    pieces += [word for word, _ in words.most_common() if len(word) > 1][: 500 - len(pieces)]
    for name, width in (("bert", 32), ("wide", 48)):
        torch.manual_seed(0)
        BertModel(
            BertConfig(vocab_size=500, hidden_size=width, num_hidden_layers=2, num_attention_heads=4,
                       intermediate_size=48, max_position_embeddings=200, initializer_range=0.25)
        ).save_pretrained(made[name])  # fmt: skip
        BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}).save_pretrained(made[name])
    pairs = ByteLevelBPETokenizer()
    pairs.train_from_iterator(texts, vocab_size=449, show_progress=False)
    vocabulary = pairs.get_vocab() | {END: 449}
    pairs.save_model(str(made["gpt2"]))
    merges = [tuple(line.split()) for line in (made["gpt2"] / "merges.txt").read_text("utf-8").splitlines()[1:]]
    torch.manual_seed(1)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=450, n_embd=32, n_layer=2, n_head=4, n_positions=60, initializer_range=0.4,
                   bos_token_id=449, eos_token_id=449)
    )  # fmt: skip
    model.transformer.wte.weight.data.div_(4)  # so that it does not repeat the last token for ever
    for name, dtype in (("gpt2", torch.float32), ("half", torch.float16)):
        model.to(dtype).save_pretrained(made[name])
        GPT2Tokenizer(vocab=vocabulary, merges=merges).save_pretrained(made[name])
    language_model = drawn_language_model(AutoModelForSeq2SeqLM.from_pretrained(checkpoint))
    language_model.save_pretrained(made["grafted"])
    shifted(language_model).save_pretrained(made["foreign"])
    for name in ("grafted", "foreign"):
        tokenizer.save_pretrained(made[name])
    return made | {"bart": checkpoint}


def arguments(folders, checkpoint, output, *more, language_model=None):
    return [
        "train", "objective=dialogue", f"objective.checkpoint={folders[checkpoint]}", f"output={output}",
        "precision=fp32", *([f"objective.language_model={folders[language_model]}"] if language_model else []),
        f"objective.train=[{{loader: jsonl, path: {PARLOR}}}]", "objective.heldout=[{loader: parlor, limit: 4}]",
        "trainer.max_steps=2", "trainer.per_device_train_batch_size=4", "trainer.warmup_steps=1",
        "trainer.save_steps=2", *more,
    ]  # fmt: skip


def weights(output):
    return load_file(output / "model" / "model.safetensors")


def moved(before, after):
    return {name for name in after if not torch.equal(before[name], after[name])}


def test_cross_attention_alone_can_be_trained_in_a_graft(tmp_path, folders):
    frozen = "freeze=[encoder,embeddings,self_attention,feed_forward]"
    for output, more in (("out", []), ("still", ["trainer.learning_rate=0"])):
        call = arguments(folders, "bart", tmp_path / output, frozen, *more, language_model="grafted")
        assert not main(call)
    after, still = weights(tmp_path / "out"), weights(tmp_path / "still")
    checkpoint, given = (load_file(folders[name] / "model.safetensors") for name in ("bart", "grafted"))
    own = {name for name in after if CROSS in name}
    norms = {name for name in after if ".decoder." in name and ("layer_norm" in name or "layernorm" in name)}
    assert moved(still, after) == own | norms and own <= moved(checkpoint, still) & moved(given | checkpoint, still)
    for name in set(after) - own - norms:
        source = given if "decoder.layers." in name or "decoder.layernorm" in name else checkpoint
        assert torch.equal(after[name], source[name]), name
    assert not (tmp_path / "out" / "model" / "target_tokenizer").exists()
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    d, layers = BART["d_model"], BART["decoder_layers"]
    assert plan["all"]["trained"] == layers * 4 * (d * d + d) + (3 * layers + 1) * 2 * d


@pytest.mark.parametrize(
    ("base", "language_model", "more", "message"),
    [
        ("bart", "grafted", ["freeze=[cross_attention]"], "leave new weights as drawn: do not freeze cross_attention."),
        ("bart", "grafted", ["freeze=[norms]"], "leave new weights as drawn: do not freeze norms."),
        ("bert", "gpt2", ["freeze=[cross_attention]"], "leave new weights as drawn: do not freeze cross_attention."),
        ("wide", "gpt2", ["freeze=[encoder]"], "leave new weights as drawn: do not freeze encoder."),
        ("wide", "gpt2", [], "leave new weights as drawn: do not freeze encoder."),
        ("gpt2", "gpt2", [], "(gpt2) is no encoder, such as BERT or RoBERTa"),
        ("bart", "foreign", [], "other token embeddings than the encoder"),
        ("bart", "gpt2", [], "a GPT2Model cannot take the place of a BartDecoder. Take an encoder such as roberta"),
        ("bart", "bart", [], "is an encoder-decoder, not a causal language model"),
        ("bart", "grafted", ["objective.decoder=decoder.safetensors"], "both name the decoder to start from"),
        ("bert", "gpt2", ["objective.target_tokens=61"], "responses take 61 positions, but this model has 60"),
        ("bert", "gpt2", ["layout.turns=7"], "sources take 215 positions, but this model has 200"),
        ("bert", None, [], "is not an encoder-decoder"),
    ],
)
def test_what_cannot_be_put_together_is_said_in_one_line_before_training(
    tmp_path, command, folders, base, language_model, more, message
):
    status, _, err = command(*arguments(folders, base, "out", *more, language_model=language_model))
    assert status == 2 and message in err.splitlines()[-1] and "Traceback" not in err
    assert not (tmp_path / "out" / "plan.json").exists() and not list((tmp_path / "out").glob("checkpoint-*"))


def test_a_language_model_that_cannot_attend_to_an_encoder_is_refused(tmp_path, command, folders):
    LlamaForCausalLM(
        LlamaConfig(vocab_size=450, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    ).save_pretrained(tmp_path / "llama")
    AutoTokenizer.from_pretrained(folders["gpt2"]).save_pretrained(tmp_path / "llama")
    call = arguments(folders | {"llama": tmp_path / "llama"}, "bert", "out", language_model="llama")
    status, _, err = command(*call)
    assert status == 2 and "not prepared for the encoder hidden states" in err and len(err.splitlines()) == 1


@pytest.fixture(scope="module")
def joined(tmp_path_factory, folders):
    """The output of training a BERT with a GPT-2 as its decoder."""
    output = tmp_path_factory.mktemp("outputs") / "joined"
    assert not main(arguments(folders, "bert", output, language_model="gpt2"))
    return output


@pytest.fixture
def parts(joined, folders):
    """The model of ``joined`` as transformers alone loads it, and the tokenizers of the two checkpoints."""
    model = EncoderDecoderModel.from_pretrained(joined / "model", attn_implementation="eager").eval()
    source = AutoTokenizer.from_pretrained(folders["bert"])
    source.add_special_tokens({"additional_special_tokens": SPEAKERS})
    return SimpleNamespace(model=model, source=source, target=AutoTokenizer.from_pretrained(folders["gpt2"]))


def laid_out(records, tokenizer):
    """Sources as docs/sources.md describes them, bucket by bucket, for a tokenizer without a begin token."""
    pad, rows = tokenizer.pad_token_id, []
    for record in records:
        row = tokenizer(record.knowledge, add_special_tokens=False)["input_ids"][:32]
        row += [pad] * (32 - len(row))
        turns = record.history[-5:]
        row += [pad] * 26 * (5 - len(turns))
        for turn in turns:
            row.append(tokenizer.convert_tokens_to_ids(SPEAKERS[turn.speaker != turns[-1].speaker]))
            tokens = tokenizer(turn.text, add_special_tokens=False)["input_ids"][:25]
            row += tokens + [pad] * (25 - len(tokens))
        rows.append(row)
    ids = torch.tensor(rows)
    return {"input_ids": ids, "attention_mask": (ids != pad).long()}


def test_a_joined_model_is_saved_with_both_tokenizers_and_the_tokens_of_the_decoder(joined, folders, parts):
    folder = joined / "model"
    _, loading = EncoderDecoderModel.from_pretrained(folder, output_loading_info=True)
    assert not any(loading.values())
    own, targets = (AutoTokenizer.from_pretrained(path) for path in (folder, folder / "target_tokenizer"))
    assert own.get_vocab() == parts.source.get_vocab() and len(own) == 502
    assert targets.get_vocab() == parts.target.get_vocab() and len(targets) == 450
    text = "It's 3 o'clock, isn't it?"
    assert own(text)["input_ids"] == parts.source(text)["input_ids"]
    assert targets(text)["input_ids"] == parts.target(text)["input_ids"] and targets.pad_token == END
    stored = json.loads((folder / "generation_config.json").read_text())
    ids = {name: stored[f"{name}_token_id"] for name in ("decoder_start", "eos", "pad")}
    assert ids == dict.fromkeys(ids, 449)
    loaded = load_model(str(folder), device="cpu")
    assert len(loaded.tokenizer) == 502 and len(loaded.target_tokenizer) == 450
    assert loaded.model.generation_config.eos_token_id == loaded.model.generation_config.pad_token_id == 449


def test_a_joined_model_keeps_what_is_frozen_and_trains_the_rest(joined, folders):
    after = weights(joined)
    encoder, decoder = (load_file(folders[name] / "model.safetensors") for name in ("bert", "gpt2"))
    before = {f"encoder.{name}": tensor for name, tensor in encoder.items()}
    before |= {f"decoder.{name}": tensor for name, tensor in decoder.items()}
    words = "encoder.embeddings.word_embeddings.weight"
    added = after.pop(words)
    separator = AutoTokenizer.from_pretrained(folders["bert"]).sep_token_id
    assert torch.equal(added[:500], before.pop(words)) and torch.equal(added[500:], added[[separator] * 2])
    new = set(after) - set(before)
    assert not set(before) - set(after) and {name.split(".")[4] for name in new} == {"crossattention", "ln_cross_attn"}
    kept = {name for name in before if name.startswith("encoder.") or ".wte." in name or ".wpe." in name}
    assert moved(before, {name: after[name] for name in before}) == set(before) - kept


def test_the_held_out_loss_of_a_joined_model_by_hand(joined, parts):
    records = load_records("parlor", limit=4)
    sources = laid_out(records, parts.source)
    losses = []
    for i, record in enumerate(records):
        tokens = [*parts.target(record.reference)["input_ids"], 449][:40]
        with torch.no_grad():
            one = {name: tensor[i : i + 1] for name, tensor in sources.items()}
            scores = parts.model(**one, decoder_input_ids=torch.tensor([[449, *tokens[:-1]]])).logits[0].log_softmax(-1)
        losses += [-scores[place, token].item() for place, token in enumerate(tokens)]
    report = json.loads((joined / "training.json").read_text())
    assert report["validation_loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_a_finished_joined_training_stays_as_it_is(joined, folders):
    before = (joined / "model" / "model.safetensors").read_bytes()
    assert not main(arguments(folders, "bert", joined, language_model="gpt2"))
    assert (joined / "model" / "model.safetensors").read_bytes() == before
    assert sorted(file.name for file in (joined / "model").iterdir() if "tokenizer" in file.name) == [
        "target_tokenizer", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip


def greedy(parts, sources):
    """Texts and lengths by plain ``generate``, example by example; lengths count the end token."""
    found = []
    for i in range(len(sources["input_ids"])):
        one = {name: tensor[i : i + 1] for name, tensor in sources.items()}
        tokens = parts.model.generate(**one, max_new_tokens=12, min_new_tokens=1, do_sample=False)[0, 1:].tolist()
        found.append((" ".join(parts.target.decode(tokens, skip_special_tokens=True).split()), len(tokens)))
    return found


def test_a_run_of_a_joined_model_says_what_plain_generate_says(tmp_path, command, joined, parts):
    """The end token is one that the model says, so that responses end at different lengths."""
    records = load_records("parlor", limit=4)
    sources = laid_out(records, parts.source)
    plain = parts.model.generate(**sources, max_new_tokens=12, do_sample=False)[:, 1:].tolist()
    ends = {token: [row.index(token) + 1 if token in row else 12 for row in plain] for token in chain(*plain)}
    apart = {token: sum(lengths) for token, lengths in ends.items() if len(set(lengths)) > 1 and 1 not in lengths}
    end = max(apart, key=apart.__getitem__)
    settings = json.loads((joined / "model" / "generation_config.json").read_text())
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (joined / "model").iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "generation_config.json").unlink()
    (folder / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": end}))
    parts.model.generation_config.eos_token_id = end

    status, out, err = command(
        "run", "knob=attn_bias", "knob.strength=50", f"model={folder}", "model.device=cpu", "dataset.limit=4",
        "seeds=[0]", "output=run", "decoding=greedy", "decoding.max_new_tokens=12", "resampling.resamples=20",
        "format=json",
    )  # fmt: skip
    assert status == 0, err
    rows = list(RunFolder(tmp_path / "run").rows())
    tokens = {(row["setting"], row["id"]): (row["response"], row["tokens"]) for row in rows}
    expected = greedy(parts, sources)
    assert [tokens["off", record.id] for record in records] == expected
    assert [length for _, length in expected] == ends[end]
    assert any(text for text, _ in expected) and END not in "".join(text for text, _ in expected)

    weights_of_knowledge = torch.where(torch.arange(162) < 32, 50.0, 1.0)[None, None, None]
    with reweighted(cross_attentions(parts.model), weights_of_knowledge):
        biased = greedy(parts, sources)
    setting = "attn_bias(knowledge, 50)"
    assert [tokens[setting, record.id] for record in records] == biased != expected
    assert {row["setting"] for row in json.loads(out)} >= {"off", setting}


def test_attention_of_a_joined_model_is_told_in_the_words_of_its_source(joined, parlor):
    loaded = load_model(str(joined / "model"), device="cpu")
    source = BucketLayout().encode(parlor[:1], loaded.tokenizer)
    found = attended(loaded, source, [AttentionBias("knowledge", 4.0)], "Yes, of course.")
    ids = loaded.tokenizer(parlor[0].knowledge, add_special_tokens=False)["input_ids"][:32]
    assert "".join(token.text for token in found.tokens if token.segment == 1) == loaded.tokenizer.decode(ids)
    assert found.padding == (0, 0) and sum(token.on for token in found.tokens) == pytest.approx(1, abs=1e-5)


def test_the_doctor_finds_a_joined_model_well(command, joined):
    _, out, _ = command("doctor", f"model={joined / 'model'}", "model.device=cpu")
    assert "FAIL" not in out and "identity exact" in out and "knob attn_bias" in out


def test_a_joined_model_can_be_trained_further(tmp_path, folders, joined):
    checkpoints = folders | {"joined": joined / "model"}
    assert not main(arguments(checkpoints, "joined", tmp_path / "out", "freeze=[encoder]", "trainer.max_steps=1"))
    loaded = load_model(str(tmp_path / "out" / "model"), device="cpu")
    assert len(loaded.tokenizer) == 502 and len(loaded.target_tokenizer) == 450
    assert loaded.model.generation_config.eos_token_id == loaded.model.generation_config.pad_token_id == 449


def test_a_joined_model_cannot_denoise(tmp_path, command, joined):
    (tmp_path / "text.txt").write_text("One sentence of a text.\n", encoding="utf-8")
    status, _, err = command(
        "train", "objective=denoise", "output=out", f"objective.checkpoint={joined / 'model'}",
        "objective.text=text.txt", "objective.heldout=text.txt",
    )  # fmt: skip
    assert status == 2 and "a vocabulary of its own" in err and len(err.splitlines()) == 1


def test_widths_that_differ_train_with_the_encoder(tmp_path, folders):
    for output, more in (("out", []), ("still", ["trainer.learning_rate=0"])):
        assert not main(arguments(folders, "wide", tmp_path / output, "freeze=[]", *more, language_model="gpt2"))
    after, still = weights(tmp_path / "out"), weights(tmp_path / "still")
    assert after["enc_to_dec_proj.weight"].shape == (32, 48)
    assert moved(still, after) == {name for name in after if ".pooler." not in name}
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert plan["all"]["trained"] == sum(tensor.numel() for name, tensor in after.items() if ".pooler." not in name)
    EncoderDecoderModel.from_pretrained(tmp_path / "out" / "model")


def test_a_language_model_in_half_precision_trains_in_single(tmp_path, folders):
    assert not main(arguments(folders, "bert", tmp_path / "out", "trainer.max_steps=1", language_model="half"))
    assert {tensor.dtype for tensor in weights(tmp_path / "out").values()} == {torch.float32}


def test_an_encoder_may_be_its_own_decoder(tmp_path, folders):
    assert not main(arguments(folders, "bert", tmp_path / "out", "trainer.max_steps=1", language_model="bert"))
    own = AutoTokenizer.from_pretrained(folders["bert"])
    config = load_model(str(tmp_path / "out" / "model")).model.generation_config
    ids = (config.decoder_start_token_id, config.eos_token_id, config.pad_token_id)
    assert ids == (own.cls_token_id, own.sep_token_id, own.pad_token_id)


def test_fine_tuning_starts_from_other_decoder_weights(tmp_path, folders):
    checkpoint = tmp_path / "bart"
    checkpoint.mkdir()
    for file in folders["bart"].iterdir():
        (checkpoint / file.name).symlink_to(file)
    name = "layers.1.fc2.weight"
    before = load_file(checkpoint / "model.safetensors")
    save_file({name: torch.full_like(before[f"model.decoder.{name}"], 0.5)}, checkpoint / "decoder.safetensors")
    call = arguments(folders | {"bart": checkpoint}, "bart", tmp_path / "out", "objective.decoder=decoder.safetensors")
    assert not main([*call, "trainer.learning_rate=0", "trainer.max_steps=1"])
    after = weights(tmp_path / "out")
    assert moved(before, after) == {f"model.decoder.{name}"}
    assert (after[f"model.decoder.{name}"] == 0.5).all()


def test_a_grafted_language_model_loads_as_one(folders):
    created = AutoModelForCausalLM.from_pretrained(folders["grafted"])
    assert not created.config.is_encoder_decoder and type(created).__name__ == "BartForCausalLM"
