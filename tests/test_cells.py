"""Cells: what decides responses decides where they lie, and what lies there is checked before it is used."""

import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from zsc.errors import ZscError
from zsc.files import write_atomic
from zsc.generation import cells
from zsc.generation.cells import Cell, State, Stored, canonical
from zsc.generation.fill import Filler
from zsc.generation.folder import PARTS, RunFolder
from zsc.generation.generate import Job
from zsc.generation.items import lines
from zsc.generation.pieces import Task

IDS = ["a", "b", "c"]
ITEMS = [{"id": i, "response": f"höre {i}\u2028!", "tokens": 2, "nll": 1.5} for i in IDS]
MANY = 100


@pytest.fixture
def cell(tmp_path):
    return Cell(tmp_path, {"seed": 1, "knobs": [{"strength": 5.0}]}, IDS)


def filled(cell, count=3):
    """Make ``count`` responses of a cell, and finish it where these are all."""
    cell.begin({"kl": 0.5})
    (shard,) = cell.shards(MANY)
    assert shard.begin() == 0
    shard.append(ITEMS[:count])
    if count == len(ITEMS):
        assert shard.publish() and cell.join([shard])
    return cell


def begun(cell, content):
    """Make a cell that an earlier version has begun, with all responses in one file."""
    cell.begin({"kl": 0.5})
    cell.items.write_bytes(content)
    return cell


def taken_up(cell):
    """Return how many responses whoever goes on with the cell begins with."""
    cell.begin(None)
    return cell.shards(MANY)[0].begin()


def test_equal_settings_are_one_cell_and_different_ones_are_not(cell):
    spec = {"seed": 1, "knobs": [{"strength": 5.0, "layers": (0, 1)}]}
    same = {"knobs": [{"layers": [0, 1], "strength": 5}], "seed": 1}
    assert canonical(spec) == canonical(same)
    others = [{**spec, "seed": 2}, {"seed": 1, "knobs": [{"strength": 5.5, "layers": [0, 1]}]}, {"seed": 1}]
    identities = {replace(cell, spec=one).identity for one in (spec, same, *others)}
    assert len(identities) == 4


def test_states_from_missing_to_done(cell):
    assert cell.stored() == Stored(State.MISSING) and not cell.done()
    filled(cell, 2)
    assert (
        cell.stored() == Stored(State.BEGUN) and cell.ready() == 2 and cell.effect() == {"kl": 0.5} and not cell.done()
    )
    (shard,) = cell.shards(MANY)
    assert shard.begin() == 2 and not cell.join([shard])
    shard.append(ITEMS[2:])
    assert shard.publish() and cell.join([shard]) and cell.done()
    assert cell.stored() == Stored(State.DONE) and cell.ready() == 3 and list(cell.responses()) == ITEMS
    assert sorted(one.name for one in cell.path.iterdir()) == ["cell.json", "done.json", "items.jsonl"]
    cell.begin(None)
    assert cell.stored().state is State.DONE and cell.effect() == {"kl": 0.5}


def test_a_cell_of_an_earlier_version_goes_on_where_it_stopped(cell):
    content = lines(ITEMS[:2]).encode()
    begun(cell, content)
    assert cell.stored() == Stored(State.BEGUN) and cell.ready() == 2 and taken_up(cell) == 2


def test_a_line_cut_short_is_cut_off_and_the_rest_kept(cell):
    begun(cell, lines(ITEMS).encode()[:-4])
    assert cell.ready() == 2 and taken_up(cell) == 2
    (part,) = cell.path.glob("shards/*.part")
    assert part.read_bytes() == lines(ITEMS[:2]).encode()


def test_a_whole_line_without_its_end_is_not_trusted(cell):
    begun(cell, lines(ITEMS[:2]).encode().rstrip(b"\n"))
    assert taken_up(cell) == 1


@pytest.mark.parametrize(
    "line", ["[]", '{"id": "c"}', '{"id": "c", "response": "", "tokens": 1, "nll": 0, "check": "0"}', '"c"', "\x00"]
)
def test_a_whole_line_that_was_not_written_so_breaks_the_cell(cell, line):
    begun(cell, lines(ITEMS[:2]).encode() + line.encode() + b"\n")
    assert cell.stored().state is State.BROKEN and taken_up(cell) == 0


