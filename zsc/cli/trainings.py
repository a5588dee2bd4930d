"""`zsc table` of trainings: models that were fine-tuned in several ways, compared on the same examples."""

import hashlib
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from zsc import __version__
from zsc.cli.configs import stored_config
from zsc.cli.experiment import command_line, fill, finished, how_made, prepare
from zsc.cli.plan import estimate
from zsc.cli.score import build_scoring, scored, warn
from zsc.data import load_records
from zsc.errors import ZscError
from zsc.generation.cells import State, canonical, library_versions
from zsc.generation.folder import RunFolder
from zsc.metrics.score import Row
from zsc.tables.paper import PaperTable, Published, Section, adjusted
from zsc.training.report import COSTS, Training, by_name, figures, read_json, read_trainings

FIGURES = (
    "trained_weights",
    "trained_share",
    "trained_share_without_embeddings",
    "optimiser_mb",
    "time_per_step",
    "validation_loss",
)
SIGNATURES = {figure: f"{figure}|zsc train|range over seeds" for figure in FIGURES} | {
    "time_per_step": "time_per_step|scripts/bench_training.py|relative to nothing frozen, range over repeats"
}
OWN = ("output", "seed", "freeze")  # settings in which trainings that are compared may differ


def compare(config: dict[str, Any], name: str) -> tuple[PaperTable, list[RunFolder]]:
    """Score the trainings in ``config["trained"]``, a row for each name and a response for each of its seeds.

    The responses to seed N are those of the model trained with seed N, drawn with seed N. What is missing is generated
    if ``config["make"]`` is true. Raises ZscError where trainings or responses are missing.
    """
    spec = config["table"]
    if config["trained"] is None:
        raise ZscError(f"table {name} compares trainings: give trained=DIR, which scripts/train_less.sh makes.")
    root = Path(str(config["trained"]))
    trainings, unfinished = read_trainings(root)
    if unfinished:
        print(f"not finished, left out: {', '.join(unfinished)}", file=sys.stderr)
    groups = by_name(trainings, spec["baseline"])
    folder = RunFolder(Path(str(config["output"] or f"runs/table-{name}-{root.name}-{config['dataset']['loader']}")))
    made = respond(config, groups, folder)
    scoring = build_scoring({**config, "metrics": metrics_of(spec["columns"])}, {})
    with folder.locked():
        rows, signatures = scored(folder, scoring, config["layout"]["turns"])
    costs = read_json(root / COSTS) if (root / COSTS).is_file() else []
    rows += figure_rows(groups, costs, rows)
    signatures |= SIGNATURES
    warn(spec["columns"], rows, scoring.resampling)
    published = Published(**spec["published"]) if spec.get("published") else Published()
    sections = adjusted([Section("", rows)])
    lines = [*how_made(made), *differing(groups)]
    return PaperTable(name, spec["title"], sections, spec["columns"], published, signatures, lines), [folder]


def respond(config: dict[str, Any], groups: Mapping[str, Sequence[Training]], folder: RunFolder) -> dict[str, Any]:
    """Write ``folder`` with the responses of all trainings, and return its manifest."""
    records = load_records(**config["dataset"])
    rows: list[dict[str, Any]] = []
    cells: dict[str, str] = {}
    for name, trainings in groups.items():
        for training in trainings:
            experiment = prepare(of_training(config, training), [], records)
            (cell,) = experiment.cells.values()
            if cell.stored().state is not State.DONE and not config["make"]:
                raise ZscError(
                    f"the responses of {training.folder} are not in {config['cells']}, or not whole. Repeat the command"
                    f" with make=true to generate all that is missing. Of this training: {estimate(experiment)}"
                )
            fill(experiment)
            cells[f"{name} seed {training.seed}"] = cell.identity
            rows += [
                {"setting": name, "seed": training.seed, "id": item["id"], "response": item["response"]}
                for item in finished(cell)
            ]
    made = {
        "identity": hashlib.sha256(canonical(cells).encode()).hexdigest(),
        "weights": hashlib.sha256(canonical(list(cells.values())).encode()).hexdigest(),
        "command": command_line(),
        "settings": list(groups),
        "seeds": [training.seed for training in next(iter(groups.values()))],
        "cells": cells,
        "versions": library_versions() | {"zsc": __version__, "python": platform.python_version()},
        "device": str(experiment.loaded.model.device),
    }
    with folder.locked():
        folder.create(OmegaConf.to_yaml(OmegaConf.create(config)), made, records)
        folder.write_rows(rows)
    return made


def of_training(config: dict[str, Any], training: Training) -> dict[str, Any]:
    """Return ``config`` for the model of ``training``, with its seed."""
    model = {**config["model"], "checkpoint": str(training.model), "decoder": None}
    return {**config, "model": model, "seeds": [training.seed]}


def figure_rows(
    groups: Mapping[str, Sequence[Training]], costs: Sequence[dict[str, Any]], scores: Sequence[Row]
) -> list[Row]:
    """Return the figures of all trainings as rows of a table beside ``scores``."""
    seeds = scores[0].seeds
    return [
        Row(name, figure, value, low, high, 0, seeds, 0)
        for name, trainings in groups.items()
        for figure, (value, low, high) in figures(trainings, costs).items()
    ]


def differing(groups: Mapping[str, Sequence[Training]]) -> list[str]:
    """Say in which settings, beside what is frozen, trainings differ from the first."""
    known = {name: settings_of_training(of_one[0]) for name, of_one in groups.items()}
    first = next(iter(known.values()))
    lines = []
    for name, settings in known.items():
        keys = sorted(key for key in settings.keys() | first.keys() if settings.get(key) != first.get(key))
        given = ", ".join(f"{key}={settings.get(key)}" for key in keys)
        lines += [f"{name}: {given}"] * bool(keys)
    return lines


def settings_of_training(training: Training) -> dict[str, Any]:
    """Return the settings of a training by dotted key, without those in which ways to train differ anyway."""
    config: Any = OmegaConf.to_container(stored_config(training.folder / "config.yaml"))

    def flat(node: Any, prefix: str) -> dict[str, Any]:
        if not isinstance(node, dict):
            return {prefix: node}
        found: dict[str, Any] = {}
        for key, value in node.items():
            found |= flat(value, f"{prefix}.{key}" if prefix else key)
        return found

    return {key: value for key, value in flat(config, "").items() if key not in OWN}


def metrics_of(columns: Sequence[str]) -> list[str]:
    """Return the columns that are metrics of responses."""
    return [column for column in columns if column not in FIGURES]
