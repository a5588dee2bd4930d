"""What launchers have in common: their interface, logs, and what is said of workers that failed."""

from collections.abc import Sequence
from pathlib import Path
from time import strftime
from typing import NamedTuple, Protocol
from uuid import uuid4

from zsc.errors import INTERRUPTED, ZscError

LOGS = "runs/.launch"
PATIENCE = 10.0  # seconds that interrupted workers have to end


class Launcher(Protocol):
    """A dataclass of its options, those of configs/launcher/NAME.yaml."""

    def launch(self, command: Sequence[str], workers: int) -> str | None:
        """Start ``command``, a program and its arguments, in the folder that is current, so many times at once.

        Returns None once all of them have ended well; of workers that go on by themselves, where they are to be found.
        Raises ZscError if they cannot be started or one of them fails.
        """


class Ended(NamedTuple):
    """The exit ``status`` of a worker, negative for a signal, and the ``last`` line it printed."""

    status: int
    last: str


def new_logs(folder: str) -> Path:
    """Make a folder of its own below ``folder``, and return its full path. Raises ZscError if it cannot be made."""
    logs = Path(folder, f"{strftime('%Y%m%d-%H%M%S')}-{uuid4().hex[:8]}").absolute()
    try:
        logs.mkdir(parents=True)
    except OSError as error:
        raise ZscError(f"cannot make {logs}: {error.strerror or error}. Set launcher.logs=FOLDER.") from error
    return logs


def log_of(logs: Path, worker: int) -> Path:
    """Return the file of what a worker prints."""
    return logs / f"{worker}.log"


def last_line(log: Path) -> str:
    """Return the last line of a file that says something, or that it has none."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")


def check_ended(ended: Sequence[Ended], logs: Path) -> None:
    """Raise ZscError, with the last line of the first of them, if a worker failed."""
    if failed := [worker for worker, one in enumerate(ended) if one.status]:
        first = ended[failed[0]]
        raise ZscError(
            f"{len(failed)} of {len(ended)} workers failed, see {logs}; what was made is kept, the same command makes"
            f" the rest. Worker {failed[0]}, status {first.status}: {first.last}"
        )


def interrupted() -> ZscError:
    """Return the error for an interrupt that has stopped all workers."""
    return ZscError(
        "interrupted: all workers are stopped. What they made is kept; the same command resumes.", INTERRUPTED
    )
