"""Corruption, segments, and a real training run that is killed and resumed."""

import signal
import time
from collections import Counter

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.families import tiny_model
from tests.processes import finished, start
from zsc.data.embedded import PARLOR
from zsc.data.layouts import BucketLayout
from zsc.data.record import Record, Turn
from zsc.data.text import check_text, read_documents, split_sentences
from zsc.errors import ZscError
from zsc.models.load import Loaded
from zsc.training.corruption import check_corruption, infill, permute_sentences, span_lengths
from zsc.training.segments import DenoisingCollator, Segments, Targets, pack, segment_documents
from zsc.training.text_to_text import TextCollator, add_speaker_tokens
from zsc.training.train import last_checkpoint, wants_bf16

MASK = 4


def test_sentences_are_split_at_their_ends():
    text = 'He said "no." Then he left! <speaker1> hi there <speaker2> Is it 3.5 km? Yes.'
    assert split_sentences(text) == [
        'He said "no."',
        "Then he left!",
        "<speaker1> hi there",
        "<speaker2> Is it 3.5 km?",
        "Yes.",
    ]


def test_documents_are_read_plain_and_compressed(tmp_path):
    import lzma

    (tmp_path / "a.txt").write_text("one\n\n two \n", encoding="utf-8")
    (tmp_path / "a.txt.xz").write_bytes(lzma.compress(b"one\n\n two \n"))
    assert list(read_documents(tmp_path / "a.txt")) == list(read_documents(tmp_path / "a.txt.xz")) == ["one", "two"]
    with pytest.raises(ZscError, match="text file not found"):
        check_text(tmp_path / "b.txt")


def test_span_lengths_are_poisson_and_fill_the_budget():
    rng = np.random.default_rng(0)
    lengths = span_lengths(60_000, 3.0, rng)
    assert sum(lengths) == 60_000
    counts = Counter(lengths)
    for k, expected in [(0, 0.0498), (1, 0.1494), (2, 0.2240), (3, 0.2240), (6, 0.0504)]:  # Poisson(3)
        assert counts[k] / len(lengths) == pytest.approx(expected, abs=0.01)


def test_infilling_replaces_the_share_by_single_masks_and_keeps_the_order():
    rng = np.random.default_rng(0)
    tokens = list(range(100, 200))
    for _ in range(50):
        corrupted = infill(tokens, MASK, 0.3, 3.0, rng)
        kept = [token for token in corrupted if token != MASK]
        assert len(kept) == 70 and kept == sorted(kept)
    assert infill(tokens, MASK, 0.0, 3.0, rng) == tokens


def test_permutation_keeps_sentences_whole():
    sentences = [[1, 2], [3], [4, 5, 6]]
    orders = {tuple(permute_sentences(sentences, np.random.default_rng(s))) for s in range(100)}
    assert len(orders) == 6 and (4, 5, 6, 1, 2, 3) in orders


def test_packing_fills_segments_without_losing_a_token():
    assert list(pack([[1] * 3, [2] * 3, [3] * 9], 6)) == [[[1] * 3, [2] * 3], [[3] * 6], [[3] * 3]]


def test_collator_targets_are_the_original(tokenizer):
    segments = list(segment_documents(["The sun is a star. It is hot."], tokenizer, 64))
    batch = DenoisingCollator(tokenizer, Targets(2, [], 1), 0.3, 3.0, permute=1.0, clean=0.0)(
        [{"sentences": s, "draw": (0, 0)} for s in segments]
    )
    labels = batch["labels"][0]
    assert (
        tokenizer.decode(labels[:-1]).strip() == "The sun is a star. It is hot."
        and labels[-1] == tokenizer.eos_token_id
    )
    assert (
        batch["input_ids"][0, 0] == tokenizer.bos_token_id and (batch["input_ids"][0] == tokenizer.mask_token_id).any()
    )


