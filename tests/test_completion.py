"""Completion: what is offered, beside what the configs compose, and the shells themselves, asked at their prompts."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from zsc.cli.candidates import candidates
from zsc.cli.completion import split_line
from zsc.cli.groups import GROUPS, group_options
from zsc.cli.help import COMMANDS
from zsc.configs import CONFIGS

ROOT = Path(__file__).parents[1]
INTERNAL = {"name", "loader", "form", "fits"}


def offered(*words):
    return list(dict.fromkeys(candidates(words)))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two runs and some files."""
    monkeypatch.chdir(tmp_path)
    for name in ("runs/attn_bias-parlor-mini-1", "runs/ctx_aug-parlor-mini-2"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "manifest.json").touch()
    (tmp_path / "runs/cells").mkdir()
    for name in ("mine.csv", "my table.csv", ".hidden.csv"):
        (tmp_path / name).touch()
    return tmp_path


OFFERED = [
    (["tu"], ["tune"]),
    (["he"], ["help"]),
    (["help", "sw"], ["sweep"]),
    (["completion", ""], ["bash", "zsh", "fish", "shell="]),
    (["run", "kn"], ["knob=", "knob."]),
    (["run", "knob=c"], ["knob=ctx_aug"]),
    (
        ["run", "model="],
        ["model=mini", "model=mini_denoiser", "model=smollm2", "model=mine.csv", "model=my table.csv", "model=runs/"],
    ),
    (
        ["run", "knob=[attn_bias,"],
        [f"knob=[attn_bias,{one}" for one in ("ctx_aug", "dec_mix", "self_attn_bias", "swap")],
    ),
    (["run", "knob=[attn_bias,c"], ["knob=[attn_bias,ctx_aug"]),
    (["run", "dataset=parlor,topi"], ["dataset=parlor,topical_chat"]),
    (["run", "knob=dec_mix", "knob.level=h"], ["knob.level=hidden"]),
    (["run", "knob=[attn_bias,ctx_aug]", "knob.attn_bias.str"], ["knob.attn_bias.strength="]),
    (["run", "knob=attn_bias", "knob.strength=1", "knob.str"], []),
    (["run", "decoding.temp"], ["decoding.temperature="]),
    (["run", "judges.emb"], ["judges.embedder="]),
    (["run", "judg"], ["judges."]),
    (["run", "format="], ["format=table", "format=md", "format=csv", "format=json"]),
    (["tune", "knob=attn_bias", "targ"], ["target="]),
    (["run", "knob=ctx_aug", "knob.phrases=topic_mu"], ["knob.phrases=topic_music"]),
    (["run", "dataset=table", "dataset.path=m"], ["dataset.path=mine.csv", "dataset.path=my table.csv"]),
    (["run", "dataset=table", "dataset.columns.kn"], ["dataset.columns.knowledge="]),
    (["run", "cells=r"], ["cells=runs/"]),
    (["init", "mi"], ["mine.csv"]),
    (["init", "mine.csv", "overwrite="], ["overwrite=true", "overwrite=false"]),
    (["data", "parl"], ["parlor"]),
    (["table", "topi"], ["topics", "topic="]),
    (["table", "topics", "topi"], ["topic="]),
    (["work", "table=topi"], ["table=topics"]),
    (["show", "l"], ["last"]),
    (["show", "attn"], ["attn_bias-parlor-mini-1"]),
    (["report", "runs/a"], ["runs/attn_bias-parlor-mini-1"]),
    (["report", "runs/attn_bias-parlor-mini-1", "runs/c"], ["runs/ctx_aug-parlor-mini-2", "runs/cells/"]),
    (["run", "--config-dir", "r"], ["runs/"]),
    (["run", "--mu"], ["--multirun"]),
    (["nothing", "x"], []),
    (["run", "nothing=x"], []),
]


@pytest.mark.parametrize(("words", "found"), OFFERED)
def test_what_is_offered(folder, words, found):
    assert sorted(offered(*words)) == sorted(found)


def test_every_command_is_offered():
    assert {*COMMANDS} <= {*offered("")}


