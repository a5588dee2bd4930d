"""From a composed config to cells and back: what a run, a table or a tuning generates, and its folder."""

import hashlib
import platform
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from zsc import __version__
from zsc.cli.build import (
    Built,
    build_knobs,
    build_layout,
    check_count,
    check_seeds,
    described,
    load_once,
    merged,
)
from zsc.cli.configs import contract, own_folder
from zsc.cli.progress import progress
from zsc.data import load_records
from zsc.data.cut import Cut
from zsc.data.layout import BucketLayout, Source
from zsc.data.record import Record
from zsc.errors import INTERRUPTED, ZscError
from zsc.generation.cells import Cell, State, canonical, code_version, identified, library_versions
from zsc.generation.checks import check_lengths, check_settings, probe_settings
from zsc.generation.decoding import Decoding
from zsc.generation.encoded import EncodedBatches
from zsc.generation.fill import Filler, Tally, Task, fitting
from zsc.generation.folder import RunFolder
from zsc.generation.generate import Job
from zsc.knobs import Knob
from zsc.models.load import Loaded
from zsc.terminal import say, visible

PROBED = 8  # examples on which the effect of a setting is measured before it is used

SHOWING = ("format", "save")

Place = tuple[str, int]  # setting and seed


@dataclass(frozen=True)
class Experiment:
    """Settings and seeds of one model on the same records, and the cell of each."""

    config: dict[str, Any]
    loaded: Loaded
    records: list[Record]
    layout: BucketLayout
    source: Source
    cut: Cut
    decoding: Decoding
    built: Built
    cells: dict[Place, Cell]

    @property
    def seeds(self) -> list[int]:
        return list(self.config["seeds"])

    @property
    def identity(self) -> str:
        """A hash of what decides the responses, and the names of the settings."""
        return str(identified(self.cells)["identity"])


def prepare(config: dict[str, Any], knobs: Sequence[dict[str, Any]], records: list[Record] | None = None) -> Experiment:
    """Load, build and check everything that ``config`` (of configs/run.yaml) names, with the settings of ``knobs``.

    ``records`` stand for those of the config, if given. Nothing is generated or written.
    """
    layout = build_layout(config["layout"])
    decoding, seeds = Decoding.from_settings(config["decoding"]), check_seeds(config["seeds"])
    for count in ("batch_size", "together"):
        check_count(count, config[count])
    records = load_records(**config["dataset"]) if records is None else records
    loaded = load_once(config["model"])
    built = merged([build_knobs(knob, config["model"], loaded) for knob in knobs])
    check_lengths(loaded.model, layout.positions, decoding.max_new_tokens)
    source, cut = layout.lay_out(records, loaded.tokenizer)
    check_settings(loaded, built.settings, records, source)
    common = common_spec(loaded, layout, decoding, records)
    ids = [record.id for record in records]
    cells = {
        (name, seed): Cell(
            Path(str(config["cells"])),
            {**common, "code": code_version(frozenset(map(type, knobs))), "knobs": built.deciding[name], "seed": seed},
            ids,
        )
        for name, knobs in built.settings.items()
        for seed in seeds
    }
    return Experiment(config, loaded, records, layout, source, cut, decoding, built, cells)


def tell(cut: Cut) -> None:
    """Say on stderr what a layout cuts off, if it does."""
    if text := str(cut):
        say(text)


def common_spec(loaded: Loaded, layout: BucketLayout, decoding: Decoding, records: Sequence[Record]) -> dict[str, Any]:
    """Return what decides responses, beside knobs, their code and seed."""
    content = "".join(canonical(record.to_json()) for record in records)
    return {
        "libraries": library_versions(),
        "weights": loaded.fingerprint,
        "model": {
            "dtype": str(loaded.model.dtype),
            "attention": loaded.model.get_decoder().config._attn_implementation,
            "device": loaded.model.device.type,
        },
        "records": {"count": len(records), "sha256": hashlib.sha256(content.encode()).hexdigest()},
        "layout": asdict(layout),
        "decoding": asdict(decoding),
    }


@contextmanager
def performed(experiment: Experiment, name: str) -> Iterator[RunFolder]:
    """Generate what the cells of ``experiment`` lack, and open a context with its folder, written from them and locked.

    ``name`` begins the name of a folder for which the config has none.
    """
    config, built = experiment.config, experiment.built
    folder = RunFolder(Path(str(config["output"] or default_output(name, config, experiment.identity))))
    made = manifest(experiment)
    folder.check(made)
    effects = fill(experiment)
    made["effects"] = {setting: effects[setting] for setting, knobs in built.settings.items() if knobs}
    with folder.locked():
        folder.create(OmegaConf.to_yaml(OmegaConf.create(config)), made, experiment.records)
        folder.write_rows(
            {"setting": setting, "seed": seed, **item}
            for seed in experiment.seeds
            for setting in built.settings
            for item in finished(experiment.cells[setting, seed])
        )
        yield folder


def finished(cell: Cell) -> list[dict[str, Any]]:
    """Return the items of a cell. Raises ZscError if it is not finished."""
    stored = cell.stored()
    if stored.state is not State.DONE:
        raise ZscError(f"cell {cell.path} was changed while it was read. Repeat the command.")
    return stored.items


