"""zsc.yaml: what it says stands before the words of the command line, in what is run and in what is recorded."""

import json
import shlex
from pathlib import Path

import pytest
import yaml

from zsc.cli.main import main
from zsc.cli.project import words_of
from zsc.errors import ZscError

FILE = Path("zsc.yaml")
TABLE = "task: dialogue\ndataset: table\ndataset.path: mine.csv\ndataset.columns.knowledge: a fact\ndataset.limit: 7\n"

VALUES = [
    ("seeds: [0, 1]", ["seeds=[0,1]"]),
    ("dataset.limit: 007", ["dataset.limit=007"]),
    ("knob.strength: 1.50", ["knob.strength=1.50"]),
    ("topic: ~", ["topic=null"]),
    ("topic:", ["topic=null"]),
    ("topic: 'null'", ["topic='null'"]),
    ("output: my runs", ["output=my runs"]),
    ('output: "a, b"', ["output='a, b'"]),
    ("output: 'plain'", ["output=plain"]),
    ("knob: [attn_bias, ctx_aug]", ["knob=[attn_bias,ctx_aug]"]),
    ("metrics: [length, 'repetition']", ["metrics=[length,repetition]"]),
    ("# nothing", []),
    ("", []),
    ("model: a  # a comment\n---", None),
    ("- model", None),
    ("model", None),
    ("dataset: {path: x}", None),
    ("seeds: [[0], [1]]", None),
    ("a b: 1", None),
    ("hydra/launcher: joblib", None),
    ("model: a\nmodel: b", None),
    ("model: [a", None),
    ("model: !!python/object/apply:os.getcwd []", ["model=[]"]),  # a tag makes nothing
]


@pytest.mark.parametrize(("text", "words"), VALUES)
def test_options_are_words_as_a_command_line_has_them(text, words):
    if words is not None:
        assert words_of(text) == words
    else:
        with pytest.raises(ZscError):
            words_of(text)


@pytest.fixture
def config(command):
    """The config that a command composes, what it says on stderr, and the exit status."""

    def call(*words):
        code, out, err = command(*words, "--cfg", "job")
        return yaml.safe_load(out) if code == 0 else {}, err, code

    return call


def test_every_command_with_a_dataset_reads_it(config):
    FILE.write_text(TABLE)
    for words in (["run"], ["sweep"], ["work"], ["plan"], ["data"], ["doctor"], ["bench"], ["table", "questions"],
                  ["tune", "target=length", "budget=length:+1"]):  # fmt: skip
        found, err, code = config(*words)
        assert code == 0 and found["dataset"]["path"] == "mine.csv" and found["dataset"]["limit"] == 7, (words, err)
        assert found["dataset"]["columns"]["knowledge"] == "a fact"
        assert err.startswith("zsc.yaml: task=dialogue dataset=table dataset.path=mine.csv") or words[0] == "table"


def test_a_training_does_not(config):
    FILE.write_text(TABLE)
    found, err, code = config("train", "output=x", "objective.text=x", "objective.heldout=x")
    assert code == 0 and "zsc.yaml" not in err and "dataset" not in found
    assert config("train", "output=x", "config=none")[2] == 2


def test_words_of_the_command_line_go_first(config):
    FILE.write_text(TABLE + "seeds: [5]\nmodel: smollm2\nmodel.dtype: bfloat16\nknob: attn_bias\nknob.strength: 3\n")
    found, err, _ = config("run", "dataset.limit=2", "seed=1")
    assert found["dataset"]["limit"] == 2 and found["seeds"] == [1] and found["knob"]["strength"] == 3
    assert "dataset.limit" not in err and "seeds" not in err and "dataset.path=mine.csv" in err
    found, err, _ = config("run", "dataset=parlor", "model=mini", "knob=ctx_aug")
    assert found["dataset"] == {"loader": "parlor", "limit": None} and found["seeds"] == [5]
    assert found["model"]["dtype"] == "float32" and found["model"]["checkpoint"] == "mini"
    assert found["knob"]["strength"] == 5.0 and found["knob"]["name"] == "ctx_aug"
    assert err.strip() == "zsc.yaml: task=dialogue 'seeds=[5]'"


def test_it_can_be_left_out(config):
    FILE.write_text(TABLE)
    found, err, code = config("run", "config=none")
    assert code == 0 and found["dataset"]["loader"] == "parlor" and err == ""
    _, err, code = config("run", "config=other.yaml")
    assert code == 2 and "config=other.yaml" in err and "config=none" in err


