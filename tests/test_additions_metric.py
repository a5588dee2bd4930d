"""The example of docs/extend/metric.md, added to a copy of the tree as the page says, serves every command."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/extend/metric.md").read_text(encoding="utf-8")
REGISTRY = "zsc/metrics/__init__.py"
TABLE = """title: Long words
columns: [long_words, perplexity_corpus]
groups:
  - runs: ["knob=attn_bias"]
"""


def add_metric(tree):
    """Do to ``tree`` what the page says of a metric of one's own."""
    files = dict(re.findall(r"```python\n# (\S*long_words\.py)\n(.*?)```", PAGE, re.DOTALL))
    assert {*files} == {"zsc/metrics/long_words.py", "tests/test_long_words.py"}
    for name, text in files.items():
        (tree / name).write_text(text, encoding="utf-8")
    (line,) = re.findall(r'`("long_words": [^`]*,)` goes into a group of `GROUPS` in `zsc/metrics/__init__.py`', PAGE)
    registry = (tree / REGISTRY).read_text(encoding="utf-8")
    before = "from zsc.metrics.meteor import Meteor\n"
    assert registry.count(before) == registry.count('    "questions": {\n') == 1
    registry = registry.replace(before, f"from zsc.metrics.long_words import LongWords\n{before}")
    registry = registry.replace('    "questions": {\n', f'    "questions": {{\n        {line}\n')
    (tree / REGISTRY).write_text(registry, encoding="utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    tree = tmp_path_factory.mktemp("tree")
    for name in ("zsc", "configs", "tests", "docs"):
        shutil.copytree(ROOT / name, tree / name)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tree / name)
    add_metric(tree)
    return tree


def python(tree, *words):
    run = subprocess.run(
        [sys.executable, *words], cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def commands(tree, *calls):
    """Run commands of the copy one after the other, in one process; return what each prints."""
    code = "import json, sys\nfrom zsc.cli.main import main\nfor call in json.loads(sys.argv[1]):\n" + (
        "    assert main(call) == 0, call\n    print('\\f', end='')"
    )
    return python(tree, "-c", code, json.dumps(calls)).split("\f")


def test_every_command_takes_it(tree, checkpoint):
    own = tree / "own"
    (own / "table").mkdir(parents=True)
    (own / "table" / "long.yaml").write_text(TABLE)
    few = [f"model={checkpoint}", "dataset.limit=8", "seed=0", "decoding.max_new_tokens=8", "resampling.resamples=50"]
    metrics = "metrics=[long_words,perplexity_corpus,knowledge_precision]"
    run, scored, table, report, tuned, *_ = commands(
        tree,
        ["run", "knob=attn_bias", "knob.strength=[2,5]", metrics, "output=made", "format=json", *few],
        ["score", "made", "metrics=[questions,perplexity_corpus]", "format=json"],
        ["table", "long", "--config-dir", "own", "make=true", "format=md", *few],
        ["report", "made", "control=long_words", "attention=false", "output=page"],
        [
            "tune",
            "knob=attn_bias",
            "target=long_words",
            "budget=perplexity_corpus:+900%",
            "points=2",
            "rounds=1",
            *few,
            "dataset.limit=12",
        ],
        ["ls"],
    )
    assert {row["metric"] for row in json.loads(run)} >= {"long_words", "knowledge_precision"}
    signatures = {row["signature"] for row in json.loads(scored) if row["metric"] == "long_words"}
    assert [one.partition("|seeds:")[0] for one in signatures] == [
        f"long_words|on:response|letters:7|tok:unicode-words|zsc:{version(tree)}"
    ]
    assert "| setting | long_words |" in table and "- `long_words|on:response|" in table
    assert "long_words on parlor" in report and "long_words (higher is better)" in page(tree)
    assert "long_words" in tuned and "held out" in tuned


def version(tree):
    return re.search(r'__version__ = "(.*)"', (tree / "zsc/__init__.py").read_text())[1]


def page(tree):
    """Return the words of the report's page, those of its drawings among them."""
    return (tree / "page" / "report.html").read_text(encoding="utf-8")


def test_its_test_and_those_of_all_metrics_pass(tree):
    files = ["tests/test_long_words.py", "tests/test_metrics.py", "tests/test_resampling.py"]
    printed = python(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", "long_words or every_metric")
    assert re.search(r"\b[1-9]\d* passed|^\.+ ", printed, re.MULTILINE), printed
