"""Workers as processes of this machine."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zsc.interrupts import orderly_termination
from zsc.launch.workers import LOGS, PATIENCE, Ended, check_ended, interrupted, last_line, log_of, new_logs
from zsc.terminal import say


@dataclass(frozen=True)
class Local:
    """Processes that print to files in a new folder below ``logs``, and are waited for.

    Each has an accelerator of its own, as far as they go round, and an equal share of the cores.
    """

    logs: str = LOGS

    def launch(self, command: Sequence[str], workers: int) -> None:
        """As :meth:`zsc.launch.workers.Launcher.launch`. An interrupt stops all of them, and is a ZscError; so does
        SIGTERM, which ends the program."""
        logs = new_logs(self.logs)
        say(f"workers: {workers} on this machine; logs: {logs}")
        with orderly_termination():
            self._run(command, workers, logs)

    def _run(self, command: Sequence[str], workers: int, logs: Path) -> None:
        started: list[subprocess.Popen[bytes]] = []
        try:
            for worker in range(workers):
                with log_of(logs, worker).open("wb") as log:
                    started.append(
                        subprocess.Popen(
                            command,
                            env={**os.environ, **surroundings(worker, workers, os.environ)},
                            stdin=subprocess.DEVNULL,
                            stdout=log,
                            stderr=subprocess.STDOUT,
                            start_new_session=True,  # so that Ctrl-C reaches each once, from here
                        )
                    )
            statuses = [process.wait() for process in started]
        except KeyboardInterrupt:
            raise interrupted() from None
        finally:
            stop(started)
        check_ended([Ended(status, last_line(log_of(logs, i))) for i, status in enumerate(statuses)], logs)


def surroundings(worker: int, workers: int, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what ``environ`` lacks for one of so many workers: which accelerator is its own, and how many threads."""
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    return {"LOCAL_RANK": str(worker), "OMP_NUM_THREADS": environ.get("OMP_NUM_THREADS", str(threads))}


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Interrupt what still runs, and end what does not stop by itself."""
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.send_signal(signal.SIGINT)
    for process in running:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
