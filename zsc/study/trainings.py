"""Tables of trainings: models that were fine-tuned in several ways, compared on the same examples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zsc.errors import ZscError
from zsc.generation.cells import Cell, Place, hashed, identified
from zsc.generation.folder import RunFolder
from zsc.metrics import build_metrics
from zsc.metrics.score import Row
from zsc.options import dotted, plain
from zsc.study.crew import at_work
from zsc.study.experiment import Experiment, prepare
from zsc.study.filling import fill
from zsc.study.folders import config_text, folder_of, provenance, versions
from zsc.study.options import KnobChoice, TableOptions
from zsc.study.paper import metrics_of
from zsc.study.plan import cell_rows, estimate
from zsc.study.scoring import build_scoring, score_folder, warnings
from zsc.study.stored import stored_training
from zsc.study.watch import Watch, say_remarks
from zsc.tables.paper import PaperTable, Section, adjusted
from zsc.training.finished import FIGURES, Training, by_name, figures, read_costs, read_trainings

SIGNATURES = {figure: f"{figure}|zsc train" for figure in FIGURES}
OWN = ("output", "seed", "freeze")  # options in which trainings that are compared may differ
NAMED = ("objective.checkpoint", "objective.decoder", "trainer.max_steps", "trainer.per_device_train_batch_size",
         "trainer.learning_rate")  # fmt: skip
Trainings = Mapping[str, Sequence[Training]]  # by name, those of several seeds


def compare(
    options: TableOptions, name: str, watch: Watch, command: str | None = None
) -> tuple[PaperTable, list[RunFolder]]:
    """Score the trainings in ``options.trained``, a row for each name and a response for each of its seeds.

    The responses to seed N are those of the model trained with seed N, drawn with seed N. What is missing is generated
    if the options say so. Raises ZscError where trainings or responses are missing.
    """
    spec = options.table
    metrics = metrics_of(spec)
    build_metrics(metrics, options.bleu.tokenize)
    groups, root = find_trainings(options, name, watch)
    costs = read_costs(root)
    folder = respond(options, groups, watch, command)
    scoring = build_scoring(replace(options, metrics=tuple(metrics)), {})
    with folder.locked():
        rows, signatures = score_folder(folder, scoring, options.dialog_turns, watch)
    rows += figure_rows(groups, costs)
    signatures |= SIGNATURES
    for line in warnings(spec.columns, rows, scoring.resampling):
        watch.say(line)
    if costs:
        measured = f"{costs['model']}, {costs['device']}, {costs['precision']}"
        signatures["time_per_step"] = f"time_per_step|scripts/bench_training.py|{measured}"
    else:
        watch.say(f"no time per step: python scripts/bench_training.py --trainings {root} measures it")
    sections = adjusted([Section("", rows)])
    lines = [*provenance(folder.manifest()), *how_trained(groups)]
    table = PaperTable(name, spec.title, sections, spec.columns, spec.published, signatures, lines, [remark(groups)])
    return table, [folder]


def find_trainings(options: TableOptions, name: str, watch: Watch) -> tuple[Trainings, Path]:
    """Return the trainings that the table called ``name`` compares, and their folder. Raises ZscError where there are
    none, or some of one name differ in more than their seeds."""
    if options.trained is None:
        raise ZscError(f"table {name} compares trainings: give trained=DIR, which scripts/train_less.sh makes.")
    root, baseline = Path(options.trained), str(options.table.baseline)
    trainings, unfinished = read_trainings(root)
    groups, others = by_name(trainings, baseline)
    if unfinished:
        watch.say(f"not finished, left out: {', '.join(unfinished)}")
    if others:
        watch.say(f"not the seeds of {baseline}, left out: {', '.join(others)}")
    check_alike(groups)
    return groups, root


def experiments(options: TableOptions, groups: Trainings, watch: Watch) -> Iterator[tuple[str, Training, Experiment]]:
    """Yield each training with its name and what its model is to say to the records, drawn with the training's seed."""
    records = options.dataset.load()
    said: set[str] = set()
    for name, trainings in groups.items():
        for training in trainings:
            model = replace(options.model, checkpoint=str(training.model), decoder=None)
            own = replace(options, model=model, seeds=(training.seed,), knob=KnobChoice())
            experiment = prepare(own, [], records)
            if experiment.remarks not in said:  # the same for all trainings of one tokenizer
                say_remarks(experiment.remarks, watch)
                said.add(experiment.remarks)
            yield name, training, experiment


