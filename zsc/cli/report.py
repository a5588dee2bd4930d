"""`zsc report`: one page about finished runs, with its plots as files."""

import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from zsc.cli.build import check_count, knob_parts
from zsc.cli.configs import dotted, stored_config
from zsc.cli.experiment import Experiment, prepare, shown
from zsc.cli.words import is_path, unknown_setting
from zsc.data.record import Record
from zsc.errors import ZscError, first_line, suggestion
from zsc.files import write_atomic
from zsc.generation.attended import Attended, attended
from zsc.generation.cells import canonical, writing
from zsc.generation.folder import RunFolder
from zsc.metrics import METRICS, described
from zsc.metrics.run import finished
from zsc.metrics.score import Row
from zsc.models.files import on_disk
from zsc.tables.compared import Group, Run, default_controls, default_fluency, grouped
from zsc.tables.report import Example, Examples, curve_plots, page, plane_plot, verdict
from zsc.terminal import say

PAGE = "report.html"
DEFAULTS: dict[str, Any] = {
    "output": "runs/report",
    "control": None,
    "fluency": None,
    "setting": None,
    "examples": 3,
    "shuffle": 0,
    "attention": True,
}
FREE = re.compile("setting|output")  # settings whose values stand as they are


def report(arguments: list[str]) -> None:
    """Write the page about the run folders that ``arguments`` begin with, by the ``key=value`` settings among them."""
    paths, options = parse(arguments)
    short = [path.resolve().name for path in paths]
    names = short if len(set(short)) == len(short) else [str(path) for path in paths]
    folders = {name: RunFolder(path) for name, path in zip(names, paths, strict=True)}
    groups = grouped_runs([load(name, folder) for name, folder in folders.items()], folders, options)
    known = dict.fromkeys(setting for group in groups for setting in group.settings[1:])
    if options["setting"] is not None and options["setting"] not in known:
        raise ZscError(f"setting={options['setting']} must name one of: {'; '.join(known)}.")
    prefixes = [f"{number}-" if len(groups) > 1 else "" for number in range(1, len(groups) + 1)]
    curves = [curve_plots(group, f"{prefix}curves-") for prefix, group in zip(prefixes, groups, strict=True)]
    planes = [plane_plot(group, f"{prefix}frontier") for prefix, group in zip(prefixes, groups, strict=True)]
    examples = [examples_of(group, folders, options) for group in groups]
    output = Path(str(options["output"]))
    plots = [*(plot for of_one in curves for plot in of_one), *(plot for plot in planes if plot is not None)]
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        for plot in plots:
            svg, png = plot.files
            write_atomic(output / f"{plot.name}.svg", svg)
            write_atomic(output / f"{plot.name}.png", png)
        write_atomic(output / PAGE, page(title(groups), groups, curves, planes, examples))
    for group in groups:
        print(f"{group.title}: {verdict(group)}")
    print(f"page: {output / PAGE}")
    print(f"plots: {len(plots)}, each as PNG and SVG beside it")


def parse(arguments: list[str]) -> tuple[list[Path], dict[str, Any]]:
    """Return the folders and the settings in ``arguments``. Raises ZscError for what is neither."""
    paths: dict[Path, Path] = {}
    settings = []
    for argument in arguments:
        key, equals, _ = argument.partition("=")
        if equals and key in DEFAULTS:
            settings.append(argument)
        elif argument.startswith("-") or not is_path(argument):
            raise ZscError(unknown_setting("report", argument, DEFAULTS))
        else:
            paths.setdefault(Path(argument).resolve(), Path(argument))
    if not paths:
        raise ZscError("zsc report needs the folders of finished runs: zsc report RUN [RUN ...] [key=value ...].")
    given: Any = OmegaConf.to_container(dotted(settings, FREE))
    options = DEFAULTS | given
    for key in ("control", "fluency"):
        if options[key] is not None and options[key] not in METRICS:
            raise ZscError(f"{key}={options[key]} is no metric.{suggestion(str(options[key]), METRICS)} See `zsc ls`.")
    if options["examples"] != 0:
        check_count("examples", options["examples"])
    if type(options["shuffle"]) is not int:
        raise ZscError(f"shuffle={options['shuffle']} must be a whole number.")
    if not isinstance(options["attention"], bool):
        raise ZscError(f"attention={options['attention']} must be true or false.")
    return list(paths.values()), options


def load(name: str, folder: RunFolder) -> Run:
    """Read a run's folder. Raises ZscError if it is none, not finished, or not scored."""
    path, made = folder.path, folder.manifest()
    if not made or not folder.config.is_file():
        raise ZscError(f"{path} is not the folder of a run. `zsc run` makes one.")
    records = folder.records()
    finished(records, folder.rows(), made["settings"], made["seeds"])
    file = path / "scores.json"
    if not file.is_file():
        raise ZscError(f"{path} has no scores.json. Run `zsc score {path}`.")
    try:
        scores = json.loads(file.read_text(encoding="utf-8"))
        rows = [Row(**row) for row in scores["table"]]
        own = (rows, scores["signatures"], scores["resampling"])
    except (ValueError, TypeError, KeyError) as error:
        raise ZscError(f"{file} cannot be read ({first_line(error)}). Run `zsc score {path}`.") from error
    config: Any = OmegaConf.to_container(stored_config(folder.config))
    return Run(name, config, made, *own, len(records))


