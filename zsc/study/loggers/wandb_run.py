"""Runs of Weights & Biases, online or, with WANDB_MODE=offline, in a folder that `wandb sync` sends later."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from zsc.install import check_installed
from zsc.study.loggers.logged import TABLE, Logged


@dataclass(frozen=True)
class WandB:
    """A run of the ``project``; None leaves that to WANDB_PROJECT, or to the package."""

    project: str | None = None
    name: ClassVar[str] = "wandb"

    def check(self) -> None:
        check_installed("wandb", "wandb", "log=wandb")

    def log(self, run: Logged) -> str:
        """As :meth:`zsc.study.loggers.logged.Logger.log`."""
        import wandb

        settings = wandb.Settings(silent=True, console="off", save_code=False, disable_git=True)
        config = {**run.parameters, **run.tags}
        with wandb.init(project=self.project, name=run.name, config=config, job_type="zsc", settings=settings) as own:
            own.log(dict(run.values))
            artifact = wandb.Artifact(f"run-{own.id}-zsc", type="zsc-run")
            with artifact.new_file(TABLE, encoding="utf-8") as file:
                file.write(run.table)
            for path in run.files:
                artifact.add_file(str(path))
            own.log_artifact(artifact)
            if own.offline:
                folder = Path(own.dir).parent
                return f"Weights & Biases run {folder}; to send it: wandb sync {shlex.quote(str(folder))}"
            return f"Weights & Biases run {own.url}"
