"""The runs in a folder, newest first, as their small files tell: no model is loaded, and no response is read."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from zsc.errors import ZscError, suggestion
from zsc.metrics.score import Row, difference, settings_of
from zsc.tables.runs import DONE, NOT_SCORED, Listed
from zsc.tables.summary import main_metric, strongest

RUNS = "runs"  # where runs lie
MANIFEST = "manifest.json"
OWN = (MANIFEST, "records.jsonl", "generations.jsonl", "scores.json")  # files by which a folder is known as a run's
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
OF_FILES = ("table", "jsonl")  # datasets that are called by their file
SAID = (DONE, NOT_SCORED)  # states of runs with responses
CHUNK = 1 << 20  # bytes that are read at a time


@dataclass(frozen=True)
class RunsOptions:
    """configs/runs.yaml: the ``folder`` whose runs are listed, and how."""

    folder: str = RUNS
    format: Literal["table", "csv", "json"] = "table"


def runs_in(folder: Path) -> list[Listed]:
    """Return the runs that lie in ``folder``, or are it, newest first; other folders are passed over.

    Raises ZscError where there is no such folder.
    """
    if not folder.is_dir():
        raise ZscError(f"no folder {folder}. `zsc run knob=attn_bias` makes a run, in {RUNS}.")
    found = [folder] if is_run(folder) else [path for path in _children(folder) if is_run(path)]
    return sorted((_listed(path) for path in found), key=lambda run: (run.date, run.run), reverse=True)


def is_run(path: Path) -> bool:
    """Say whether ``path`` is the folder of a run, be it broken."""
    try:
        return path.is_dir() and any((path / name).exists() for name in OWN)
    except OSError:
        return False


def find_run(name: str) -> Path:
    """Return the folder of the run called ``name``: a path, a run in RUNS, the only one whose name so begins, or, as
    ``last``, the newest. Raises ZscError where there is none or several."""
    path, parent = Path(name), Path(RUNS)
    if is_run(path):
        return path
    if path.parent != Path() and path.parent.is_dir():
        parent = path.parent
    found = runs_in(parent)
    known = [run.run for run in found]
    if not known:
        raise ZscError(f"no run in {parent}. `zsc run knob=attn_bias` makes one.")
    if name == "last":
        return parent / next((run.run for run in found if run.state in SAID), known[0])
    begun = [one for one in known if path.name and one.startswith(path.name)]
    if path.name in known or len(begun) == 1:
        return parent / (path.name if path.name in known else begun[0])
    if begun:
        raise ZscError(f"{name} may be any of {', '.join(begun)}. Write more of the name.")
    meant = suggestion(path.name, [*known, "last"])
    raise ZscError(f"no run {name}.{meant} `zsc runs` lists those in {parent}.")


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ZscError(f"{folder} cannot be listed ({error.strerror}).") from error


def _listed(path: Path) -> Listed:
    name = path.name or path.resolve().name
    try:
        date = datetime.fromtimestamp(_stamp(path))
    except (OSError, OverflowError, ValueError):
        date = datetime.fromtimestamp(0)
    try:
        return _read(path, name, date)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        where = f" ({error})" if isinstance(error, _Broken) else ""
        return Listed(name, date, f"broken{where}")


class _Broken(ValueError):
    """A file of a run that is missing or none that zsc has written."""


def _stamp(path: Path) -> float:
    """Return when the command of a run was last run."""
    file = path / MANIFEST
    return (file if file.exists() else path).stat().st_mtime


def _read(path: Path, name: str, date: datetime) -> Listed:
    manifest, config = _json(path / MANIFEST), _config(path / "config.yaml")
    settings, seeds = manifest["settings"], manifest["seeds"]
    if not isinstance(settings, list) or not isinstance(seeds, list):
        raise _Broken(MANIFEST)
    model, dataset = _within(config, "model", "checkpoint"), _within(config, "dataset", "loader")
    if dataset in OF_FILES and (file := _within(config, "dataset", "path")):
        dataset = Path(str(file)).name
    lacking = [file for file in OWN[1:] if not (path / file).is_file()]
    return Listed(
        run=name,
        date=date,
        state=DONE if not lacking else NOT_SCORED if lacking == ["scores.json"] else "unfinished",
        model=None if model is None else Path(str(model)).name,
        dataset=str(dataset or manifest.get("outputs") or "-"),
        settings=tuple(map(str, settings)),
        examples=_lines(path / "records.jsonl") if "records.jsonl" not in lacking else None,
        seeds=len(seeds),
        **({} if lacking else _found(_json(path / "scores.json"), manifest.get("moves") or {})),
    )


def _found(scores: Mapping[str, Any], moves: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the main metric of a run did in the setting where it changed most."""
    names = {field.name for field in fields(Row)}
    rows = [Row(**{key: value for key, value in row.items() if key in names}) for row in scores["table"]]
    settings, values = settings_of(rows), {(row.setting, row.metric): row for row in rows}
    if not rows:
        return {}
    if not all(value is None or math.isfinite(value) for row in rows for value in (row.value, row.p_holm)):
        raise _Broken("scores.json")
    metric = main_metric(rows, moves)
    found = {"metric": metric, "off": values[settings[0], metric].value}
    if len(settings) == 1:
        return found
    on = strongest(rows, metric)
    tested = values.get((difference(on, settings), metric))
    return found | {"setting": on, "on": values[on, metric].value, "p_holm": tested.p_holm if tested else None}


def _within(config: Any, group: str, name: str) -> Any:
    part = config.get(group)
    return part.get(name) if isinstance(part, Mapping) else None


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise _Broken(file.name) from None
    if not isinstance(found, dict):
        raise _Broken(file.name)
    return found


def _config(file: Path) -> dict[str, Any]:
    try:
        found = yaml.load(file.read_text(encoding="utf-8"), LOADER)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        raise _Broken(file.name) from None
    if not isinstance(found, dict):
        raise _Broken(file.name)
    return found


def _lines(file: Path) -> int:
    count = 0
    with file.open("rb") as handle:
        while part := handle.read(CHUNK):
            count += part.count(b"\n")
    return count
