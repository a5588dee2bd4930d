"""Causal language models on the embeddings of an encoder-decoder, and `zsc train objective=language_model`."""

import json
import math
from collections import Counter

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer, BartConfig

from tests.families import BART, CAUSAL, tiny_model
from zsc.cli.main import main
from zsc.knobs.components import components, embeddings, encoders
from zsc.training.language_model import LanguageModelCollator, new_language_model
from zsc.training.segments import Targets

EXAMPLES = [{"sentences": [[11, 12, 13], [21, 22]]}, {"sentences": [[31, 32]]}]
START, PAD, END = 2, 1, 2
UNUSED = "encoder_attn_layer_norm"  # which a decoder passes by where it has nothing to attend to


def collated(model, tokenizer, examples=EXAMPLES):
    return LanguageModelCollator(tokenizer, Targets.of(model, tokenizer))(examples)


def by_hand(model, language_model, rows):
    """The mean cross-entropy of ``rows``, each read alone by the decoder of ``model`` with the other's weights."""
    decoder = model.get_decoder().eval()
    decoder.load_state_dict(language_model.get_decoder().state_dict())
    losses = []
    for row in rows:
        with torch.no_grad():
            states = decoder(input_ids=torch.tensor([[START, *row]])).last_hidden_state[0]
            scores = states @ decoder.get_input_embeddings().weight.T
        losses += [-scores[i].log_softmax(-1)[token] for i, token in enumerate([*row, END])]
    return torch.stack(losses).mean().item()


@pytest.mark.parametrize("family", CAUSAL)
def test_the_loss_is_that_of_the_decoder_alone_for_each_next_token(tokenizer, family):
    model = tiny_model(family, tokenizer)
    created = new_language_model(model).eval()
    batch = collated(model, tokenizer)
    assert batch["input_ids"].tolist() == [[START, 11, 12, 13, 21, 22], [START, 31, 32, PAD, PAD, PAD]]
    assert batch["labels"].tolist() == [[11, 12, 13, 21, 22, END], [31, 32, END, -100, -100, -100]]
    with torch.no_grad():
        loss = created(**batch).loss.item()
    rows = [[token for sentence in example["sentences"] for token in sentence] for example in EXAMPLES]
    assert loss == pytest.approx(by_hand(model, created, rows), rel=1e-5)


@pytest.mark.parametrize("family", CAUSAL)
def test_a_token_changes_nothing_before_it(tokenizer, family):
    model = tiny_model(family, tokenizer)
    created = new_language_model(model).eval()
    batch = collated(model, tokenizer, EXAMPLES[:1])
    with torch.no_grad():
        before = created(**batch).logits[0]
        batch["input_ids"][0, 3] = 99
        after = created(**batch).logits[0]
    changed = (before - after).abs().amax(dim=-1) > 1e-4
    assert changed.tolist() == [False, False, False, True, True, True]


@pytest.mark.parametrize("family", CAUSAL)
def test_it_starts_from_the_decoders_embeddings_with_new_layers(tokenizer, family):
    model = tiny_model(family, tokenizer)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    created = new_language_model(model)
    own, theirs = created.get_decoder().state_dict(), model.get_decoder().state_dict()
    assert set(own) == set(theirs)
    same = {name for name in own if torch.equal(own[name], theirs[name])}
    named = {name for name in own if name.startswith(("embed_tokens", "embed_positions"))}
    assert named <= same and not {name for name in same - named if own[name].dim() > 1}
    assert created.get_output_embeddings().weight is created.get_decoder().get_input_embeddings().weight
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.config.is_encoder_decoder and not created.config.is_encoder_decoder


@pytest.mark.parametrize("family", CAUSAL)
def test_components_divide_a_language_model(tokenizer, family):
    created = new_language_model(tiny_model(family, tokenizer))
    parts = components(created)
    assert set(parts) == {"embeddings", "self_attention", "cross_attention", "feed_forward", "norms"}
    counts = Counter(name for parameters in parts.values() for name in parameters)
    assert counts == Counter(name for name, _ in created.named_parameters())
    assert encoders(created) == [] and len(embeddings(created)) == 2


def test_a_fresh_one_is_as_good_as_a_guess(tokenizer):
    config = BartConfig(vocab_size=len(tokenizer), pad_token_id=1, bos_token_id=0, eos_token_id=2,
                        decoder_start_token_id=2, **BART)  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForSeq2SeqLM.from_config(config)
    created = new_language_model(model).eval()
    with torch.no_grad():
        loss = created(**collated(model, tokenizer)).loss.item()
    assert loss == pytest.approx(math.log(len(tokenizer)), abs=0.1)


