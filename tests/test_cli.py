"""The command as a user types it, in an empty folder; in a process of its own wherever that could matter."""

import csv
import gc
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from tests.processes import finished, start
from tests.stored import kept
from zsc.cli.check import check_overrides
from zsc.cli.expand import contract, expand
from zsc.cli.flags import named, split_arguments
from zsc.cli.groups import GROUPS, group_options
from zsc.cli.help import COMMANDS, help_of, overview
from zsc.cli.main import OLD, main
from zsc.configs import CONFIGS
from zsc.data import DATASETS
from zsc.data.record import Record, Turn
from zsc.generation.folder import RunFolder
from zsc.interrupts import deferred_interrupts
from zsc.knobs import KNOBS
from zsc.metrics import METRICS

DEFAULT_METRICS = OmegaConf.load(CONFIGS / "run.yaml").metrics
QUICK = ["dataset.limit=6", "seeds=[0,1]", "resampling.resamples=50", "decoding.max_new_tokens=6", "model.device=cpu"]


@pytest.fixture
def quick(checkpoint):
    return ["run", "knob=attn_bias", f"model={checkpoint}", *QUICK]


def run_folder(tmp_path) -> RunFolder:
    (config,) = tmp_path.glob("**/config.yaml")
    return RunFolder(config.parent)


def test_run_prints_off_on_and_the_difference_and_where_it_lies(tmp_path, quick):
    done = finished(tmp_path, *quick)
    assert done.returncode == 0, done.stderr
    header = next(line for line in done.stdout.splitlines() if "metric" in line)
    assert re.search(r"metric\s+off\s+attn_bias\(knowledge, 5\)\s+difference", header)
    folder = run_folder(tmp_path)
    assert done.stdout.splitlines()[-1] == f"run: {folder.path.relative_to(tmp_path)}"
    rows = folder.rows()
    assert len(rows) == 6 * 2 * 2 and {tuple(row) for row in rows} == {
        ("setting", "seed", "id", "response", "tokens", "nll", "ended")
    }
    assert "strength: 5.0" in folder.config.read_text()


def test_json_alone_on_stdout_and_the_same_table_in_every_format(tmp_path, quick):
    done = finished(tmp_path, *quick, "format=json")
    table = json.loads(done.stdout)
    assert {"setting", "metric", "value", "low", "high", "n"} <= set(table[0])
    assert {row["setting"] for row in table} == {"off", "attn_bias(knowledge, 5)", "difference"}
    assert all(
        row["low"] <= row["value"] <= row["high"] and row["n"] == 6 for row in table if row["metric"] == "length"
    )
    values = {(row["setting"], row["metric"]): row["value"] for row in table}
    # there are no control phrases, no topic and no judge in this run
    scored = set(DEFAULT_METRICS) - {
        "phrase_copy_rate",
        "topic_similarity",
        "topic_keywords",
        "judge_perplexity_median",
        "knowledge_entailment",
    }
    for metric in scored:
        on, off = values["attn_bias(knowledge, 5)", metric], values["off", metric]
        assert values["difference", metric] == pytest.approx(on - off)
    path = run_folder(tmp_path).path
    rows = list(csv.DictReader(io.StringIO(finished(tmp_path, "score", str(path), "format=csv").stdout)))
    assert [float(row["value"]) for row in rows] == [row["value"] for row in table]
    markdown = finished(tmp_path, "score", str(path), "format=md").stdout.splitlines()
    assert markdown[0] == "| metric | off | attn_bias(knowledge, 5) | difference | p (Holm) | effect | n | dropped |"
    assert markdown.index("") == 2 + len(scored) and len(markdown) == 2 + len(scored) + 3 + len(scored)
    assert all(row["signature"].startswith(f"{row['metric']}|") for row in table)


def test_a_second_run_generates_nothing_and_says_the_same(tmp_path, quick):
    first = finished(tmp_path, *quick)
    written = run_folder(tmp_path).generations.stat().st_mtime_ns
    second = finished(tmp_path, *quick)
    assert second.stdout == first.stdout and run_folder(tmp_path).generations.stat().st_mtime_ns == written


