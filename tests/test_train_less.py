"""scripts/train_less.sh: which trainings it starts, and what each of them moves on a tiny BART and T5."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.families import tiny_model
from zsc.cli.main import main
from zsc.data.embedded import PARLOR

SCRIPT = Path(__file__).parents[1] / "scripts" / "train_less.sh"
ALL_BUT_CROSS = ["encoder", "embeddings", "self_attention", "feed_forward", "norms"]
WAYS = {
    "nothing": [],
    "self_attention": ["self_attention"],
    "cross_attention": ["cross_attention"],
    "self_attention+feed_forward": ["self_attention", "feed_forward"],
    "encoder": ["encoder"],
    "encoder+self_attention": ["encoder", "self_attention"],
    "+".join(ALL_BUT_CROSS): ALL_BUT_CROSS,
}
SOME = {name: WAYS[name] for name in ("nothing", "+".join(ALL_BUT_CROSS))}
NAMES = {  # by tensor, in the order in which they are tried
    "bart": {
        "embeddings": r"shared|embed_",
        "encoder": r"model\.encoder\.",
        "self_attention": r"self_attn\.",
        "cross_attention": r"encoder_attn\.",
        "feed_forward": r"fc\d\.",
        "norms": r"layer_?norm",
    },
    "t5": {
        "embeddings": r"shared",
        "encoder": r"encoder\.",
        "self_attention": r"SelfAttention",
        "cross_attention": r"EncDecAttention",
        "feed_forward": r"DenseReluDense",
        "norms": r"layer_norm",
    },
}
CALLS = {"bart": WAYS, "t5": SOME}


def call(folder, output, *settings, fails=False, **variables):
    """Run the script with a `zsc` that only notes its arguments; return the exit status and these, call by call."""
    folder.mkdir(exist_ok=True)
    calls, command = folder / "calls", folder / "zsc"
    calls.write_bytes(b"")
    noted = shlex.quote(str(calls))
    command.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" >> {noted}\necho >> {noted}\nexit {3 if fails else 0}\n")
    command.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name not in ("FROZEN", "SEEDS", "PREFIX")}
    environment |= {"PATH": f"{folder}:{os.environ['PATH']}", **variables}
    done = subprocess.run(["bash", str(SCRIPT), str(output), *settings], env=environment, timeout=60)
    return done.returncode, [line.split("\0")[:-1] for line in calls.read_text().splitlines()]


def settings_of(arguments):
    return dict(argument.split("=", 1) for argument in arguments[1:])


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tokenizer):
    """For each family its checkpoint, and the folder of the trainings that the script started, each of two steps."""
    runs = {}
    for family, ways in CALLS.items():
        root = tmp_path_factory.mktemp(family)
        tiny_model(family, tokenizer).save_pretrained(root / "start")
        tokenizer.save_pretrained(root / "start")
        status, calls = call(
            root / "bin", root / "ways", f"objective.checkpoint={root / 'start'}", "precision=fp32",
            "trainer.max_steps=2",
            f"objective.train=[{{loader: jsonl, path: {PARLOR}}}]", "objective.heldout=[{loader: parlor, limit: 4}]",
            "trainer.per_device_train_batch_size=4", "trainer.warmup_steps=1", "trainer.save_steps=2",
            "trainer.learning_rate=0.01", SEEDS="0", **({} if ways is WAYS else {"FROZEN": " ".join(ways)}),
        )  # fmt: skip
        assert status == 0 and len(calls) == len(ways)
        for arguments in calls:
            assert main(arguments) == 0
        runs[family] = root
    return runs


@pytest.mark.parametrize(("family", "way"), [(family, way) for family, ways in CALLS.items() for way in ways])
def test_what_a_way_freezes_stays_and_is_counted(trained, family, way):
    folder, frozen = trained[family] / "ways" / f"{way}-0", CALLS[family][way]
    before, after = (load_file(one / "model.safetensors") for one in (trained[family] / "start", folder / "model"))
    before.pop("final_logits_bias", None)  # no parameter
    parts = {name: next(part for part, known in NAMES[family].items() if re.search(known, name)) for name in before}
    counts = {
        part: sum(tensor.numel() for name, tensor in before.items() if parts[name] == part) for part in NAMES[family]
    }
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["freeze"] == frozen
    assert {name: row["weights"] for name, row in plan["components"].items()} == counts
    assert {name for name, row in plan["components"].items() if row["trained"] == 0} == set(frozen)
    total, trains = sum(counts.values()), sum(count for part, count in counts.items() if part not in frozen)
    assert plan["all"] == {"weights": total, "trained": trains, "share": trains / total}
    bare, embedded = total - counts["embeddings"], 0 if "embeddings" in frozen else counts["embeddings"]
    assert plan["without_embeddings"]["share"] == (trains - embedded) / bare
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if parts[name] not in frozen}


def test_a_second_call_does_nothing_but_remove_checkpoints(trained, tmp_path):
    ways = trained["bart"] / "ways"
    assert sorted(folder.name for folder in ways.iterdir()) == sorted(f"{way}-0" for way in WAYS)
    assert all((folder / "checkpoint-2").is_dir() for folder in ways.iterdir())
    kept = [file for file in ways.rglob("*") if file.is_file() and "checkpoint-2" not in file.parts]
    times = [file.stat().st_mtime_ns for file in kept]
    status, calls = call(tmp_path / "bin", ways, fails=True, SEEDS="0")
    assert status == 0 and calls == []
    assert not list(ways.rglob("checkpoint-2"))
    assert [file.stat().st_mtime_ns for file in kept] == times


def test_every_way_is_started_with_three_seeds_and_the_settings_given(tmp_path):
    given = ["objective.checkpoint=a b", "objective.train=[{loader: jsonl, path: x y}]"]
    status, calls = call(tmp_path / "bin", tmp_path / "o u t", *given)
    assert status == 0 and [arguments[:2] for arguments in calls] == [["train", "objective=dialogue"]] * 3 * len(WAYS)
    assert [
        (settings["output"], settings["seed"], settings["freeze"]) for settings in map(settings_of, calls)
    ] == [
        (f"{tmp_path}/o u t/{way}-{seed}", str(seed), f"[{','.join(frozen)}]")
        for seed in range(3)
        for way, frozen in WAYS.items()
    ]  # fmt: skip
    assert all(arguments[-2:] == given for arguments in calls)


def test_ways_seeds_and_a_name_can_be_chosen(tmp_path):
    chosen = dict(FROZEN="encoder+norms nothing", SEEDS="5", PREFIX="lm_")
    _, calls = call(tmp_path / "bin", tmp_path / "out", **chosen)
    assert [(Path(one["output"]).name, one["freeze"], one["seed"]) for one in map(settings_of, calls)] == [
        ("lm_encoder+norms-5", "[encoder,norms]", "5"),
        ("lm_nothing-5", "[]", "5"),
    ]


@pytest.mark.parametrize("first", ["", "--help", "objective.checkpoint=x"])
def test_without_a_folder_the_script_says_how_it_is_called(tmp_path, first):
    status, calls = call(tmp_path / "bin", first)
    assert status == 2 and not calls


def test_a_training_that_fails_stops_the_script(tmp_path):
    status, calls = call(tmp_path / "bin", tmp_path / "out", fails=True)
    assert status == 3 and len(calls) == 1
