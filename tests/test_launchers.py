"""Workers launched for real by each engine that is installed, with a command that stands for them."""

import json
import os
import shlex
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from zsc.cli import launch
from zsc.errors import INTERRUPTED, ZscError
from zsc.launch.local import Local, surroundings

WORKER = """
import json, os, sys, time
from pathlib import Path

there = Path("there")
there.mkdir(exist_ok=True)
found = {"words": sys.argv[1:], "rank": os.environ.get("LOCAL_RANK"), "threads": os.environ.get("OMP_NUM_THREADS")}
part = there / f"{os.getpid()}.part"
part.write_text(json.dumps(found))
part.rename(there / f"{os.getpid()}.json")
print("on stdout")
for _ in range(6000):  # which two at once alone get past
    if len(list(there.glob("*.json"))) > 1:
        break
    time.sleep(0.05)
else:
    sys.exit("alone")
if "topic=broken" in sys.argv:
    sys.exit("first line\\nno such \\033[31mtopic")
"""
WORDS = ["knob=attn_bias", "knob.strength=[2,5]", 'topic=it\'s a "b", {c} $d', "dataset.limit=3"]


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """What is launched in place of `zsc work`: it waits for a second of its kind, and notes its words in ``there``."""
    script = tmp_path / "stand in.py"
    script.write_text(WORKER)
    monkeypatch.setattr(launch, "WORKER", (sys.executable, str(script)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def scored(monkeypatch):
    """The command line of each run that was scored, which is all that is done of it."""
    lines = []

    class Scored:
        def __init__(self, options, watch, command):
            lines.append(command)
            self.folder, self.path = self, "FOLDER"

        def render(self, style):
            return "TABLE"

    monkeypatch.setattr("zsc.cli.run.perform", Scored)
    return lines


def noted(count=2):
    """Wait for what so many workers note."""
    end = time.monotonic() + 300
    while len(files := sorted(Path("there").glob("*.json"))) < count:
        assert time.monotonic() < end
        time.sleep(0.05)
    return [json.loads(file.read_text()) for file in files]


def test_processes_of_this_machine_end_before_the_table_is_made(command, stand_in, scored):
    code, out, err = command("run", *WORDS, "launcher=local", "workers=2", "format=md")
    assert (code, out) == (0, "TABLE\n") and scored == [shlex.join(["zsc", "run", *WORDS])]
    found = noted()
    threads = str(max(1, len(os.sched_getaffinity(0)) // 2))
    assert {one["rank"] for one in found} == {"0", "1"} and {one["threads"] for one in found} == {threads}
    assert [one["words"] for one in found] == [[*WORDS, "workers=2"]] * 2
    assert surroundings(3, 4, {"OMP_NUM_THREADS": "7"}) == {"LOCAL_RANK": "3", "OMP_NUM_THREADS": "7"}
    (logs,) = Path("runs/.launch").iterdir()
    assert err.startswith("workers: 2 on this machine; logs: ") and str(logs) in err
    assert (logs / "1.log").read_text() == "on stdout\n"


def test_the_last_line_of_a_worker_that_failed_is_told(command, stand_in, scored):
    code, out, err = command("run", "knob=attn_bias", "topic=broken", "launcher=local", "workers=2")
    assert (code, out, scored) == (2, "", [])
    last = err.splitlines()[-1]
    assert last.startswith("zsc: 2 of 2 workers failed") and last.endswith(r"status 1: no such \x1b[31mtopic")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_workers_that_end_by_it_and_others(tmp_path, monkeypatch, sent):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("zsc.launch.local.PATIENCE", 2.0)
    code = """if True:
        import os, signal, time
        from pathlib import Path
        deaf = os.environ["LOCAL_RANK"] == "0"
        if deaf:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        Path(f"{os.getpid()}.started").touch()
        try:
            time.sleep(300)
        except KeyboardInterrupt:
            Path("stopped").touch()
    """

    def interrupt():
        while len(list(tmp_path.glob("*.started"))) < 2:
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, sent)

    threading.Thread(target=interrupt).start()
    with pytest.raises((ZscError, SystemExit)) as error:
        Local().launch([sys.executable, "-c", code], 2)
    if sent == signal.SIGINT:
        assert "interrupted: all workers are stopped" in str(error.value)
    assert error.value.code == (INTERRUPTED if sent == signal.SIGINT else 128 + signal.SIGTERM)
    assert Path("stopped").exists() and signal.getsignal(signal.SIGTERM) == before
    for started in tmp_path.glob("*.started"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(started.stem), 0)


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """A PATH with sbatch, which keeps the script of a job, refuses the partition nowhere, and no other program."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "srun").touch()
    (folder / "sbatch").write_text(
        f"#!{sys.executable}\nimport shutil, sys\nshutil.copy(sys.argv[1], 'job.sh')\n"
        "if 'nowhere' in open('job.sh').read():\n"
        "    sys.exit('sbatch: error: invalid partition specified: nowhere\\nsbatch: error: it failed')\n"
        "print('Submitted batch job 7')\n"
    )
    for program in folder.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


SUBMITIT = "the launcher of Slurm submits with it: pip install submitit"


def test_options_of_slurm_are_those_of_sbatch(command, sbatch, scored):
    pytest.importorskip("submitit", reason=SUBMITIT)
    words = ["launcher=slurm", "workers=300", "launcher.partition=gpu", "launcher.gpus=1", "launcher.memory_gb=24",
             "launcher.minutes=90", "launcher.account=007", "launcher.constraint=a100|h100",
             "launcher.setup=[module load cuda,'echo a, b']"]  # fmt: skip
    code, out, err = command("sweep", *WORDS, *words, "format=md")
    assert (code, out, scored) == (0, "", []), err
    first, second = err.splitlines()
    assert first.startswith("workers: 300, Slurm job 7; what is left of it: squeue --job 7; logs: ")
    assert second == f"once they are done, for the table: {shlex.join(['zsc', 'sweep', *WORDS, 'format=md'])}"
    script = Path("job.sh").read_text().splitlines()
    for line in ("array=0-299%300", "partition=gpu", "gpus-per-node=1", "cpus-per-task=4", "mem=24GB", "time=90",
                 "account=007", "constraint='a100|h100'"):  # fmt: skip
        assert f"#SBATCH --{line}" in script
    setup = script.index("# setup")
    assert script[setup + 2 : setup + 4] == ["module load cuda", "echo a, b"]
    assert not [line for line in script if "qos" in line or line.startswith("srun")]


def test_what_slurm_refuses_is_one_line(command, sbatch):
    pytest.importorskip("submitit", reason=SUBMITIT)
    words = ["run", "knob=attn_bias", "launcher=slurm", "workers=2"]
    code, _, err = command(*words, "launcher.partition=nowhere")
    assert code == 2 and len(err.splitlines()) == 1
    assert "refuses the jobs: invalid partition specified: nowhere; it failed. `sinfo`" in err
    (sbatch / "sbatch").unlink()
    code, _, err = command(*words)
    assert code == 2 and err.startswith("zsc: launcher=slurm: no sbatch on the PATH.") and len(err.splitlines()) == 1


def test_submitit_runs_the_command_and_is_not_waited_for(command, stand_in, scored):
    pytest.importorskip("submitit", reason=SUBMITIT)
    code, out, err = command("run", *WORDS, "launcher=slurm", "launcher.cluster=local", "launcher.cpus=3", "workers=2")
    assert (code, out, scored) == (0, "", []) and err.startswith("workers: 2, processes ")
    found = noted()
    assert [one["words"] for one in found] == [[*WORDS, "workers=2"]] * 2 and {one["threads"] for one in found} == {"3"}


RAY = "the launcher of Ray needs it, 80 MB: make test-launchers"


def test_tasks_of_ray_end_before_the_table_is_made(command, stand_in, scored):
    pytest.importorskip("ray", reason=RAY)
    words = ["launcher=ray", "launcher.address=local", "workers=2", "format=md"]
    code, out, err = command("run", *WORDS, *words)
    assert (code, out) == (0, "TABLE\n") and scored == [shlex.join(["zsc", "run", *WORDS])], err
    assert [one["words"] for one in noted()] == [[*WORDS, "workers=2"]] * 2
    code, _, err = command("run", "knob=attn_bias", "topic=broken", *words)
    assert code == 2 and err.splitlines()[-1].endswith(r"status 1: no such \x1b[31mtopic") and len(scored) == 1


def test_no_cluster_of_ray_is_one_line(command, monkeypatch):
    pytest.importorskip("ray", reason=RAY)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    code, _, err = command("run", "knob=attn_bias", "launcher=ray", "workers=2")
    assert code == 2 and len(err.splitlines()) == 1
    assert err.startswith(
        "zsc: launcher.address=auto: no Ray cluster that can be used. Start one with `ray start --head`"
    )