def work(options: TableOptions, name: str, watch: Watch) -> None:
    """Fill the cells of the table called ``name``, as far as nobody else does, and leave when there is nothing to take,
    as :func:`zsc.study.work.work`."""
    groups, _ = find_trainings(options, name, watch)
    with at_work(Path(options.cells)):
        for _, _, experiment in experiments(options, groups, watch):
            fill(experiment, watch, waits=False)


def plan(options: TableOptions, name: str, watch: Watch) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a row for each cell of the table called ``name``, as :func:`zsc.study.plan.cell_rows`, and an estimate for
    each training."""
    groups, _ = find_trainings(options, name, watch)
    rows: list[dict[str, Any]] = []
    estimates = []
    for name, training, experiment in experiments(options, groups, watch):
        rows += [{**row, "setting": name} for row in cell_rows(experiment)]
        estimates.append(f"{training.folder}: {estimate(experiment)}")
    return rows, estimates


def remark(groups: Trainings) -> str:
    """Return what the brackets of the table are, and what its tests do not cover."""
    count = len(next(iter(groups.values())))
    return (
        "In brackets at validation_loss: least and greatest of the seeds; at time_per_step, relative to nothing frozen:"
        f" of the repeats. Intervals and tests are over examples and hold for these {count} trained models of each row:"
        " what other seeds would change is not in them."
    )


def respond(options: TableOptions, groups: Trainings, watch: Watch, command: str | None) -> RunFolder:
    """Write the responses of all trainings to a folder of a run, and return it."""
    rows: list[dict[str, Any]] = []
    cells: dict[Place, Cell] = {}
    weights: list[str] = []
    for name, training, experiment in experiments(options, groups, watch):
        (cell,) = experiment.cells.values()
        if not cell.done() and not options.make:
            raise ZscError(
                f"the responses of {training.folder} are not in {options.cells}, or not whole. Repeat the command"
                f" with make=true to generate all that is missing. Of this training: {estimate(experiment)}"
            )
        fill(experiment, watch)
        cells[name, training.seed] = cell
        weights.append(experiment.loaded.fingerprint)
        rows += [
            {"setting": name, "seed": training.seed, "id": item["id"], "response": item["response"]}
            for item in cell.responses()
        ]
    seeds = [training.seed for training in next(iter(groups.values()))]
    manifest = {
        **identified(cells),
        "weights": hashed(weights),
        "command": command,
        "settings": list(groups),
        "seeds": seeds,
        "versions": versions(),
        "device": str(experiment.loaded.model.device),
    }
    model = replace(options.model, checkpoint=str(options.trained))
    joint = replace(options, seeds=tuple(seeds), model=model)
    folder = folder_of(joint, "table", str(manifest["identity"]))
    with folder.locked():
        folder.create(config_text(joint), manifest, experiment.records)
        folder.write_rows(rows)
    return folder


def figure_rows(groups: Trainings, costs: Mapping[str, Any]) -> list[Row]:
    """Return the figures of all trainings as rows of a table."""
    return [
        Row(name, figure, value, low, high, 0, len(trainings), 0)
        for name, trainings in groups.items()
        for figure, (value, low, high) in figures(trainings, costs).items()
    ]


def check_alike(groups: Trainings) -> None:
    """Raise ZscError if the trainings of one name differ in more than their seeds."""
    for trainings in groups.values():
        first = options_of_training(trainings[0])
        for one in trainings[1:]:
            if keys := differing(first, options_of_training(one)):
                raise ZscError(
                    f"{trainings[0].folder} and {one.folder} differ in {', '.join(keys)}: they are no seeds of one."
                )


def how_trained(groups: Trainings) -> list[str]:
    """Say how the first trainings were made, and in which options, beside what is frozen, the others differ."""
    known = {name: options_of_training(trainings[0]) for name, trainings in groups.items()}
    baseline, first = next(iter(known.items()))
    changed = {name: differing(first, options) for name, options in known.items()}
    return [
        f"{name}: {', '.join(f'{key}={known[name].get(key)}' for key in keys)}"
        for name, keys in ({baseline: list(NAMED)} | {name: keys for name, keys in changed.items() if keys}).items()
    ]


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return the options that are not the same in both."""
    return sorted(key for key in first.keys() | second.keys() if first.get(key) != second.get(key))


def options_of_training(training: Training) -> dict[str, Any]:
    """Return the options of a training by dotted key, without those in which ways to train differ anyway."""
    config = plain(stored_training(training.folder / "config.yaml"))
    return {key: value for key, value in dotted(config).items() if key not in OWN}
