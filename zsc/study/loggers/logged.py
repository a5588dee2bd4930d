"""What trackers are sent of a scored run, the same for all of them, and how they are called [D]."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from zsc.errors import ZscError, first_line
from zsc.metrics.item_files import CSV, PARQUET
from zsc.metrics.score import Row, difference, settings_of
from zsc.options import shown
from zsc.study.result import Result
from zsc.study.stored import stored_config

SMALL = 10_000_000  # bytes of a file that is sent
FILES = ("scores.json", "config.yaml", "manifest.json", CSV, PARQUET)
TABLE = "table.md"
NOT_IN_NAMES = re.compile(r"[^\w.\-]+")  # not every tracker takes it
OF_DIFFERENCES = {"value": "difference", "low": "difference_low", "high": "difference_high", "p": "p",
                  "p_holm": "p_holm"}  # fmt: skip


@dataclass(frozen=True)
class Logged:
    """A scored run for a tracker: the ``name`` of its folder, its options as ``parameters``, ``tags`` that say what it
    is, ``values`` of metrics, its ``table`` as Markdown, and ``files``."""

    name: str
    folder: Path
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    values: Mapping[str, float]
    table: str
    files: Sequence[Path]


class Logger(Protocol):
    """A dataclass of its options, those of configs/log/NAME.yaml."""

    name: ClassVar[str]

    def check(self) -> None:
        """Raise ZscError if the package that it needs is not installed."""

    def log(self, run: Logged) -> str:
        """Send ``run``, as a new run of the tracker, and return where it is. Raises what the package raises."""


def send(logger: Logger, result: Result) -> str:
    """Send a scored run, and return a line that says where it is.

    What the package prints goes to stderr. Raises ZscError, and one alone, where that fails: the run is there.
    """
    path = result.folder.path
    try:
        with redirect_stdout(sys.stderr):
            return f"log: {logger.log(logged(result))}"
    except Exception as error:
        raise ZscError(
            f"log={logger.name}: not logged: {first_line(error).rstrip('.')}. The run is complete in {path}: the same"
            " command finds it, generates nothing, and logs it again."
        ) from error


def logged(result: Result) -> Logged:
    """Return what trackers are sent of ``result``."""
    folder, manifest = result.folder.path, result.folder.manifest()
    tags = {
        "zsc.identity": manifest["identity"],
        "zsc.folder": str(folder.absolute()),
        "zsc.command": manifest.get("command"),
        "zsc.weights": manifest.get("weights"),
        "zsc.version": manifest.get("versions", {}).get("zsc"),
    }
    there = [folder / name for name in FILES]
    return Logged(
        folder.resolve().name,
        folder,
        dict(flat(stored_config(result.folder.config))),
        {name: value for name, value in tags.items() if value},
        named_values(result.rows),
        result.render("md"),
        [file for file in there if file.is_file() and file.stat().st_size <= SMALL],
    )


def flat(options: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested ``options`` by dotted name, values as they are written on a command line."""
    listed = isinstance(options, list) and any(isinstance(one, Mapping | list) for one in options)
    nested = dict(enumerate(options)) if listed else options if isinstance(options, Mapping) else {}
    if not nested:
        yield name, shown(options)
    for key, value in nested.items():
        part = NOT_IN_NAMES.sub("_", str(key))
        yield from flat(value, f"{name}.{part}" if name else part)


def named_values(rows: Sequence[Row]) -> dict[str, float]:
    """Return the numbers of a table as METRIC/SETTING/NUMBER: value, low and high, and of settings but the first their
    difference from that, its low and high, p and p_holm."""
    settings, found = settings_of(rows), {(row.setting, row.metric): row for row in rows}
    values: dict[str, float | None] = {}
    for metric in dict.fromkeys(row.metric for row in rows):
        for setting, label in labels(settings).items():
            of_setting, compared = (found.get((one, metric)) for one in (setting, difference(setting, settings)))
            if of_setting is not None:
                values |= {f"{metric}/{label}/{name}": getattr(of_setting, name) for name in ("value", "low", "high")}
            if compared is not None and setting != settings[0]:
                values |= {f"{metric}/{label}/{as_}": getattr(compared, name) for name, as_ in OF_DIFFERENCES.items()}
    return {name: value for name, value in values.items() if value is not None}


def labels(settings: Sequence[str]) -> dict[str, str]:
    """Return a name for each of ``settings`` that every tracker takes, different from those of the others."""
    found: dict[str, str] = {}
    for setting in settings:
        plain = NOT_IN_NAMES.sub("_", setting).strip("_") or "setting"
        taken, number = {*found.values()}, 2
        label = plain
        while label in taken:
            label, number = f"{plain}_{number}", number + 1
        found[setting] = label
    return found
