"""A run, generated as far as its cells are not there yet, and its folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from zsc.generation.cells import identified
from zsc.generation.folder import RunFolder
from zsc.knobs import Knob
from zsc.options import plain
from zsc.study.experiment import Experiment
from zsc.study.filling import fill
from zsc.study.folders import config_text, folder_of, versions, written
from zsc.study.knobs import described_briefly
from zsc.study.known import remember
from zsc.study.watch import Watch


@contextmanager
def performed(experiment: Experiment, name: str, watch: Watch, **more: Any) -> Iterator[RunFolder]:
    """Generate what the cells of ``experiment`` lack, and open a context with its folder, written from them and locked.

    ``name`` begins the name of a folder for which the options have none; ``more`` goes into its config.yaml.
    """
    settings, manifest = experiment.built.settings, manifest_of(experiment)
    folder = folder_of(experiment.options, name, experiment.identity)
    folder.check(manifest)
    effects = fill(experiment, watch)
    manifest["effects"] = {name: effects[name] for name, knobs in settings.items() if knobs}
    remember(experiment.key, experiment.options, manifest, experiment.remarks, experiment.cells)
    with written(folder, manifest, config_text(experiment.options, **more), experiment.records, experiment.cells):
        yield folder


def moved_by(knobs: Sequence[Knob]) -> list[str]:
    """Return the metrics that ``knobs`` are meant to move, the most telling of the first one first."""
    return list(dict.fromkeys(name for knob in knobs for name in type(knob).moves(described_briefly(knob))))


def manifest_of(experiment: Experiment) -> dict[str, Any]:
    """Return what identifies a run and what made it."""
    loaded, built = experiment.loaded, experiment.built
    return {
        **identified(experiment.cells),
        "weights": loaded.fingerprint,
        "made_from": built.made_from,
        "command": experiment.command,
        "settings": list(built.settings),
        "knobs": {name: [described_briefly(knob) for knob in knobs] for name, knobs in built.settings.items()},
        "moves": {name: moved_by(knobs) for name, knobs in built.settings.items()},
        "seeds": experiment.seeds,
        "token_ids": loaded.model.generation_config.to_diff_dict(),
        "versions": versions() | {"hydra-core": version("hydra-core")},
        "device": str(loaded.model.device),
        "layout": plain(experiment.format.layout),
        "decoding": plain(experiment.format.decoding),
        "truncated_share": round(experiment.cut.share, 4),
    }
