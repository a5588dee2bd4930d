"""Compose configs, and the command line that a job was started with."""

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from zsc.cli.expand import contract
from zsc.cli.groups import config_folder
from zsc.cli.words import quoted
from zsc.configs import CONFIGS
from zsc.errors import ZscError, first_line
from zsc.options import read

SHOWING = ("format", "save", "examples", "log")  # options that only decide how a result is shown, and where
LAUNCHING = ("launcher", "workers")  # and those that only decide by how many processes it is made
PROJECT, UNREAD = Path("zsc.yaml"), "config=none"  # the defaults of a folder, and the word that leaves them out
T = TypeVar("T")


def options_of(kind: type[T], cfg: Any) -> T:
    """Return a composed config as the options ``kind``. Raises ZscError for values that they do not take.

    By how many processes it is made (:mod:`zsc.cli.launch`), and where it is logged (:mod:`zsc.cli.log`), is no part of
    options that do not have it.
    """
    foreign = {*LAUNCHING, "log"} - {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return read(kind, {name: value for name, value in resolved(cfg).items() if name not in foreign})


def own_folder(flags: Sequence[str] = ()) -> Path | None:
    """Return the user's folder of configs: that of ``flags``, or else of the Hydra job that this runs in, if any."""
    from hydra.core.hydra_config import HydraConfig

    if (folder := config_folder(flags)) is not None or not HydraConfig.initialized():
        return folder
    paths = [one.path for one in HydraConfig.get().runtime.config_sources if one.provider == "command-line"]
    return Path(paths[0]) if paths else None


def resolved(cfg: Any) -> dict[str, Any]:
    """Return a composed config as a plain mapping. Raises ZscError for a missing value or a broken interpolation."""
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    try:
        return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except MissingMandatoryValue as error:
        raise ZscError(f"{error.full_key} has no value. Give {error.full_key}=VALUE.") from error
    except OmegaConfBaseException as error:
        raise ZscError(f"the options cannot be resolved: {first_line(error)}") from error


@contextmanager
def shipped_configs() -> Iterator[None]:
    """While the context is open, `hydra.compose` reads the configs that come with zsc, inside of a Hydra job too."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    state = GlobalHydra.instance()
    outer, state.hydra = state.hydra, None
    try:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            yield
    finally:
        state.hydra = outer


def composed(command: str, overrides: Sequence[str], folder: Path | None) -> Any:
    """Return the config of ``command``, with the options of the user's ``folder`` known beside those of zsc."""
    from hydra import compose

    own = [] if folder is None else [f"hydra.searchpath=[{quoted(f'file://{folder.resolve()}')}]"]
    return compose(command, [*own, *overrides])


def command_line(without: Sequence[str] = (*SHOWING, *LAUNCHING)) -> str | None:
    """Return the command whose job this is, ``without`` the options that do not decide its result; None outside of
    one."""
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return None
    shown = (word.removeprefix("table=") for word in job_words(without))
    return shlex.join(["zsc", str(HydraConfig.get().job.config_name), *shown])


def job_words(without: Sequence[str]) -> list[str]:
    """Return the words of the command whose job this is, ``without`` some options, with :func:`folder_words`."""
    from hydra.core.hydra_config import HydraConfig

    given = contract(HydraConfig.get().overrides.task)
    return [*(word for word in given if re.split("[.=]", word, maxsplit=1)[0] not in without), *folder_words()]


def folder_words() -> list[str]:
    """Return the words that name the user's own folder of configs, if there is one, and where there is a zsc.yaml, the
    one that leaves it out: what it says is among the other words."""
    folder, here, unread = own_folder(), Path.cwd(), [UNREAD] if PROJECT.exists() else []
    if folder is None:
        return unread
    return [*unread, "--config-dir", str(folder.relative_to(here) if folder.is_relative_to(here) else folder)]