def test_a_folder_with_it_can_be_one_of_ones_own_configs(config):
    FILE.write_text("knob: strong\n")
    Path("knob").mkdir()
    Path("knob/strong.yaml").write_text("defaults: [attn_bias, _self_]\nstrength: 50.0\n")
    found, err, code = config("run", "--config-dir", ".")
    assert code == 0 and found["knob"]["strength"] == 50.0, err


def test_without_the_file_nothing_is_said(config):
    found, err, code = config("run", "config=none", "knob=attn_bias")
    assert code == 0 and err == "" and found["knob"]["name"] == "attn_bias"


def test_only_the_current_folder_is_looked_at(config, tmp_path, monkeypatch):
    FILE.write_text(TABLE)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert config("run")[0]["dataset"]["loader"] == "parlor"


def test_what_a_table_or_another_command_decides_is_not_taken_from_it(config):
    FILE.write_text("task: dialogue\nknob: ctx_aug\nlauncher: local\nworkers: 2\n")
    found, err, code = config("table", "translation")
    assert code == 0 and found["task"]["name"] == "translation" and found["knob"]["name"] == "none"
    assert found["launcher"]["name"] == "local"
    _, err, code = config("plan")
    assert code == 0 and "launcher" not in err


WRONG = [
    ("dataset.pth: x\n", "zsc.yaml: no option 'dataset.pth'"),
    ("knob: atn_bias\n", "zsc.yaml: no knob 'atn_bias'. Did you mean 'attn_bias'?"),
    ("knob: [attn_bias, nothing]\n", "zsc.yaml: no knob 'nothing'"),
    ("dataset: mine.csv\n", "zsc.yaml: dataset=mine.csv names no dataset"),
    ("seeds: 3\n", "zsc.yaml: seeds=3 must be a non-empty list"),
    ("dataset.limit: many\n", "zsc.yaml: dataset.limit=many must be a whole number"),
    ("model: [\n", "zsc.yaml: not valid YAML, line 2"),
    ("text\n", "zsc.yaml: must hold options"),
    ("target: length\n", "zsc.yaml: no option 'target'"),
    ("knob: a,b\n", "zsc.yaml: 'knob=a,b' gives several values"),
]


@pytest.mark.parametrize(("text", "error"), WRONG)
def test_what_is_wrong_in_it_is_an_error_that_names_it(command, text, error):
    FILE.write_text(text)
    code, out, err = command("run")
    assert code == 2 and out == "" and err.splitlines()[-1].startswith(f"zsc: {error}"), err


def test_bytes_that_are_no_text(command):
    FILE.write_bytes(b"model: \xff\n")
    code, _, err = command("run")
    assert code == 2 and "zsc.yaml" in err and "not UTF-8" in err
    FILE.unlink()
    FILE.mkdir()
    code, _, err = command("run")
    assert code == 2 and "zsc.yaml is a folder" in err


def test_what_is_wrong_on_the_command_line_does_not_name_it(command):
    FILE.write_text("dataset: parlor\n")
    for words in (["knob=atn_bias"], ["dataset.limt=3"], ["seeds=3"]):
        code, _, err = command("run", *words)
        assert code == 2 and err.splitlines()[-1].startswith("zsc: ") and "zsc: zsc.yaml" not in err, err


def test_the_recorded_command_makes_the_same_run_anywhere(tmp_path, monkeypatch, checkpoint, capsys):
    text = f"model: {json.dumps(str(checkpoint))}\ndataset.limit: 3\ndecoding.max_new_tokens: 4\nseeds: [0]\n"
    text += "resampling.resamples: 20\nmodel.device: cpu\n"
    manifests = []
    for name, words in (("first", ["knob=attn_bias", "knob.strength=3"]), ("again", None)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        FILE.write_text(text if words else "dataset.limit: 2\nseeds: [4]\nknob.layers: [0]\n")
        words = words or shlex.split(manifests[0]["command"])[2:]
        assert main(["run", *words]) == 0, capsys.readouterr().err
        (file,) = Path("runs").glob("*/manifest.json")
        manifests.append(json.loads(file.read_text()))
    first, again = manifests
    assert "dataset.limit=3" in first["command"] and "config=none" in shlex.split(first["command"])
    assert first["identity"] == again["identity"] and first["command"] == again["command"]