def test_an_interrupted_run_resumes_to_the_same_responses(tmp_path, quick):
    undisturbed, stopped = tmp_path / "whole", tmp_path / "stopped"
    slow = [*quick, "dataset.limit=60", "decoding.max_new_tokens=30", "decoding.min_new_tokens=30", "batch_size=2"]
    expected = finished(undisturbed, *slow)
    started = start(stopped, *slow)
    while started.process.is_alive() and not kept(stopped):
        time.sleep(0.005)
    os.kill(started.process.pid, signal.SIGINT)
    assert started.wait() == 130
    assert 0 < len(kept(stopped)) < 240
    assert re.search(r"^zsc: interrupted: \d+ of 240 responses are kept in .*resumes", started.errors.splitlines()[-1])
    resumed = finished(stopped, *slow, "together=1")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == expected.stdout
    assert kept(stopped) == kept(undisturbed) and len(kept(undisturbed)) == 240


def test_an_interrupt_waits_until_what_cannot_be_stopped_is_done():
    done = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        done.append(True)
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ValueError, match="its own"), deferred_interrupts():
        raise ValueError("its own")


@pytest.mark.parametrize(
    ("kept", "message"), [(23, "seed 1 lacks 1 of 6"), (12, "seed 1 lacks 6 of 6"), (0, "seed 0 lacks 6 of 6")]
)
def test_an_unfinished_run_is_not_scored(tmp_path, capsys, kept, message):
    records = [Record(str(i), (Turn("a", "Hi."),), "Yes.", "It is so.") for i in range(6)]
    folder = RunFolder(tmp_path / "run")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = OmegaConf.to_yaml(compose("run"))
    folder.create(config, {"identity": "x", "settings": ["off", "on"], "seeds": [0, 1]}, records)
    cells = [(seed, setting, r.id) for seed in (0, 1) for setting in ("off", "on") for r in records]
    rows = [{"setting": s, "seed": n, "id": i, "response": "Yes.", "tokens": 2, "nll": 1.0} for n, s, i in cells]
    folder.write_rows(rows[:kept])
    assert main(["score", str(folder.path)]) == 2
    assert message in capsys.readouterr().err
    folder.write_rows(rows)
    assert main(["score", str(folder.path), "format=csv"]) == 0


def test_multirun_runs_every_combination(tmp_path, quick):
    done = finished(tmp_path, *quick, "-m", "knob.strength=1,5", "format=csv")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("runs/*/scores.json"))) == 2
    same = next(row for row in csv.DictReader(io.StringIO(done.stdout)) if row["setting"] == "difference")
    assert float(same["value"]) == float(same["low"]) == float(same["high"]) == 0  # strength 1 changes nothing


def test_an_output_folder_keeps_one_run(tmp_path, quick):
    assert finished(tmp_path, *quick, "output=here").returncode == 0
    done = finished(tmp_path, *quick, "output=here", "knob.strength=2")
    assert done.returncode == 2 and "here holds a run with other options" in done.stderr


BAD = [
    (["rnu"], "Did you mean 'run'"),
    (["run", "knob=atn_bias"], "no knob 'atn_bias'. Did you mean 'attn_bias'"),
    (["run", "knbo=attn_bias"], "no option 'knbo'. Did you mean 'knob'"),
    (["run", "knob=attn_bias", "knob.strenth=2"], "Did you mean 'knob.strength'"),
    (["run", "+knob.x=2"], "only trainer options can be added"),
    (["run", "knob=attn_bias", "knob.strength=-1"], "at least 0, got -1"),
    (["run", "knob=attn_bias", "knob.strength=nan"], "finite number"),
    (["run", "knob=attn_bias", "knob.strength=much"], "must be a number, got 'much'"),
    (["run", "knob=attn_bias", "knob.profile=knowlege"], "knowledge, dialog"),
    (["run", "dataset=jsonl"], "dataset.path has no value"),
    (["run", "dataset=jsonl", "dataset.path=empty.jsonl"], "holds no record"),
    (["run", "dataset=topical_chat", "dataset.path=nowhere"], "no folder nowhere. Clone https://github.com/alexa"),
    (["run", "model=minni"], "neither a folder nor in the cache"),
    (["run", "model=facebook/bart-base"], "neither a folder nor in the cache"),
    (["run", "metrics=[lenght]"], "Did you mean 'length'"),
    (["run", "seeds=3"], "seeds=[0,1,2]"),
    (["run", "metrics=null"], "must be a list"),
    (["run", "metrics=length"], "must be a list"),
    (["run", "layout=null"], "layout"),
    (["run", "layout=buckets", "layout.speaker_tokens=null"], "layout.speaker_tokens=null must be a list of 2 texts"),
    (["run", "output='${nope}'"], "cannot be resolved"),
    (["run", "seeds=[0,0]"], "different whole numbers"),
    (["run", "knob.strength=1,2"], "add -m"),
    (["run", "attn_bias"], "not of the form key=value"),
    (["run", "objective=denoise"], "no option 'objective'"),
    (["run", "format=jsn"], "Did you mean 'json'"),
    (["run", "batch_size=0"], "batch_size=0 must be a whole number of at least 1, or auto."),
    (["run", "batch_size=many"], "batch_size=many must be a whole number of at least 1, or auto."),
    (["run", "layout.turns=0"], "layout.turns=0"),
    (["score"], "zsc score RUN"),
    (["score", "nowhere"], "not the folder of a run"),
    (["ls", "color=1"], "no option 'color'. Known: format."),
    (["bench", "knob=none"], "needs a knob"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / "empty.jsonl").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["zsc"])
    try:
        code = main(arguments)
    except SystemExit as stop:  # inside a Hydra job
        code = stop.code
    printed = capsys.readouterr()
    assert code == 2 and message in printed.err, printed.err
    assert printed.out == "" and len(printed.err.strip().splitlines()) == 1, printed.err
    assert [path.name for path in tmp_path.iterdir()] == ["empty.jsonl"]


