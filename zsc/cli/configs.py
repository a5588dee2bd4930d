"""Where the configs lie, and errors with suggestions for overrides Hydra would refuse."""

from pathlib import Path
from typing import Any

from zsc.errors import ZscError, suggestion

PACKAGE = Path(__file__).parents[1]
CONFIGS = PACKAGE / "configs" if (PACKAGE / "configs").is_dir() else PACKAGE.parent / "configs"


def group_options(group: str) -> list[str]:
    """Return the options of a config group, sorted."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def groups() -> list[str]:
    return sorted(path.name for path in CONFIGS.iterdir() if path.is_dir())


def headline(group: str, option: str) -> str:
    """Return the comment on the first line of a config file."""
    with (CONFIGS / group / f"{option}.yaml").open(encoding="utf-8") as handle:
        return handle.readline().removeprefix("#").strip()


def expand_checkpoints(overrides: list[str]) -> list[str]:
    """Rewrite ``model=X``, where X is no shipped option but a folder or a hub name, to ``model=checkpoint`` and X."""
    expanded = []
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "model" and value and value not in group_options("model") and "," not in value:
            expanded += ["model=checkpoint", f"model.checkpoint='{value}'"]
        else:
            expanded.append(override)
    return expanded


def resolved(cfg: Any) -> dict[str, Any]:
    """Return a composed config as a plain mapping. Raises ZscError for a mandatory value that is missing."""
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue

    try:
        return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except MissingMandatoryValue as error:
        raise ZscError(f"{error.full_key} has no value. Give {error.full_key}=VALUE.") from error


def check_overrides(config: str, arguments: list[str]) -> None:
    """Raise ZscError, with a suggestion, for an override that names no group, option or key of ``config``.

    Hydra's flags and own keys are left to Hydra. Additions and deletions (``+``, ``~``) serve ``trainer`` alone, where
    any field of ``transformers.TrainingArguments`` may stand.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    if "--config-dir" in arguments or "-cd" in arguments:
        return
    for argument in arguments:
        if argument.startswith(("+", "~")) and not argument.lstrip("+~").startswith(("trainer.", "hydra.")):
            raise ZscError(f"'{argument}': only trainer settings can be added or deleted. Write key=value.")
    plain = [a for a in arguments if not a.startswith(("-", "+", "~", "hydra."))]
    try:
        parsed = OverridesParser.create().parse_overrides(plain)
    except HydraException as error:
        raise ZscError(f"cannot read an override: {str(error).splitlines()[0]} Write key=value.") from error
    chosen = []
    for override in parsed:
        if override.key_or_group in groups():
            for value in _values(override):
                _check_option(override.key_or_group, value)
            chosen.append(f"{override.key_or_group}={_values(override)[-1]}")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        base = compose(config, chosen)
    known = _keys(OmegaConf.to_container(base, resolve=False), "")
    for override in parsed:
        key = override.key_or_group
        if key not in known and key not in groups():
            names = [*known, *groups()]
            raise ZscError(f"no setting '{key}'.{suggestion(key, names)} `zsc {config} --help` lists them.")


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
