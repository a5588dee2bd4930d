"""Tasks from Python: what configs/task and the configs of knobs say, without Hydra."""

from collections.abc import Mapping
from typing import Any

from zsc.configs import group_files, group_values
from zsc.errors import ZscError, suggestion
from zsc.study.options import KnobOptions, TaskOptions


def task_values(name: str) -> dict[str, Any]:
    """Return the options that the task called ``name`` sets. Raises ZscError if there is none."""
    known = group_values("task")
    if name not in known:
        raise ZscError(f"no task '{name}'.{suggestion(name, known)} Known: {', '.join(known)}.")
    values = dict(known[name])
    for chosen in group_files("task")[name].get("defaults", []):
        for group, option in chosen.items():  # such as: override /decoding: beam
            key = group.removeprefix("override /")
            values[key] = {**group_values(key)[option], **values.get(key, {})}
    return values


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` with the values of ``above`` over it, mappings inside of mappings too."""
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        merged[key] = over(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged


def of_task(part: KnobOptions, task: TaskOptions) -> KnobOptions:
    """Return a knob with the values of its config that a task decides, where it has none of its own."""
    config = group_values("knob").get(part.name, {})
    decided = {key: getattr(task, value[7:-1]) for key, value in config.items() if str(value).startswith("${task.")}
    return KnobOptions(part.name, {**decided, **part.values})