def test_a_record_without_knowledge_is_named_before_anything_is_generated(tmp_path, checkpoint):
    turn = {"speaker": "a", "text": "Hello there."}
    rows = [
        {"id": "x1", "history": [turn], "reference": "Hi.", "knowledge": "Sky is blue."},
        {"id": "x2", "history": [turn], "reference": "Hi."},
    ]
    (tmp_path / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["run", "knob=attn_bias", f"model={checkpoint}", "dataset=jsonl", "dataset.path=records.jsonl"]
    done = finished(tmp_path, *arguments)
    assert done.returncode == 2 and "record x2 has no knowledge" in done.stderr and not (tmp_path / "runs").exists()
    assert finished(tmp_path, *arguments, "knob.profile=dialog").returncode == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder(tmp_path, quick):
    tmp_path.chmod(0o500)
    done = finished(tmp_path, *quick)
    assert done.returncode == 2 and "cannot write the run folder" in done.stderr


@pytest.mark.parametrize(
    ("setting", "message"),
    [("layout.turn_tokens=60", "sources take 338 positions"), ("decoding.max_new_tokens=201", "responses take 201")],
)
def test_lengths_beyond_the_models_positions(tmp_path, quick, setting, message):
    done = finished(tmp_path, *quick, setting)
    assert done.returncode == 2 and f"{message}" in done.stderr and "has 200" in done.stderr, done.stderr
    assert not (tmp_path / "runs").exists()


def test_an_output_that_cannot_be_a_folder(tmp_path, quick):
    (tmp_path / "file").write_text("")
    done = finished(tmp_path, *quick, "output=file/run")
    assert done.returncode == 2 and "cannot write to file/run: file is a file" in done.stderr, done.stderr
    assert not kept(tmp_path)


def test_help_is_there_for_every_command_and_imports_nothing_heavy(capsys):
    assert set(COMMANDS) == {file.stem for file in CONFIGS.glob("*.yaml")} - {"zsc"}
    for command in ["", *COMMANDS]:
        assert main([*([command] if command else []), "--help"]) == 0
        assert f"zsc {command}".strip() in capsys.readouterr().out
    heavy = "import sys; import zsc.cli.main as m; m.main(['--help']); print({'torch', 'hydra'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True).stdout.splitlines()[-1] == "set()"
    )


def test_old_objects_are_looked_through_seldom_while_a_command_runs_and_no_longer(monkeypatch):
    seen, before = [], gc.get_threshold()
    monkeypatch.setattr("zsc.cli.main.perform", lambda arguments: seen.append(gc.get_threshold()) or 2)
    assert main(["ls"]) == 2
    assert seen == [(*before[:2], OLD)] and before[2] < OLD and gc.get_threshold() == before


def test_ls_lists_everything_that_can_be_chosen(tmp_path):
    listed = json.loads(finished(tmp_path, "ls", "format=json").stdout)
    names = {(row["kind"], row["name"]) for row in listed}
    assert names >= {("metric", name) for name in METRICS} | {("knob", name) for name in KNOBS}
    assert names >= {("dataset", name) for name in DATASETS} | {("model", "mini"), ("decoding", "greedy")}
    assert all(row["what"] for row in listed)


