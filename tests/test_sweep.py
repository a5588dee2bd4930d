"""Sweeps: settings side by side give the cells of separate runs, with one load and one encoder pass for all."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.stored import files
from zsc.generation import fill, pieces
from zsc.generation.generate import Job
from zsc.generation.slots import loop
from zsc.study import knobs

QUICK = ["dataset.limit=10", "batch_size=4", "decoding.max_new_tokens=8", "resampling.resamples=20",
         "model.device=cpu", "seeds=[0,1]", "metrics=[length,question_rate]"]  # fmt: skip
STRENGTHS = [0.5, 1, 2, 5]
LISTED = "[0.5,1,2,5]"


def stored(folder: Path) -> dict[str, dict[str, bytes]]:
    """The files of every cell in a store."""
    return {cell.name: files(cell) for cell in folder.glob("[!.]*")}


def responses(cells: dict[str, dict[str, bytes]]) -> dict[str, bytes]:
    return {name: files["items.jsonl"] for name, files in cells.items()}


def texts(cells: dict[str, dict[str, bytes]]) -> dict[str, list[str]]:
    """Responses without their likelihoods, which the size of a batch may change in the fifth decimal."""
    return {
        name: [json.loads(line)["response"] for line in items.splitlines()] for name, items in responses(cells).items()
    }


@pytest.mark.parametrize(
    "knob", [["knob=attn_bias"], ["knob=[attn_bias,ctx_aug]"], ["knob=attn_bias", "decoding=beam"]]
)
def test_a_sweep_fills_the_cells_of_separate_runs(command, tmp_path, checkpoint, knob):
    key = "knob.attn_bias.strength" if "ctx_aug" in knob[0] else "knob.strength"
    common = [*knob, f"model={checkpoint}", *QUICK]
    assert command("sweep", *common, f"{key}={LISTED}", "cells=swept")[0] == 0
    for strength in STRENGTHS:
        assert command("run", *common, f"{key}={strength}", "cells=separate", "together=1")[0] == 0
    swept, separate = stored(tmp_path / "swept"), stored(tmp_path / "separate")
    assert len(swept) == 2 * (1 + len(STRENGTHS)) and responses(swept) == responses(separate)


def test_multirun_fills_and_finds_the_same_cells(command, tmp_path, checkpoint):
    common = ["knob=attn_bias", f"model={checkpoint}", *QUICK]
    assert command("sweep", *common, "knob.strength=[2,5]")[0] == 0
    before = stored(tmp_path / "runs" / "cells")
    code, _, err = command("run", *common, "-m", "knob.strength=2,5,7")
    assert code == 0
    assert re.findall(r"cells: 4, (\d) found, (\d) made", err) == [("4", "0"), ("4", "0"), ("2", "2")]
    after = stored(tmp_path / "runs" / "cells")
    assert len(after) == 8 and all(after[name] == files for name, files in before.items())


def test_one_load_and_one_encoder_pass_for_all(command, tmp_path, checkpoint, monkeypatch):
    loads, encoded = [], []
    true = knobs.load_model
    knobs._load_cached.cache_clear()

    def load_model(**settings):
        loaded = true(**settings)
        loads.append(settings)
        loaded.model.get_encoder().register_forward_hook(
            lambda module, args, kwargs, output: encoded.append(len(kwargs["input_ids"])), with_kwargs=True
        )
        return loaded

    monkeypatch.setattr(knobs, "load_model", load_model)
    probed = []
    true_probe = fill.Filler.fill

    def filling(self, tasks):
        probed.append(len(encoded))
        return true_probe(self, tasks)

    monkeypatch.setattr(fill.Filler, "fill", filling)
    assert command("sweep", "knob=attn_bias", f"model={checkpoint}", *QUICK, f"knob.strength={LISTED}")[0] == 0
    assert len(loads) == 1
    assert encoded[probed[0] :] == [1, 1, 4, 4, 2]  # one to see what may be left out; 10 examples in batches of 4
    knobs._load_cached.cache_clear()


def test_settings_go_side_by_side_as_far_as_asked_and_the_memory_allows(command, tmp_path, checkpoint, monkeypatch):
    sizes, most = [], [11]
    true = loop.slots_of

    def slots_of(model, capacity, steps, shares):
        if capacity > most[0]:
            raise torch.OutOfMemoryError("too many")
        sizes.append(capacity)
        return true(model, capacity, steps, shares)

    monkeypatch.setattr(loop, "slots_of", slots_of)
    arguments = ["sweep", "knob=attn_bias", f"model={checkpoint}", *QUICK, "knob.strength=[2,5]"]
    code, _, err = command(*arguments, "together=4", "cells=halved")
    assert code == 0 and max(sizes) == 8
    assert "16 responses at a time exceed the memory: going on with 8." in err
    sizes.clear()
    most[0] = 12
    assert command(*arguments, "together=3", "cells=whole")[0] == 0
    assert set(sizes) == {12} and responses(stored(tmp_path / "halved")) == responses(stored(tmp_path / "whole"))
    most[0] = 3
    assert command(*arguments, "together=1", "cells=less")[0] == 0
    assert set(sizes) == {12, 2} and texts(stored(tmp_path / "less")) == texts(stored(tmp_path / "whole"))
    most[0] = 0
    code, _, err = command(*arguments, "together=1", "cells=none")
    assert code == 2 and "one example at a time exceeds the memory: choose a smaller model" in err


@pytest.mark.parametrize(
    ("tasks", "most", "size"), [(10, 8, 5), (8, 8, 8), (9, 4, 3), (1, 8, 1), (17, 8, 6), (3, 1, 1)]
)
def test_groups_are_even(tasks, most, size):
    shard = SimpleNamespace(start=0)
    piece = pieces.Piece(pieces.Task(None, Job([], 0), None), shard, 0)
    assert pieces.evenly([piece] * tasks, most) == size


def changed_weights(folder):
    weights = load_file(folder / "model.safetensors")
    weights["model.decoder.layers.0.fc1.bias"] += 0.5
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def changed_config(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"activation_function": "relu"}))


def changed_tokenizer(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["normalizer"] = {"type": "Lowercase"}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def renamed_file(folder):
    (folder / "generation_config.json").rename(folder / "generation_config_old.json")


@pytest.mark.parametrize("change", [changed_weights, changed_config, changed_tokenizer, renamed_file])
def test_a_changed_model_under_the_same_name_is_made_again(command, tmp_path, checkpoint, change):
    shutil.copytree(checkpoint, tmp_path / "model")
    arguments = ["run", "knob=attn_bias", "model=model", *QUICK]
    assert command(*arguments)[0] == 0
    change(tmp_path / "model")
    knobs._load_cached.cache_clear()  # as in a process of its own
    assert "cells: 4, 0 found, 4 made" in command(*arguments)[2]


@pytest.mark.parametrize(
    "change",
    ["dataset.limit=9", "layout.turns=4", "layout.attend_padding=true", "decoding.temperature=0.8", "seeds=[2,3]",
     "model.attention=eager", "model.dtype=bfloat16", "decoding=greedy"],
)  # fmt: skip
def test_whatever_decides_responses_makes_other_cells(command, checkpoint, change):
    arguments = ["run", "knob=attn_bias", f"model={checkpoint}", *QUICK]
    assert command(*arguments)[0] == 0
    assert "0 found, 4 made" in command(*arguments, change)[2]
    assert "4 found, 0 made" in command(*arguments, "batch_size=3", "together=2", "format=md", "metrics=[length]")[2]


def test_plan_names_states_and_estimates_what_is_missing(command, tmp_path, checkpoint):
    common = [f"model={checkpoint}", *QUICK]
    assert command("run", "knob=attn_bias", *common)[0] == 0
    cells = (tmp_path / "runs" / "cells").glob("[!.]*")
    begun = next(cell for cell in cells if '"strength": 5.0' in (cell / "cell.json").read_text())
    (begun / "done.json").unlink()
    items = (begun / "items.jsonl").read_bytes().splitlines(keepends=True)
    (begun / "items.jsonl").write_bytes(b"".join(items[:3]))
    before = stored(tmp_path / "runs" / "cells")
    code, out, err = command("plan", "knob=attn_bias", *common, "knob.strength=[2,5]", "format=json")
    assert code == 0
    states = [row["state"] for row in json.loads(out)]
    assert sorted(states) == ["begun", "done", "done", "done", "missing", "missing"]
    assert {row["responses"] for row in json.loads(out)} == {"10 of 10", "3 of 10", "0 of 10"}
    assert re.search(r"6 cells, 3 done; 27 responses to make, about \d+ s here", err)
    assert stored(tmp_path / "runs" / "cells") == before  # nothing is generated or written
    assert command("sweep", "knob=attn_bias", *common, "knob.strength=[2,5]")[0] == 0
    assert "6 cells, all done." in command("plan", "knob=attn_bias", *common, "knob.strength=[2,5]")[2]


def test_a_sweep_of_one_setting_is_refused(command, checkpoint):
    code, _, err = command("sweep", "knob=attn_bias", f"model={checkpoint}", *QUICK)
    assert code == 2 and "several values" in err
