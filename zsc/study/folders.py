"""The folder of a run: written from finished cells, and what is said of how it was made."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from zsc import __version__
from zsc.data.record import Record
from zsc.generation.cells import Cell, Place, library_versions
from zsc.generation.folder import RunFolder
from zsc.options import plain
from zsc.study.options import RunOptions


@contextmanager
def written(
    folder: RunFolder, manifest: dict[str, Any], config: str, records: Sequence[Record], cells: Mapping[Place, Cell]
) -> Iterator[RunFolder]:
    """Open a context with ``folder``, written and locked, of the run of ``manifest``, from its ``cells``."""
    with folder.locked():
        folder.create(config, manifest, records)
        folder.write_rows(
            {"setting": setting, "seed": seed, **item}
            for seed in manifest["seeds"]
            for setting in manifest["settings"]
            for item in cells[setting, seed].responses()
        )
        yield folder


def folder_of(options: RunOptions, name: str, identity: str) -> RunFolder:
    """Return the folder of a run, whose name begins with ``name`` where the options have none."""
    model = Path(options.model.checkpoint).name
    return RunFolder(Path(options.output or f"runs/{name}-{options.dataset.loader}-{model}-{identity[:10]}"))


def config_text(options: RunOptions, **more: Any) -> str:
    """Return ``options``, and what else is to be kept with them, as YAML."""
    return yaml.safe_dump({**plain(options), **plain(more)}, sort_keys=False, allow_unicode=True, width=10**6)


def versions() -> dict[str, str]:
    """Return the versions of what responses come from."""
    return library_versions() | {"zsc": __version__, "python": platform.python_version()}


def provenance(manifest: Mapping[str, Any]) -> list[str]:
    """Return the command in a manifest, and on what it ran."""
    shown = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    lines = [manifest["command"], f"weights {manifest['weights'][:12]}, {shown}, {manifest['device']}"]
    return [line for line in lines if line]