def grouped_runs(runs: list[Run], folders: dict[str, RunFolder], options: dict[str, Any]) -> list[Group]:
    """Return the runs by what can be compared. Raises ZscError if a run lacks the score of a metric that is shown."""
    fluency = options["fluency"] or default_fluency(runs)
    controls = [options["control"]] * len(runs) if options["control"] else default_controls(runs)
    for run, control in zip(runs, controls, strict=True):
        for key, metric in (("control", control), ("fluency", fluency)):
            if metric not in run.signatures:
                path, names = folders[run.name].path, ",".join([*run.signatures, metric])
                raise ZscError(
                    f"{path} has no score of {key}={metric}. Run `zsc score {path} metrics=[{names}]`, which needs"
                    f" {described(metric).requirements or 'nothing else'}, or set {key} to one of"
                    f" {', '.join(run.signatures)}."
                )
        if control == fluency:
            raise ZscError(f"control={control} and fluency={fluency} must be two metrics.")
    return grouped(runs, controls, fluency)


def title(groups: Sequence[Group]) -> str:
    knobs = dict.fromkeys(one["knob"] for group in groups for of_one in group.knobs.values() for one in of_one)
    return f"{', '.join(knobs) or 'Systems'}: control against fluency"


def examples_of(group: Group, folders: dict[str, RunFolder], options: dict[str, Any]) -> Examples | None:
    """Draw examples of the setting asked for, or of the best; None where there is no setting or none are wanted."""
    wanted, found = options["setting"], group.frontier
    own = wanted if wanted in group.settings[1:] else None
    setting = own or found.best or found.nearest or next(iter(group.settings[1:]), None)
    if setting is None or not options["examples"]:
        return None
    run = group.holder(setting)
    folder, off, seed = folders[run.name], run.settings[0], run.made["seeds"][0]
    records = folder.records()
    cells = finished(records, folder.rows(), [off, setting], [seed])
    drawn = random.Random(options["shuffle"]).sample(records, min(options["examples"], len(records)))
    said = {record.id: cells[setting, seed][record.id]["response"] for record in drawn}
    measured, note = measure(run, setting, records, said, options["attention"])
    items = [
        Example(record, cells[off, seed][record.id]["response"], said[record.id], measured.get(record.id))
        for record in drawn
    ]
    return Examples(setting, seed, items, note)


def measure(
    run: Run, setting: str, records: list[Record], said: dict[str, str], wanted: bool
) -> tuple[dict[str, Attended], str]:
    """Measure attention along the responses ``said`` by record id, with the model of ``run`` built again.

    Returns nothing where that cannot be done or is not ``wanted``, and in any case a sentence for the reader, which
    may be empty.
    """
    if not wanted:
        return {}, "Attention was not measured (attention=false)."
    knobs = run.config.get("knobs") or ([run.config["knob"]] if "knob" in run.config else [])
    if not knobs:
        return {}, "Attention was not measured: these are responses of other systems."
    try:
        if (name := absent(run.config, knobs)) is not None:
            return {}, f"Attention was not measured: model '{name}', which the run's config.yaml names, is not here."
        experiment = prepare(dict(run.config), knobs, records)
    except ZscError as error:
        return {}, f"Attention was not measured: {error}"
    except KeyError as error:
        return {}, f"Attention was not measured: the run's config.yaml has no {error}."
    if changed := difference(experiment, run, setting):
        return {}, f"Attention was not measured: {changed}."
    say(f"measuring attention: {setting}, {len(said)} examples")
    place = {record.id: i for i, record in enumerate(records)}
    measured = {
        identity: attended(
            experiment.loaded, experiment.source.select([place[identity]]), experiment.built.settings[setting], response
        )
        for identity, response in said.items()
    }  # fmt: skip
    notes = []
    if experiment.identity != run.made["identity"]:
        notes.append("Attention was measured with another version of the code or of its libraries.")
    if any(knob["knob"] == "dec_mix" and knob["level"] != "weights" for knob in run.knobs[setting]):
        notes.append("Attention is that of the model's own decoder, not of the one that is mixed in.")
    return measured, " ".join(notes)


def absent(config: Mapping[str, Any], knobs: Sequence[dict[str, Any]]) -> str | None:
    """Return the first checkpoint named in a run's config that is not on this machine.

    None is fetched because a run, which may be somebody else's, names it.
    """
    others = [part["other"] for knob in knobs for part in knob_parts(knob) if isinstance(part.get("other"), dict)]
    names = [str(model["checkpoint"]) for model in (config["model"], *others) if "checkpoint" in model]
    return next((name for name in names if on_disk(name) is None), None)


def difference(experiment: Experiment, run: Run, setting: str) -> str:
    """Say in what the model and the knobs of ``setting`` differ from those that made ``run``, if they do."""
    if experiment.loaded.fingerprint != run.made["weights"]:
        return f"the weights of {run.model} have changed since the run"
    knobs = experiment.built.settings.get(setting)
    if knobs is None or canonical([shown(knob) for knob in knobs]) != canonical(run.knobs.get(setting)):
        return f"the settings in the run's config.yaml do not make {setting}"
    if canonical(experiment.built.made_from) != canonical(run.made["made_from"]):
        return "the control phrases, or another model that is used, have changed since the run"
    return ""
