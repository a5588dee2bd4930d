"""What the doctor says of the file system of a store, sound or not."""

import os

import pytest

from zsc.leases import LIMIT, Lease
from zsc.study import crew, doctor_store
from zsc.study.doctor_store import store


def found(root):
    return {finding.check: (finding.state, finding.found) for finding in store(root)}


def test_a_sound_file_system_is_ok_and_nothing_is_left_on_it(tmp_path):
    root = tmp_path / "runs" / "cells"
    states = found(root)
    assert {state for state, _ in states.values()} == {"ok"}
    assert list(states) == ["store", "store: creation", "store: rename", "store: sight", "store: clock"]
    assert not list(tmp_path.iterdir())


def test_creation_that_is_not_exclusive_fails(tmp_path, monkeypatch):
    true = os.open
    monkeypatch.setattr(doctor_store.os, "open", lambda path, flags, *a, **b: true(path, flags & ~os.O_EXCL, *a, **b))
    assert found(tmp_path)["store: creation"][0] == "fail"


def test_a_rename_that_finds_what_was_moved_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_store.Path, "replace", lambda self, target: target.write_text(self.read_text()))
    assert found(tmp_path)["store: rename"][0] == "fail"


def test_a_file_of_another_process_that_is_not_seen_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_store, "MAKES", "pass")
    monkeypatch.setattr(doctor_store, "SEEN", 0.05)
    assert found(tmp_path)["store: sight"][0] == "fail"


@pytest.mark.parametrize(("ahead", "state"), [(LIMIT, "warn"), (1, "ok")])
def test_a_clock_far_off_is_told(tmp_path, monkeypatch, ahead, state):
    true = doctor_store.time.time
    monkeypatch.setattr(doctor_store.time, "time", lambda: true() - ahead)
    assert found(tmp_path)["store: clock"][0] == state


def test_no_room_and_no_right_to_write_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_store, "ROOM", 10**18)
    assert found(tmp_path)["store"][0] == "warn"

    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor_store, "TemporaryDirectory", refused)
    assert found(tmp_path)["store"] == ("fail", f"{tmp_path} cannot be written: Permission denied")


def test_workers_at_work_are_named(tmp_path):
    with crew.at_work(tmp_path):
        assert f"process {os.getpid()}" in found(tmp_path)["workers"][1]
    assert "workers" not in found(tmp_path) and not list(tmp_path.iterdir())
    assert Lease(tmp_path / "x").holder() is None