def test_the_decoder_starts_from_the_start_token_also_where_a_target_was_cut(tokenizer, parlor):
    model = tiny_model("mbart", tokenizer)
    collate = TextCollator(BucketLayout(), Loaded(model, tokenizer, tokenizer, ""), target_tokens=6)
    short = Record("s", (Turn("a", "Hi."),), "Yes.")
    batch = collate([parlor[0], short])
    reference = tokenizer(parlor[0].reference, add_special_tokens=False)["input_ids"]
    assert batch["labels"][0].tolist() == reference[:6]  # cut: no end token
    assert batch["decoder_input_ids"][0].tolist() == [2, *reference[:5]]
    length = int((batch["labels"][1] != -100).sum())
    assert batch["labels"][1, length - 1] == tokenizer.eos_token_id
    assert batch["decoder_input_ids"][1].tolist() == [2, *batch["labels"][1, : length - 1], *[1] * (6 - length)]
    model.generation_config.forced_bos_token_id = 0
    forced = Targets.of(model, tokenizer).batch([[7, 8]])
    assert forced["labels"].tolist() == [[0, 7, 8]] and forced["decoder_input_ids"].tolist() == [[2, 0, 7]]


def test_speaker_tokens_a_checkpoint_lacks_start_as_the_end_token(tokenizer_folder):
    from transformers import AutoTokenizer

    own = AutoTokenizer.from_pretrained(tokenizer_folder)
    model = tiny_model("bart", own)
    add_speaker_tokens(Loaded(model, own, own, ""), BucketLayout(speaker_tokens=("<you>", "<me>")))
    rows = model.get_input_embeddings().weight
    new = own.convert_tokens_to_ids(["<you>", "<me>"])
    assert rows.shape[0] == len(own) and torch.equal(rows[new[0]], rows[2]) and torch.equal(rows[new[1]], rows[2])


@pytest.mark.parametrize("bad", [{"share": 1.5}, {"permute": -0.1}, {"clean": 2}, {"mean_span": 0}])
def test_noise_out_of_range(bad):
    with pytest.raises(ZscError, match=next(iter(bad))):
        check_corruption(**({"share": 0.3, "mean_span": 3.0, "permute": 0.5, "clean": 0.0} | bad))


def test_noise_depends_on_epoch_and_row_only(tokenizer):
    text = "The sun is a star and the moon is not, as everybody knows who ever looked up at night."
    rows = [{"sentences": s} for s in segment_documents([text] * 3, tokenizer, 64)]
    data, collate = Segments(rows), DenoisingCollator(tokenizer, Targets(2, [], 1), 0.3, 3.0, permute=0.0, clean=0.0)
    first = collate([data[0], data[1]])["input_ids"]
    assert torch.equal(collate([data[1]])["input_ids"][0, :8], first[1, :8])
    assert not torch.equal(first[0], first[1])
    data.set_epoch(1)
    assert not torch.equal(collate([data[0], data[1]])["input_ids"][0, :8], first[0, :8])


def test_clean_segments_are_left_as_they_are(tokenizer):
    rows = [{"sentences": s} for s in segment_documents(["The sun is a star."] * 400, tokenizer, 64)]
    data, collate = Segments(rows), DenoisingCollator(tokenizer, Targets(2, [], 1), 0.3, 3.0, permute=0.0, clean=0.25)
    corrupted = (collate([data[i] for i in range(400)])["input_ids"] == tokenizer.mask_token_id).any(dim=1)
    assert corrupted.float().mean() == pytest.approx(0.75, abs=0.07)


def test_precision():
    with pytest.raises(ZscError, match="auto, fp32, bf16"):
        wants_bf16("half")
    assert wants_bf16("bf16") and not wants_bf16("fp32")


def test_half_written_checkpoints_are_passed_over(tmp_path):
    for step, state in [(9, "{}"), (10, "{}"), (100, '{"global_step": 100, "log_his'), (101, ""), (102, None)]:
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path).name == "checkpoint-10"
    assert not list(tmp_path.glob("checkpoint-1??"))
    assert last_checkpoint(tmp_path / "none") is None


TINY = [
    "objective.segment_tokens=24", "objective.tokenizer.vocab_size=400", "objective.config.d_model=32",
    "objective.config.encoder_layers=1",
    "objective.config.decoder_layers=1", "objective.config.encoder_ffn_dim=32", "objective.config.decoder_ffn_dim=32",
    "trainer.per_device_train_batch_size=4", "trainer.warmup_steps=2", "trainer.logging_steps=2", "precision=fp32",
]  # fmt: skip


@pytest.fixture
def texts(tmp_path, parlor):
    (tmp_path / "train.txt").write_text(
        "".join(f"{r.knowledge} {r.reference}\n" for r in parlor[:200]), encoding="utf-8"
    )
    (tmp_path / "heldout.txt").write_text("".join(f"{r.knowledge}\n" for r in parlor[200:]), encoding="utf-8")
    return [f"objective.text={tmp_path}/train.txt", f"objective.heldout={tmp_path}/heldout.txt"]


