"""From what users may write to what Hydra takes, and back."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from zsc.cli.flags import MULTIRUN
from zsc.cli.groups import check_option, group_options
from zsc.cli.hints import unknown_dataset
from zsc.cli.words import FREE, QUOTED, at_home, exists, listed, literal, quoted, unquoted
from zsc.errors import ZscError

NOT_KNOBS = {"none", "several"}
ANY_NAME = re.compile(  # options of any name, also one that no config has: columns, and what a chat template takes
    r"((dataset\.)?columns|layout\.template_options)\.[A-Za-z_]\w*", re.ASCII
)


def multirun(flags: Sequence[str], overrides: Sequence[str]) -> bool:
    """Say whether Hydra is to run several jobs."""
    return bool({*flags} & {*MULTIRUN}) or any(one.lower() == "hydra.mode=multirun" for one in overrides)


def expand(overrides: Sequence[str], several: bool = True, folder: Path | None = None, short: bool = True) -> list[str]:
    """Rewrite what users may write into what Hydra takes.

    ``model=X``, where X is no option but a folder or a hub name, becomes ``model=checkpoint`` and X; ``seed=0`` becomes
    ``seeds=[0]``; ``knob=[a,b]`` becomes ``knob=several`` with the configs of the knobs ``a`` and ``b`` inside it,
    unless ``short`` is false, as for commands without models and knobs, whose seed is one number; a column of a field
    or an option of a chat template is added (``++``) where there is none. Free texts are quoted, see
    :mod:`zsc.cli.words`. With ``several``, commas may separate values. ``folder`` has options of the user's own. Raises
    ZscError for a knob that is listed twice or unknown, and for a file as a dataset.
    """
    expanded: list[str] = []
    for override in overrides:
        key, _, value = override.partition("=")
        if short and key == "model" and value and not _names_options(value, several, folder):
            expanded += ["model=checkpoint", literal(f"model.checkpoint={_always_quoted(value, several)}", several)]
        elif short and key == "seed":
            expanded.append(f"seeds={value}" if value.startswith("[") else f"seeds=[{value}]")
        elif short and key == "knob" and value.startswith("[") and value.endswith("]"):
            expanded += _several_knobs(value, folder)
        elif key == "dataset" and value not in group_options("dataset", folder) and (hint := unknown_dataset(value)):
            raise ZscError(f"dataset={value} names no dataset. {hint}")
        else:
            added = "++" if ANY_NAME.fullmatch(key) and "=" in override else ""
            expanded.append(added + literal(override, several))
    return expanded


def _names_options(value: str, several: bool, folder: Path | None) -> bool:
    names = listed(value) if several else [value]
    return bool({unquoted(name) for name in names} & {*group_options("model", folder)})


def _always_quoted(value: str, several: bool) -> str:
    names = [value] if exists(value) or not several else listed(value)
    return ",".join(name if QUOTED.fullmatch(name) else quoted(at_home(name)) for name in names)


def _several_knobs(value: str, folder: Path | None) -> list[str]:
    knobs = [name.strip() for name in value[1:-1].split(",")]
    for name in knobs:
        check_option("knob", name, folder)
    if len(set(knobs)) < len(knobs) or set(knobs) & NOT_KNOBS:
        raise ZscError(f"knob={value} must list different knobs, such as knob=[attn_bias,ctx_aug].")
    return ["knob=several", *(f"+knob@knob.{name}={name}" for name in knobs)]


def contract(overrides: Iterable[str]) -> list[str]:
    """Write ``overrides`` of one job as a user would: the inverse of :func:`expand`."""
    given = list(overrides)
    nested = [override.partition("=")[2] for override in given if override.startswith("+knob@")]
    short = []
    for one in given:
        key, _, value = one.removeprefix("++").partition("=")
        override = f"{key}={value}" if ANY_NAME.fullmatch(key) else one
        if key == "model.checkpoint" and "model=checkpoint" in given:
            short.append(f"model={_shortest('model.checkpoint', value)}")
        elif override == "knob=several":
            short.append(f"knob=[{','.join(nested)}]")
        elif override != "model=checkpoint" and not key.startswith("+knob@"):
            short.append(f"{key}={_shortest(key, value)}" if FREE.fullmatch(key) else override)
    return short


def _shortest(key: str, value: str) -> str:
    """Return ``value`` without quotes, where it means the same."""
    bare = unquoted(value)
    means = literal(f"{key}={bare}", multirun=False).partition("=")[2]
    return bare if unquoted(means) == bare else value
