"""`zsc train` on tiny checkpoints with frozen parts: the plan, the report, and what the seed decides."""

import json
from collections import Counter

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from tests.families import BART, T5
from zsc.data import load_records
from zsc.data.embedded import PARLOR
from zsc.data.layouts import BucketLayout
from zsc.models.load import Loaded
from zsc.training.text_to_text import TextCollator

FROZEN = ["self_attention", "feed_forward"]
STEPS = 4


@pytest.fixture
def train(command, checkpoints):
    def call(family, output, *more, frozen=FROZEN):
        return command(
            "train", f"output={output}", "objective=dialogue", f"objective.checkpoint={checkpoints[family]}",
            f"objective.train=[{{loader: jsonl, path: {PARLOR}}}]", "objective.heldout=[{loader: parlor, limit: 8}]",
            f"freeze=[{','.join(frozen)}]", f"trainer.max_steps={STEPS}", "trainer.per_device_train_batch_size=4",
            "trainer.warmup_steps=1", f"trainer.save_steps={STEPS}", "precision=fp32", *more,
        )  # fmt: skip

    return call


def by_hand(family, vocabulary):
    """Weights: all, in embeddings, in the decoder's self-attention and feed-forward."""
    if family == "bart":
        d, ffn, layers = BART["d_model"], BART["decoder_ffn_dim"], BART["decoder_layers"]
        attention, feed_forward, norm = 4 * (d * d + d), 2 * d * ffn + ffn + d, 2 * d
        embeddings = vocabulary * d + 2 * (BART["max_position_embeddings"] + 2) * d
        bare = layers * (3 * attention + 2 * feed_forward + 5 * norm) + 2 * norm
        return embeddings + bare, embeddings, layers * (attention + feed_forward)
    d, inner, layers, heads = T5["d_model"], T5["num_heads"] * T5["d_kv"], T5["num_layers"], T5["num_heads"]
    attention, feed_forward, relative = 4 * d * inner, 2 * d * T5["d_ff"], 32 * heads
    bare = layers * (3 * attention + 2 * feed_forward + 5 * d) + 2 * (relative + d)
    return vocabulary * d + bare, vocabulary * d, layers * (attention + feed_forward) + relative


@pytest.mark.parametrize("family", ["bart", "t5"])
def test_a_plan_before_and_a_report_after(tmp_path, checkpoints, tokenizer, train, family):
    status, out, err = train(family, "out", "seed=3")
    assert status == 0 and out.strip() == "out/model", err
    total, embeddings, frozen = by_hand(family, len(tokenizer))
    trained = total - frozen
    plan, report = (json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in ("plan", "training"))
    assert plan["freeze"] == FROZEN
    assert {name: row["share"] for name, row in plan["components"].items() if row["share"] < 1} == dict.fromkeys(
        FROZEN, 0
    )
    assert plan["all"] == {"weights": total, "trained": trained, "share": trained / total}
    assert plan["without_embeddings"]["share"] == (trained - embeddings) / (total - embeddings)
    lines = [line.split() for line in err.splitlines()]
    assert next(line for line in lines if line and line[0] == "self_attention")[2:] == ["0", "0.0%", "frozen"]
    assert f"training {trained:,} of {total:,} weights" in err

    checkpoint = tmp_path / "out" / f"checkpoint-{STEPS}"
    states = torch.load(checkpoint / "optimizer.pt")["state"].values()
    moments = Counter(state["exp_avg"].numel() for state in states)
    assert sum(size * count for size, count in moments.items()) == trained
    assert report["optimiser_bytes"] == 2 * 4 * trained + 4 * len(states)
    assert report["trained_weights"] == trained and report["trained_share"] == trained / total
    assert report["trained_share_without_embeddings"] == plan["without_embeddings"]["share"]
    assert report["steps"] == report["steps_timed"] == STEPS and report["seconds_per_step"] > 0
    assert report["validation_loss"] == pytest.approx(heldout_loss(tmp_path / "out/model"), rel=1e-5)
    assert report["peak_megabytes"] > 0 and report["seed"] == 3
    assert report["versions"]["torch"] == torch.__version__

    before, after = (
        load_file(checkpoints[family] / "model.safetensors"),
        load_file(tmp_path / "out/model/model.safetensors"),
    )
    still = {name for name in before if torch.equal(before[name], after[name])} - {"final_logits_bias"}  # no parameter
    named = ("decoder.layers", "decoder.block")
    inside = ("self_attn.", "fc1", "fc2", "SelfAttention", "DenseReluDense")
    assert still == {name for name in before if any(n in name for n in named) and any(n in name for n in inside)}


def heldout_loss(folder):
    """The mean cross-entropy of the tokens of the eight held-out references, which the Trainer reads in one batch."""
    model, own = AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    batch = TextCollator(BucketLayout(), Loaded(model, own, own, ""), 40)(load_records("parlor", limit=8))
    labels = batch.pop("labels")
    with torch.no_grad():
        logits = model(**batch).logits
    return torch.nn.functional.cross_entropy(logits[labels >= 0], labels[labels >= 0]).item()


def test_the_seed_decides_the_weights(tmp_path, train):
    for output, seed in [("a", 1), ("b", 1), ("c", 2)]:
        assert train("bart", output, f"seed={seed}", frozen=["self_attention"])[0] == 0
    a, b, c = (load_file(tmp_path / name / "model" / "model.safetensors") for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


def test_new_weights_come_from_the_seed(tmp_path, command, parlor):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{record.knowledge}\n" for record in parlor), encoding="utf-8")
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    models = {}
    for output, seed in [("a", 1), ("b", 1), ("c", 2)]:
        status, _, err = command(
            "train", f"output={output}", "objective=denoise", f"objective.text={text}", f"objective.heldout={text}",
            f"seed={seed}", "objective.segment_tokens=24", "objective.tokenizer.vocab_size=400", "trainer.max_steps=1",
            "precision=fp32",
            "trainer.learning_rate=0", *(f"objective.config.{name}={size}" for name, size in sizes.items()),
        )  # fmt: skip
        assert status == 0, err
        models[output] = load_file(tmp_path / output / "model" / "model.safetensors")
    name = "model.decoder.layers.0.fc1.weight"
    assert all(torch.equal(models["a"][each], models["b"][each]) for each in models["a"])
    assert not torch.equal(models["a"][name], models["c"][name])


def test_a_finished_training_stays_as_it_is(tmp_path, train):
    assert train("bart", "out")[0] == 0
    kept = [tmp_path / "out" / name for name in ("training.json", "plan.json", "model/model.safetensors")]
    before = [file.read_bytes() for file in kept]
    status, _, err = train("bart", "out")
    assert status == 0, err
    assert [file.read_bytes() for file in kept] == before
    kept[0].unlink()
    assert train("bart", "out")[0] == 0
    report = json.loads(kept[0].read_text())
    assert report["steps"] == STEPS and report["steps_timed"] == 0 and report["seconds_per_step"] is None
    assert report["validation_loss"] == json.loads(before[0])["validation_loss"]


def test_a_wrong_component_is_said_before_training(tmp_path, train):
    status, _, err = train("bart", "out", frozen=["self_atention"])
    assert status == 2 and "Did you mean 'self_attention'?" in err and "Allowed here: embeddings, encoder" in err
    assert not (tmp_path / "out" / "plan.json").exists()
