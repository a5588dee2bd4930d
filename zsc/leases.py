"""Leases: who works on what, on one machine or many, on file systems with locks or without.

A lease is a small file that its holder creates exclusively and touches while it works. It is free again once the file
is gone; one whose holder is gone -- its process has ended, or it has not touched the file for ``LIMIT`` seconds by the
clock of the file system -- is moved away by an atomic rename, and free as well. A holder that was taken for gone may
still come back, and find that it has ``lost`` the lease: what leases keep apart must bear two holders for a while.
"""

import contextlib
import json
import os
import platform
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from zsc.files import refuse_link

LIMIT = 120.0  # seconds without a touch after which a holder on another machine counts as gone
BEAT = 10.0  # seconds between two touches
PAUSE = 0.2  # seconds between two looks at a lease that is waited for
JOBS = ("SLURM_JOB_ID", "RAY_JOB_ID", "JOB_NAME")  # variables that name the job of a scheduler


@dataclass(frozen=True)
class Holder:
    """A process, on the ``machine`` with such a boot and such process numbers; times are in seconds since 1970."""

    host: str
    machine: str
    pid: int
    started: float
    job: str
    since: float
    says: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        job = f" of job {self.job}" if self.job else ""
        return f"process {self.pid}{job} on {self.host} since {time.strftime('%H:%M:%S', time.localtime(self.since))}"

    @property
    def ended(self) -> bool:
        """Whether its process has ended, as far as can be told from this machine."""
        if self.machine != this_machine():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) > 1
        except psutil.Error:
            return True


@cache
def this_machine() -> str:
    """Return what tells this machine, booted once, and these process numbers from others."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


class Lease:
    """The lease at ``path``, whose folder is there. One that is taken must be released, by its process."""

    def __init__(self, path: Path):
        self.path, self.lost = path, False
        self._content = ""

    def take(self, **says: Any) -> bool:
        """Take it if it is free, with what the holder ``says`` of itself. Raises ZscError for a symbolic link."""
        refuse_link(self.path)
        content = json.dumps({**asdict(_self()), "says": says, "token": uuid.uuid4().hex})
        if not (self._create(content) or (self._move_away() and self._create(content))):
            return False
        self._content, self.lost = content, False
        HEART.keep(self)
        return True

    def release(self) -> None:
        """Give it back, unless somebody else has it."""
        HEART.drop(self)
        if self._read() == self._content:
            self.path.unlink(missing_ok=True)

    def beat(self) -> None:
        """Touch the file, or note that the lease is lost."""
        if self._read() == self._content:
            os.utime(self.path)
        else:
            self.lost = True

    def holder(self) -> Holder | None:
        """Return who holds it; None where nobody does who is still there."""
        content = self._read()
        if content is None or self._gone(content):
            return None
        return _holder(content) or Holder("an unknown machine", "", 0, 0.0, "", self._touched())

    def _create(self, content: str) -> bool:
        """Make the file, with all its content at once where the file system has hard links."""
        whole = self._beside("new")
        try:
            whole.write_text(content, encoding="utf-8")
            try:
                os.link(whole, self.path)
            except FileExistsError:
                return False
            except OSError:
                return self._open(content)
            return True
        finally:
            whole.unlink(missing_ok=True)

    def _open(self, content: str) -> bool:
        try:
            with self.path.open("x", encoding="utf-8") as handle:
                handle.write(content)
        except FileExistsError:
            return False
        return True

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}.{ending}")

    def _read(self) -> str | None:
        try:
            return self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def _move_away(self) -> bool:
        """Move a lease away whose holder is gone; say whether the place may be free."""
        content = self._read()
        if content is None:
            return True
        if not self._gone(content):
            return False
        aside = self._beside("gone")
        try:
            self.path.rename(aside)
        except FileNotFoundError:  # somebody else was faster
            return True
        if aside.read_text(encoding="utf-8", errors="replace") != content:  # and holds it already
            with contextlib.suppress(OSError):
                os.link(aside, self.path)
        aside.unlink(missing_ok=True)
        return True

    def _gone(self, content: str) -> bool:
        holder = _holder(content)
        return (holder is not None and holder.ended) or self._now() - self._touched() > LIMIT

    def _touched(self) -> float:
        try:
            return self.path.stat().st_mtime
        except OSError:
            return self._now()

    def _now(self) -> float:
        """Return the time by the clock of the file system, where that can be asked."""
        probe = self._beside("now")
        try:
            probe.touch()
            return probe.stat().st_mtime
        except OSError:
            return time.time()
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Open a context that holds the lease at ``path``, waiting for whoever has it. Raises what :meth:`Lease.take` does.

    Meant for short work.
    """
    lease = Lease(path)
    while not lease.take():
        time.sleep(PAUSE)
    try:
        yield
    finally:
        lease.release()


class Heart:
    """Touches leases of this process, in a thread that lives as long as there are some."""

    def __init__(self) -> None:
        self._leases: set[Lease] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def keep(self, lease: Lease) -> None:
        with self._changed:
            self._leases.add(lease)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()

    def drop(self, lease: Lease) -> None:
        with self._changed:
            self._leases.discard(lease)
            if not self._leases:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(BEAT)
                if not self._leases:
                    self._thread = None
                    return
                leases = list(self._leases)
            for lease in leases:
                with contextlib.suppress(OSError):
                    lease.beat()


HEART = Heart()


@cache
def _started(pid: int) -> float:
    return psutil.Process(pid).create_time()


def _self() -> Holder:
    job = next((os.environ[name] for name in JOBS if os.environ.get(name)), "")
    pid = os.getpid()
    return Holder(platform.node() or socket.gethostname(), this_machine(), pid, _started(pid), job, time.time())


def _holder(content: str) -> Holder | None:
    """Return the holder that ``content`` names; None where it is none that was written whole."""
    try:
        found = json.loads(content)
        found.pop("token")
        return Holder(**found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
