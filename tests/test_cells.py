"""Cells: what decides responses decides where they lie, and what lies there is checked before it is used."""

import errno
import fcntl
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from filelock import Timeout

from zsc.errors import ZscError
from zsc.files import write_atomic
from zsc.generation import cells
from zsc.generation.cells import Cell, State, canonical
from zsc.generation.fill import Filler, Task
from zsc.generation.folder import PARTS, RunFolder
from zsc.generation.generate import Job

IDS = ["a", "b", "c"]
ITEMS = [{"id": i, "response": f"höre {i}\u2028!", "tokens": 2, "nll": 1.5} for i in IDS]


@pytest.fixture
def cell(tmp_path):
    return Cell(tmp_path, {"seed": 1, "knobs": [{"strength": 5.0}]}, IDS)


def filled(cell, count=3, finish=True):
    cell.path.mkdir(parents=True)
    assert cell.begin({"kl": 0.5}) == []
    cell.append(ITEMS[:count])
    if finish:
        cell.finish()
    return cell


def test_equal_settings_are_one_cell_and_different_ones_are_not(cell):
    spec = {"seed": 1, "knobs": [{"strength": 5.0, "layers": (0, 1)}]}
    same = {"knobs": [{"layers": [0, 1], "strength": 5}], "seed": 1}
    assert canonical(spec) == canonical(same)
    others = [{**spec, "seed": 2}, {"seed": 1, "knobs": [{"strength": 5.5, "layers": [0, 1]}]}, {"seed": 1}]
    identities = {replace(cell, spec=one).identity for one in (spec, same, *others)}
    assert len(identities) == 4


def test_states_from_missing_to_done(cell):
    assert cell.stored().state is State.MISSING
    filled(cell, 2, finish=False)
    assert cell.stored() == cells.Stored(State.BEGUN, ITEMS[:2]) and cell.effect() == {"kl": 0.5}
    cell.append(ITEMS[2:])
    cell.finish()
    assert cell.stored() == cells.Stored(State.DONE, ITEMS)
    assert cell.begin(None) == ITEMS and cell.stored().state is State.DONE and cell.effect() == {"kl": 0.5}


def test_a_line_cut_short_is_cut_off_and_the_rest_kept(cell):
    filled(cell, 2, finish=False)
    content = cell.items.read_bytes()
    cell.append(ITEMS[2:])
    cell.items.write_bytes(cell.items.read_bytes()[:-4])
    assert cell.stored().items == ITEMS[:2] and cell.begin(None) == ITEMS[:2]
    assert cell.items.read_bytes() == content


def test_a_whole_line_without_its_end_is_not_trusted(cell):
    filled(cell, 2, finish=False)
    cell.items.write_bytes(cell.items.read_bytes().rstrip(b"\n"))
    assert cell.begin(None) == ITEMS[:1]


@pytest.mark.parametrize(
    "line", ["[]", '{"id": "c"}', '{"id": "c", "response": "", "tokens": 1, "nll": 0, "check": "0"}', '"c"', "\x00"]
)
def test_a_whole_line_that_was_not_written_so_breaks_the_cell(cell, line):
    filled(cell, 2, finish=False)
    cell.items.write_bytes(cell.items.read_bytes() + line.encode() + b"\n")
    assert cell.stored().state is State.BROKEN and cell.begin(None) == []


def test_an_item_of_another_record_breaks_the_cell(cell):
    filled(cell, 2, finish=False)
    cell.append([ITEMS[0]])
    assert cell.stored().state is State.BROKEN


def test_what_another_cell_or_nothing_readable_describes_is_broken_and_emptied(cell):
    filled(cell)
    for text in ('{"spec": {"seed": 2}, "effect": null}', "{", "[]", ""):
        (cell.path / "cell.json").write_text(text)
        assert cell.stored().state is State.BROKEN
    assert cell.begin(None) == [] and cell.stored() == cells.Stored(State.BEGUN, [])
    assert not (cell.path / "done.json").exists()


def test_a_mark_that_does_not_match_is_broken(cell):
    filled(cell)
    for change in (b"", cell.items.read_bytes() * 2, cell.items.read_bytes().replace(b"1.5", b"1.6")):
        kept = cell.items.read_bytes()
        cell.items.write_bytes(change)
        assert cell.stored().state is State.BROKEN, change
        cell.items.write_bytes(kept)
    assert cell.stored().state is State.DONE


def test_a_cell_of_fewer_records_is_not_one_of_more(cell, tmp_path):
    filled(cell)
    assert replace(cell, ids=[*IDS, "d"]).stored().state is State.BROKEN


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_without_flock_a_lock_still_keeps_others_out(cell, monkeypatch):
    def missing(*_):
        raise OSError(errno.ENOSYS, "this file system has no flock")

    monkeypatch.setattr(fcntl, "flock", missing)
    cell.path.mkdir(parents=True)
    with cell.lock, pytest.raises(Timeout):
        cell.lock.acquire(timeout=0)
    with cell.lock.acquire(timeout=0):
        pass


def test_a_link_or_a_file_in_the_place_of_a_cell_is_refused_and_nothing_behind_it_touched(cell, tmp_path):
    target = tmp_path / "precious"
    target.mkdir()
    (target / "thesis.txt").write_text("all of it")
    (tmp_path / "lone").write_text("")
    for to in (target, tmp_path / "nowhere", tmp_path / "lone"):
        cell.path.symlink_to(to)
        for act in (cell.stored, lambda: cell.begin(None), lambda: fill([cell])):
            with pytest.raises(ZscError, match="is a symbolic link"):
                act()
        cell.path.unlink()
    cell.path.write_text("mine")
    with pytest.raises(ZscError, match="is a file in the place of a cell"):
        fill([cell])
    assert cell.path.read_text() == "mine" and [one.name for one in target.iterdir()] == ["thesis.txt"]
    assert not (tmp_path / "nowhere").exists()


