"""Trainings compared: their figures by hand, their responses by the library's own greedy search."""

import csv
import io
import json
import shutil

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from tests.families import tiny_model
from zsc.data import load_records
from zsc.data.embedded import load_parlor
from zsc.data.layouts import BucketLayout
from zsc.errors import ZscError
from zsc.training.finished import Training, by_name, figures, read_trainings

WAYS = {"nothing": [], "encoder+self_attention": ["encoder", "self_attention"]}
SEEDS = (0, 4)
EXAMPLES, NEW_TOKENS = 5, 7


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tokenizer):
    """The folder of two ways to train a tiny BART, with two seeds each."""
    from zsc.cli.main import main

    root = tmp_path_factory.mktemp("trained")
    start = root / "start"
    tiny_model("bart", tokenizer).save_pretrained(start)
    tokenizer.save_pretrained(start)
    rows = [json.dumps(record.to_json()) for record in load_parlor()[:24]]
    (start / "turns.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for name, frozen in WAYS.items():
        for seed in SEEDS:
            status = main([
                "train", "objective=dialogue", f"objective.checkpoint={start}",
                f"output={root / 'ways' / f'{name}-{seed}'}",
                f"objective.train=[{{loader: jsonl, path: {start / 'turns.jsonl'}}}]", f"seed={seed}", "precision=fp32",
                "objective.heldout=[{loader: parlor, limit: 8}]", f"freeze=[{','.join(frozen)}]", "trainer.max_steps=3",
                "trainer.per_device_train_batch_size=8", "trainer.eval_strategy=no", "trainer.learning_rate=0.01",
            ])  # fmt: skip
            assert status == 0
    return root / "ways"


@pytest.fixture
def quick():
    return ["model.device=cpu", f"dataset.limit={EXAMPLES}", "resampling.resamples=20", "decoding=greedy",
            f"decoding.max_new_tokens={NEW_TOKENS}"]  # fmt: skip


@pytest.fixture
def table(command, trained, quick):
    return lambda *more, folder=trained: command("table", "train_less", f"trained={folder}", *quick, *more)


def greedy(folder):
    """The responses of the model in ``folder``, as the library gives them."""
    model, own = AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    source = BucketLayout().encode(load_records("parlor", limit=EXAMPLES), own)
    ids = model.generate(
        input_ids=source.input_ids, attention_mask=source.attention_mask, do_sample=False, num_beams=1,
        max_new_tokens=NEW_TOKENS, min_new_tokens=1,
    )  # fmt: skip
    return [" ".join(text.split()) for text in own.batch_decode(ids, skip_special_tokens=True)]


def sizes(folder):
    """The numbers of weights by name, as stored."""
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = [name for name in file.keys() if name != "final_logits_bias"]  # noqa: SIM118
        return {name: torch.Size(file.get_slice(name).get_shape()).numel() for name in names}


def test_a_row_holds_the_responses_and_the_figures_of_its_seeds(table, trained, tmp_path):
    code, out, err = table()
    assert code == 2 and not out and "nothing-0 are not in runs/cells" in err and "make=true" in err
    code, text, err = table("make=true", "format=csv", "output=here", "save=paper")
    assert code == 0, err
    responses = [json.loads(line) for line in (tmp_path / "here/generations.jsonl").read_text().splitlines()]
    for name in WAYS:
        for seed in SEEDS:
            own = [row["response"] for row in responses if (row["setting"], row["seed"]) == (name, seed)]
            assert own == greedy(trained / f"{name}-{seed}" / "model")
    assert len(responses) == EXAMPLES * len(WAYS) * len(SEEDS)
    assert len({row["response"] for row in responses}) > EXAMPLES

    rows = {(row["setting"], row["metric"]): row for row in csv.DictReader(io.StringIO(text))}
    weights = sizes(trained / "nothing-0/model")
    frozen = {n for n in weights if "encoder.layer" in n and "decoder" not in n}
    frozen |= {n for n in weights if "decoder.layers" in n and ".self_attn." in n}
    embedded = sum(weights[name] for name in weights if "embed_" in name or "shared" in name)
    total, moving = sum(weights.values()), sum(weights[name] for name in weights if name not in frozen)
    for name, count in (("nothing", total), ("encoder+self_attention", moving)):
        assert int(rows[name, "trained_weights"]["value"]) == count
        assert float(rows[name, "trained_share"]["value"]) == pytest.approx(count / total)
        bare = float(rows[name, "trained_share_without_embeddings"]["value"])
        assert bare == pytest.approx((count - embedded) / (total - embedded))
        results = [json.loads((trained / f"{name}-{seed}/training.json").read_text()) for seed in SEEDS]
        losses = [result["validation_loss"] for result in results]
        loss = rows[name, "validation_loss"]
        assert float(loss["value"]) == pytest.approx(sum(losses) / 2) and losses[0] != losses[1]
        assert (float(loss["low"]), float(loss["high"])) == (min(losses), max(losses))
        moments = float(rows[name, "optimiser_mb"]["value"]) * 2**20
        assert moments == pytest.approx(8 * count, rel=0.01) and moments == results[0]["optimiser_bytes"]
        assert rows[name, "time_per_step"]["value"] == ""
    assert rows["encoder+self_attention", "length"]["p_holm"] and not rows["nothing", "length"]["p_holm"]
    markdown = (tmp_path / "paper/train_less.md").read_text()
    assert f"| nothing | {total:,} | 1.000 |" in markdown

    again = table("format=csv", "output=here")
    assert again[0] == 0 and again[1] == text and again[2].count(" 0 made") == 4


def test_workers_make_the_responses_and_a_plan_says_which_are_there(command, trained, quick, tmp_path):
    words = ["table=train_less", f"trained={trained}", *quick]
    status, out, err = command("plan", *words, "format=csv")
    planned = list(csv.DictReader(io.StringIO(out)))
    assert status == 0 and [row["setting"] for row in planned] == [name for name in WAYS for _ in SEEDS], err
    assert {row["state"] for row in planned} == {"missing"} and err.count(f"{EXAMPLES} responses to make") == 4
    status, out, err = command("work", *words)
    assert (status, out) == (0, "") and err.count("1 made") == 4, err
    status, out, err = command("plan", *words, "format=csv")
    assert {row["responses"] for row in csv.DictReader(io.StringIO(out))} == {f"{EXAMPLES} of {EXAMPLES}"}
    assert err.count("all done") == 4
    assert command("table", "train_less", *words[1:])[2].count(" 0 made") == 4
    for name in ("work", "plan"):
        assert "leave seeds out" in command(name, *words, "seeds=[7]")[2]


def test_time_is_what_was_measured_in_one_run(table, trained, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    plans = [json.loads((folder / f"{name}-0/plan.json").read_text())["all"] for name in WAYS]
    costs = {"model": "tiny", "device": "cpu", "precision": "float32", "weights": plans[0]["weights"]}
    costs["ways"] = [
        {"frozen": [], "trained": plans[0]["trained"], "time": [1, 1, 1]},
        {"frozen": ["self_attention", "encoder"], "trained": plans[1]["trained"], "time": [0.5, 0.4, 0.7]},
    ]
    (folder / "costs.json").write_text(json.dumps(costs))
    (folder / "nothing-9").mkdir()
    (folder / "nothing-9/config.yaml").write_text("{}")
    code, out, err = table("make=true", "format=md", folder=folder)
    assert code == 0 and "0.500 [0.400, 0.700]" in out and "not finished, left out: nothing-9" in err
    assert "time_per_step|scripts/bench_training.py|tiny, cpu, float32" in out and "for these 2 trained models" in out
    (folder / "costs.json").write_text(json.dumps(costs | {"weights": 7}))
    assert "0.500 [0.400" not in table("format=md", folder=folder)[1]  # of a model of another size
    (folder / "costs.json").write_text("[1]")
    assert "costs.json is not what scripts/bench_training.py" in table("format=md", folder=folder)[2]


def test_trainings_that_cannot_be_compared(table, command, trained, tmp_path):
    assert "give trained=DIR" in command("table", "train_less")[2]
    assert "is no folder" in table(folder=tmp_path / "nowhere")[2]
    (tmp_path / "empty").mkdir()
    assert "no finished training is called nothing-SEED" in table(folder=tmp_path / "empty")[2]
    folder = tmp_path / "fewer"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("encoder*-4"))
    code, out, err = table("make=true", "format=md", folder=folder)
    assert code == 0 and "not the seeds of nothing, left out: encoder+self_attention" in err and "| encoder" not in out
    assert "give the folder above it" in table(folder=folder / "nothing-0")[2]
    for refused in ("seeds=[7]", "model=mini", "knob=swap"):
        assert f"leave {refused.partition('=')[0]} out" in table(refused, folder=folder)[2]
    assert "leave trained=" in command("table", "swap", f"trained={folder}")[2]
    shutil.copytree(folder / "nothing-0", folder / "nothing")
    assert "nothing was trained twice with one seed" in table(folder=folder)[2]
    shutil.rmtree(folder / "nothing")
    config = folder / "nothing-4/config.yaml"
    config.write_text(config.read_text().replace("max_steps: 3", "max_steps: 9"))
    assert "differ in trainer.max_steps: they are no seeds of one" in table(folder=folder)[2]
    (folder / "nothing-0/plan.json").write_text("{")
    code, _, err = table(folder=folder)
    assert code == 2 and "plan.json cannot be read" in err and err.count("\n") == 1


def training(folder, seed, trained, frozen=(), loss=1.0):
    every = {"weights": 10, "trained": trained, "share": 0.5}
    plan = {"freeze": list(frozen), "all": every, "without_embeddings": {"share": 0.25}}
    return Training(folder, plan, {"seed": seed, "validation_loss": loss, "optimiser_bytes": None})


def test_order_and_names(tmp_path):
    given = [training(tmp_path / name, seed, count) for name, seed, count in [
        ("a-1", 1, 3), ("b-0", 0, 7), ("base-0", 0, 5), ("a-0", 0, 3), ("base-1", 1, 5), ("b-1", 1, 7)]]  # fmt: skip
    groups, others = by_name(given, "base")
    assert not others
    assert all([one.seed for one in group] == [0, 1] for group in groups.values())
    assert all(one.name == name for name, group in groups.items() for one in group)
    assert list(groups) == ["base", "b", "a"]
    with pytest.raises(ZscError, match="did not freeze the same parts"):
        by_name([training(tmp_path / "x-0", 0, 5), training(tmp_path / "x-1", 1, 5, ["norms"])], "x")


def test_figures_without_an_optimiser(tmp_path):
    found = figures([training(tmp_path / "a-0", 0, 3, loss=2.0), training(tmp_path / "a-1", 1, 3, loss=4.0)], {})
    assert found["validation_loss"] == (3.0, 2.0, 4.0) and found["optimiser_mb"] == (None, None, None)


def test_time_is_that_of_the_same_parts_frozen(tmp_path):
    ways = [{"frozen": [part], "trained": 3, "time": [number] * 3} for part, number in (("norms", 1), ("encoder", 2))]
    frozen = [training(tmp_path / "a-0", 0, 3, frozen=["encoder"])]
    assert figures(frozen, {"weights": 10, "ways": ways})["time_per_step"] == (2, 2, 2)
    assert figures(frozen, {"weights": 11, "ways": ways})["time_per_step"] == (None, None, None)


def test_one_seed_has_no_range(tmp_path):
    assert figures([training(tmp_path / "a-0", 0, 3, loss=2.0)], {})["validation_loss"] == (2.0, None, None)


def test_folders_of_an_older_version(tmp_path):
    folder = tmp_path / "old-0"
    (folder / "model").mkdir(parents=True)
    for file, content in (("config.yaml", "{}"), ("plan.json", "{}"), ("training.json", "{}")):
        (folder / file).write_text(content)
    with pytest.raises(ZscError, match="of this version of zsc train"):
        read_trainings(tmp_path)
