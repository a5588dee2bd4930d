"""What runs no model imports no library of models: each case in a process of its own, by what that has imported."""

import json
import os
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from zsc.cli.main import main

ROOT = Path(__file__).parents[1]
MODELS = {"torch", "transformers", "datasets", "evaluate"}  # each takes seconds
SLOW = {"nltk", "scipy", "sklearn", "pandas", "matplotlib"}  # each takes half a second or more
LIGHT = ("zsc.errors", "zsc.files", "zsc.install", "zsc.spreadsheets", "zsc.terminal", "zsc.generation.cells",
         "zsc.generation.folder", "zsc.study.options", "zsc.study.outputs", "zsc.study.stored", "zsc.study.result",
         "zsc.study.score", "zsc.study.run", "zsc.study.annotate")  # fmt: skip
WITH_MODELS = {"zsc.metrics.as_evaluate"} | {
    f"zsc.metrics.judges.{name}" for name in ("checkpoint", "classifier", "embedder", "entailment", "language_model")
}


def imported(code, folder):
    """Return the libraries and the modules of zsc that a new process has imported after ``code``, run in ``folder``."""
    report = folder / "modules.json"
    code += (
        f"\nimport json, sys\nfrom pathlib import Path\nPath({str(report)!r}).write_text(json.dumps([*sys.modules]))"
    )
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    modules = json.loads(report.read_text())
    return {name if name.startswith("zsc.") else name.partition(".")[0] for name in modules}, run.stdout


def command(*words):
    return f"from zsc.cli.main import main\nassert main({list(words)!r}) == 0"


@pytest.fixture(scope="module")
def run(tmp_path_factory, checkpoint):
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("run") / "own"
    words = [f"model={checkpoint}", "decoding.max_new_tokens=6", "dataset.limit=4", "seed=0", "resampling.resamples=50"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        assert main(["run", "knob=attn_bias", f"output={folder}", *words]) == 0
    return folder


def test_the_libraries_of_models_would_be_seen(tmp_path):
    metric = (
        "from zsc.metrics import METRICS\n"
        "from zsc.metrics.as_evaluate import AsEvaluate\n"
        "AsEvaluate(METRICS['length']('length'))"
    )
    assert {"torch", "datasets", "evaluate", "zsc.metrics.length"} <= imported(metric, tmp_path)[0]


def test_ls(tmp_path):
    found, printed = imported(command("ls"), tmp_path)
    assert "zsc.metrics.perplexity" in found and "perplexity_corpus" in printed
    assert not found & (MODELS | SLOW | {"sacrebleu"})


def test_score(run, tmp_path):
    before = json.loads((run / "scores.json").read_text())["table"]
    (run / "scores.json").unlink()
    found, printed = imported(command("score", str(run)), tmp_path)
    assert json.loads((run / "scores.json").read_text())["table"] == before and "knowledge_rougeL" in printed
    assert "sacrebleu" in found and not found & (MODELS | SLOW)


def test_score_by_every_metric(run, tmp_path):
    found, printed = imported(command("score", str(run), "metrics=[all]"), tmp_path)
    assert "nltk" in found and "reference_meteor" in printed and not found & MODELS


def test_annotate(run, tmp_path):
    found, _ = imported(command("annotate", str(run), "count=2", f"output={tmp_path / 'sheets'}"), tmp_path)
    assert any((tmp_path / "sheets").iterdir()) and not found & (MODELS | SLOW)


def test_runs_and_show(run, tmp_path):
    found, printed = imported(command("runs", str(run.parent)), tmp_path)
    assert run.name in printed and not found & (MODELS | SLOW | {"hydra", "sacrebleu"})
    found, printed = imported(command("show", str(run), "n=1"), tmp_path)
    assert "1 of 4 records" in printed and not found & (MODELS | SLOW | {"hydra", "sacrebleu"})


def test_init_and_completion(tmp_path):
    (tmp_path / "mine.csv").write_text("history,knowledge\nHow so?,Because it is.\n")
    found, _ = imported(command("init", "mine.csv"), tmp_path)
    assert (tmp_path / "zsc.yaml").is_file() and not found & (MODELS | SLOW | {"hydra"})
    found, printed = imported(command("completion", "--words", "fish", "zsc", "run", "knob=at"), tmp_path)
    assert printed == "knob=attn_bias\n" and not found & (MODELS | SLOW | {"hydra", "omegaconf", "numpy", "yaml"})


def test_every_module_that_reads_scores_or_shows(tmp_path):
    names = [*LIGHT]
    for package in ("zsc.data", "zsc.metrics", "zsc.tables"):
        walked = pkgutil.walk_packages(import_module(package).__path__, f"{package}.")
        names += [package, *(module.name for module in walked)]
    names = [name for name in names if name not in WITH_MODELS]
    found, _ = imported("\n".join(f"import {name}" for name in names), tmp_path)
    assert {*names} <= found | {"zsc"} and not found & MODELS