def test_a_token_that_targets_are_forced_to_begin_with_is_learned(tokenizer):
    model = tiny_model("bart", tokenizer)
    model.generation_config.forced_bos_token_id = 0
    batch = collated(model, tokenizer, EXAMPLES[1:])
    assert batch["input_ids"].tolist() == [[START, 0, 31, 32]] and batch["labels"].tolist() == [[0, 31, 32, END]]


@pytest.fixture(scope="module")
def texts(tmp_path_factory, parlor, tokenizer):
    """Texts for training and to hold out, each document a segment: of 4 to 48 tokens."""
    folder = tmp_path_factory.mktemp("texts")
    documents = [record.knowledge for record in parlor if record.knowledge]
    documents = [text for text in documents if 4 <= len(tokenizer(text, add_special_tokens=False)["input_ids"]) <= 48]
    for name, lines in (("text", documents[8:]), ("heldout", documents[:8])):
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def arguments(folder, texts, output, *more):
    return [
        "train", "objective=language_model", f"objective.checkpoint={folder}", f"objective.text={texts / 'text.txt'}",
        f"objective.heldout={texts / 'heldout.txt'}", "objective.segment_tokens=48", f"output={output}",
        "precision=fp32", "trainer.max_steps=3", "trainer.per_device_train_batch_size=4", "trainer.warmup_steps=1",
        "trainer.save_steps=3", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory, checkpoints, texts):
    """The output of a training, and what it would be with a learning rate of 0."""
    outputs = {}
    for name, more in (("trained", []), ("still", ["trainer.learning_rate=0"])):
        outputs[name] = tmp_path_factory.mktemp("outputs") / name
        assert not main(arguments(checkpoints["bart"], texts, outputs[name], *more))
    return outputs


def weights(output):
    return load_file(output / "model" / "model.safetensors")


def test_embeddings_stay_and_all_else_that_is_used_moves(trained, checkpoints):
    before, after, still = load_file(checkpoints["bart"] / "model.safetensors"), *map(weights, trained.values())
    assert torch.equal(after["model.decoder.embed_tokens.weight"], before["model.shared.weight"])
    positions = "model.decoder.embed_positions.weight"
    assert torch.equal(after[positions], before[positions])
    moved = {name for name in after if not torch.equal(after[name], still[name])}
    assert moved == {n for n in after if not any(part in n for part in ("embed_", "encoder_attn.", UNUSED))}
    plan = json.loads((trained["trained"] / "plan.json").read_text())
    assert plan["freeze"] == ["embeddings", "cross_attention"]


def test_the_held_out_loss_is_that_of_the_texts(trained, checkpoints, texts):
    folder = trained["trained"] / "model"
    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(checkpoints["bart"]), AutoTokenizer.from_pretrained(folder)
    lines = (texts / "heldout.txt").read_text(encoding="utf-8").splitlines()
    rows = [tokenizer(line, add_special_tokens=False)["input_ids"] for line in lines]
    report = json.loads((trained["trained"] / "training.json").read_text())
    expected = by_hand(model, AutoModelForCausalLM.from_pretrained(folder), rows)
    assert len(rows) == 8 and report["validation_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_finished_one_stays_as_it_is(trained, checkpoints, texts):
    files = [trained["trained"] / name for name in ("model/model.safetensors", "training.json")]
    before = [file.read_bytes() for file in files]
    assert not main(arguments(checkpoints["bart"], texts, trained["trained"]))
    assert [file.read_bytes() for file in files] == before


def test_a_family_without_a_causal_language_model_is_refused_before_the_text_is_cut(
    tmp_path, command, checkpoints, texts
):
    status, _, err = command(*arguments(checkpoints["t5"], texts, "out"))
    assert status == 2 and len(err.splitlines()) == 1
    assert "no causal language model of the family t5" in err and "BART family" in err
    assert not list((tmp_path / "out").glob("segments*"))


def test_segments_beyond_the_decoders_positions_are_refused(command, checkpoints, texts):
    status, _, err = command(*arguments(checkpoints["bart"], texts, "out", "objective.segment_tokens=199"))
    assert status == 2 and "201 positions, but this model has 200" in err
