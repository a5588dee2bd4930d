"""A run whose cells are there is found without its model, and only then."""

import json
import os
import subprocess
import sys

import pytest

from zsc.knobs import KNOBS, AttentionBias
from zsc.options import read
from zsc.study import known
from zsc.study.known import FOLDER, key_of, recall
from zsc.study.options import KnobChoice, RunOptions

RUN = ("run", "knob=attn_bias", "dataset.limit=4", "seed=0", "metrics=[length]")
HEAVY = {"torch", "transformers", "tokenizers", "datasets"}
# prints after the run which of the heavy modules were imported
WATCHED = f"""
import sys
from zsc.cli.main import main
code = main(sys.argv[1:])
print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


def watched(folder, *words):
    """Run a command in a process of its own; return stdout, and the heavy modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    *lines, heavy = done.stderr.splitlines()
    return done.stdout, lines, json.loads(heavy.replace("'", '"'))


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """A folder in which the run was made, and what it printed."""
    folder = tmp_path_factory.mktemp("known")
    out, _, heavy = watched(folder, *RUN)
    assert "torch" in heavy
    return folder, out


def test_a_run_that_is_there_needs_no_model_and_says_the_same(first_run):
    folder, out = first_run
    run = next(path for path in (folder / "runs").iterdir() if path.name.startswith("attn_bias"))
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    again, lines, heavy = watched(folder, *RUN)
    assert again == out and heavy == []
    assert "cells: 2, 2 found, 0 made" in lines
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_the_folder_of_a_known_run_is_written_anew(first_run, tmp_path):
    folder, out = first_run
    again, _, heavy = watched(folder, *RUN, f"output={tmp_path / 'mine'}")
    run = next(path for path in (folder / "runs").iterdir() if path.name.startswith("attn_bias"))
    assert heavy == [] and again.splitlines()[:-1] == out.splitlines()[:-1]
    for name in ("generations.jsonl", "records.jsonl", "scores.json", "items.csv"):
        assert (tmp_path / "mine" / name).read_bytes() == (run / name).read_bytes()


def test_a_cell_that_is_broken_is_made_again(first_run, tmp_path):
    folder, out = first_run
    subprocess.run(["cp", "-r", str(folder / "runs"), str(tmp_path / "runs")], check=True)
    items = next((tmp_path / "runs" / "cells").glob("*/items.jsonl"))
    items.write_text(items.read_text().replace('"response": "', '"response": "x', 1))
    again, lines, heavy = watched(tmp_path, *RUN)
    assert "torch" in heavy and any("is broken" in line for line in lines)
    assert again == out


def test_a_table_of_finished_cells_needs_no_model(tmp_path):
    words = ("table", "combinations", "dataset.limit=2", "seed=0", "decoding.max_new_tokens=4")
    out, _, heavy = watched(tmp_path, *words, "make=true", "save=one")
    assert "torch" in heavy
    again, _, heavy = watched(tmp_path, *words, "save=two")
    assert heavy == [] and again == out
    assert (tmp_path / "two" / "combinations.csv").read_bytes() == (tmp_path / "one" / "combinations.csv").read_bytes()


OPTIONS = read(RunOptions, {"cells": "cells"})
CHOICE = KnobChoice.from_mapping({"name": "attn_bias", "profile": "knowledge", "strength": 5.0})


@pytest.mark.parametrize(
    ("options", "choice"),
    [
        ({"seeds": [1]}, CHOICE),
        ({"decoding": {"temperature": 0.8}}, CHOICE),
        ({"layout": {"turns": 4}}, CHOICE),
        ({"model": {"checkpoint": "mini", "dtype": "bfloat16"}}, CHOICE),
        ({"model": {"checkpoint": "mini", "decoder": "denoiser.safetensors"}}, CHOICE),
        ({}, KnobChoice.from_mapping({"name": "attn_bias", "profile": "knowledge", "strength": 2.0})),
        ({}, KnobChoice()),
    ],
)
def test_what_decides_responses_decides_the_key(parlor, options, choice):
    other = read(RunOptions, {"cells": "cells", **options})
    assert key_of(OPTIONS, [CHOICE], parlor[:3]) != key_of(other, [choice], parlor[:3])


def test_what_decides_nothing_is_not_in_the_key(parlor):
    same = {"metrics": ["length"], "batch_size": 1, "together": 2, "output": "there", "format": "md", "topic": "x"}
    assert key_of(OPTIONS, [CHOICE], parlor[:3]) == key_of(read(RunOptions, same), [CHOICE], parlor[:3])


def test_the_key_tells_records_phrases_files_source_and_devices(parlor, tmp_path, monkeypatch, checkpoint):
    phrases = tmp_path / "mine.txt"
    phrases.write_text("Why not?\n")
    folder = tmp_path / "model"
    subprocess.run(["cp", "-r", str(checkpoint), str(folder)], check=True)
    options = read(RunOptions, {"model": {"checkpoint": str(folder)}})
    choice = KnobChoice.from_mapping({"name": "ctx_aug", "phrases": str(phrases)})
    keys = [key_of(options, [choice], parlor[:3])]

    def differs():
        keys.append(key_of(options, [choice], parlor[:3]))
        return keys[-1] not in keys[:-1]

    assert not differs()
    phrases.write_text("Why?\n")
    assert differs()
    config = folder / "config.json"
    content = config.read_bytes()
    config.write_bytes(content)  # the same bytes at another time
    assert differs()
    os.utime(config, ns=(0, 0))
    assert differs()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert differs()
    monkeypatch.setattr(known, "source_hash", lambda: "other")
    assert differs()
    assert key_of(options, [choice], parlor[:2]) not in keys


def test_models_and_knobs_that_cannot_be_told_are_not_known(parlor, monkeypatch):
    assert key_of(read(RunOptions, {"model": {"checkpoint": "facebook/bart-base"}}), [CHOICE], parlor[:1]) is None

    class Mine(AttentionBias):
        pass

    monkeypatch.setitem(KNOBS, "attn_bias", Mine)
    assert key_of(OPTIONS, [CHOICE], parlor[:1]) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"key": "x"}', "\0", '{"key": null, "cells": 1, "made": {}}'])
def test_a_file_that_is_none_of_ours_is_passed_over(parlor, tmp_path, content):
    options = read(RunOptions, {"cells": str(tmp_path)})
    file = tmp_path / FOLDER / f"{key_of(options, [CHOICE], parlor[:1])[:32]}.json"
    file.parent.mkdir()
    file.write_text(content)
    assert recall(options, [CHOICE], parlor[:1], None) is None
