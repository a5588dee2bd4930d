"""Export one setting of a finished run, so that it can be served: see :mod:`zsc.study.setting`."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from zsc.errors import ZscError, suggestion
from zsc.files import refuse_link, write_atomic
from zsc.generation.cells import writing
from zsc.generation.folder import RunFolder
from zsc.knobs import Knob
from zsc.models.files import deciding_files, find_checkpoint
from zsc.models.load import Loaded
from zsc.models.options import ModelOptions
from zsc.options import read
from zsc.study.exported import CARD, FILE, MODEL, OTHER, Exported, ExportedModel, card, read_exported
from zsc.study.knobs import OFF, build_knob, described, described_briefly, load_once
from zsc.study.options import ExportOptions, KnobChoice, KnobOptions, TaskOptions
from zsc.study.setting import Setting, differences, load
from zsc.study.stored import stored_config
from zsc.study.watch import Watch
from zsc.tables.render import number

CHECKED = 4  # responses of the run that are made again
SHOWN = (  # metrics on the page, behind those that are meant to move
    "knowledge_precision", "knowledge_copied_run", "novelty", "question_rate", "bleu", "chrf", "answer_f1",
    "perplexity_median", "repetition", "distinct2", "length",
)  # fmt: skip
MOST = 8  # of them


def export(options: ExportOptions, watch: Watch) -> Setting:
    """Write a setting of the run that ``options`` name to a folder, and return it loaded from there.

    The model is loaded to see that it is still that of the run, and a few responses are made again. Raises ZscError for
    what is no finished run, a setting that it has not, another model, and a folder with something else in it.
    """
    run, to = RunFolder(Path(options.run)), Path(options.to)
    manifest = run.manifest() if run.path.is_dir() else {}
    if not run.config.is_file() or not {"weights", "knobs", "layout", "decoding"} <= set(manifest):
        raise ZscError(f"{run.path} is not the folder of a run. `zsc run` and `zsc sweep` make one.")
    name = chosen(options.setting, manifest["settings"], run.path)
    exported = exported_of(run, manifest, name)
    check_place(to, exported)
    with writing(to):
        to.mkdir(parents=True, exist_ok=True)
        write_atomic(to / FILE, exported.text())
        if options.weights:
            copy_weights(exported, to, watch)
        write_atomic(to / CARD, card(exported, measured(run, manifest, name)))
    setting = load(to)
    watch.say(again(setting, run))
    return setting


def chosen(name: str | None, settings: Sequence[str], run: Path) -> str:
    """Return the setting called ``name``, or without a name the only one with knobs on. Raises ZscError."""
    others = [one for one in settings if one != OFF]
    if name is None and len(others) == 1:
        return others[0]
    listed = "; ".join(settings)
    if name is None:
        raise ZscError(f"{run} has {len(others)} settings with knobs: say which, setting='NAME'. They are: {listed}.")
    if name not in settings:
        raise ZscError(f"setting={name} is none of this run.{suggestion(name, settings)} They are: {listed}.")
    return name


def exported_of(run: RunFolder, manifest: Mapping[str, Any], name: str) -> Exported:
    """Return the setting called ``name`` with all that decides it. Raises ZscError where that has changed since."""
    config = stored_config(run.config)
    options = read(ModelOptions, config["model"], "model")
    loaded = load_once(options)
    if loaded.fingerprint != manifest["weights"]:
        raise ZscError(
            f"model {options.checkpoint} is not what {run.path} was made with: its fingerprint is"
            f" {loaded.fingerprint[:12]}, that of the run {manifest['weights'][:12]}. Repeat the run."
        )
    choices = [KnobChoice.from_mapping(one) for one in [*config.get("knobs", ()), config["knob"]]]
    parts = [part for choice in choices for part in choice.parts]
    knobs = [_exported(one, name, parts, options, loaded, manifest) for one in manifest["knobs"][name]]
    kept = {name: one for name, one in asdict(options).items() if name != "device"}
    return Exported(
        setting=name,
        task=read(TaskOptions, config.get("task", {}), "task").name,
        knobs=tuple(knobs),
        model=ExportedModel(**kept, fingerprint=loaded.fingerprint),
        layout=manifest["layout"],
        decoding=manifest["decoding"],
        seeds=tuple(manifest["seeds"]),
        versions=manifest["versions"],
        code=manifest["code"][name],
        device=str(manifest["device"]).partition(":")[0],
        run={"identity": manifest["identity"], "command": manifest["command"], "dataset": config["dataset"]["loader"]},
    )


def _exported(
    values: Mapping[str, Any],
    setting: str,
    parts: Sequence[KnobOptions],
    options: ModelOptions,
    loaded: Loaded,
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a knob, whose ``values`` are those of the manifest, with its phrases as texts and its second model.

    Both are only named in the options of the run, its ``parts``; the manifest tells which they were.
    """
    name, made_from = str(values["knob"]), manifest["made_from"]
    for files in _files(name, parts):
        found: dict[str, Any] = {}
        given = KnobOptions(name, {key: one for key, one in values.items() if key != "knob"} | files)
        try:
            knob = build_knob(given, options, loaded, found)
        except ZscError as error:
            failed: ZscError | None = error
            continue
        failed = None
        texts = {label: list(some) for label, some in knob.control_phrases.items()}
        drawn = made_from.get("phrases", {}).get(setting, {})
        same = described_briefly(knob) == dict(values) and all(drawn.get(label) == one for label, one in texts.items())
        if same and all(made_from.get(key) == one for key, one in found.items()):
            return described(knob) | _other(knob, name, files, options, found)
    if failed is not None:
        raise failed
    raise ZscError(
        f"{setting}: control phrases or the second model of {name} are not those of the run any more. Repeat the run."
    )


