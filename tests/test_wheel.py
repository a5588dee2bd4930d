"""The wheel carries configs, data and model, and works away from the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (file,) = out.glob("zsc-*.whl")
    return file


def test_the_wheel_holds_what_a_run_needs(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"zsc/{path.relative_to(ROOT)}" for path in ROOT.glob("configs/**/*.yaml")}
    assert shipped <= names and "zsc/data/parlor/parlor.jsonl" in names
    assert {"zsc/models/mini/config.json", "zsc/models/mini/denoiser.safetensors"} <= names
    assert not any(name.startswith("tests") for name in names)


def test_installed_elsewhere_it_runs(wheel, tmp_path):
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(wheel)], check=True, capture_output=True)
    environment = os.environ | {"PYTHONPATH": str(site)}
    where = [sys.executable, "-c", "import zsc, zsc.cli.configs as c; print(zsc.__file__, c.CONFIGS)"]
    printed = subprocess.run(where, cwd=work, env=environment, capture_output=True, text=True, check=True).stdout
    assert printed.split() == [str(site / "zsc" / "__init__.py"), str(site / "zsc" / "configs")]
    run = [sys.executable, "-m", "zsc", "run", "knob=attn_bias", "dataset.limit=4", "seeds=[0]", "format=json"]
    done = subprocess.run(run, cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {row["setting"] for row in json.loads(done.stdout)} == {"off", "attn_bias(knowledge, 5)", "difference"}
