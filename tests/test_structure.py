"""The order of the stages holds, and files stay small."""

import ast
from pathlib import Path

import pytest

import zsc
from zsc.cli.help import COMMANDS

PACKAGE = Path(zsc.__file__).parent
STAGES = ["data", "models", "knobs", "generation", "metrics", "tables", "study", "launch", "cli"]
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted(Path(__file__).parent.glob("*.py"))


def imported(file):
    """The full names of what a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def imported_stages(file):
    return (name.split(".")[1] for name in imported(file) if name.startswith("zsc."))


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(PACKAGE)) for file in FILES])
def test_a_stage_imports_only_earlier_ones(file):
    stage = file.relative_to(PACKAGE).parts[0]
    if stage in STAGES:
        later = {*STAGES[STAGES.index(stage) + 1 :], *(["training"] if stage not in ("study", "cli") else [])}
        assert not later & set(imported_stages(file))


def test_knobs_are_a_plain_library():
    text = "".join(file.read_text(encoding="utf-8") for file in (PACKAGE / "knobs").glob("*.py"))
    assert not any(word in text for word in ("hydra", "omegaconf", "open(", "print("))


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(PACKAGE)) for file in FILES])
def test_files_stay_small(file):
    assert lines(file) <= 300


def lines(file):
    return len(file.read_text(encoding="utf-8").splitlines())


def test_the_command_line_stays_thin():
    sizes = {file.name: lines(file) for file in (PACKAGE / "cli").glob("*.py")}
    assert max(sizes.values()) <= 150 and sum(sizes.values()) <= 100 * len(COMMANDS), sizes


@pytest.mark.parametrize("file", sorted((PACKAGE / "study").glob("*.py")), ids=lambda file: file.name)
def test_the_study_knows_no_command_line(file):
    forbidden = ("hydra", "omegaconf", "argparse", "zsc.cli", "sys.argv")
    assert not [name for name in imported(file) if f"{name}.".startswith(tuple(f"{one}." for one in forbidden))]
    tree = ast.parse(file.read_text(encoding="utf-8"))
    read = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert "argv" not in read


@pytest.mark.parametrize("file", sorted((PACKAGE / "launch").glob("*.py")), ids=lambda file: file.name)
def test_launching_is_a_plain_library(file):
    """Any command can be launched; what the clusters' packages give is imported by whom it is asked of."""
    stages = {name.split(".")[1] for name in imported(file) if name.startswith("zsc.")} & {*STAGES}
    assert stages <= {"launch"} and not [name for name in imported(file) if name.startswith(("hydra", "omegaconf"))]


@pytest.mark.parametrize("file", TESTS, ids=[file.name for file in TESTS])
def test_what_tests_share_lies_in_plain_modules(file):
    """A test module may be run, moved or removed alone."""
    assert not [name for name in imported_tests(file) if name.startswith(("test_", "conftest"))]


def imported_tests(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = f"tests.{node.module or ''}".strip(".") if node.level else node.module
            names = [f"{module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("tests."))