def fill(some):
    tasks = [Task(one, Job([], 0), None) for one in some]
    Filler(None, None, None, 1, 1, SimpleNamespace(note=print, advance=print)).fill(tasks)


@pytest.mark.parametrize("name", ["cell.json", "items.jsonl", "done.json", ".lock", ".cell.json.partial"])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_a_cells_file_is_refused(cell, tmp_path, name, there):
    if there:
        filled(cell, 2, finish=False)
    else:
        cell.path.mkdir()
    target = tmp_path / "precious"
    target.write_text("all of it")
    (cell.path / name).unlink(missing_ok=True)
    (cell.path / name).symlink_to(target)
    with pytest.raises(ZscError, match="is a symbolic link"):
        cell.lock  # noqa: B018
        cell.begin(None)
        write_atomic(cell.path / "cell.json", "x")
    assert target.read_text() == "all of it"


def test_what_is_not_of_the_cell_is_left_in_it(cell):
    filled(cell)
    (cell.path / "notes").mkdir()
    (cell.path / "notes" / "a.txt").write_text("mine")
    (cell.path / "b.txt").write_text("mine too")
    assert cell.stored().state is State.DONE and cell.foreign() == ["b.txt", "notes"]
    (cell.path / "cell.json").write_text("{")
    assert cell.begin(None) == [] and cell.foreign() == ["b.txt", "notes"]
    (cell.path / "items.jsonl").unlink(missing_ok=True)
    (cell.path / "items.jsonl").mkdir()
    (cell.path / "items.jsonl" / "c.txt").write_text("mine as well")
    with pytest.raises(ZscError, match="is a folder with content"):
        cell.begin(None)
    assert [file.name for file in sorted(cell.path.rglob("*.txt"))] == ["b.txt", "c.txt", "a.txt"]


def test_a_store_may_be_reached_through_a_link(cell, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    filled(replace(cell, root=tmp_path / "runs" / "cells"))
    assert replace(cell, root=tmp_path / "disk" / "cells").stored().state is State.DONE


def test_a_run_folder_is_no_link_and_takes_nothing_that_is_of_no_run(tmp_path):
    manifest = {"identity": "x"}
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "other")
    with pytest.raises(ZscError, match="is a symbolic link"):
        RunFolder(tmp_path / "link").create("", manifest, [])
    with pytest.raises(ZscError, match="is a symbolic link"):
        RunFolder(tmp_path / "link").write_scores({})
    assert not list((tmp_path / "other").iterdir())
    for name in PARTS[:-1]:
        folder = tmp_path / f"of {name}"
        folder.mkdir()
        (folder / name).symlink_to(tmp_path / "other" / "file")
        with pytest.raises(ZscError, match="is a symbolic link"):
            RunFolder(folder).create("", manifest, [])
        (folder / name).unlink()
        (folder / name).write_text('{"mine": 1}')
        with pytest.raises(ZscError, match="Set output=FOLDER to a new one"):
            RunFolder(folder).create("", manifest, [])
        assert [one.read_text() for one in folder.iterdir()] == ['{"mine": 1}']
    stopped = RunFolder(tmp_path / "stopped")  # a run that was killed before its config.yaml was there goes on
    stopped.create("", manifest, [])
    stopped.config.unlink()
    stopped.create("", manifest, [])
    assert stopped.config.is_file()


def test_a_training_replaces_nothing_that_is_of_none(tmp_path):
    from zsc.files import remove_folder
    from zsc.study.train import check_folder, config_text
    from zsc.training.options import DialogueOptions, Objective, TrainOptions

    objective = Objective(DialogueOptions(checkpoint="mini", train=(), heldout=()))
    options = TrainOptions(objective=objective, output=str(tmp_path), freeze=())
    (tmp_path / "model").mkdir()
    (tmp_path / "tokenizer").mkdir()
    with pytest.raises(ZscError, match="model is there and of no training"):
        check_folder(tmp_path, options)
    (tmp_path / "config.yaml").write_text(config_text(options))
    check_folder(tmp_path, options)
    (tmp_path / "checkpoint-5").symlink_to(tmp_path / "model")
    for act in (lambda: check_folder(tmp_path, options), lambda: remove_folder(tmp_path / "checkpoint-5")):
        with pytest.raises(ZscError, match="is a symbolic link"):
            act()
    (tmp_path / "link").symlink_to(tmp_path / "model")
    with pytest.raises(ZscError, match="is a symbolic link"):
        check_folder(tmp_path / "link", options)


def test_a_model_whose_files_changed_is_loaded_again(checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    from zsc.models.options import ModelOptions
    from zsc.study.knobs import load_once

    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    options = ModelOptions(str(folder), device="cpu")
    first = load_once(options)
    assert load_once(options) is first
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    again = load_once(options)
    assert again.fingerprint != first.fingerprint
    assert not torch.equal(again.model.get_input_embeddings().weight, first.model.get_input_embeddings().weight)


def test_a_finished_cell_is_read_again_only_once_it_changes(cell, monkeypatch):
    cell.path.mkdir()
    cell.begin(None)
    cell.append(ITEMS)
    assert not cell.done()
    cell.finish()
    reads, true = [], cells.Cell.stored
    monkeypatch.setattr(cells.Cell, "stored", lambda self: reads.append(1) or true(self))
    assert cell.done() and cell.done() and len(reads) == 1
    broken = cell.items.read_bytes().replace(b"a", b"b", 1)
    cell.items.write_bytes(broken)
    os.utime(cell.items, ns=(1, 1))
    assert not cell.done() and len(reads) == 2