def test_every_shipped_config_composes_and_builds():
    from zsc.cli.compose import options_of
    from zsc.models.load import load_model
    from zsc.models.options import ModelOptions
    from zsc.study.knobs import build_settings
    from zsc.study.options import BenchOptions, DataOptions, RunOptions, TableOptions, TuneOptions
    from zsc.study.play.options import PlayOptions
    from zsc.training.options import TrainOptions

    mini = load_model("mini", device="cpu")

    needed = {
        "dialogue": ["output=x", "objective.checkpoint=mini"],
        "denoise": ["output=x", "objective.text=x", "objective.heldout=x"],
        "language_model": ["output=x", "objective.text=x", "objective.heldout=x", "objective.checkpoint=mini"],
        "text_to_text": ["output=x", "objective.checkpoint=mini", "objective.train=[]", "objective.heldout=[]"],
        "checkpoint": ["model.checkpoint=x"],
    } | {dataset: ["dataset.path=x"] for dataset in ("jsonl", "table", "hub")}
    mandatory = {"tune": ["target=length", "budget=length:+1"], "table": ["table=questions"]}
    kinds_of = {"train": TrainOptions, "tune": TuneOptions, "table": TableOptions, "bench": BenchOptions,
                "data": DataOptions, "play": PlayOptions}  # fmt: skip
    for command, kinds in GROUPS.items():
        for kind in kinds:
            for option in group_options(kind):
                if command == "train" and kind == "layout":  # see test_options.py
                    continue
                words = [
                    *mandatory.get(command, []),
                    f"{kind}={option}",
                    *(needed.get(option, []) if kind not in ("table", "task", "layout") else []),
                    *(["layout.text='{document}'"] if (kind, option) == ("layout", "template") else []),
                ]
                with initialize_config_dir(str(CONFIGS), version_base="1.3"):
                    composed = compose(command, words)
                if (kind, option) == ("knob", "several"):
                    continue
                options = options_of(kinds_of.get(command, RunOptions), composed)
                if command == "train":
                    chosen = options.objective.options
                    assert chosen.name == option and options.freeze == chosen.freeze
                elif kind == "knob":
                    built = build_settings([options.knob], ModelOptions("mini", device="cpu"), mini)
                    assert len(built.settings) == 1 + (option in KNOBS)
    assert set(group_options("knob")) == {*KNOBS, "none", "several"}


HELP_LINES = [
    line.strip()
    for text in [overview(), *map(help_of, COMMANDS)]
    for line in text.replace("\\\n", " ").splitlines()
    if re.match(r"(\w+=\S+ )?zsc (run|sweep|plan|table|tune|train|bench) .*=", line.strip())
]


@pytest.mark.parametrize("line", HELP_LINES)
def test_the_examples_of_the_help_compose(line):
    words = [word for word in shlex.split(line.split(" > ")[0].split("    ")[0]) if not word.startswith("ZSC_DATA")]
    flags, overrides = split_arguments(named(words[1], words[2:]))
    check_overrides(words[1], flags, expand(overrides))


def test_hydras_own_flags_and_settings_pass(tmp_path):
    done = finished(tmp_path, "run", "knob=attn_bias", "--cfg", "job")
    assert done.returncode == 0 and "strength: 5.0" in done.stdout
    check_overrides(
        "run", ["-m"], ["hydra/launcher=basic", "hydra.verbose=true", "knob=attn_bias", "knob.strength=1,2"]
    )


def test_several_checkpoints_in_a_multirun():
    assert expand(["model=a/b,./c"]) == ["model=checkpoint", "model.checkpoint='a/b','./c'"]
    assert expand(["model=mini", "knob=none"]) == ["model=mini", "knob=none"]


@pytest.mark.parametrize(
    "words",
    [
        ["knob=attn_bias", "knob.strength=[1,2]", "seeds=[0,1]"],
        ["model=a/b", "knob=none"],
        ["knob=[attn_bias,ctx_aug]", "knob.ctx_aug.strength=2", "model=./c d"],
    ],
)
def test_what_a_manifest_calls_the_command_is_what_was_typed(words):
    assert contract(expand(words)) == words


def test_bench_prints_a_ratio(tmp_path, checkpoint):
    words = ["measure=cost", f"model={checkpoint}", "repeats=2", "batch_size=4", "format=json"]
    (row,) = json.loads(finished(tmp_path, "bench", *words, *QUICK).stdout)
    assert row["responses"] == 4 and row["min"] <= row["on/off median"] <= row["max"]
