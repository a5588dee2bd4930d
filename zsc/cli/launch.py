"""Workers for a command: as many processes `zsc work` of the same words, launched as the config says."""

import sys
from dataclasses import dataclass
from typing import Annotated, Any

from omegaconf import DictConfig

from zsc.cli.compose import LAUNCHING, SHOWING, command_line, job_words, resolved
from zsc.errors import ZscError
from zsc.launch import LAUNCHERS, Launcher
from zsc.options import Count, read
from zsc.terminal import say

WORKER = (sys.executable, "-m", "zsc", "work")


def launcher_of(key: str, value: Any) -> Launcher | None:
    """Return ``value``, of the group ``key``, as one of LAUNCHERS with its options; None for the one called none.

    Raises ZscError for a name that is none of them, as a config of the user's own may have.
    """
    own = dict(value)
    name = own.pop("name", None)
    if name == "none":
        return None
    if name not in LAUNCHERS:
        raise ZscError(f"{key}.name={name} is not one of none, {', '.join(LAUNCHERS)}.")
    return read(LAUNCHERS[name], own, key)


@dataclass(frozen=True)
class LaunchOptions:
    """What configs/run.yaml has of LAUNCHING."""

    launcher: Annotated[Launcher | None, launcher_of] = None
    workers: Count | None = None


def launched(cfg: DictConfig, shards: int | None = None) -> bool:
    """Launch the workers that ``cfg`` asks for, if any, and say whether they go on by themselves.

    ``shards`` is into how many parts the work falls, if that is known. Raises ZscError if a worker fails, or if one of
    launcher and workers is given without the other.
    """
    values = resolved(cfg)
    options = read(LaunchOptions, {name: values[name] for name in LAUNCHING})
    if (options.launcher is None) != (options.workers is None):
        raise ZscError("launcher=NAME (local, slurm, ray) and workers=COUNT belong together: give both or neither.")
    if options.launcher is None or options.workers is None:
        return False
    if shards is not None and options.workers > shards:
        say(f"workers={options.workers}: the work falls into {shards} shards, so that some will have nothing to do.")
    going_on = options.launcher.launch(worker_command(), options.workers)
    if going_on is not None:
        say(f"workers: {options.workers}, {going_on}\nonce they are done, for the table: {command_line(LAUNCHING)}")
    return going_on is not None


def worker_command() -> list[str]:
    """Return the command of a worker of the command whose job this is: its words without those of its result alone."""
    return [*WORKER, *job_words((*SHOWING, "output", *LAUNCHING))]
