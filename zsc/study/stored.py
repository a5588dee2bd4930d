"""Configs that runs and trainings keep in their folders."""

from pathlib import Path
from typing import Any

import yaml

from zsc.errors import ZscError, first_line
from zsc.options import read
from zsc.training.options import TrainOptions


def stored_config(file: Path) -> dict[str, Any]:
    """Return the config in ``file``. Raises ZscError if it cannot be read."""
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ZscError(f"{file} cannot be read: {first_line(error)}. Repeat the command that made the run.") from error
    if not isinstance(config, dict):
        raise ZscError(f"{file} is no config that zsc has written. Repeat the command that made the run.")
    return config


def stored_training(file: Path) -> TrainOptions:
    """Return the options of the training whose config is in ``file``. Raises ZscError if it is of none."""
    try:
        return read(TrainOptions, renewed(stored_config(file)))
    except ZscError as error:
        raise ZscError(f"{file} is no config of a training of this version of zsc: {error}") from error


def renewed(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a training in today's form: its objective was once called ``task``, and held the layout."""
    if not isinstance(config.get("task"), dict):
        return config
    others = {name: value for name, value in config.items() if name != "task"}
    objective = {name: value for name, value in config["task"].items() if name != "layout"}
    layout = {"layout": config["task"]["layout"]} if "layout" in config["task"] else {}
    return {"objective": objective, **layout, **others}
