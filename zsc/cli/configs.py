"""Where the configs lie, and errors with suggestions for overrides Hydra would refuse."""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zsc.cli.options import CONFIGS, GROUPS, config_folder, group_options
from zsc.cli.words import (
    FREE,
    MULTIRUN,
    QUOTED,
    at_home,
    exists,
    listed,
    literal,
    quoted,
    split_words,
    unknown_dataset,
    unquoted,
)
from zsc.errors import ZscError, first_line, suggestion

NOT_KNOBS = {"none", "several"}


def own_folder(flags: Sequence[str] = ()) -> Path | None:
    """Return the user's folder of configs: that of ``flags``, or else of the Hydra job that this runs in, if any."""
    from hydra.core.hydra_config import HydraConfig

    if (folder := config_folder(flags)) is not None or not HydraConfig.initialized():
        return folder
    paths = [one.path for one in HydraConfig.get().runtime.config_sources if one.provider == "command-line"]
    return Path(paths[0]) if paths else None


def multirun(flags: Sequence[str], overrides: Sequence[str]) -> bool:
    """Say whether Hydra is to run several jobs."""
    return bool({*flags} & {*MULTIRUN}) or any(one.lower() == "hydra.mode=multirun" for one in overrides)


def expand(overrides: Sequence[str], several: bool = True, folder: Path | None = None, short: bool = True) -> list[str]:
    """Rewrite what users may write into what Hydra takes.

    ``model=X``, where X is no option but a folder or a hub name, becomes ``model=checkpoint`` and X; ``seed=0`` becomes
    ``seeds=[0]``; ``knob=[a,b]`` becomes ``knob=several`` with the configs of the knobs ``a`` and ``b`` inside it,
    unless ``short`` is false. Free texts are quoted, see :mod:`zsc.cli.words`. With ``several``, commas may separate
    values. ``folder`` has options of the user's own. Raises ZscError for a knob that is listed twice or unknown, and
    for a file as a dataset.
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
            expanded.append(literal(override, several))
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
        _check_option("knob", name, folder)
    if len(set(knobs)) < len(knobs) or set(knobs) & NOT_KNOBS:
        raise ZscError(f"knob={value} must list different knobs, such as knob=[attn_bias,ctx_aug].")
    return ["knob=several", *(f"+knob@knob.{name}={name}" for name in knobs)]


def contract(overrides: Iterable[str]) -> list[str]:
    """Write ``overrides`` of one job as a user would: the inverse of :func:`expand`."""
    given = list(overrides)
    nested = [override.partition("=")[2] for override in given if override.startswith("+knob@")]
    short = []
    for override in given:
        key, _, value = override.partition("=")
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


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return Hydra's flags, each with the value after it, and the overrides.

    Raises ZscError, with the right form, for an argument that is neither.
    """
    return split_words(arguments)


def resolved(cfg: Any) -> dict[str, Any]:
    """Return a composed config as a plain mapping. Raises ZscError for a missing value or a broken interpolation."""
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    try:
        return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except MissingMandatoryValue as error:
        raise ZscError(f"{error.full_key} has no value. Give {error.full_key}=VALUE.") from error
    except OmegaConfBaseException as error:
        raise ZscError(f"the settings cannot be resolved: {first_line(error)}") from error


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


