"""What can be chosen: the options of the config groups, those of a folder of the user's own among them."""

from collections.abc import Sequence
from pathlib import Path

from zsc.errors import ZscError, suggestion

PACKAGE = Path(__file__).parents[1]
CONFIGS = PACKAGE / "configs" if (PACKAGE / "configs").is_dir() else PACKAGE.parent / "configs"
RUN_GROUPS = ("model", "dataset", "knob", "decoding")
GROUPS = {"train": ("task",), "table": ("table", "model", "dataset", "decoding")} | dict.fromkeys(
    ("run", "sweep", "plan", "tune", "bench", "data", "doctor"), RUN_GROUPS
)
FOLDER_FLAGS = ("--config-dir", "-cd")


def config_folder(flags: Sequence[str]) -> Path | None:
    """Return the folder that ``--config-dir`` names among ``flags``, if it is there.

    Raises ZscError for one that is no folder, or that has an option of the name of a shipped one, which would hide it.
    """
    folder = None
    for place, flag in enumerate(flags):
        name, equals, value = flag.partition("=")
        if name in FOLDER_FLAGS:
            if not equals and place + 1 == len(flags):
                raise ZscError(f"{name} needs a folder: {name} FOLDER.")
            folder = Path(value if equals else flags[place + 1])
    if folder is None:
        return None
    if not folder.is_dir():
        raise ZscError(f"--config-dir {folder} is no folder.")
    for shipped in CONFIGS.rglob("*.yaml"):
        if (own := folder / shipped.relative_to(CONFIGS)).exists():
            raise ZscError(f"{own} has the name of a file that comes with zsc, which is read first: rename it.")
    return folder


def group_options(group: str, folder: Path | None = None) -> list[str]:
    """Return the options of a config group, sorted, with those in ``folder``."""
    folders = [CONFIGS] if folder is None else [CONFIGS, folder]
    return sorted({path.stem for root in folders for path in (root / group).glob("*.yaml")})


def headline(group: str, option: str, folder: Path | None = None) -> str:
    """Return the comment on the first line of a config file, or nothing where there is none."""
    shipped = CONFIGS / group / f"{option}.yaml"
    file = shipped if folder is None or shipped.is_file() else folder / group / f"{option}.yaml"
    with file.open(encoding="utf-8", errors="replace") as handle:
        first = handle.readline()
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def check_option(group: str, name: str, folder: Path | None) -> None:
    """Raise ZscError unless a config group has an option called ``name``."""
    options = group_options(group, folder)
    if name not in options:
        raise ZscError(f"no {group} '{name}'.{suggestion(name, options)} Known: {', '.join(options)}.")