def _files(name: str, parts: Sequence[KnobOptions]) -> Iterator[dict[str, Any]]:
    """Yield what the ``parts`` of this ``name`` say of phrases and second models, one of each at a time."""
    for part in (one for one in parts if one.name == name):
        phrases = part.values.get("phrases")
        for one in phrases if isinstance(phrases, list | tuple) else [phrases]:
            yield {key: it for key, it in (("phrases", one), ("other", part.values.get("other"))) if it is not None}


def _other(
    knob: Knob, name: str, files: Mapping[str, Any], options: ModelOptions, found: Mapping[str, Any]
) -> dict[str, Any]:
    if getattr(knob, "other", None) is None:
        return {}
    own = {key: one for key, one in (asdict(options) | dict(files["other"])).items() if key != "device"}
    return {"other": own | {"fingerprint": found[f"{name}.other"]}}


def check_place(to: Path, exported: Exported) -> None:
    """Raise ZscError unless ``to`` can become the folder of the setting: new, empty, or with the same one in it."""
    refuse_link(to)
    if to.exists() and not to.is_dir():
        raise ZscError(f"to={to} is a file. Name a folder.")
    if not to.is_dir() or not any(to.iterdir()):
        return
    if not (to / FILE).is_file():
        raise ZscError(f"to={to} holds something else, and no {FILE}. Name a new folder.")
    if (there := read_exported(to / FILE)).text() != exported.text():
        raise ZscError(f"to={to} holds {there.setting} of another run or model. Name a new folder.")


def copy_weights(exported: Exported, to: Path, watch: Watch) -> None:
    """Copy the files that decide what the models of a setting do into its folder."""
    others = [read(ExportedModel, knob["other"], "other") for knob in exported.knobs if knob.get("other")]
    if len({one.fingerprint for one in others}) > 1:
        raise ZscError("weights=true: the setting has several second models. Leave weights out.")
    for folder, model in ((MODEL, exported.model), *((OTHER, one) for one in others[:1])):
        place = find_checkpoint(model.checkpoint)
        root = place.parent if place.is_file() else place
        files = [*deciding_files(place), *([place / model.decoder] if model.decoder else [])]
        for file in files:
            copy = to / folder / file.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            refuse_link(copy)
            shutil.copyfile(file, copy)
        size = sum(file.stat().st_size for file in files) / 1e6
        watch.say(f"{len(files)} files of model {model.checkpoint} copied, {size:,.1f} MB: mind its licence.")


def measured(run: RunFolder, manifest: Mapping[str, Any], name: str) -> list[tuple[str, str, str]]:
    """Return rows of a metric, its value without knobs and under the setting called ``name``, of those that the run has
    scored: the ones that the knobs are meant to move first."""
    file = run.path / "scores.json"
    if not file.is_file():
        return []
    rows = json.loads(file.read_text(encoding="utf-8"))["table"]
    values = {(row["setting"], row["metric"]): row["value"] for row in rows}
    wanted = [*manifest.get("moves", {}).get(name, ()), *SHOWN]
    there = [one for one in dict.fromkeys(wanted) if values.get((name, one)) is not None][:MOST]
    return [(one, number(values.get((OFF, one)), ""), number(values[name, one], "")) for one in there]


def again(setting: Setting, run: RunFolder) -> str:
    """Make the first responses of the run again, and say whether they are the same, byte for byte."""
    seed = setting.exported.seeds[0]
    wanted = (row for _, row in run.each_row() if (row["setting"], row["seed"]) == (setting.name, seed))
    stored = [row["response"] for row in islice(wanted, CHECKED)]
    made = setting.generate_many(run.records()[: len(stored)], seed=seed)
    same = sum(one == other for one, other in zip(made, stored, strict=True))
    if same == len(stored):
        return f"checked: {same} responses of the run made again, byte for byte"
    why = "; ".join(differences(setting)) or "a tie of two tokens within rounding may do that"
    return f"warning: {len(stored) - same} of {len(stored)} responses of the run are others when made again ({why})"
