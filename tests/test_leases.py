"""Leases: one holder at a time, free again when it is gone, whatever the file system can do."""

import errno
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from zsc import leases
from zsc.errors import ZscError
from zsc.leases import Lease, held


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.lease"


def written(path, **changes):
    """Write the lease of a process on another machine, or one with ``changes``."""
    content = {"host": "elsewhere", "machine": "another", "pid": 1, "started": 1.0, "job": "7", "since": time.time(),
               "says": {}, "token": "x"}  # fmt: skip
    path.write_text(json.dumps(content | changes))


def old(path):
    long_ago = time.time() - leases.LIMIT - 5
    os.utime(path, (long_ago, long_ago))


def test_one_holder_at_a_time(path):
    first, second = Lease(path), Lease(path)
    assert first.take() and not second.take() and not Lease(path).take()
    holder = second.holder()
    assert holder.pid == os.getpid() and str(holder).startswith(f"process {os.getpid()}") and not holder.ended
    second.release()  # of somebody who has it not
    assert path.exists()
    first.release()
    assert second.take() and not first.lost
    second.release()
    assert not list(path.parent.iterdir())


def test_of_many_threads_one_gets_it(path):
    won, barrier = [], threading.Barrier(8)

    def take():
        lease = Lease(path)
        barrier.wait()
        if lease.take():
            won.append(lease)

    for _ in range(20):
        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (lease,) = won
        lease.release()
        won.clear()


def test_of_many_processes_each_has_it_alone(path):
    """Each of four processes adds to a number in a file fifty times, which two at a time would do wrong."""
    counter = path.parent / "count"
    counter.write_text("0")
    program = (
        "import sys, pathlib; from zsc.leases import held; lease, count = map(pathlib.Path, sys.argv[1:])\n"
        "import zsc.leases; zsc.leases.PAUSE = .001\n"
        "for _ in range(50):\n"
        "    with held(lease): count.write_text(str(int(count.read_text()) + 1))"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), str(counter)]) for _ in range(4)]
    assert [one.wait() for one in running] == [0] * 4
    assert counter.read_text() == "200"


def test_the_lease_of_a_process_that_was_killed_is_free_at_once(path):
    program = (
        "import sys, pathlib, time; from zsc.leases import Lease\n"
        "Lease(pathlib.Path(sys.argv[1])).take(); print(1, flush=True); time.sleep(99)"
    )
    running = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
    running.stdout.readline()
    assert not Lease(path).take()
    running.kill()
    running.wait()
    assert Lease(path).holder() is None
    lease = Lease(path)
    assert lease.take()
    lease.release()


def test_a_process_of_the_same_number_is_another(path):
    written(path, machine=leases.this_machine(), pid=os.getpid(), started=5.0)
    assert Lease(path).holder() is None


def test_the_lease_of_another_machine_ends_once_it_is_not_touched(path):
    written(path)
    lease = Lease(path)
    assert not lease.take() and str(lease.holder()).startswith("process 1 of job 7 on elsewhere since")
    old(path)
    assert lease.holder() is None and lease.take() and not lease.lost
    lease.release()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"pid": 5}', "\x00\xff"])
def test_a_lease_that_cannot_be_read_is_held_until_it_is_old(path, content):
    path.write_text(content)
    assert not Lease(path).take() and "unknown" in str(Lease(path).holder())
    old(path)
    lease = Lease(path)
    assert lease.take()
    lease.release()


def test_whoever_was_taken_for_gone_knows_it_and_releases_nothing(path):
    first, second = Lease(path), Lease(path)
    assert first.take()
    first.beat()
    assert not first.lost
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"machine": "another"}))  # so that it is not seen to be alive
    first._content = path.read_text()
    old(path)
    assert second.take()
    first.beat()
    assert first.lost and not second.lost
    first.release()
    assert path.exists()
    second.release()
    assert not path.exists()


def test_a_lease_is_touched_while_it_is_held(path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT", 0.02)
    with held(path):
        old(path)
        deadline = time.monotonic() + 20
        while time.time() - path.stat().st_mtime > leases.LIMIT and time.monotonic() < deadline:
            time.sleep(0.01)
        assert time.time() - path.stat().st_mtime < leases.LIMIT


def test_a_stale_lease_that_many_want_goes_to_one(path):
    for _ in range(20):
        written(path)
        old(path)
        won, barrier = [], threading.Barrier(6)

        def take(won=won, barrier=barrier):
            lease = Lease(path)
            barrier.wait()
            if lease.take():
                won.append(lease)

        threads = [threading.Thread(target=take) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for lease in won:
            lease.beat()
        assert len([lease for lease in won if not lease.lost]) == 1
        for lease in won:
            lease.release()


def test_without_hard_links_exclusive_creation_does(path, monkeypatch):
    def missing(*_):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", missing)
    first, second = Lease(path), Lease(path)
    assert first.take() and not second.take()
    first.release()
    assert second.take()
    second.release()


def test_time_is_that_of_the_file_system(path, monkeypatch):
    """A machine whose clock is hours ahead takes no lease away that was touched a moment ago."""
    written(path)
    monkeypatch.setattr(leases.time, "time", lambda: 4e9)
    assert not Lease(path).take()


def test_a_link_in_the_place_of_a_lease_is_refused(path, tmp_path):
    (tmp_path / "precious").write_text("all of it")
    path.symlink_to(tmp_path / "precious")
    with pytest.raises(ZscError, match="is a symbolic link"):
        Lease(path).take()
    assert (tmp_path / "precious").read_text() == "all of it"
