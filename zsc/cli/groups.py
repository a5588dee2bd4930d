"""What can be chosen: the options of the config groups, those of a folder of the user's own among them."""

import re
from collections.abc import Sequence
from pathlib import Path

from zsc.configs import CONFIGS
from zsc.errors import ZscError, suggestion

RUN_GROUPS = ("task", "model", "dataset", "knob", "decoding", "layout")
LAUNCHED = ("run", "sweep", "table")  # commands that can have workers make what is missing
LOGGED = ("run", "sweep")  # commands whose result can be sent to a tracker
GROUPS = {
    "train": ("objective", "layout"),
    "table": ("table", "task", "model", "dataset", "decoding", "layout", "launcher"),
    **dict.fromkeys(("run", "sweep"), (*RUN_GROUPS, "launcher", "log")),
    **dict.fromkeys(("work", "plan", "tune", "bench", "data", "doctor", "play"), RUN_GROUPS),
}
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
    for shipped in {*CONFIGS.rglob("*.yaml")} - {CONFIGS / "zsc.yaml"}:  # which is also what `zsc init` writes
        if (own := folder / shipped.relative_to(CONFIGS)).exists():
            raise ZscError(f"{own} has the name of a file that comes with zsc, which is read first: rename it.")
    return folder


def group_options(group: str, folder: Path | None = None) -> list[str]:
    """Return the options of a config group, sorted, with those in ``folder``."""
    folders = [CONFIGS] if folder is None else [CONFIGS, folder]
    return sorted({path.stem for root in folders for path in (root / group).glob("*.yaml")})


def headline(group: str, option: str, folder: Path | None = None) -> str:
    """Return the first comment of a config file, past what Hydra reads, or nothing where it begins with none."""
    shipped = CONFIGS / group / f"{option}.yaml"
    file = shipped if folder is None or shipped.is_file() else folder / group / f"{option}.yaml"
    with file.open(encoding="utf-8", errors="replace") as handle:
        first = handle.readline()
        first = handle.readline() if first.startswith("# @") else first
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def task_of(words: Sequence[str], folder: Path | None) -> list[str]:
    """Return the option that says the task of the table among ``words``, unless they say one, or it is dialogue."""
    given = dict(word.partition("=")[::2] for word in words)
    roots = [CONFIGS] if folder is None else [CONFIGS, folder]
    files = [root / "table" / f"{given.get('table')}.yaml" for root in roots]
    text = "".join(file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file())
    found = re.search(r"^task: *(\w+)", text, re.MULTILINE)
    return [f"task={found[1]}"] if found and "task" not in given else []


def check_option(group: str, name: str, folder: Path | None) -> None:
    """Raise ZscError unless a config group has an option called ``name``."""
    options = group_options(group, folder)
    if name not in options:
        raise ZscError(f"no {group} '{name}'.{suggestion(name, options)} Known: {', '.join(options)}.")
