"""The configs that come with zsc, as plain values: for whatever composes none with Hydra."""

from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
CONFIGS = PACKAGE / "configs" if (PACKAGE / "configs").is_dir() else PACKAGE.parent / "configs"


@cache
def group_files(group: str) -> dict[str, dict[str, Any]]:
    """Return the content of every file in a config group as it stands."""
    import yaml  # which who only asks where the configs are need not wait for

    files = sorted((CONFIGS / group).glob("*.yaml"))
    return {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) or {} for file in files}


@cache
def group_values(group: str) -> dict[str, dict[str, Any]]:
    """Return the content of every file in a config group, over that of files of the group that it begins with."""
    found = group_files(group)

    def whole(name: str) -> dict[str, Any]:
        own = dict(found[name])
        bases = [base for base in own.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
        return {**{key: value for base in bases for key, value in whole(base).items()}, **own}

    return {name: whole(name) for name in found}
