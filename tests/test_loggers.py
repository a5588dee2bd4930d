"""Trackers: what they are sent, by hand; that they have it, read back; and that none of them loses a run."""

import json
import struct
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from zsc import install
from zsc.configs import CONFIGS
from zsc.errors import ZscError
from zsc.metrics.score import DIFFERENCE, Row
from zsc.options import plain
from zsc.study import loggers
from zsc.study.loggers import LOGGERS
from zsc.study.loggers.logged import flat, labels, named_values
from zsc.study.loggers.tensorboard_events import free

BLOCK = 1 << 15  # bytes of a block in the files of wandb, which are logs of LevelDB


def row(setting, metric, value, **more):
    return Row(setting, metric, value, value - 1, value + 1, 9, 3, 0, **more)


def test_numbers_of_a_table_by_name():
    rows = [row("off", "length", 5.0), row("a(b, 2)", "length", 7.0),
            row(DIFFERENCE, "length", 2.0, p=0.01, p_holm=0.02, effect=0.5)]  # fmt: skip
    own = "length/a_b_2"
    assert named_values(rows) == {
        "length/off/value": 5, "length/off/low": 4, "length/off/high": 6,
        f"{own}/value": 7, f"{own}/low": 6, f"{own}/high": 8, f"{own}/difference": 2, f"{own}/difference_low": 1,
        f"{own}/difference_high": 3, f"{own}/p": 0.01, f"{own}/p_holm": 0.02,
    }  # fmt: skip


def test_settings_are_compared_each_with_the_first_and_what_has_no_value_is_left_out():
    none = Row("x", "length", None, None, None, 0, 3, 9)
    rows = [row("off", "length", 5.0), none, row("y", "length", 6.0), row(f"{DIFFERENCE}: y", "length", 1.0, p=0.5)]
    found = named_values(rows)
    assert not any(name.startswith("length/x/") for name in found)
    assert found["length/y/difference"] == 1 and found["length/y/p"] == 0.5 and "length/y/p_holm" not in found
    assert "length/off/difference" not in found


def test_settings_have_names_that_every_tracker_takes():
    found = labels(["off", "k(a, 1)", "k(a; 1)", "k(gradual a>b linear 20, 5)", "k_a_1", "(/)", "off/é"])
    assert list(found.values()) == ["off", "k_a_1", "k_a_1_2", "k_gradual_a_b_linear_20_5", "k_a_1_3", "setting",
                                    "off_é"]  # fmt: skip


def test_options_are_flat():
    options = {"a": {"b": 1, "c": None}, "seeds": [0, 1], "knobs": [{"name": "x", "on": True}, {"name": "y"}],
               "empty": {}, "text": "t", "odd key": 0.5, "none": []}  # fmt: skip
    assert dict(flat(options)) == {
        "a.b": "1", "a.c": "null", "seeds": "[0, 1]", "knobs.0.name": "x", "knobs.0.on": "true", "knobs.1.name": "y",
        "empty": "{}", "text": "t", "odd_key": "0.5", "none": "[]",
    }  # fmt: skip


