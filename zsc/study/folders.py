"""The folder of a run, written from cells: what was asked, what made it, and its responses."""

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from zsc import __version__
from zsc.generation.cells import identified, library_versions
from zsc.generation.folder import RunFolder
from zsc.options import plain
from zsc.study.experiment import Experiment
from zsc.study.filling import fill, finished
from zsc.study.knobs import described_briefly
from zsc.study.options import RunOptions
from zsc.study.watch import Watch


@contextmanager
def performed(experiment: Experiment, name: str, watch: Watch, **more: Any) -> Iterator[RunFolder]:
    """Generate what the cells of ``experiment`` lack, and open a context with its folder, written from them and locked.

    ``name`` begins the name of a folder for which the options have none; ``more`` goes into its config.yaml.
    """
    options, settings = experiment.options, experiment.built.settings
    folder = RunFolder(Path(options.output or default_output(name, options, experiment.identity)))
    made = manifest(experiment)
    folder.check(made)
    effects = fill(experiment, watch)
    made["effects"] = {name: effects[name] for name, knobs in settings.items() if knobs}
    with folder.locked():
        folder.create(config_text(options, **more), made, experiment.records)
        folder.write_rows(
            {"setting": setting, "seed": seed, **item}
            for seed in experiment.seeds
            for setting in settings
            for item in finished(experiment.cells[setting, seed])
        )
        yield folder


def config_text(options: RunOptions, **more: Any) -> str:
    """Return ``options``, and what else is to be kept with them, as YAML."""
    return yaml.safe_dump({**plain(options), **plain(more)}, sort_keys=False, allow_unicode=True, width=10**6)


def manifest(experiment: Experiment) -> dict[str, Any]:
    """Return what identifies a run and what made it."""
    loaded, built = experiment.loaded, experiment.built
    return {
        **identified(experiment.cells),
        "weights": loaded.fingerprint,
        "made_from": built.made_from,
        "command": experiment.command,
        "settings": list(built.settings),
        "knobs": {name: [described_briefly(knob) for knob in knobs] for name, knobs in built.settings.items()},
        "seeds": experiment.seeds,
        "token_ids": loaded.model.generation_config.to_diff_dict(),
        "versions": versions() | {"hydra-core": version("hydra-core")},
        "device": str(loaded.model.device),
        "truncated_share": round(experiment.cut.share, 4),
    }


def versions() -> dict[str, str]:
    """Return the versions of what responses come from."""
    return library_versions() | {"zsc": __version__, "python": platform.python_version()}


def how_made(made: Mapping[str, Any]) -> list[str]:
    """Return the command in a manifest, and on what it ran."""
    shown = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    lines = [made["command"], f"weights {made['weights'][:12]}, {shown}, {made['device']}"]
    return [line for line in lines if line]


def default_output(name: str, options: RunOptions, identity: str) -> str:
    """Return the name of the folder of a run that is given none."""
    model = Path(options.model.checkpoint).name
    return f"runs/{name}-{options.dataset.loader}-{model}-{identity[:10]}"
