"""`zsc table` of trainings: models that were fine-tuned in several ways, compared on the same examples."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from zsc import __version__
from zsc.cli.configs import stored_config
from zsc.cli.experiment import command_line, default_output, fill, finished, how_made, prepare, tell
from zsc.cli.plan import estimate
from zsc.cli.score import build_scoring, scored, warn
from zsc.data import load_records
from zsc.errors import ZscError
from zsc.generation.cells import Cell, State, canonical, identified, library_versions
from zsc.generation.folder import RunFolder
from zsc.metrics.score import Row
from zsc.tables.paper import PaperTable, Published, Section, adjusted
from zsc.terminal import say
from zsc.training.report import Training, by_name, figures, read_costs, read_trainings

FIGURES = (
    "trained_weights",
    "trained_share",
    "trained_share_without_embeddings",
    "optimiser_mb",
    "time_per_step",
    "validation_loss",
)
SIGNATURES = {figure: f"{figure}|zsc train" for figure in FIGURES}
OWN = ("output", "seed", "freeze")  # settings in which trainings that are compared may differ
TOLD = ("task.checkpoint", "task.decoder", "trainer.max_steps", "trainer.per_device_train_batch_size",
        "trainer.learning_rate")  # fmt: skip
TAKEN = ("seeds", "model", "model.checkpoint", "model.decoder", "knob", "topic")  # from the trainings, or of no use


def compare(config: dict[str, Any], name: str) -> tuple[PaperTable, list[RunFolder]]:
    """Score the trainings in ``config["trained"]``, a row for each name and a response for each of its seeds.

    The responses to seed N are those of the model trained with seed N, drawn with seed N. What is missing is generated
    if ``config["make"]`` is true. Raises ZscError where trainings or responses are missing, and for settings that
    trainings decide.
    """
    spec = config["table"]
    if config["trained"] is None:
        raise ZscError(f"table {name} compares trainings: give trained=DIR, which scripts/train_less.sh makes.")
    given = [word.partition("=")[0].lstrip("+~") for word in HydraConfig.get().overrides.task]
    if refused := [key for key in given if key in TAKEN or key.startswith("knob.")]:
        raise ZscError(f"table {name}: its rows are trainings, which decide models and seeds: leave {refused[0]} out.")
    root = Path(str(config["trained"]))
    trainings, unfinished = read_trainings(root)
    groups, others = by_name(trainings, spec["baseline"])
    if unfinished:
        say(f"not finished, left out: {', '.join(unfinished)}")
    if others:
        say(f"not the seeds of {spec['baseline']}, left out: {', '.join(others)}")
    check_settings(groups)
    costs = read_costs(root)
    folder = respond(config, groups)
    scoring = build_scoring({**config, "metrics": metrics_of(spec["columns"])}, {})
    with folder.locked():
        rows, signatures = scored(folder, scoring, config["layout"]["turns"])
    rows += figure_rows(groups, costs)
    signatures |= SIGNATURES
    warn(spec["columns"], rows, scoring.resampling)
    remarks = [remark(groups)]
    if costs:
        measured = f"{costs['model']}, {costs['device']}, {costs['precision']}"
        signatures["time_per_step"] = f"time_per_step|scripts/bench_training.py|{measured}"
    else:
        say(f"no time per step: python scripts/bench_training.py --trainings {root} measures it")
    published = Published.of(spec)
    sections = adjusted([Section("", rows)])
    lines = [*how_made(folder.manifest()), *told(groups)]
    return PaperTable(name, spec["title"], sections, spec["columns"], published, signatures, lines, remarks), [folder]


def remark(groups: Mapping[str, Sequence[Training]]) -> str:
    """Return what the brackets of the table are, and what its tests do not cover."""
    count = len(next(iter(groups.values())))
    return (
        "In brackets at validation_loss: least and greatest of the seeds; at time_per_step, relative to nothing frozen:"
        f" of the repeats. Intervals and tests are over examples and hold for these {count} trained models of each row:"
        " what other seeds would change is not in them."
    )


def respond(config: dict[str, Any], groups: Mapping[str, Sequence[Training]]) -> RunFolder:
    """Write the responses of all trainings to a folder of a run, and return it."""
    records = load_records(**config["dataset"])
    rows: list[dict[str, Any]] = []
    cells: dict[tuple[str, int], Cell] = {}
    weights: list[str] = []
    told: set[str] = set()
    for name, trainings in groups.items():
        for training in trainings:
            experiment = prepare(of_training(config, training), [], records)
            if str(experiment.cut) not in told:  # the same for all trainings of one tokenizer
                tell(experiment.cut)
                told.add(str(experiment.cut))
            (cell,) = experiment.cells.values()
            if cell.stored().state is not State.DONE and not config["make"]:
                raise ZscError(
                    f"the responses of {training.folder} are not in {config['cells']}, or not whole. Repeat the command"
                    f" with make=true to generate all that is missing. Of this training: {estimate(experiment)}"
                )
            fill(experiment)
            cells[name, training.seed] = cell
            weights.append(experiment.loaded.fingerprint)
            rows += [
                {"setting": name, "seed": training.seed, "id": item["id"], "response": item["response"]}
                for item in finished(cell)
            ]
    seeds = [training.seed for training in next(iter(groups.values()))]
    made = {
        **identified(cells),
        "weights": hashlib.sha256(canonical(weights).encode()).hexdigest(),
        "command": command_line(),
        "settings": list(groups),
        "seeds": seeds,
        "versions": library_versions() | {"zsc": __version__, "python": platform.python_version()},
        "device": str(experiment.loaded.model.device),
    }
    whole = {**config, "seeds": seeds, "model": {**config["model"], "checkpoint": str(config["trained"])}}
    folder = RunFolder(Path(str(config["output"] or default_output("table", whole, made["identity"]))))
    with folder.locked():
        folder.create(OmegaConf.to_yaml(OmegaConf.create(whole)), made, records)
        folder.write_rows(rows)
    return folder


def of_training(config: dict[str, Any], training: Training) -> dict[str, Any]:
    """Return ``config`` for the model of ``training``, with its seed."""
    model = {**config["model"], "checkpoint": str(training.model), "decoder": None}
    return {**config, "model": model, "seeds": [training.seed]}


def figure_rows(groups: Mapping[str, Sequence[Training]], costs: Mapping[str, Any]) -> list[Row]:
    """Return the figures of all trainings as rows of a table."""
    return [
        Row(name, figure, value, low, high, 0, len(trainings), 0)
        for name, trainings in groups.items()
        for figure, (value, low, high) in figures(trainings, costs).items()
    ]


def check_settings(groups: Mapping[str, Sequence[Training]]) -> None:
    """Raise ZscError if the trainings of one name differ in more than their seeds."""
    for of_one in groups.values():
        first = settings_of_training(of_one[0])
        for one in of_one[1:]:
            if keys := differing(first, settings_of_training(one)):
                raise ZscError(
                    f"{of_one[0].folder} and {one.folder} differ in {', '.join(keys)}: they are no seeds of one."
                )


def told(groups: Mapping[str, Sequence[Training]]) -> list[str]:
    """Say how the first trainings were made, and in which settings, beside what is frozen, the others differ."""
    known = {name: settings_of_training(of_one[0]) for name, of_one in groups.items()}
    baseline, first = next(iter(known.items()))
    changed = {name: differing(first, settings) for name, settings in known.items()}
    return [
        f"{name}: {', '.join(f'{key}={known[name].get(key)}' for key in keys)}"
        for name, keys in ({baseline: list(TOLD)} | {name: keys for name, keys in changed.items() if keys}).items()
    ]


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return the settings that are not the same in both."""
    return sorted(key for key in first.keys() | second.keys() if first.get(key) != second.get(key))


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
