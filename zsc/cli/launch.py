"""Workers for a command: as many processes `zsc work` of the same words, launched as the config says."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from omegaconf import DictConfig

from zsc.cli.compose import LAUNCHING, SHOWING, command_line, job_words, resolved
from zsc.errors import ZscError
from zsc.launch import LAUNCHERS, Launcher
from zsc.options import read
from zsc.study.options import count_or_auto
from zsc.terminal import say

T = TypeVar("T")
WORKER = (sys.executable, "-m", "zsc", "work")


def chosen(kinds: Mapping[str, type[T]], key: str, value: Mapping[str, Any]) -> T | None:
    """Return ``value``, of the group ``key``, as one of ``kinds`` with its options; None for the one called none.

    Raises ZscError for a name that is none of them, as a config of the user's own may have.
    """
    own = dict(value)
    name = own.pop("name", None)
    if name == "none":
        return None
    if name not in kinds:
        raise ZscError(f"{key}.name={name} is not one of none, {', '.join(kinds)}.")
    return read(kinds[name], own, key)


@dataclass(frozen=True)
class LaunchOptions:
    """What configs/run.yaml has of LAUNCHING."""

    launcher: Annotated[Launcher | None, partial(chosen, LAUNCHERS)] = None
    workers: Annotated[int | Literal["auto"], count_or_auto] = "auto"


def launched(cfg: DictConfig) -> bool:
    """Launch the workers that ``cfg`` asks for, if any, and say whether they go on by themselves.

    Raises ZscError if a worker fails, and for a launcher without a number of workers.
    """
    values = resolved(cfg)
    options = read(LaunchOptions, {name: values[name] for name in LAUNCHING})
    if options.launcher is None:
        return False
    if options.workers == "auto":
        raise ZscError("a launcher needs a number of workers: give workers=COUNT.")
    going_on = options.launcher.launch(worker_command(), options.workers)
    if going_on is not None:
        say(f"workers: {options.workers}, {going_on}\nonce they are done, for the table: {command_line(LAUNCHING)}")
    return going_on is not None


def worker_command() -> list[str]:
    """Return the command of a worker of the command whose job this is: its words without those of its result alone."""
    return [*WORKER, *job_words((*SHOWING, "output", "launcher"))]
