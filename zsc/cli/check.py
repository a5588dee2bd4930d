"""Errors with suggestions for overrides that Hydra would refuse."""

from collections.abc import Sequence
from typing import Any

from zsc.cli.compose import composed, own_folder, shipped_configs
from zsc.cli.expand import ANY_NAME, multirun
from zsc.cli.groups import GROUPS, LAUNCHED, LOGGED, check_option
from zsc.errors import ZscError, first_line, suggestion


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
        word = getattr(error, "override", "an option")
        raise ZscError(f"cannot read {word}: {first_line(error)} Quote unusual values: key=\"'value'\".") from error
    chosen: dict[str, list[str]] = {}
    nested = []
    for override in parsed:
        key = override.key_or_group
        if command == "train" and key.partition(".")[0] == "task":
            word = str(override.input_line).replace("task", "objective", 1)
            raise ZscError(f"no option '{key}': what a training aims at is called objective. Write {word}")
        if key.partition(".")[0] == "launcher" and command not in LAUNCHED:
            raise ZscError(f"'{override.input_line}': zsc {command} launches no workers; {', '.join(LAUNCHED)} do.")
        if key.partition(".")[0] == "log" and command not in LOGGED:
            raise ZscError(f"'{override.input_line}': zsc {command} logs nothing; {', '.join(LOGGED)} do.")
        if key == "knob" and override.package:
            nested.append(str(override.input_line))
            continue
        if (override.is_add() or override.is_delete()) and not key.startswith("trainer."):
            raise ZscError(f"'{override.input_line}': only trainer options can be added or deleted. Write key=value.")
        if override.is_sweep_override() and not multirun(flags, overrides):
            raise ZscError(f"'{override.input_line}' gives several values: add -m to run each, or quote the value.")
        if key in GROUPS.get(command, ()):
            value: Any = override.value()
            chosen[key] = [str(one) for one in (value.list if override.is_choice_sweep() else [value])]
            for value in chosen[key]:
                check_option(key, value, folder)
    with shipped_configs():
        for choice in _choices(chosen):
            try:
                base = composed(command, [*choice, *nested], folder)
                _check_keys(parsed, [*_keys(OmegaConf.to_container(base), ""), *GROUPS.get(command, ())])
                plain = [o for o in parsed if (not o.is_sweep_override() and o.key_or_group not in chosen) or o.package]
                composed(command, [*choice, *(str(o.input_line) for o in plain)], folder)
            except (HydraException, OmegaConfBaseException) as error:
                raise ZscError(f"the options do not fit together: {first_line(error)}") from error


def _choices(chosen: dict[str, list[str]]) -> list[list[str]]:
    """Return choices of options in which each one of ``chosen`` occurs."""
    longest = max((len(options) for options in chosen.values()), default=1)
    return [
        [f"{group}={options[min(i, len(options) - 1)]}" for group, options in chosen.items()] for i in range(longest)
    ]


def _check_keys(parsed: list[Any], known: list[str]) -> None:
    for override in parsed:
        key = override.key_or_group
        open_name = override.is_force_add() and ANY_NAME.fullmatch(key) and key.rpartition(".")[0] in known
        if key not in known and not override.is_add() and not open_name:
            raise ZscError(f"no option '{key}'.{suggestion(key, known)} Put --cfg job in its place to see all.")


def _keys(node: Any, prefix: str) -> list[str]:
    """Return every dotted path of a nested mapping."""
    if not isinstance(node, dict):
        return []
    paths = []
    for name, child in node.items():
        paths += [f"{prefix}{name}", *_keys(child, f"{prefix}{name}.")]
    return paths