def fill(experiment: Experiment) -> dict[str, dict[str, Any] | None]:
    """Fill the cells of ``experiment``; return the effect of each setting.

    Settings without a finished or begun cell are probed first, so that one that does nothing costs nothing.
    """
    effects = known_effects(experiment)
    unknown = {name: knobs for name, knobs in experiment.built.settings.items() if name not in effects}
    if unknown:
        few = experiment.source.select(range(min(PROBED, len(experiment.records))))
        for name, effect in probe_settings(experiment.loaded, unknown, few, experiment.decoding.use_cache).items():
            say(f"{name}: {effect}")
            effects[name] = asdict(effect)
    tasks = [
        Task(experiment.cells[name, seed], Job(knobs, seed), effects.get(name))
        for seed in experiment.seeds
        for name, knobs in experiment.built.settings.items()
    ]
    tally = fill_cells(experiment, tasks)
    others = f", {tally.elsewhere} made by another process" if tally.elsewhere else ""
    say(f"cells: {len(tasks)}, {tally.found} found, {tally.made} made{others}")
    return {name: effects.get(name) for name in experiment.built.settings}


def known_effects(experiment: Experiment) -> dict[str, dict[str, Any] | None]:
    """Return the effects noted with cells that are there."""
    effects: dict[str, dict[str, Any] | None] = {}
    for (name, _), cell in experiment.cells.items():
        if cell.stored().state in (State.BEGUN, State.DONE):
            effects[name] = cell.effect()
    return effects


class ProgressWatcher:
    """Shows how many responses are there, on stderr."""

    def __init__(self, bar: Any, total: int):
        self.bar, self.task, self.ready, self.total = bar, bar.add_task("responses", total=total), 0, total

    def advance(self, responses: int) -> None:
        self.ready += responses
        self.bar.advance(self.task, responses)

    def note(self, message: str) -> None:
        self.bar.console.print(visible(message), markup=False, emoji=False, highlight=False, soft_wrap=True)


def fill_cells(experiment: Experiment, tasks: Sequence[Task]) -> Tally:
    """Fill ``tasks`` under a progress bar. An interrupt becomes a ZscError that says what is kept."""
    config, loaded, source = experiment.config, experiment.loaded, experiment.source
    batches = EncodedBatches(loaded.model, source, config["batch_size"])
    decoding, together = experiment.decoding, config["together"]
    together = fitting(loaded.model, source.input_ids.shape[1], decoding, config["batch_size"], together)
    with progress() as bar:
        watcher = ProgressWatcher(bar, len(tasks) * len(experiment.records))
        try:
            return Filler(loaded, batches, decoding, together, watcher).fill(tasks)
        except KeyboardInterrupt:
            kept = f"{watcher.ready} of {watcher.total} responses are kept in {config['cells']}"
            raise ZscError(f"interrupted: {kept}; the same command resumes.", INTERRUPTED) from None


def manifest(experiment: Experiment) -> dict[str, Any]:
    """Return what identifies a run and what made it."""
    loaded, built = experiment.loaded, experiment.built
    return {
        **identified(experiment.cells),
        "weights": loaded.fingerprint,
        "made_from": built.made_from,
        "command": command_line(),
        "settings": list(built.settings),
        "knobs": {name: [shown(knob) for knob in knobs] for name, knobs in built.settings.items()},
        "seeds": experiment.seeds,
        "token_ids": loaded.model.generation_config.to_diff_dict(),
        "versions": library_versions()
        | {"hydra-core": version("hydra-core"), "zsc": __version__, "python": platform.python_version()},
        "device": str(loaded.model.device),
        "truncated_share": round(experiment.cut.share, 4),
    }


def how_made(made: dict[str, Any]) -> list[str]:
    """Return the command in a manifest, and on what it ran."""
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    lines = [made["command"], f"weights {made['weights'][:12]}, {versions}, {made['device']}"]
    return [line for line in lines if line]


def command_line() -> str | None:
    """Return the command whose job this is, without what only decides how it is shown; None outside of one."""
    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    words = [word for word in contract(hydra.overrides.task) if word.partition("=")[0] not in SHOWING]
    named = (word.removeprefix("table=") for word in words)
    return shlex.join(["zsc", str(hydra.job.config_name), *named, *folder_words()])


def folder_words() -> list[str]:
    """Return the words that name the user's own folder of configs, if there is one."""
    folder = own_folder()
    if folder is None:
        return []
    here = Path.cwd()
    return ["--config-dir", str(folder.relative_to(here) if folder.is_relative_to(here) else folder)]


def shown(knob: Knob) -> dict[str, Any]:
    """Return the name and settings of ``knob`` without its phrases, which stand in the manifest once."""
    return {key: value for key, value in described(knob).items() if key != "phrases"}


def default_output(name: str, config: dict[str, Any], identity: str) -> str:
    model = Path(str(config["model"]["checkpoint"])).name
    return f"runs/{name}-{config['dataset']['loader']}-{model}-{identity[:10]}"
