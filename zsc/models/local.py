"""Models that are on this machine by name alone: embedded ones, and folders."""

from pathlib import Path

EMBEDDED = {"mini": Path(__file__).parent / "mini"}

Stamp = tuple[tuple[str, int, int, int, int], ...]


def local_folder(checkpoint: str) -> Path | None:
    """Return the folder of an embedded model, or ``checkpoint`` itself if it is a folder; None otherwise."""
    folder = EMBEDDED.get(checkpoint, Path(checkpoint))
    try:
        return folder if folder.is_dir() else None
    except OSError:
        return None


def stamp(checkpoint: str) -> Stamp:
    """Return name, size, number and times of every file of a local model, by which a change of them shows.

    Returns nothing for a model that is in no folder of its name, or that cannot be read.
    """
    try:
        folder = local_folder(checkpoint)
        files = sorted(folder.rglob("*")) if folder else []
        states = [(file, file.stat()) for file in files if file.exists()]
        return tuple(
            (str(file.resolve()), one.st_size, one.st_ino, one.st_mtime_ns, one.st_ctime_ns) for file, one in states
        )
    except OSError:
        return ()
