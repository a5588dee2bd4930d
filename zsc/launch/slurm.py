"""Workers as an array of Slurm jobs, submitted with submitit."""

import subprocess
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from shutil import which
from typing import Annotated, Any, Literal

from zsc.errors import ZscError
from zsc.install import check_installed
from zsc.launch.workers import LOGS, new_logs
from zsc.options import Count


@dataclass(frozen=True)
class Slurm:
    """Jobs that go on by themselves once they are submitted; what they print goes to a new folder below ``logs``.

    The options are those of sbatch, for each worker; ``setup`` are lines of shell that run before it. ``cluster`` is
    "local" for submitit's own executor, which runs the jobs on this machine.
    """

    partition: str | None = None
    gpus: Annotated[int, 0] = 0
    cpus: Count = 4
    memory_gb: Count | None = None
    minutes: Count = 240
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    setup: tuple[str, ...] = ()
    cluster: Literal["slurm", "local"] = "slurm"
    logs: str = LOGS

    def launch(self, command: Sequence[str], workers: int) -> str:
        """As :meth:`zsc.launch.workers.Launcher.launch`; does not wait."""
        check_installed("submitit", "slurm", "launcher=slurm")
        if self.cluster == "slurm" and which("sbatch") is None:
            raise ZscError("launcher=slurm: no sbatch on the PATH. Run it where Slurm takes jobs, or launcher=local.")
        logs = new_logs(self.logs)
        jobs = {job.partition("_")[0] for job in self.submit(command, workers, logs)}
        if self.cluster == "local":
            return f"processes {', '.join(sorted(jobs))}; logs: {logs}"
        (job,) = jobs
        return f"Slurm job {job}; what is left of it: squeue --job {job}; logs: {logs}"

    def submit(self, command: Sequence[str], workers: int, logs: Path) -> list[str]:
        """Submit so many jobs and return the name of each, ARRAY_NUMBER if there are several."""
        import submitit

        executor = submitit.AutoExecutor(logs, cluster=self.cluster)
        executor.update_parameters(**self.parameters(workers))
        try:
            with redirect_stderr(StringIO()), executor.batch():
                jobs = [executor.submit(subprocess.check_call, list(command)) for _ in range(workers)]
        except submitit.core.utils.FailedJobError as error:
            said = [line.removeprefix("sbatch: error: ") for line in str(error).splitlines()]
            raise ZscError(
                f"launcher=slurm: sbatch refuses the jobs: {'; '.join(said)}. `sinfo` lists partitions."
            ) from error
        return [str(job.job_id) for job in jobs]

    def parameters(self, workers: int) -> dict[str, Any]:
        """Return the options as submitit has them."""
        setup = [f"export OMP_NUM_THREADS=${{OMP_NUM_THREADS:-{self.cpus}}}", *self.setup]
        return {
            "name": "zsc",
            "timeout_min": self.minutes,
            "cpus_per_task": self.cpus,
            "gpus_per_node": self.gpus or None,
            "mem_gb": self.memory_gb,
            "slurm_partition": self.partition,
            "slurm_account": self.account,
            "slurm_qos": self.qos,
            "slurm_constraint": self.constraint,
            "slurm_array_parallelism": workers,
            "slurm_use_srun": False,  # whose tasks do not have all cores of the job from Slurm 22.05 on
            "slurm_setup": setup,
            "local_setup": setup,
        }
