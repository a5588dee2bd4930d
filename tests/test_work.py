"""Workers: any number of processes make the cells of one sweep, each response once, to the bytes of a serial run."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.processes import finished, start
from tests.stored import files, kept
from zsc import leases
from zsc.study import crew

KILLS = 20
EXAMPLES, CELLS = 22, 6


@pytest.fixture(scope="module")
def options(checkpoint):
    return [
        "knob=attn_bias", "knob.strength=[2,5]", f"model={checkpoint}", "model.device=cpu", "seeds=[0,1]",
        f"dataset.limit={EXAMPLES}", "batch_size=2", "together=2", "decoding.max_new_tokens=12", "shard=6",
        "resampling.resamples=20",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def serial(tmp_path_factory, options):
    """The files of the store that one process has made."""
    folder = tmp_path_factory.mktemp("serial")
    done = finished(folder / "here", "sweep", *options)
    assert done.returncode == 0, done.stderr
    return files(folder / "here" / "runs" / "cells")


def store(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in files(folder).items() if not name.startswith(".known")}


def of_cells(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in found.items() if not name.startswith(".known")}


def made(errors: str) -> dict[str, int]:
    """What a worker says of its cells."""
    numbers = re.findall(r"(\d+) (found|made by another process|made|left to others)", errors.splitlines()[-1])
    return {what: int(count) for count, what in numbers}


@pytest.mark.parametrize("count", [2, 4])
def test_workers_share_a_sweep_and_make_the_bytes_of_one(tmp_path, options, serial, count):
    here = tmp_path / "here"
    workers = [start(here, "work", *options, f"workers={count}") for _ in range(count)]
    assert [one.wait() for one in workers] == [0] * count, [one.errors for one in workers]
    assert all(one.output == "" for one in workers)
    assert store(here / "runs" / "cells") == of_cells(serial)
    told = [made(one.errors) for one in workers]
    assert max(one["made"] for one in told) >= 1 and all(one["found"] == 0 for one in told)
    plain = finished(here, "sweep", *options)
    assert plain.returncode == 0 and f"cells: {CELLS}, {CELLS} found, 0 made" in plain.stderr
    assert "knowledge_precision" in plain.stdout


def test_a_worker_takes_no_more_than_its_share(tmp_path, options, serial):
    """Of six cells in one shard each, the first of two workers takes three, and three of its own are left free."""
    taken = []
    here = tmp_path / "here"
    one = start(here, "work", *options, "workers=2", "together=8", f"shard={EXAMPLES}", "decoding.min_new_tokens=12")
    while one.process.is_alive() and not taken:
        if kept(here / "runs" / "cells"):  # the first group is being made
            taken = list((here / "runs" / "cells").glob("*/shards/*.lease"))
        time.sleep(0.002)
    assert len(taken) == 3
    assert one.wait() == 0 and made(one.errors)["made"] == CELLS


def test_killed_at_any_moment_workers_make_the_bytes_of_one(tmp_path, options, serial):
    rng, here, stopped_at = random.Random(1), tmp_path / "here", []
    cells, total = here / "runs" / "cells", EXAMPLES * CELLS
    other = start(here, "work", *options, "workers=2")
    for _ in range(KILLS):
        victim = start(here, "work", *options, "workers=2")
        goal, deadline = rng.randint(len(kept(cells)), total), time.monotonic() + rng.uniform(0.2, 60)
        while victim.process.is_alive() and time.monotonic() < deadline and len(kept(cells)) <= goal:
            time.sleep(0.001)
        victim.process.kill()
        assert victim.wait() in (-signal.SIGKILL, 0), victim.errors
        stopped_at.append(len(kept(cells)))
        if not other.process.is_alive():
            assert other.wait() == 0, other.errors
            if rng.random() < 0.8:
                assert store(cells) == of_cells(serial) or victim.process.exitcode
                shutil.rmtree(here / "runs")
            other = start(here, "work", *options, "workers=2")
    assert other.wait() == 0, other.errors
    assert len({count for count in stopped_at if 0 < count < total}) >= 4  # kills did hit shards at work
    last = start(here, "work", *options)
    assert last.wait() == 0, last.errors
    assert store(cells) == of_cells(serial)


def others_lease(file: Path, age: float) -> None:
    """Write the lease of a process on another machine that was touched so many seconds ago."""
    content = {"host": "elsewhere", "machine": "another", "pid": 1, "started": 1.0, "job": "7", "since": time.time(),
               "says": {}, "token": "x"}  # fmt: skip
    file.write_text(json.dumps(content))
    os.utime(file, (time.time() - age,) * 2)


def test_a_lease_of_another_machine_is_left_alone_until_it_is_stale(tmp_path, options, serial):
    here = tmp_path / "here"
    done = finished(here, "work", *options)
    assert done.returncode == 0, done.stderr
    victim = next(path.parent for path in sorted((here / "runs" / "cells").glob("*/cell.json")))
    for name in ("items.jsonl", "done.json"):
        (victim / name).unlink()
    (victim / "shards").mkdir()
    lease = victim / "shards" / "6-12.lease"
    others_lease(lease, 0)
    left = finished(here, "work", *options)
    assert left.returncode == 0 and made(left.stderr) == {"found": CELLS - 1, "made": 0, "left to others": 1}
    plan = finished(here, "plan", *options, "format=json")
    (row,) = [row for row in json.loads(plan.stdout) if row["state"] != "done"]
    assert row["shards"] == "3 of 4" and row["responses"] == f"{EXAMPLES - 6} of {EXAMPLES}"
    assert row["made by"].startswith("process 1 of job 7 on elsewhere since")
    others_lease(lease, leases.LIMIT + 60)
    last = finished(here, "work", *options)
    assert last.returncode == 0 and made(last.stderr) == {"found": CELLS - 1, "made": 1}
    assert store(here / "runs" / "cells") == of_cells(serial)


FLOCKS = {
    "always succeeds": "lambda *arguments: None",
    "is not there": "lambda *arguments: (_ for _ in ()).throw(OSError(38, 'Function not implemented'))",
}


@pytest.mark.parametrize("flock", FLOCKS)
def test_locks_of_the_file_system_do_not_matter(tmp_path, options, serial, flock):
    """Two workers in processes where locking a file does nothing, or fails."""
    (tmp_path / "stub").mkdir()
    text = f"import fcntl\nfcntl.flock = fcntl.lockf = {FLOCKS[flock]}\n"
    (tmp_path / "stub" / "sitecustomize.py").write_text(text)
    path = os.pathsep.join([str(tmp_path / "stub"), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "zsc", "work", *options, "workers=2"]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    run = {"cwd": tmp_path, "env": environment, "stderr": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **run) for _ in range(2)]
    errors = [one.communicate()[1] for one in workers]
    assert [one.returncode for one in workers] == [0, 0], errors
    assert store(tmp_path / "runs" / "cells") == of_cells(serial)


def test_a_worker_with_other_weights_is_refused_beside_one_at_work(tmp_path, options, checkpoint):
    copy = tmp_path / "model"
    shutil.copytree(checkpoint, copy)
    weights = load_file(copy / "model.safetensors")
    weights["model.decoder.layers.0.fc1.bias"] += 0.5
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    here = tmp_path / "here"
    first = start(here, "work", *options, "dataset.limit=null", "decoding.min_new_tokens=12")
    while first.process.is_alive() and not kept(here / "runs" / "cells"):
        time.sleep(0.002)
    other = [word.replace(str(checkpoint), str(copy)) for word in options]
    second = finished(here, "work", *other, "dataset.limit=null", "decoding.min_new_tokens=12")
    first.process.kill()
    last = second.stderr.splitlines()[-1]
    assert second.returncode == 2 and re.match(
        r"zsc: this makes other cells than process \d+ .*: weights \w{12} in", last
    )
    assert "code" not in last.partition("Workers need")[0]


def test_of_processes_started_together_the_first_prints(tmp_path, options, serial, monkeypatch):
    here = tmp_path / "here"
    command = [sys.executable, "-m", "zsc", "sweep", *options]
    ranks = []
    here.mkdir()
    for rank in range(2):
        environment = {**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1",
                       "PYTHONPATH": str(Path(__file__).parents[1])}  # fmt: skip
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        ranks.append(subprocess.Popen(command, cwd=here, env=environment, **pipes))
    said = [one.communicate() for one in ranks]
    assert [one.returncode for one in ranks] == [0, 0], said
    assert "knowledge_precision" in said[0][0] and said[1][0] == ""
    assert store(here / "runs" / "cells") == of_cells(serial)
    assert len(list(here.glob("runs/attn_bias-*"))) == 1


@pytest.mark.parametrize(
    ("variables", "rank", "size"),
    [({}, 0, None), ({"RANK": "3", "WORLD_SIZE": "4"}, 3, 4), ({"RANK": "3"}, 0, None),
     ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}, 1, 2), ({"SLURM_PROCID": "0"}, 0, None),
     ({"SLURM_ARRAY_TASK_COUNT": "8"}, 0, 8), ({"RANK": "x", "WORLD_SIZE": "4"}, 0, None)],
)  # fmt: skip
def test_what_launchers_say_of_a_process(monkeypatch, variables, rank, size):
    for names in (*crew.RANKS, [crew.ARRAY]):
        for name in names:
            monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (crew.rank(), crew.started_together()) == (rank, size)


def test_a_table_is_worked_on_and_planned_like_a_run(command, checkpoint):
    common = ["table=informativeness", f"model={checkpoint}", "dataset.limit=4", "seeds=[0]", "model.device=cpu",
              "decoding.max_new_tokens=4", "resampling.resamples=20"]  # fmt: skip
    code, out, err = command("work", *common)
    assert code == 0 and out == "" and re.search(r"cells: (\d+), 0 found, \1 made", err)
    code, out, err = command("plan", *common, "format=json")
    assert code == 0 and {row["state"] for row in json.loads(out)} == {"done"} and "all done." in err
    code, out, err = command("table", "informativeness", *common[1:])
    assert code == 0 and "knowledge" in out and "0 made" in err
