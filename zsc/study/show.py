"""What a run's settings answered to its records, one beside the other."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from zsc.data import jsonl
from zsc.data.record import Record, parse_record
from zsc.errors import ZscError, suggestion
from zsc.generation.ellipsis import as_shown
from zsc.generation.folder import RunFolder
from zsc.options import Count
from zsc.study.runs import find_run
from zsc.study.shown import Said
from zsc.tables.lines import printed, wrapped
from zsc.tables.record import record_lines
from zsc.terminal import Screen

NAMED = 5  # ids that an error names


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """configs/show.yaml: whose responses are shown: of which ``run``, to which record ``id`` or to the first ``n``, of
    which ``setting`` beside the first one, and to which ``seed``."""

    run: str
    id: str | None = None
    setting: str | None = None
    seed: int | None = None
    n: Count = 3
    format: Literal["table", "json"] = "table"


@dataclass(frozen=True)
class Answers:
    """The responses of ``settings`` to ``records`` and one ``seed``; None is one that is missing."""

    folder: RunFolder
    settings: Sequence[str]
    seed: int
    seeds: Sequence[int]
    count: int
    records: Sequence[Record]
    responses: Sequence[Sequence[str | None]]

    def to_json(self) -> str:
        """Return a list of records, each with its ``seed`` and its ``responses`` by setting."""
        rows = [
            {**record.to_json(), "seed": self.seed, "responses": dict(zip(self.settings, texts, strict=True))}
            for record, texts in zip(self.records, self.responses, strict=True)
        ]
        return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False)

    def page(self, screen: Screen) -> str:
        """Return the records and responses, laid out for ``screen``."""
        parts = [
            record_lines(record, self.seed, dict(zip(self.settings, texts, strict=True)), screen.width, screen.colour)
            for record, texts in zip(self.records, self.responses, strict=True)
        ]
        more = "" if len(self.records) in (self.count, 1) else "; n=N shows N, id=ID the one called ID"
        seeds = f"; seed {self.seed} of {', '.join(map(str, self.seeds))}" if len(self.seeds) > 1 else ""
        head = f"{len(self.records)} of {self.count:,} records of {self.folder.path}{seeds}{more}"
        return "\n\n".join(printed(one, screen.colour) for one in [wrapped(head, screen.width), *parts])


def answers(options: ShowOptions) -> Answers:
    """Return what ``options`` ask for. Raises ZscError for a run, record, setting or seed that there is not."""
    folder = RunFolder(find_run(options.run))
    manifest = folder.manifest()
    settings, seeds = manifest.get("settings"), manifest.get("seeds")
    if not settings or not seeds or not folder.generations.is_file():
        raise ZscError(f"{folder.path} has no responses yet: repeat the command that makes the run.")
    seed = seeds[0] if options.seed is None else options.seed
    if seed not in seeds:
        raise ZscError(f"seed={seed}: {folder.path} has the seeds {', '.join(map(str, seeds))}.")
    ids, records = _records(folder, options)
    chosen = settings if options.setting is None else [settings[0], _setting(options.setting, settings)]
    names = list(dict.fromkeys(chosen))
    said = Said(folder, seeds, ids)
    places = [(list(seeds).index(seed), ids.index(record.id)) for record in records]
    texts = [
        [None if row is None or row["response"] is None else as_shown(row) for row in rows]
        for rows in said.rows(names, places)
    ]
    return Answers(folder, names, seed, seeds, len(ids), records, texts)


def _setting(name: str, settings: Sequence[str]) -> str:
    if name in settings:
        return name
    raise ZscError(f"setting={name} is none of this run.{suggestion(name, settings)} It has {'; '.join(settings)}.")


def _records(folder: RunFolder, options: ShowOptions) -> tuple[list[str], list[Record]]:
    """Return all ids of a run, and the records that are shown."""
    ids: list[str] = []
    found: list[tuple[str, Any]] = []
    for where, row in jsonl.read_rows(folder.path / "records.jsonl"):
        ids.append(str(row.get("id")))
        if ids[-1] == options.id if options.id is not None else len(found) < options.n:
            found.append((where, row))
    if not found:
        meant, first = suggestion(str(options.id), ids), ", ".join(ids[:NAMED])
        raise ZscError(f"id={options.id}: no record of {folder.path} is called so.{meant} The first are {first}.")
    return ids, [parse_record(row, where) for where, row in found]
