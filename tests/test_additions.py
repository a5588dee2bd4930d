"""What docs/extend/knob.md says to add is added to a copy of the project; all that is there for its like works."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("zsc", "configs", "tests", "docs", "README.md", "pyproject.toml", "CHANGELOG.md")
SUITES = ("test_knob_cases", "test_coverage", "test_knobs_compose", "test_knobs_stack", "test_knobs_dtypes",
          "test_knobs_cache", "test_knobs_threads", "test_knobs_probe", "test_cli_doctor")  # fmt: skip
FAMILIES = ("half-bart", "half-t5-", "half-led", "half-t5gemma2")  # of all those in the table of docs/supported.md
SMALL = ["model.device=cpu", "dataset.limit=6", "seeds=[0]", "decoding.max_new_tokens=6", "resampling.resamples=20"]
METRICS = "metrics=[knowledge_precision,perplexity_corpus,distinct2]"
TABLE = """# A table of halves
title: "Attention to the first half"
columns: [length, distinct2]
groups:
  - runs:
      - knob=first_half knob.strength=[2,5]
"""
COMMANDS = """
import contextlib, io, json, sys
import zsc
from zsc.cli.main import main

done = {"package": zsc.__file__}
for name, words in json.load(sys.stdin).items():
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(words)
    done[name] = code, out.getvalue(), err.getvalue()
json.dump(done, sys.stdout)
"""


def fenced(language: str, part: str) -> str:
    """Return the one block of the page in ``language`` that holds ``part``."""
    blocks = re.findall(
        rf"```{language}\n(.*?)```", (ROOT / "docs/extend/knob.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (found,) = [block for block in blocks if part in block]
    return found


def insert(file: Path, before: str, line: str) -> None:
    """Put ``line`` before the one place in ``file`` that begins with ``before``."""
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    file.write_text(text.replace(before, f"{line}\n{before}"), encoding="utf-8")


def add_knob(tree: Path, case: bool = True) -> None:
    """Add the page's knob as the page says."""
    (tree / "zsc/knobs/first_half.py").write_text(fenced("python", "class FirstHalf"), encoding="utf-8")
    (tree / "configs/knob/first_half.yaml").write_text(fenced("yaml", "name: first_half"), encoding="utf-8")
    registry = tree / "zsc/knobs/__init__.py"
    insert(registry, "from zsc.knobs.self_attn_bias", "from zsc.knobs.first_half import FirstHalf")
    insert(registry, '    "self_attn_bias":', '    "first_half": FirstHalf,')
    if case:
        with (tree / "tests/knob_cases.py").open("a", encoding="utf-8") as cases:
            cases.write("\n\n" + fenced("python", 'CASES["first_half"]'))


def copy_to(folder: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, folder / name, **({"ignore": shutil.ignore_patterns("__pycache__")} if source.is_dir() else {}))
    return folder


def python(tree: Path, folder: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python in ``folder`` with the project in ``tree`` before any other."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=900,
    )


def performed(tree: Path, folder: Path, commands: dict[str, list[str]]) -> dict[str, tuple[int, str, str]]:
    """Run commands of zsc one after the other; return the status, stdout and stderr of each."""
    process = python(tree, folder, "-c", COMMANDS, text=json.dumps(commands))
    assert process.returncode == 0, process.stderr
    done = json.loads(process.stdout)
    assert Path(done.pop("package")).is_relative_to(tree)
    return {name: tuple(outcome) for name, outcome in done.items()}


def suites(tree: Path, *arguments: str) -> tuple[int, str]:
    """Run the suites of knobs in ``tree``; return the status and what was printed."""
    files = [f"tests/{name}.py" for name in SUITES]
    process = python(tree, tree, "-m", "pytest", "-p", "no:cacheprovider", *arguments, *files)
    return process.returncode, process.stdout + process.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    copy = copy_to(tmp_path_factory.mktemp("added"))
    add_knob(copy)
    return copy


@pytest.fixture(scope="module")
def done(tree, tmp_path_factory):
    """What the commands say of the knob, and the folder they were run in."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "own/table").mkdir(parents=True)
    (folder / "own/table/halves.yaml").write_text(TABLE, encoding="utf-8")
    commands = {
        "ls": ["ls"],
        "run": ["run", "knob=first_half", METRICS, *SMALL],
        "sweep": ["sweep", "knob=first_half", "knob.strength=[2,5]", METRICS, "output=sweep", *SMALL],
        "table": ["table", "halves", "make=true", "--config-dir", "own", *SMALL],
        "report": ["report", "sweep", "output=report", "examples=1"],
        "tune": [
            "tune",
            "knob=first_half",
            "target=length",
            "budget=fluency:+900%",
            "points=2",
            "rounds=1",
            *SMALL,
            "dataset.limit=12",
        ],
        "doctor": ["doctor", "format=json", "decoding.max_new_tokens=2"],
    }
    return performed(tree, folder, commands), folder


@pytest.mark.parametrize("name", ["ls", "run", "sweep", "table", "report", "tune", "doctor"])
def test_every_command_takes_the_knob(done, name):
    code, out, err = done[0][name]
    assert code == 0, err
    assert "first_half" in out or name == "report"


def test_its_responses_are_compared_with_those_of_the_model_as_it_is(done):
    assert "first_half(2)" in done[0]["run"][1] and "first_half(5)" in done[0]["sweep"][1]
    assert "Attention to the first half of the source." in done[0]["ls"][1]
    assert all(f"first_half({strength})" in done[0]["table"][1] for strength in (2, 5))


def test_its_report_has_a_curve(done):
    _, folder = done
    assert (folder / "report/curves-first_half.svg").is_file()
    assert "first_half by strength" in (folder / "report/report.html").read_text(encoding="utf-8")


def test_its_dose_is_tuned_over_its_own_range(done):
    assert all(f"first_half({strength})" in done[0]["tune"][1] for strength in (10, 100))


def test_the_doctor_checks_that_its_neutral_dose_changes_nothing(done):
    (found,) = [row for row in json.loads(done[0]["doctor"][1]) if row["check"] == "knob first_half"]
    assert found["state"] == "ok" and found["found"].startswith("identity exact; acts, with a cache as without")


def test_the_suites_of_knobs_run_it(tree):
    """Those of its own way, and those of all knobs together."""
    on_a_family = f"(not test_coverage or {' or '.join(FAMILIES)})"
    together = "any_order and bart or side_by_side and bart and eager or healthy or has_a_case"
    code, out = suites(tree, "-k", f"first_half and {on_a_family} or {together}")
    passed = int(re.search(r"(\d+) passed", out)[1])
    assert code == 0 and "failed" not in out and passed >= 15, out


def test_without_a_case_one_test_fails_and_says_what_to_write(tmp_path):
    tree = copy_to(tmp_path)
    add_knob(tree, case=False)
    code, out = suites(tree, "-k", "first_half or case or healthy or one_layer and double or any_order and bart")
    failed = re.findall(r"^FAILED (\S+)", out, re.MULTILINE)
    assert code == 1 and failed == ["tests/test_knob_cases.py::test_every_knob_has_a_case"], out
    assert "write CASES['first_half'] = KnobCase(" in out and "tests/knob_cases.py" in out