def compose_knob(text: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the knob config that ``text``, such as ``knob=attn_bias knob.strength=[2,5]``, stands for beside the other
    settings of ``config``. Raises ZscError as for the same words on the command line."""
    from omegaconf import OmegaConf

    folder = own_folder()
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ZscError(f"cannot read '{text}' in a table's runs: {first_line(error)}.") from error
    overrides = expand(words, several=False, folder=folder)
    for override in overrides:
        if not override.startswith(("knob=", "knob.", "+knob@")):
            raise ZscError(f"'{override}' in a table's runs: only knobs and their settings can stand there.")
    check_overrides("run", [], overrides)
    with shipped_configs():
        knob = OmegaConf.to_container(composed("run", overrides, folder).knob)
    return resolved(OmegaConf.create({**config, "knob": knob}))["knob"]


def dotted(arguments: Sequence[str], free: re.Pattern[str], lists: Sequence[str] = ()) -> Any:
    """Return ``key=value`` words as a config, the values of keys that are ``free`` as they stand; ``null`` is None.

    A value of ``lists`` in brackets is a list of such values. Raises ZscError for a value that cannot be read.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    others = [word for word in arguments if not free.fullmatch(word.partition("=")[0])]
    try:
        config = OmegaConf.from_dotlist(others)
        for word in arguments:
            key, _, value = word.partition("=")
            if word in others:
                continue
            bracketed = key in lists and value.startswith("[") and value.endswith("]") and not exists(value)
            texts = [at_home(unquoted(one)) for one in (listed(value[1:-1]) if bracketed else [value])]
            given = [one for one in texts if one] if bracketed else None if value == "null" else texts[0]
            OmegaConf.update(config, key, given)
        return config
    except (OmegaConfBaseException, YAMLError) as error:
        raise ZscError(f"cannot read the settings {' '.join(arguments)}: {first_line(error)}") from error


def stored_config(file: Path) -> Any:
    """Return the config in ``file``, of a run. Raises ZscError if it cannot be read."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        return OmegaConf.load(file)
    except (OSError, OmegaConfBaseException, YAMLError) as error:
        raise ZscError(f"{file} cannot be read: {first_line(error)}. Repeat the command that made the run.") from error


def check_overrides(command: str, flags: Sequence[str], overrides: Sequence[str]) -> None:
    """Raise ZscError, with a suggestion where there is one, for overrides Hydra would refuse.

    Hydra's own keys are left to Hydra. Additions and deletions (``+``, ``~``) serve ``trainer`` alone, where any field
    of ``transformers.TrainingArguments`` may stand. With ``--config-dir`` the user's own options are known too.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    folder = own_folder(flags)
    own = [o for o in overrides if not o.lstrip("+~").startswith(("hydra.", "hydra/"))]
    try:
        parsed = OverridesParser.create().parse_overrides(own)
    except HydraException as error:
        raise ZscError(
            f"cannot read an override: {first_line(error)} Quote unusual values: key=\"'value'\"."
        ) from error
    chosen: dict[str, list[str]] = {}
    nested = []
    for override in parsed:
        key = override.key_or_group
        if key == "knob" and override.package:
            nested.append(str(override.input_line))
            continue
        if (override.is_add() or override.is_delete()) and not key.startswith("trainer."):
            raise ZscError(f"'{override.input_line}': only trainer settings can be added or deleted. Write key=value.")
        if override.is_sweep_override() and not multirun(flags, overrides):
            raise ZscError(f"'{override.input_line}' gives several values: add -m to run each, or quote the value.")
        if key in GROUPS[command]:
            chosen[key] = _values(override)
            for value in chosen[key]:
                _check_option(key, value, folder)
    with shipped_configs():
        for choice in _choices(chosen):
            try:
                base = composed(command, [*choice, *nested], folder)
                _check_keys(command, parsed, [*_keys(OmegaConf.to_container(base), ""), *GROUPS[command]])
                plain = [o for o in parsed if (not o.is_sweep_override() and o.key_or_group not in chosen) or o.package]
                composed(command, [*choice, *(str(o.input_line) for o in plain)], folder)
            except (HydraException, OmegaConfBaseException) as error:
                raise ZscError(f"the settings do not fit together: {first_line(error)}") from error


def _choices(chosen: dict[str, list[str]]) -> list[list[str]]:
    """Return choices of options in which each one of ``chosen`` occurs."""
    longest = max((len(options) for options in chosen.values()), default=1)
    return [
        [f"{group}={options[min(i, len(options) - 1)]}" for group, options in chosen.items()] for i in range(longest)
    ]


def _check_keys(command: str, parsed: list[Any], known: list[str]) -> None:
    for override in parsed:
        key = override.key_or_group
        if key not in known and not override.is_add():
            raise ZscError(f"no setting '{key}'.{suggestion(key, known)} `zsc {command} --help` lists them.")


def _values(override: Any) -> list[str]:
    if override.is_choice_sweep():
        return [str(value) for value in override.value().list]
    return [str(override.value())]


def _check_option(group: str, value: str, folder: Path | None) -> None:
    options = group_options(group, folder)
    if value not in options:
        raise ZscError(f"no {group} '{value}'.{suggestion(value, options)} Known: {', '.join(options)}.")


def _keys(node: Any, prefix: str) -> list[str]:
    """Return every dotted path of a nested mapping."""
    if not isinstance(node, dict):
        return []
    paths = []
    for name, child in node.items():
        paths += [f"{prefix}{name}", *_keys(child, f"{prefix}{name}.")]
    return paths