def test_a_folder_that_is_there_is_not_written_over(tmp_path):
    assert free(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").mkdir()
    assert free(tmp_path / "a") == tmp_path / "a-3"


@pytest.mark.parametrize("name", LOGGERS)
def test_the_config_of_a_logger_is_its_class(name):
    node = yaml.safe_load((CONFIGS / "log" / f"{name}.yaml").read_text())
    assert node.pop("name") == name == LOGGERS[name].name and node == plain(LOGGERS[name]())
    assert {file.stem for file in (CONFIGS / "log").glob("*.yaml")} == {*LOGGERS, "none"}


@pytest.fixture
def run(command, checkpoint):
    words = [f"model={checkpoint}", "model.device=cpu", "knob=attn_bias", "dataset.limit=4", "seeds=[0]",
             "decoding.max_new_tokens=5", "resampling.resamples=50", "metrics=[length,distinct2]"]  # fmt: skip
    return lambda *more, name="run": command(name, *words, *more)


@dataclass(frozen=True)
class Kept:
    """A tracker that keeps what it is sent, or fails."""

    fails: bool = False
    name: ClassVar[str] = "kept"
    sent: ClassVar[list] = []

    def check(self):
        pass

    def log(self, run):
        if self.fails:
            raise ConnectionError("no tracker\nat all")
        self.sent.append(run)
        print("of the package")
        return "here"


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """The tracker, as a config of one's own."""
    monkeypatch.setitem(LOGGERS, "kept", Kept)
    monkeypatch.setattr(Kept, "sent", [])
    (tmp_path / "own" / "log").mkdir(parents=True)
    (tmp_path / "own" / "log" / "kept.yaml").write_text("name: kept\nfails: false\n")
    return ["--config-dir", "own", "log=kept"]


def folder():
    (found,) = Path("runs").glob("attn_bias-*")
    return found


def test_where_a_run_is_logged_is_no_part_of_it(run, kept):
    """The same cells and folder, with the same bytes in it, whether or not it is logged; stdout is the table alone."""
    code, out, err = run("format=csv")
    assert code == 0, err
    before = {file.name: file.read_bytes() for file in folder().iterdir()}
    code, logged_out, err = run("format=csv", *kept)
    assert code == 0 and "cells: 2, 2 found, 0 made" in err and logged_out == out
    assert err.splitlines()[-2:] == ["of the package", "log: here"]
    after = {file.name: file.read_bytes() for file in folder().iterdir()}
    was, now = (json.loads(files.pop("manifest.json")) for files in (before, after))
    assert now.pop("command") == f"{was.pop('command')} --config-dir own"  # the folder of the logger's config
    assert now == was and after == before
    (sent,) = Kept.sent
    assert sent.name == folder().name and sent.tags["zsc.folder"] == str(folder().absolute())
    assert sent.tags["zsc.identity"] == json.loads((folder() / "manifest.json").read_text())["identity"]
    assert sent.parameters["knob.strength"] == "5.0" and sent.parameters["dataset.limit"] == "4"
    assert not any(name.startswith("log") for name in sent.parameters)
    scores = json.loads((folder() / "scores.json").read_text())["table"]
    assert sent.values["length/off/value"] == scores[0]["value"] and len(sent.values) == 2 * (3 + 3 + 5)
    assert sent.table.startswith("| metric | off | attn_bias(knowledge, 5) |")
    assert {file.name for file in sent.files} == {"scores.json", "config.yaml", "manifest.json", "items.csv"}


def test_files_that_are_large_are_not_sent(run, kept, monkeypatch):
    monkeypatch.setattr(loggers.logged, "SMALL", 2000)
    assert run(*kept)[0] == 0
    assert all(file.stat().st_size <= 2000 for file in Kept.sent[0].files) and len(Kept.sent[0].files) < 4


def test_a_logger_that_fails_loses_nothing(run, kept):
    code, out, err = run("format=csv", *kept, "log.fails=true")
    assert code == 2 and len(out.splitlines()) == 7
    assert err.splitlines()[-1] == (
        f"zsc: log=kept: not logged: no tracker. The run is complete in {folder()}: the same command finds it,"
        " generates nothing, and logs it again."
    )
    assert (folder() / "scores.json").is_file() and (folder() / "items.csv").is_file()
    code, _, err = run("format=csv", *kept)
    assert code == 0 and "cells: 2, 2 found, 0 made" in err and len(Kept.sent) == 1


def test_a_sweep_is_logged_as_one_run(run, kept):
    code, _, err = run("knob.strength=[2,5]", *kept, name="sweep")
    assert code == 0, err
    (sent,) = Kept.sent
    assert {name.split("/")[1] for name in sent.values} == {"off", "attn_bias_knowledge_2", "attn_bias_knowledge_5"}
    assert sent.parameters["knob.strength"] == "[2, 5]"


@pytest.mark.parametrize("name", LOGGERS)
def test_a_missing_package_is_said_before_anything_is_generated(run, name, monkeypatch):
    def absent(package):
        raise PackageNotFoundError(package)

    with monkeypatch.context() as patch:
        patch.setattr(install, "check_versions", lambda: None)
        patch.setattr(install, "version", absent)
        with pytest.raises(ZscError, match=f"log={name} needs .* not installed. Run: .*pip install"):
            LOGGERS[name]().check()
    monkeypatch.setattr(LOGGERS[name], "check", lambda self: install.check_installed("gguf", "gguf", f"log={name}"))
    monkeypatch.setattr(install, "problem", lambda requirement: f"{requirement.name} is not installed")
    monkeypatch.setattr("zsc.cli.main.check_versions", lambda: None)
    code, out, err = run(f"log={name}")
    assert code == 2 and f"log={name} needs gguf" in err and not out and not Path("runs").exists()


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("run", ["log=mlfow"], "no log 'mlfow'. Did you mean 'mlflow'?"),
        ("run", ["log=mlflow", "log.project=x"], "no option 'log.project'"),
        ("tune", ["log=mlflow"], "zsc tune logs nothing; run, sweep do."),
        ("work", ["log=mlflow"], "zsc work logs nothing; run, sweep do."),
    ],
)
def test_bad_input_is_one_line(command, name, words, message):
    code, _, err = command(name, *words)
    assert code == 2 and message in err and len(err.splitlines()) == 1, err


