"""Hand a command's arguments to Hydra, which composes the config and calls the command once per job."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import hydra
from omegaconf import DictConfig

from zsc.cli.expand import expand, multirun
from zsc.cli.flags import split_arguments
from zsc.cli.groups import GROUPS, config_folder, task_of
from zsc.cli.outcomes import Outcomes, new_folder
from zsc.cli.project import blamed, check_with, defaults
from zsc.configs import CONFIGS
from zsc.errors import INTERRUPTED, ZscError
from zsc.interrupts import deferred_interrupts
from zsc.terminal import outlets

OF_TABLES = ("work", "plan")  # commands that take the options of a table as well as those of a run


def launch(command: str, arguments: list[str]) -> None:
    """Check ``arguments`` and run ``command`` on every config they compose.

    Raises what the command raises; of several jobs, each runs to its end, and ZscError names those that failed.
    """
    path = f"zsc.cli.{'run' if command == 'sweep' else command}:{command}"
    flags, overrides = split_arguments(arguments)
    if command in OF_TABLES and any(word.startswith("table=") for word in overrides):
        command, path = "table", f"{path}_table"
    several = multirun(flags, overrides)
    folder = config_folder(flags)
    if command == "table":
        overrides += task_of(overrides, folder)
    words, overrides = defaults(command, overrides, folder)
    overrides = expand(overrides, several, folder, short="model" in GROUPS.get(command, ()))
    with deferred_interrupts():
        check_with(command, flags, words, overrides)
    overrides = [*words, *overrides]
    if not several:
        job = Job(path)
        start(command, [*flags, *overrides], job)
        if job.raised:
            raise blamed(job.raised[0], words)
        return
    jobs = new_folder()
    if not any(override.startswith("hydra.sweep.dir=") for override in overrides):
        overrides.append(f"hydra.sweep.dir={jobs}")
    outcomes = Outcomes(jobs.absolute())
    try:
        start(command, [*flags, *overrides], Job(path, outcomes))
    finally:
        outcomes.print_failed()
    outcomes.check()


def start(command: str, words: list[str], job: "Job") -> None:
    """Call Hydra with ``words``, and give it ``job`` to run."""
    sys.argv = [f"zsc {command}", *words]
    hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=command)(job)()


@dataclass(frozen=True)
class Job:
    """What Hydra calls: the function at ``path``, MODULE:NAME, imported then; it may be sent to other processes.

    Nothing that goes wrong reaches Hydra, which would bury it in a trace, or a launcher, which would stop the other
    jobs, lose those that are done (joblib) or begin again (Ray). A job by itself keeps what was ``raised``; one of
    several notes it among the ``outcomes``. An interrupt alone stops them all.
    """

    path: str
    outcomes: Outcomes | None = None
    raised: list[Exception] = field(default_factory=list)

    def __call__(self, cfg: DictConfig) -> Any:
        try:
            with outlets() as out:
                self.function()(cfg)
                if self.outcomes is not None and out.status() == 2:
                    raise ZscError("what it printed was lost, see above.")
        except Exception as error:
            if isinstance(error, ZscError) and error.code == INTERRUPTED:
                raise KeyboardInterrupt(str(error)) from None
            if self.outcomes is None:
                self.raised.append(error)
            else:
                self.outcomes.note(error)
        else:
            if self.outcomes is not None:
                self.outcomes.note(None)

    def function(self) -> Callable[[DictConfig], Any]:
        module, _, name = self.path.partition(":")
        with deferred_interrupts():
            found: Callable[[DictConfig], Any] = getattr(import_module(module), name)
        return found
