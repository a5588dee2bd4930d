"""Workers as tasks of a Ray cluster."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from zsc.errors import ZscError, first_line
from zsc.install import check_installed
from zsc.launch.workers import LOGS, PATIENCE, Ended, check_ended, interrupted, last_line, log_of, new_logs
from zsc.options import Count
from zsc.terminal import say


@dataclass(frozen=True)
class Ray:
    """Tasks on the cluster at ``address``, with so many ``cpus`` and ``gpus`` each, which are waited for.

    They run in the folder that is current here, of the same name on all machines of the cluster, and print to files in
    a new folder below ``logs``.
    """

    address: str = "auto"
    cpus: Count = 1
    gpus: Annotated[int, 0] = 0
    logs: str = LOGS

    def launch(self, command: Sequence[str], workers: int) -> None:
        """As :meth:`zsc.launch.workers.Launcher.launch`. An interrupt stops all of them, and is a ZscError."""
        check_installed("ray", "ray", "launcher=ray")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of a cluster that starts here
        import ray

        try:
            ray.init(address=self.address, logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ZscError(
                f"launcher.address={self.address}: no Ray cluster that can be used. Start one with `ray start --head`,"
                f" or launcher.address=local takes this machine. Ray says: {' '.join(str(error).split())}"
            ) from error
        try:
            self.wait(command, workers)
        finally:
            ray.shutdown()

    def wait(self, command: Sequence[str], workers: int) -> None:
        """Run the tasks to their end."""
        import ray

        logs = new_logs(self.logs)
        say(f"workers: {workers} on the Ray cluster; logs: {logs}")
        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus)(work)
        tasks = [task.remote(list(command), log_of(logs, worker), Path.cwd()) for worker in range(workers)]
        try:
            check_ended([ended(one) for one in tasks], logs)
        except KeyboardInterrupt:
            for one in tasks:
                ray.cancel(one)
            ray.wait(tasks, num_returns=workers, timeout=PATIENCE)
            raise interrupted() from None


def ended(task: object) -> Ended:
    """Wait for a task; one that was lost with its machine has failed as well."""
    import ray

    try:
        found: Ended = ray.get(task)
    except ray.exceptions.RayError as error:
        return Ended(1, first_line(error))
    return found


def work(command: list[str], log: Path, folder: Path) -> Ended:
    """Run a worker in ``folder`` on this machine."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    return Ended(done.returncode, last_line(log))