def test_mlflow_has_the_run(run, tmp_path, monkeypatch):
    """A store of files, which the small package of MLflow has by itself; the default one is a database."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    stored(run, mlflow, monkeypatch, f"file://{tmp_path}/store")


def test_mlflow_has_the_run_in_its_own_database(run, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("alembic")
    stored(run, mlflow, monkeypatch, f"sqlite:///{tmp_path}/store.db")


def stored(run, mlflow, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client = mlflow.MlflowClient(uri)
    code, _, err = run("log=mlflow", "log.experiment=a, b")
    assert code == 0, err
    (own,) = client.search_runs([client.get_experiment_by_name("a, b").experiment_id])
    assert err.splitlines()[-1] == f"log: MLflow run {own.info.run_id} of {uri}"
    assert own.info.run_name == folder().name and own.info.status == "FINISHED"
    assert own.data.params["knob.strength"] == "5.0" and own.data.params["seeds"] == "[0]"
    manifest = json.loads((folder() / "manifest.json").read_text())
    assert own.data.tags["zsc.identity"] == manifest["identity"]
    rows = {(one["setting"], one["metric"]): one for one in json.loads((folder() / "scores.json").read_text())["table"]}
    for label, setting in (("off", "off"), ("attn_bias_knowledge_5", "attn_bias(knowledge, 5)")):
        for name in ("value", "low", "high"):
            assert own.data.metrics[f"distinct2/{label}/{name}"] == rows[setting, "distinct2"][name]
    assert own.data.metrics["length/attn_bias_knowledge_5/p"] == rows[DIFFERENCE, "length"]["p"]
    assert own.data.metrics["length/attn_bias_knowledge_5/difference"] == rows[DIFFERENCE, "length"]["value"]
    names = {one.path for one in client.list_artifacts(own.info.run_id)}
    assert names == {"scores.json", "config.yaml", "manifest.json", "items.csv", "table.md"}
    fetched = Path(mlflow.artifacts.download_artifacts(run_id=own.info.run_id, artifact_path="scores.json"))
    assert fetched.read_bytes() == (folder() / "scores.json").read_bytes()
    assert run("log=mlflow", "log.experiment=a, b")[0] == 0  # again is another run, of the same identity
    both = client.search_runs([own.info.experiment_id], f"tags.`zsc.identity` = '{manifest['identity']}'")
    assert len(both) == 2
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://x")
    code, out, err = run("log=mlflow", "format=csv")
    assert code == 2 and out.startswith("setting,metric") and "zsc: log=mlflow: not logged: " in err.splitlines()[-1]


def test_tensorboard_has_the_run(run):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    hparams = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2").HParamsPluginData
    code, _, err = run("log=tensorboard", "log.folder=boards")
    assert code == 0, err
    (place,) = Path("boards", folder().name).iterdir()
    assert err.splitlines()[-1] == f"log: {place}; to see it: tensorboard --logdir boards"
    found = accumulator.EventAccumulator(str(place))
    found.Reload()
    rows = {(one["setting"], one["metric"]): one for one in json.loads((folder() / "scores.json").read_text())["table"]}
    (value,) = found.Scalars("length/attn_bias_knowledge_5/value")
    assert value.value == pytest.approx(rows["attn_bias(knowledge, 5)", "length"]["value"], rel=1e-6)
    (value,) = found.Scalars("distinct2/attn_bias_knowledge_5/p")
    assert value.value == pytest.approx(rows[DIFFERENCE, "distinct2"]["p"], rel=1e-6)
    assert len(found.Tags()["scalars"]) == 2 * (3 + 3 + 5)
    (table,) = found.Tensors("table.md/text_summary")
    assert b"| length | " in table.tensor_proto.string_val[0]
    content = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    options = hparams.FromString(content).session_start_info.hparams
    assert options["knob.strength"].string_value == "5.0" and options["model.device"].string_value == "cpu"


def test_wandb_has_the_run(run, tmp_path, monkeypatch):
    """Offline: the file that `wandb sync` would send."""
    internal = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    for name in ("DIR", "DATA_DIR", "CACHE_DIR", "CONFIG_DIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path / name))
    monkeypatch.setenv("WANDB_MODE", "offline")
    code, out, err = run("log=wandb", "log.project=knobs", "format=csv")
    assert code == 0, err
    (file,) = (tmp_path / "DIR").rglob("run-*.wandb")
    assert err.splitlines()[-1] == f"log: Weights & Biases run {file.parent}; to send it: wandb sync {file.parent}"
    assert len(out.splitlines()) == 7
    records = written(file, internal.Record, {"run", "history", "artifact"})
    (about,) = (one.run for one in records if one.WhichOneof("record_type") == "run")
    config = {one.key: json.loads(one.value_json) for one in about.config.update}
    assert about.project == "knobs" and about.display_name == folder().name and config["knob.strength"] == "5.0"
    assert config["zsc.identity"] == json.loads((folder() / "manifest.json").read_text())["identity"]
    (history,) = (one.history for one in records if one.WhichOneof("record_type") == "history")
    values = {one.key or "/".join(one.nested_key): json.loads(one.value_json) for one in history.item}
    rows = {(one["setting"], one["metric"]): one for one in json.loads((folder() / "scores.json").read_text())["table"]}
    assert values["length/off/low"] == rows["off", "length"]["low"]
    assert values["length/attn_bias_knowledge_5/difference"] == rows[DIFFERENCE, "length"]["value"]
    (artifact,) = (one.artifact for one in records if one.WhichOneof("record_type") == "artifact")
    names = {one.path for one in artifact.manifest.contents}
    assert names == {"scores.json", "config.yaml", "manifest.json", "items.csv", "table.md"}


def written(file, kind, wanted):
    """Return the records of a log once all kinds that are ``wanted`` are there: another process writes them."""
    end = time.monotonic() + 120
    while True:
        records = [kind.FromString(one) for one in log_records(file.read_bytes())]
        if wanted <= {one.WhichOneof("record_type") for one in records} or time.monotonic() > end:
            return records
        time.sleep(0.2)


def log_records(content):
    """Yield the records of a log of LevelDB behind the seven bytes that wandb puts first."""
    assert content[:4] == b":W&B"
    place, parts = 7, b""
    while place + 7 <= len(content):
        left = BLOCK - place % BLOCK
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last of several
            yield parts
            parts = b""