@pytest.mark.parametrize("line", ["[]", '{"id": "c", "response": "", "tokens": 1, "nll": 0, "check": "0"}', "\x00"])
def test_what_a_worker_left_is_taken_up_to_what_is_wrong_in_it(cell, line):
    filled(cell, 2)
    (part,) = cell.path.glob("shards/*.part")
    part.write_bytes(part.read_bytes() + line.encode() + b"\n" + lines(ITEMS[2:]).encode())
    assert cell.ready() == 2 and taken_up(cell) == 2


def test_an_item_of_another_record_breaks_the_cell(cell):
    begun(cell, lines([*ITEMS[:2], ITEMS[0]]).encode())
    assert cell.stored().state is State.BROKEN


def test_what_another_cell_or_nothing_readable_describes_is_broken_and_emptied(cell):
    filled(cell)
    for text in ('{"spec": {"seed": 2}, "effect": null}', "{", "[]", ""):
        (cell.path / "cell.json").write_text(text)
        assert cell.stored().state is State.BROKEN
    assert taken_up(cell) == 0 and cell.stored() == Stored(State.BEGUN) and cell.ready() == 0
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


@pytest.mark.parametrize("name", ["cell.json", "items.jsonl", "done.json", ".lease", "shards"])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_a_cells_file_is_refused(cell, tmp_path, name, there):
    if there:
        filled(cell, 2)
        shutil.rmtree(cell.path / "shards")
    else:
        cell.path.mkdir()
    target = tmp_path / "precious"
    target.write_text("all of it")
    (cell.path / name).unlink(missing_ok=True)
    (cell.path / name).symlink_to(target)
    for act in (lambda: cell.begin(None), cell.stored):
        with pytest.raises(ZscError, match="is a symbolic link"):
            act()
    assert target.read_text() == "all of it"


@pytest.mark.parametrize("ending", ["jsonl", "lease", "part"])
def test_a_link_among_the_shards_is_refused(cell, tmp_path, ending):
    filled(cell, 2)
    (tmp_path / "precious").write_text("all of it")
    (shard,) = cell.shards(MANY)
    place = {"jsonl": shard.path, "lease": shard.lease.path, "part": shard._part}[ending]
    place.symlink_to(tmp_path / "precious")
    act = {"jsonl": shard.whole, "lease": shard.lease.take, "part": shard.begin}[ending]
    with pytest.raises(ZscError, match="is a symbolic link"):
        act()
    assert (tmp_path / "precious").read_text() == "all of it"


def test_a_write_that_was_killed_leaves_nothing_that_matters(tmp_path):
    old, young = (tmp_path / f".file.{name}.partial" for name in ("old", "young"))
    for one in (old, young):
        one.write_text("half")
    os.utime(old, (1, 1))
    write_atomic(tmp_path / "file", "whole")
    assert sorted(one.name for one in tmp_path.iterdir()) == [".file.young.partial", "file"]


def test_what_is_not_of_the_cell_is_left_in_it(cell):
    filled(cell)
    (cell.path / "notes").mkdir()
    (cell.path / "notes" / "a.txt").write_text("mine")
    (cell.path / "b.txt").write_text("mine too")
    assert cell.stored().state is State.DONE and cell.foreign() == ["b.txt", "notes"]
    (cell.path / "cell.json").write_text("{")
    assert taken_up(cell) == 0 and cell.foreign() == ["b.txt", "notes"]
    (cell.path / "shards" / "mine.txt").write_text("mine")
    assert cell.foreign() == ["b.txt", "notes", "shards/mine.txt"]
    (cell.path / "shards" / "mine.txt").unlink()
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
    reads, true = [], cells.Cell.stored
    filled(cell)
    again = replace(cell)
    monkeypatch.setattr(cells.Cell, "stored", lambda self: reads.append(1) or true(self))
    assert again.done() and again.done() and len(reads) == 1
    broken = again.items.read_bytes().replace(b"a", b"b", 1)
    again.items.write_bytes(broken)
    os.utime(again.items, ns=(1, 1))
    assert not again.done() and len(reads) == 2
    with pytest.raises(ZscError, match="was changed while it was read"):
        next(again.responses())