def test_a_killed_training_resumes_to_the_weights_of_an_undisturbed_one(tmp_path, texts):
    steps = ["trainer.max_steps=60", "trainer.save_steps=5", "trainer.eval_steps=60"]
    train = ["train", "objective=denoise", *texts, *TINY, *steps]
    killed = [*train, f"output={tmp_path}/killed"]
    started = start(tmp_path / "here", *killed)
    while not list((tmp_path / "killed").glob("checkpoint-*/trainer_state.json")) and started.process.is_alive():
        time.sleep(0.02)
    started.process.kill()
    assert started.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model").exists()
    resumed = finished(tmp_path / "here", *killed)
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming from" in resumed.stderr and "reconstruction BLEU" in resumed.stderr
    assert resumed.stdout.strip() == f"{tmp_path}/killed/model"
    complete = finished(tmp_path / "here", *train, f"output={tmp_path}/whole")
    assert complete.returncode == 0, complete.stderr
    other = finished(tmp_path / "here", *killed, "trainer.learning_rate=0.5")
    assert other.returncode == 2 and "holds a training with other options" in other.stderr
    a, b = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("killed", "whole"))
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=1e-6, rtol=1e-5)


def test_dialogue_fine_tuning_moves_the_decoder_only(tmp_path, checkpoint, parlor):
    done = finished(
        tmp_path, "train", "output=out", "objective=dialogue", f"objective.checkpoint={checkpoint}",
        f"objective.train=[{{loader: jsonl, path: {PARLOR}}}]", "objective.heldout=[{loader: parlor, limit: 8}]",
        "trainer.max_steps=4", "trainer.per_device_train_batch_size=4", "trainer.warmup_steps=1", "precision=bf16",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, after = (
        load_file(checkpoint / "model.safetensors"),
        load_file(tmp_path / "out" / "model" / "model.safetensors"),
    )
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and all(".decoder.layers." in name or ".decoder.layer" in name for name in moved)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["objective=denoise"], "has no value. Give"),
        (["objective=denois"], "Did you mean 'denoise'"),
        (["task=denoise"], "no option 'task': what a training aims at is called objective. Write objective=denoise"),
        (["task.text=a b.txt", "output=x"], "Write objective.text="),
        (
            ["output=x", "objective=denoise", "objective.text=no.txt", "objective.heldout=no.txt"],
            "text file not found: no.txt",
        ),
        (["trainer.max_step=4"], "Did you mean 'trainer.max_steps'"),
        (["output=x", "objective=dialogue", "objective.checkpoint=none/such"], "neither a folder nor in the cache"),
    ],
)
def test_bad_input_is_one_line(tmp_path, arguments, message):
    done = finished(tmp_path, "train", *arguments)
    assert done.returncode == 2 and message in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_refused_training_leaves_its_folder_free(command, checkpoint, tmp_path):
    def again(*more):
        return command(
            "train", "output=out", "objective=dialogue", f"objective.checkpoint={checkpoint}", "precision=fp32",
            "objective.heldout=[{loader: parlor, limit: 8}]", f"objective.train=[{{loader: jsonl, path: {PARLOR}}}]",
            "trainer.max_steps=1", *more,
        )  # fmt: skip

    status, _, err = again("objective.decoder=none.safetensors")
    assert status == 2 and "no file" in err and "With decoder=null" in err
    status, _, err = again("freeze=[encodr]")
    assert status == 2 and "encoder" in err
    status, _, err = again()
    assert status == 0, err
    config = tmp_path / "out" / "config.yaml"
    written = config.read_text()
    config.write_text(written.replace("objective:", "task:", 1))  # as earlier versions wrote it
    status, _, err = again("seed=5")
    assert status == 2 and "holds a training with other options" in err
    status, _, err = again()
    assert status == 0 and config.read_text() == written, err


def test_workers_are_not_handed_the_model(tokenizer):
    import pickle

    model = tiny_model("bart", tokenizer)
    collator = TextCollator(BucketLayout(), Loaded(model, tokenizer, tokenizer, ""), 8)
    assert len(pickle.dumps(collator)) < len(pickle.dumps((tokenizer, tokenizer))) + 10_000
