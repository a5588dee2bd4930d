"""A run's folder: what was asked (config.yaml, manifest.json, records.jsonl) and what was said (generations.jsonl),
and how it scores (scores.json, items.csv or items.parquet, judged-*.jsonl)."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from errno import ENOTDIR
from pathlib import Path
from typing import Any

from zsc.data import jsonl
from zsc.data.record import Record
from zsc.errors import ZscError, first_line
from zsc.files import refuse_link, write_atomic, write_changed
from zsc.generation.cells import LIBRARIES, writing
from zsc.leases import held

AGAIN = "Repeat the command that made the run."
ROW = {"setting", "seed", "id", "response"}
PARTS = ("config.yaml", "manifest.json", "records.jsonl", "generations.jsonl", "scores.json", "items.csv",
         "items.parquet", ".lease")  # fmt: skip


@dataclass(frozen=True)
class RunFolder:
    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def generations(self) -> Path:
        return self.path / "generations.jsonl"

    def check(self, manifest: Mapping[str, Any]) -> None:
        """Raise ZscError if the folder cannot be made, holds another run than that of ``manifest``, or files of the
        names of a run's that are of none, and where it or one of its files is a symbolic link."""
        with self.writing():
            nearest = next(path for path in (self.path, *self.path.parents) if path.exists())
            if not nearest.is_dir():
                raise NotADirectoryError(ENOTDIR, f"{nearest} is a file")
            for name in PARTS:
                refuse_link(self.path / name)
            there = [name for name in PARTS[:-1] if (self.path / name).exists()]
            if there and (existing := self.manifest()).get("identity") != manifest["identity"]:
                if "content" in manifest and manifest["content"] == existing.get("content"):
                    raise ZscError(
                        f"{self.path} holds this run, made with {other_versions(existing, manifest)}. Set output=FOLDER"
                        " to a new one, or remove the folder."
                    )
                is_run = {"config.yaml", "manifest.json"} <= {*there}
                what = "a run with other options, data or weights" if is_run else f"{there[0]}, which is of no run"
                raise ZscError(f"{self.path} holds {what}. Set output=FOLDER to a new one.")

    def create(self, config_yaml: str, manifest: dict[str, Any], records: Sequence[Record]) -> None:
        """Write what defines the run. Raises what :meth:`check` raises, and ZscError if writing fails."""
        self.check(manifest)
        with self.writing():
            self.path.mkdir(parents=True, exist_ok=True)
            lines = (json.dumps(record.to_json(), ensure_ascii=False, allow_nan=False) for record in records)
            # the manifest first, by which one that was stopped here is known for what it is
            write_atomic(self.path / "manifest.json", json.dumps(manifest, indent=2, allow_nan=False) + "\n")
            write_atomic(self.path / "records.jsonl", "".join(f"{line}\n" for line in lines))
            write_atomic(self.config, config_yaml)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against a second writer, waiting for one that is there. Raises ZscError if writing fails."""
        with self.writing():
            self.path.mkdir(parents=True, exist_ok=True)
            with held(self.path / ".lease"):
                yield

    def writing(self) -> AbstractContextManager[None]:
        """Return a context that turns a failure to write into a ZscError that names the folder.

        Raises ZscError if the folder is a symbolic link.
        """
        refuse_link(self.path)
        return writing(self.path)

    def manifest(self) -> dict[str, Any]:
        """Return what the run's maker recorded, or nothing where that is missing."""
        file = self.path / "manifest.json"
        if not file.is_file():
            return {}
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ZscError(f"{file} is broken ({first_line(error)}). {AGAIN}") from error
        if not isinstance(content, dict):
            raise ZscError(f"{file} is none that zsc has written. {AGAIN}")
        return content

    def write_scores(self, scores: dict[str, Any]) -> None:
        with self.writing():
            write_atomic(self.path / "scores.json", json.dumps(scores, indent=2, allow_nan=False) + "\n")

    def records(self) -> list[Record]:
        return jsonl.load(str(self.path / "records.jsonl"))

    def each_row(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield every generation, in the order written, with the byte that it begins at; none of a run that was
        stopped."""
        if self.generations.is_file():
            for number, (_, begin, row) in enumerate(jsonl.read_placed(self.generations), start=1):
                if lacking := ROW - set(row):
                    raise ZscError(f"{self.generations}, line {number}: no field '{min(lacking)}'. {AGAIN}")
                yield begin, row

    def rows(self) -> list[dict[str, Any]]:
        """Return every generation, which of a large run is much to hold."""
        return [row for _, row in self.each_row()]

    def rows_at(self, begins: Iterable[int]) -> list[dict[str, Any]]:
        """Return the generations that begin at these bytes, as :meth:`each_row` gives them."""
        return jsonl.read_at(self.generations, begins)

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write the generations one after another, unless they are there already."""
        lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
        with self.writing():
            write_changed(self.generations, (line.encode() for line in lines))


def other_versions(existing: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Say with which code and libraries the run of ``existing`` was made, where ``manifest`` has others."""
    before, now = existing["versions"], manifest["versions"]
    parts = [f"{name} {before[name]} in place of {now[name]}" for name in LIBRARIES if before[name] != now[name]]
    if others := [name for name, code in manifest["code"].items() if existing["code"].get(name) != code]:
        which = "" if len(others) == len(manifest["code"]) else f" for {', '.join(others)}"
        parts = [f"other code of zsc{which}", *parts]
    return " and ".join(parts)
