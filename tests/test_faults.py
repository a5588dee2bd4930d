"""What must not lose or spoil responses: kills, a full disk, a folder that cannot be written, two at once, decay."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests import stored
from tests.processes import finished, start

KILLS = 20


@pytest.fixture(scope="module")
def sweep(checkpoint):
    return [
        "sweep", "knob=attn_bias", "knob.strength=[2,5]", f"model={checkpoint}", "model.device=cpu", "seeds=[0,1]",
        "dataset.limit=30", "batch_size=4", "together=2", "decoding.max_new_tokens=12", "resampling.resamples=20",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, sweep):
    """The folder of an undisturbed sweep, which is to stay as it is."""
    folder = tmp_path_factory.mktemp("undisturbed") / "whole"
    done = finished(folder, *sweep)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def undisturbed_run(tmp_path, undisturbed):
    """A copy of the folder of an undisturbed sweep."""
    return shutil.copytree(undisturbed, tmp_path / "whole")


def files(folder: Path) -> dict[str, bytes]:
    """Every file below the runs in ``folder`` that stays, by name."""
    return stored.files(folder / "runs")


def responses(folder: Path) -> int:
    """How many whole responses the cells below ``folder`` hold, also while they are written."""
    return len(stored.kept(folder / "runs" / "cells"))


def cells(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("runs/cells/*/cell.json"))


def test_killed_at_any_moment_it_ends_with_the_files_of_an_undisturbed_run(tmp_path, sweep, undisturbed_run):
    rng, total, stopped_at = random.Random(0), responses(undisturbed_run), []
    folder = tmp_path / "killed"
    for kill in range(KILLS):
        started = start(folder, *sweep)
        # half of them at some response, however slow the machine is, and half at some time, perhaps before the first
        goal = rng.randint(responses(folder), total)
        deadline = time.monotonic() + (rng.uniform(0.2, 5) if kill % 2 else 300)
        while started.process.is_alive() and time.monotonic() < deadline and responses(folder) <= goal:
            time.sleep(0.001)
        started.process.kill()
        assert started.wait() in (-signal.SIGKILL, 0)
        stopped_at.append(responses(folder))
        if stopped_at[-1] == total and rng.random() < 0.8:  # begin again, so that all kills disturb something
            shutil.rmtree(folder / "runs")
    assert len({count for count in stopped_at if 0 < count < total}) >= 4  # kills did hit cells at work
    last = start(folder, *sweep)
    assert last.wait() == 0, last.errors
    assert files(folder) == files(undisturbed_run)


def test_a_full_disk_is_reported_and_loses_nothing(tmp_path, sweep, undisturbed_run):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        full = start(disk, *sweep)
        assert full.wait() == 2
        assert "cannot write to" in full.errors and "No space left" in full.errors and "Traceback" not in full.errors
        kept = responses(disk)
        assert 0 < kept < responses(undisturbed_run)
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        again = start(disk, *sweep)
        assert again.wait() == 0, again.errors
        assert files(disk) == files(undisturbed_run)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_folder_that_cannot_be_written(tmp_path, sweep):
    started = start(tmp_path / "here", *sweep, "cells=/proc/zsc/cells")
    assert started.wait() == 2
    last = started.errors.strip().splitlines()[-1]
    assert last.startswith("zsc: cannot write to /proc/zsc/cells") and "Traceback" not in started.errors


def test_a_read_only_folder(tmp_path, sweep):
    folder = tmp_path / "folder"
    runs = folder / "runs"
    runs.mkdir(parents=True)
    runs.chmod(0o500)
    as_root = os.geteuid() == 0  # whom permissions do not stop
    if as_root and subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(runs)]).returncode:
        pytest.skip("cannot make a folder read-only for root here")
    try:
        started = start(folder, *sweep)
        assert started.wait() == 2
        assert "cannot write to" in started.errors and "Traceback" not in started.errors
    finally:
        if as_root:
            subprocess.run(["umount", "-l", str(runs)], check=True)


def cut(cell: Path) -> None:
    content = (cell / "items.jsonl").read_bytes()
    (cell / "items.jsonl").write_bytes(content[: len(content) // 2])


def flip(cell: Path) -> None:
    content = bytearray((cell / "items.jsonl").read_bytes())
    content[content.index(b"response") + 14] ^= 1
    (cell / "items.jsonl").write_bytes(content)


def foreign(cell: Path) -> None:
    (cell / "cell.json").write_text('{"spec": {}, "effect": null}')


def garbled(cell: Path) -> None:
    (cell / "cell.json").write_bytes(b"\x00\xff{")


def unmarked(cell: Path) -> None:
    (cell / "done.json").write_text("")


def gone(cell: Path) -> None:
    (cell / "items.jsonl").unlink()


def effectless(cell: Path) -> None:
    spec = json.loads((cell / "cell.json").read_text())["spec"]
    (cell / "cell.json").write_text(json.dumps({"spec": spec}))


def binary_mark(cell: Path) -> None:
    (cell / "done.json").write_bytes(b"\xff\xfe")


def folder_for_a_mark(cell: Path) -> None:
    (cell / "done.json").unlink()
    (cell / "done.json").mkdir()


def folder_for_items(cell: Path) -> None:
    (cell / "items.jsonl").unlink()
    (cell / "items.jsonl").mkdir()


def wrong_and_unfinished(cell: Path) -> None:
    (cell / "done.json").unlink()
    lines = (cell / "items.jsonl").read_bytes().splitlines(keepends=True)[:9]
    lines[3] = lines[3].replace(b'"response": "', b'"response": "WRONG ')
    (cell / "items.jsonl").write_bytes(b"".join(lines))


SPOILS = [cut, flip, foreign, garbled, unmarked, gone, effectless, binary_mark, folder_for_a_mark, folder_for_items,
          wrong_and_unfinished]  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_spoiled_cell_is_noticed_and_made_again(sweep, undisturbed_run, spoil):
    expected, victim = files(undisturbed_run), cells(undisturbed_run)[1]
    spoil(victim)
    assert files(undisturbed_run) != expected
    again = start(undisturbed_run, *sweep)
    assert again.wait() == 0, again.errors
    assert f"cell {victim.name} is broken" in again.errors and "cells: 6, 5 found, 1 made" in again.errors
    assert files(undisturbed_run) == expected


def test_two_sweeps_at_once_share_the_work(tmp_path, sweep, undisturbed_run):
    both = [start(tmp_path / "both", *sweep) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0], both[0].errors + both[1].errors
    counts = [int(one.errors.partition(" found, ")[2].partition(" made")[0]) for one in both]
    assert sum(counts) == 6 and min(counts) > 0, "no cell is made twice, and each makes some"
    assert files(tmp_path / "both") == files(undisturbed_run)


def test_other_weights_under_the_same_name_are_another_cell(tmp_path, sweep, checkpoint):
    copy = tmp_path / "model"
    shutil.copytree(checkpoint, copy)
    sweep = [argument.replace(str(checkpoint), str(copy)) for argument in sweep]
    first = start(tmp_path / "here", *sweep)
    assert first.wait() == 0, first.errors
    before = {name: content for name, content in files(tmp_path / "here").items() if "cells/" in name}
    weights = load_file(copy / "model.safetensors")
    weights["model.decoder.layers.0.fc1.bias"] += 0.5
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    second = start(tmp_path / "here", *sweep)
    assert second.wait() == 0 and "cells: 6, 0 found, 6 made" in second.errors, second.errors
    after = files(tmp_path / "here")
    assert len(cells(tmp_path / "here")) == 12 and all(after[name] == content for name, content in before.items())
    assert len(list(tmp_path.glob("here/runs/attn_bias-*"))) == 2
