"""Where the configs lie, and errors with suggestions for overrides Hydra would refuse."""

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zsc.errors import ZscError, first_line, suggestion

PACKAGE = Path(__file__).parents[1]
CONFIGS = PACKAGE / "configs" if (PACKAGE / "configs").is_dir() else PACKAGE.parent / "configs"
RUN_GROUPS = ("model", "dataset", "knob", "decoding")
GROUPS = {"train": ("task",), "table": ("table", "model", "dataset", "decoding")} | dict.fromkeys(
    ("run", "sweep", "plan", "tune", "bench", "data", "doctor"), RUN_GROUPS
)
MULTIRUN = ("-m", "--multirun")
NOT_KNOBS = {"none", "several"}
QUOTES = "'\""


def group_options(group: str) -> list[str]:
    """Return the options of a config group, sorted."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def headline(group: str, option: str) -> str:
    """Return the comment on the first line of a config file."""
    with (CONFIGS / group / f"{option}.yaml").open(encoding="utf-8") as handle:
        return handle.readline().removeprefix("#").strip()


def expand(overrides: list[str]) -> list[str]:
    """Rewrite what users may write in short into what Hydra takes.

    ``model=X``, where X is no shipped option but a folder or a hub name, becomes ``model=checkpoint`` and X;
    ``seed=0`` becomes ``seeds=[0]``; ``knob=[a,b]`` becomes ``knob=several`` with the configs of the knobs ``a`` and
    ``b`` inside it. Raises ZscError for a knob that is listed twice or unknown.
    """
    expanded = []
    for override in overrides:
        key, _, value = override.partition("=")
        names = value.split(",")
        if key == "model" and value and not set(names) & set(group_options("model")):
            quoted = ",".join(f"'{name}'" for name in names)
            expanded += ["model=checkpoint", f"model.checkpoint={quoted}"]
        elif key == "seed":
            expanded.append(f"seeds={value}" if value.startswith("[") else f"seeds=[{value}]")
        elif key == "knob" and value.startswith("[") and value.endswith("]"):
            knobs = [name.strip() for name in value[1:-1].split(",")]
            for name in knobs:
                _check_option("knob", name)
            if len(set(knobs)) < len(knobs) or set(knobs) & NOT_KNOBS:
                raise ZscError(f"knob={value} must list different knobs, such as knob=[attn_bias,ctx_aug].")
            expanded += ["knob=several", *(f"+knob@knob.{name}={name}" for name in knobs)]
        else:
            expanded.append(override)
    return expanded


def contract(overrides: Iterable[str]) -> list[str]:
    """Write ``overrides`` the short way: the inverse of :func:`expand`."""
    given = list(overrides)
    nested = [override.partition("=")[2] for override in given if override.startswith("+knob@")]
    short = []
    for override in given:
        key, _, value = override.partition("=")
        if key == "model.checkpoint" and "model=checkpoint" in given:
            short.append(f"model={value.strip(QUOTES)}")
        elif override == "knob=several":
            short.append(f"knob=[{','.join(nested)}]")
        elif override != "model=checkpoint" and not key.startswith("+knob@"):
            short.append(override)
    return short


def split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return Hydra's flags, each with the value after it, and the overrides.

    Raises ZscError for an argument that is neither.
    """
    flags: list[str] = []
    overrides: list[str] = []
    for argument in arguments:
        after_flag = bool(flags) and flags[-1].startswith("-") and flags[-1] not in MULTIRUN
        if argument.startswith("-"):
            flags.append(argument)
        elif "=" in argument or argument.startswith("~"):
            overrides.append(argument)
        elif after_flag:
            flags.append(argument)
        else:
            raise ZscError(f"'{argument}' is not of the form key=value.")
    return flags, overrides


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


def compose_knob(text: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the knob config that ``text``, such as ``knob=attn_bias knob.strength=[2,5]``, stands for beside the other
    settings of ``config``. Raises ZscError as for the same words on the command line."""
    from hydra import compose
    from omegaconf import OmegaConf

    overrides = expand(shlex.split(text))
    for override in overrides:
        if not override.startswith(("knob=", "knob.", "+knob@")):
            raise ZscError(f"'{override}' in a table's runs: only knobs and their settings can stand there.")
    check_overrides("run", [], overrides)
    with shipped_configs():
        knob = OmegaConf.to_container(compose("run", overrides).knob)
    return resolved(OmegaConf.create({**config, "knob": knob}))["knob"]


def dotted(arguments: list[str]) -> Any:
    """Return ``key=value`` words as a config. Raises ZscError for a value that cannot be read."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        return OmegaConf.from_dotlist(arguments)
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


def check_overrides(command: str, flags: list[str], overrides: list[str]) -> None:
    """Raise ZscError, with a suggestion where there is one, for overrides Hydra would refuse.

    Hydra's own keys are left to Hydra. Additions and deletions (``+``, ``~``) serve ``trainer`` alone, where any field
    of ``transformers.TrainingArguments`` may stand. With ``--config-dir`` the user's own options are allowed.
    """
    from hydra import compose
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if any(flag.startswith(("--config-dir", "-cd")) for flag in flags):
        return
    own = [o for o in overrides if not o.lstrip("+~").startswith(("hydra.", "hydra/"))]
    try:
        parsed = OverridesParser.create().parse_overrides(own)
    except HydraException as error:
        raise ZscError(
            f"cannot read an override: {first_line(error)} Quote unusual values: key=\"'value'\"."
        ) from error
    chosen, nested = [], []
    for override in parsed:
        key = override.key_or_group
        if key == "knob" and override.package:
            nested.append(str(override.input_line))
            continue
        if (override.is_add() or override.is_delete()) and not key.startswith("trainer."):
            raise ZscError(f"'{override.input_line}': only trainer settings can be added or deleted. Write key=value.")
        if override.is_sweep_override() and not set(flags) & set(MULTIRUN):
            raise ZscError(f"'{override.input_line}' gives several values: add -m to run each, or quote the value.")
        if key in GROUPS[command]:
            values = _values(override)
            for value in values:
                _check_option(key, value)
            chosen.append(f"{key}={values[-1]}")
    with shipped_configs():
        base = compose(command, [*chosen, *nested])
        _check_keys(command, parsed, [*_keys(OmegaConf.to_container(base), ""), *GROUPS[command]])
        try:
            compose(command, [str(o.input_line) for o in parsed if not o.is_sweep_override()])
        except (HydraException, OmegaConfBaseException) as error:
            raise ZscError(f"the settings do not fit together: {first_line(error)}") from error


def _check_keys(command: str, parsed: list[Any], known: list[str]) -> None:
    for override in parsed:
        key = override.key_or_group
        if key not in known and not override.is_add():
            raise ZscError(f"no setting '{key}'.{suggestion(key, known)} `zsc {command} --help` lists them.")


def _values(override: Any) -> list[str]:
    if override.is_choice_sweep():
        return [str(value) for value in override.value().list]
    return [str(override.value())]


def _check_option(group: str, value: str) -> None:
    options = group_options(group)
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
