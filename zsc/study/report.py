"""What a report shows: finished runs that can be compared, examples of their responses, the attention that moved."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zsc.data.record import Record
from zsc.errors import ZscError, first_line, suggestion
from zsc.files import write_atomic
from zsc.generation.attended import Attended, attended
from zsc.generation.cells import canonical, writing
from zsc.generation.ellipsis import SHOWN, as_shown, is_cut
from zsc.generation.folder import RunFolder
from zsc.metrics import METRICS, described
from zsc.metrics.responses import read_responses
from zsc.metrics.score import Row
from zsc.models.files import on_disk
from zsc.options import read
from zsc.study.experiment import Experiment, prepare
from zsc.study.knobs import described_briefly
from zsc.study.options import KnobChoice, ReportOptions, RunOptions
from zsc.study.stored import stored_config
from zsc.study.watch import Watch
from zsc.tables.compared import Group, Run, default_controls, default_fluency, grouped
from zsc.tables.report import Example, Examples, curve_plots, page, plane_plot
from zsc.tables.trade_off import verdict

PAGE = "report.html"


@dataclass(frozen=True)
class Report:
    """A page and its ``plots`` beside it, with a line for each group of runs that can be compared."""

    page: Path
    plots: int
    verdicts: Sequence[str]


def report(paths: Sequence[Path], options: ReportOptions, watch: Watch) -> Report:
    """Write the page about the run folders at ``paths``. Raises ZscError for what is no finished, scored run."""
    check_metrics(options)
    short = [path.resolve().name for path in paths]
    names = short if len(set(short)) == len(short) else [str(path) for path in paths]
    folders = {name: RunFolder(path) for name, path in zip(names, paths, strict=True)}
    groups = grouped_runs([load(name, folder) for name, folder in folders.items()], folders, options)
    known = dict.fromkeys(setting for group in groups for setting in group.settings[1:])
    if options.setting is not None and options.setting not in known:
        raise ZscError(f"setting={options.setting} must name one of: {'; '.join(known)}.")
    prefixes = [f"{number}-" if len(groups) > 1 else "" for number in range(1, len(groups) + 1)]
    curves = [curve_plots(group, f"{prefix}curves-") for prefix, group in zip(prefixes, groups, strict=True)]
    planes = [plane_plot(group, f"{prefix}frontier") for prefix, group in zip(prefixes, groups, strict=True)]
    examples = [examples_of(group, folders, options, watch) for group in groups]
    output = Path(options.output)
    plots = [*(plot for own in curves for plot in own), *(plot for plot in planes if plot is not None)]
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        for plot in plots:
            for ending, content in plot.files.items():
                write_atomic(output / f"{plot.name}.{ending}", content)
        write_atomic(output / PAGE, page(title(groups), groups, curves, planes, examples))
    return Report(output / PAGE, len(plots), [f"{group.title}: {verdict(group)}" for group in groups])


def check_metrics(options: ReportOptions) -> None:
    """Raise ZscError unless control and fluency, where given, are metrics."""
    for key, value in (("control", options.control), ("fluency", options.fluency)):
        if value is not None and value not in METRICS:
            raise ZscError(f"{key}={value} is no metric.{suggestion(value, METRICS)} See `zsc ls`.")


def load(name: str, folder: RunFolder) -> Run:
    """Read the folder of a run. Raises ZscError if it is none, not finished, or not scored."""
    path, manifest = folder.path, folder.manifest()
    if not manifest or not folder.config.is_file():
        raise ZscError(f"{path} is not the folder of a run. `zsc run` makes one.")
    records = folder.records()
    read_responses(folder, records, manifest["settings"], manifest["seeds"])
    file = path / "scores.json"
    if not file.is_file():
        raise ZscError(f"{path} has no scores.json. Run `zsc score {path}`.")
    try:
        scores = json.loads(file.read_text(encoding="utf-8"))
        rows = [Row(**row) for row in scores["table"]]
        own = (rows, scores["signatures"], scores["resampling"])
    except (ValueError, TypeError, KeyError) as error:
        raise ZscError(f"{file} cannot be read ({first_line(error)}). Run `zsc score {path}`.") from error
    return Run(name, stored_config(folder.config), manifest, *own, len(records))


def grouped_runs(runs: list[Run], folders: Mapping[str, RunFolder], options: ReportOptions) -> list[Group]:
    """Return the runs by what can be compared. Raises ZscError if a run lacks the score of a metric that is shown."""
    fluency = options.fluency or default_fluency(runs)
    controls = [options.control] * len(runs) if options.control else default_controls(runs)
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
    """Return the title of the page."""
    knobs = dict.fromkeys(knob["knob"] for group in groups for knobs in group.knobs.values() for knob in knobs)
    return f"{', '.join(knobs) or 'Systems'}: control against fluency"


def examples_of(
    group: Group, folders: Mapping[str, RunFolder], options: ReportOptions, watch: Watch
) -> Examples | None:
    """Draw examples of the setting asked for, or of the best; None where there is no setting or none are wanted."""
    wanted, found = options.setting, group.frontier
    own = wanted if wanted in group.settings[1:] else None
    setting = own or found.best or found.nearest or next(iter(group.settings[1:]), None)
    if setting is None or not options.examples:
        return None
    run = group.holder(setting)
    folder, off, seed = folders[run.name], run.settings[0], run.manifest["seeds"][0]
    records = folder.records()
    cells = read_responses(folder, records, [off, setting], [seed])
    drawn = random.Random(options.shuffle).sample(range(len(records)), min(options.examples, len(records)))
    without, rows = (
        {row["id"]: row for row in folder.rows_at(cells[name, seed].begins[drawn].tolist())} for name in (off, setting)
    )
    responses = {identity: row["response"] for identity, row in rows.items()}
    measured, note = measure(run, setting, records, responses, options.attention, watch)
    items = [
        Example(records[i], as_shown(without[one]), as_shown(rows[one]), measured.get(one))
        for i, one in ((i, records[i].id) for i in drawn)
    ]
    if any(is_cut(row) for own in (without, rows) for row in own.values()):
        note = f"{SHOWN}. {note}".rstrip()
    return Examples(setting, seed, items, note)


def measure(
    run: Run, setting: str, records: list[Record], responses: Mapping[str, str], wanted: bool, watch: Watch
) -> tuple[dict[str, Attended], str]:
    """Measure attention along ``responses`` by record id, with the model of ``run`` built again.

    Returns nothing where that cannot be done or is not ``wanted``, and in any case a sentence for the reader, which
    may be empty.
    """
    if not wanted:
        return {}, "Attention was not measured (attention=false)."
    if "knobs" not in run.config and "knob" not in run.config:
        return {}, "Attention was not measured: these are responses of other systems."
    try:
        options, choices = options_of(run.config)
        if (name := absent(options, choices)) is not None:
            return {}, f"Attention was not measured: model '{name}', which the run's config.yaml names, is not here."
        experiment = prepare(options, choices, records)
    except ZscError as error:
        return {}, f"Attention was not measured: {error}"
    if changed := difference(experiment, run, setting):
        return {}, f"Attention was not measured: {changed}."
    watch.say(f"measuring attention: {setting}, {len(responses)} examples")
    place = {record.id: i for i, record in enumerate(records)}
    knobs = experiment.built.settings[setting]
    measured = {
        identity: attended(
            experiment.loaded,
            experiment.sources.batch([place[identity]]),
            knobs,
            response,
            experiment.format.decoding.forced_first,  # type: ignore[arg-type]
        )
        for identity, response in responses.items()
    }
    notes = [type(knob).attention_note(described_briefly(knob)) for knob in knobs]
    if experiment.identity != run.manifest["identity"]:
        notes.insert(0, "Attention was measured with another version of the code or of its libraries.")
    return measured, " ".join(dict.fromkeys(filter(None, notes)))


def options_of(config: Mapping[str, Any]) -> tuple[RunOptions, list[KnobChoice]]:
    """Return the options of a run from its config.yaml, and the choices of knobs that make its settings.

    Raises ZscError for a config that is not of this version of zsc.
    """
    known = {name: config[name] for name in RunOptions.__dataclass_fields__ if name in config and name != "format"}
    choices = [KnobChoice.from_mapping(knob) for knob in config.get("knobs") or [config["knob"]]]
    return read(RunOptions, known), choices


def absent(options: RunOptions, choices: Sequence[KnobChoice]) -> str | None:
    """Return the first checkpoint named in a run's config that is not on this machine.

    None is fetched because a run, which may be somebody else's, names it.
    """
    others = [part.values.get("other") for choice in choices for part in choice.parts]
    names = [options.model.checkpoint]
    names += [str(other["checkpoint"]) for other in others if isinstance(other, Mapping) and "checkpoint" in other]
    return next((name for name in names if on_disk(name) is None), None)


def difference(experiment: Experiment, run: Run, setting: str) -> str:
    """Say in what the model and the knobs of ``setting`` differ from those that made ``run``, if they do."""
    if experiment.loaded.fingerprint != run.manifest["weights"]:
        return f"the weights of {run.model} have changed since the run"
    knobs = experiment.built.settings.get(setting)
    if knobs is None or canonical([described_briefly(knob) for knob in knobs]) != canonical(run.knobs.get(setting)):
        return f"the options in the run's config.yaml do not make {setting}"
    if canonical(experiment.built.made_from) != canonical(run.manifest["made_from"]):
        return "the control phrases, or another model that is used, have changed since the run"
    return ""