def keys(node, prefix=""):
    for name, value in node.items():
        if isinstance(value, dict) and value:
            yield from keys(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


CHOICES = [(group, name) for group in GROUPS["run"] for name in group_options(group) if name not in ("none", "several")]


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_the_options_of_what_is_chosen_are_those_that_it_composes(group, name):
    if name == "auto" or group == "task":
        pytest.skip("whose options are those of any")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        node = OmegaConf.to_container(compose("run", [f"{group}={name}"]))[group]
    wanted = {key for key in keys(node) if key.partition(".")[0] not in INTERNAL} | (
        {"name"} if group == "dataset" and "name" in node else set()
    )
    found, left = set(), [f"{group}."]
    while left:
        for one in offered("run", f"{group}={name}", left.pop()):
            (left if one.endswith(".") else found.add(one.removeprefix(f"{group}.").rstrip("=")) or []).append(one)
    assert wanted - {"template_options"} == found - {"template_options"}


@pytest.mark.parametrize(
    ("line", "words", "outside"),
    [
        ("zsc run kn", ["zsc", "run", "kn"], True),
        ("zsc run ", ["zsc", "run", ""], True),
        ("zsc run 'knob=[a", ["zsc", "run", "knob=[a"], False),
        ('zsc run "kn', ["zsc", "run", "kn"], False),
        ("zsc run a\\ b", ["zsc", "run", "a b"], True),
        ("zsc run 'a b' ", ["zsc", "run", "a b", ""], True),
    ],
)
def test_a_line_is_split_as_the_shell_does(line, words, outside):
    assert split_line(line) == (words, outside)


@pytest.fixture
def environment(folder):
    """An environment whose `zsc` completes, and otherwise prints the words that it was given."""
    tool = folder / "bin" / "zsc"
    tool.parent.mkdir()
    tool.write_text(
        f'#!/bin/sh\nif [ "$1" = completion ]; then exec {sys.executable} -m zsc "$@"; fi\n'
        "printf 'given:'; printf '<%s>' \"$@\"; echo\n"
    )
    tool.chmod(0o755)
    path = os.pathsep.join([str(tool.parent), os.environ["PATH"]])
    return {
        **os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(folder), "ZDOTDIR": str(folder),
        "TERM": "dumb", "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder), "INPUTRC": "/dev/null",
    }  # fmt: skip


def bash(line, environment):
    """Return what bash offers for ``line``, by the function that the script defines."""
    code = (
        'eval "$(zsc completion bash)"; COMP_LINE="$1"; COMP_POINT=${#1}; read -ra COMP_WORDS <<< "$1";'
        ' COMP_WORDBREAKS=$\' \\t\\n"\\\'><=;|&(:\'; _zsc; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    run = ["bash", "--norc", "-c", code, "bash", line]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    return [one for one in done.stdout.splitlines() if one]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("zsc run knob=attn", ["attn_bias"]),  # readline puts what is offered behind the last =
        ("zsc run kn", ["knob=", "knob."]),
        ("zsc run 'knob=[attn_bias,ct", ["knob=[attn_bias,ctx_aug"]),
        ("zsc run dataset=table dataset.path=my", ["my\\ table.csv"]),
        ("zsc run model.device=cu", ["cuda"]),
    ],
)
def test_bash_is_offered_what_it_puts_in_the_place_of_its_word(environment, line, found):
    assert bash(line, environment) == found


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
@pytest.mark.parametrize(
    ("line", "found"),
    [("zsc help sw", ["sweep"]), ("zsc completion ", ["bash", "fish", "shell=", "zsh"]), ("zsc show l", ["last"])],
)
def test_fish_is_offered_whole_words(environment, line, found):
    code = "zsc completion fish | source; complete -C $argv[1]"
    run = ["fish", "--no-config", "-c", code, line]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == found, done.stderr


TYPED = [  # what is typed with a tab behind it, and the words that the command is then given
    ("zsc run knob=attn_b", "<run><knob=attn_bias>"),
    ("zsc run knob=attn_bias knob.streng\t5", "<run><knob=attn_bias><knob.strength=5>"),
    ("zsc run dataset.path=my\\ t", "<run><dataset.path=my table.csv>"),
    ("zsc show las", "<show><last>"),
]


@pytest.mark.parametrize(("typed", "given"), TYPED)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_at_its_prompt(environment, folder, shell, typed, given):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    program = {
        "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(zsc completion bash)"'),
        "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit && compinit -u -D; " + 'eval "$(zsc completion zsh)"'),
        "fish": (["fish", "--no-config", "-i"], "zsc completion fish | source"),
    }
    assert given in prompted(*program[shell], typed, environment, folder)


def prompted(program, setup, typed, environment, folder):
    """Return what a shell at a terminal of its own prints when a line is typed, slowly enough for it to complete."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe(program[0], program, environment)
    seen = ""

    def wait(until, seconds=60):
        nonlocal seen
        end = time.monotonic() + seconds
        while time.monotonic() < end and until not in seen:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    seen += os.read(terminal, 65536).decode(errors="replace")
                except OSError:
                    break
        return until in seen

    try:
        os.write(terminal, f"{setup}; echo set'up'\n".encode())
        assert wait("setup"), seen
        for part in re.split("(\t)", f"{typed}\t"):
            os.write(terminal, part.encode())
            wait("never", 2.5 if part == "\t" else 0.3)
        os.write(terminal, b"\n")
        wait("given:<")
        wait("never", 0.5)
    finally:
        os.close(terminal)
        os.waitpid(process, 0)
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", seen)
