"""Which workers a command launches: with the words of the user as they were, and refusals."""

import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from zsc import install
from zsc.cli import launch
from zsc.cli.compose import LAUNCHING
from zsc.cli.expand import expand
from zsc.cli.flags import named
from zsc.configs import CONFIGS
from zsc.launch.local import Local

TEXTS = ["a b", "é", "a#b", "a(b)", "a=b", "a,b", "it's", 'say "hi"', "{", "$x", "back\\slash", "end\\", "007", "true",
         "[x]", " lead", "-a", "a\nb", "\\'", "./x/../y", "a|b;c&d"]  # fmt: skip


@pytest.fixture
def sent(monkeypatch):
    """The commands that were launched, which here means written down."""
    commands = []
    monkeypatch.setattr(Local, "launch", lambda self, command, workers: commands.append(command) or "somewhere")
    return commands


def composed(name, words):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        node = OmegaConf.to_container(compose(name, expand(words, several=False)))
    return {key: value for key, value in node.items() if key not in ("output", "format", "save", *LAUNCHING)}


@pytest.mark.parametrize("text", TEXTS)
def test_workers_get_paths_and_names_as_they_stand(command, sent, text):
    words = [f"model={text}", "dataset=table", f"dataset.path={text}", f"dataset.columns.mine={text}", f"cells={text}",
             f"topic={text}", "knob=ctx_aug", f"knob.phrases={text}"]  # fmt: skip
    code, out, err = command("run", "launcher=local", *words, f"output={text}", "workers=1", "format=md")
    assert (code, out) == (0, ""), err
    (worker,) = sent
    again = worker[len(launch.WORKER) :]
    assert composed("run", again) == composed("run", words)
    line = err.split("for the table: ")[1].replace("\\n", "\n")
    assert composed("run", shlex.split(line)[2:]) == composed("run", words) and "format=md" in line


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("sweep knob=attn_bias knob.strength=[2,5] seed=0", "knob=attn_bias knob.strength=[2,5] seeds=[0]"),
        (
            "run knob=[attn_bias,ctx_aug] knob.attn_bias.strength=2",
            "knob=[attn_bias,ctx_aug] knob.attn_bias.strength=2",
        ),
        ("table save=x make=true topics format=csv dataset.limit=3", "make=true table=topics dataset.limit=3"),
        ("run metrics=[length] together=2 knob=none", "metrics=[length] together=2 knob=none"),
    ],
)
def test_workers_get_what_decides_responses(command, sent, given, words):
    name, *own = given.split(" ")
    assert command(name, *own, "launcher=local", "launcher.logs=x", "workers=3")[0] == 0
    (worker,) = sent
    assert worker == [*launch.WORKER, *words.split(" "), "workers=3"]
    if name == "table":
        assert composed("table", named("table", own)) == composed("table", worker[len(launch.WORKER) :])


def test_workers_read_the_configs_of_the_user_and_jobs_of_a_multirun_have_their_own(command, sent, tmp_path):
    (tmp_path / "my own" / "knob").mkdir(parents=True)
    (tmp_path / "my own" / "knob" / "strong.yaml").write_text("defaults: [attn_bias, _self_]\nstrength: 50.0\n")
    words = ["run", "--config-dir", "my own", "knob=strong", "launcher=local", "workers=1"]
    assert command(*words)[0] == 0 and command(*words, "-m", "dataset.limit=1,2")[0] == 0
    own = [worker[len(launch.WORKER) :] for worker in sent]
    assert own[0] == ["knob=strong", "workers=1", "--config-dir", "my own"]
    assert [sorted(one) for one in own[1:]] == [
        sorted(["knob=strong", "workers=1", f"dataset.limit={n}", "--config-dir", "my own"]) for n in (1, 2)
    ]


@pytest.mark.parametrize(("name", "package"), [("slurm", "submitit"), ("ray", "ray")])
def test_a_missing_package_is_one_line_with_the_command_that_adds_it(command, monkeypatch, name, package):
    installed = install.version

    def version(name):
        if name == package:
            raise install.PackageNotFoundError
        return installed(name)

    monkeypatch.setattr(install, "version", version)
    code, _, err = command("run", "knob=attn_bias", f"launcher={name}", "workers=2")
    assert code == 2 and len(err.splitlines()) == 1
    assert err.startswith(f"zsc: launcher={name} needs {package}>=") and f"install '{package}>=" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run launcher=local", "a launcher needs a number of workers: give workers=COUNT."),
        ("run launcher=local workers=0", "workers=0 must be a whole number of at least 1, or auto."),
        ("run launcher=slrum workers=2", "no launcher 'slrum'. Did you mean 'slurm'? Known: local, none, ray, slurm."),
        ("run launcher=slurm workers=2 launcher.gpu=1", "no option 'launcher.gpu'. Did you mean 'launcher.gpus'"),
        ("run launcher=slurm workers=2 launcher.gpus=-1", "launcher.gpus=-1 must be a whole number of at least 0."),
        ("run launcher=slurm workers=2 launcher.cluster=pbs", "launcher.cluster=pbs is not one of slurm, local."),
        ("run launcher=local workers=2 launcher.name=pbs", "launcher.name=pbs is not one of none, local, slurm, ray."),
        ("plan launcher=local workers=2", "'launcher=local': zsc plan launches no workers; run, sweep, table do."),
        ("tune target=length budget=length:+1 launcher=ray", "'launcher=ray': zsc tune launches no workers"),
        ("sweep launcher=local workers=2", "a sweep needs several values"),
        ("run launcher=local workers=2 launcher.logs=file", "cannot make "),
    ],
)
def test_what_cannot_be_launched_is_one_line(command, words, message):
    Path("file").touch()
    code, out, err = command(*words.split(" "), *(["knob=attn_bias"]))
    assert (code, out) == (2, "") and len(err.splitlines()) == 1 and message in err, err
