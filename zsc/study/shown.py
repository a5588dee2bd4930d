"""What a run shows at its end: what it found in words, examples, and the table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np

from zsc.data import jsonl
from zsc.data.record import Record, parse_record
from zsc.generation.ellipsis import is_cut
from zsc.generation.folder import RunFolder
from zsc.metrics.item_files import each_value
from zsc.metrics.score import Row, settings_of
from zsc.tables.examples import Example, example_lines, heading, near_median
from zsc.tables.fitted import fitted
from zsc.tables.lines import printed, wrapped
from zsc.tables.summary import main_metric, strongest, summary
from zsc.terminal import Screen

Name = TypeVar("Name", int, str)


@dataclass(frozen=True)
class Said:
    """The responses in the ``folder`` of a run to its ``seeds`` and the records ``ids``, read line by line."""

    folder: RunFolder
    seeds: Sequence[int]
    ids: Sequence[str]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.seeds), len(self.ids)

    def changed(self, settings: Sequence[str]) -> dict[str, np.ndarray]:
        """Return which responses (seeds, examples) of each of ``settings`` but the first differ from those of that."""
        seeds, numbers = _places(self.seeds), _places(self.ids)
        said = {name: np.zeros(self.shape, dtype=np.int64) for name in settings}
        for _, row in self.folder.each_row():
            said[row["setting"]][seeds[row["seed"]], numbers[row["id"]]] = hash(row["response"])
        off, *others = settings
        return {name: said[name] != said[off] for name in others}

    def values(self, settings: Sequence[str], metric: str) -> np.ndarray:
        """Return ``metric`` of each response (settings, seeds, examples) by itself; NaN is no value."""
        seeds, numbers, found = _places(self.seeds), _places(self.ids), np.full((len(settings), *self.shape), np.nan)
        for setting, seed, identity, value in each_value(self.folder, metric):
            if setting in settings:
                found[settings.index(setting), seeds[seed], numbers[identity]] = value
        return found

    def rows(self, settings: Sequence[str], places: Sequence[tuple[int, int]]) -> list[list[dict[str, Any] | None]]:
        """Return the generations of ``settings`` at each of ``places`` (seed, example); None is one that is missing."""
        wanted = [[(name, self.seeds[seed], self.ids[example]) for name in settings] for seed, example in places]
        lacking, found = {key for keys in wanted for key in keys}, dict[tuple[str, int, str], dict[str, Any]]()
        for _, row in self.folder.each_row():
            if (key := (row["setting"], row["seed"], row["id"])) in lacking:
                found[key] = row
                lacking.remove(key)
                if not lacking:
                    break
        return [[found.get(key) for key in keys] for keys in wanted]


def _places(names: Sequence[Name]) -> dict[Name, int]:
    return {name: i for i, name in enumerate(names)}


def page(folder: RunFolder, rows: Sequence[Row], examples: int, screen: Screen) -> str:
    """Return paragraphs on the scores ``rows`` of the run in ``folder``, so many examples, and the table."""
    manifest = folder.manifest()
    settings, moves = settings_of(rows), manifest.get("moves", {})
    said = Said(folder, manifest["seeds"], [row["id"] for _, row in jsonl.read_rows(folder.path / "records.jsonl")])
    changed = said.changed(settings)
    counts = {name: int(found.sum()) for name, found in changed.items()}
    paragraphs = summary(rows, len(said.ids) * len(said.seeds), counts, moves)
    parts = ["\n".join(printed(wrapped(text, screen.width), screen.colour) for text in paragraphs)]
    if examples:
        metric = main_metric(rows, moves)
        setting = strongest(rows, metric) if counts else settings[0]
        among = changed.get(setting, np.ones(said.shape, dtype=bool))
        parts += examples_of(said, [settings[0], setting] if counts else [setting], metric, among, examples, screen)
    return "\n\n".join([*parts, fitted([asdict(row) for row in rows], screen.width if screen.terminal else None)])


def examples_of(
    said: Said, settings: Sequence[str], metric: str, among: np.ndarray, count: int, screen: Screen
) -> list[str]:
    """Return ``count`` examples as text, with a heading that says how they were chosen: of the responses ``among``
    (seeds, examples) those whose ``metric``, or its change from the first of ``settings`` to the second, is nearest to
    the median. Nothing where none of them has a value."""
    values = said.values(settings, metric)
    numbers = np.where(among, values[-1] - values[0] if len(settings) > 1 else values[0], np.nan)
    places, median = near_median(numbers, count)
    if not places:
        return []
    records = _records(said, {said.ids[example] for _, example in places})
    names = Example.names if settings[0] == Example.names[0] else settings  # of other systems
    shown = []
    for (seed, example), found in zip(places, said.rows(settings, places), strict=True):
        rows, own = [row for row in found if row is not None], values[:, seed, example].tolist()
        texts, cut_off = [row["response"] for row in rows], [is_cut(row) for row in rows]
        shown.append(Example(records[said.ids[example]], said.seeds[seed], texts, own, cut_off, names))
    of, cut = int(np.isfinite(numbers).sum()), any(any(one.cut) for one in shown)
    head = heading(len(shown), of, settings[-1], metric, median, len(settings) > 1, cut)
    lines = [printed(example_lines(one, metric, screen.width, screen.colour), screen.colour) for one in shown]
    return [printed(wrapped(head, screen.width), screen.colour), *lines]


def _records(said: Said, wanted: set[str]) -> Mapping[str, Record]:
    rows = jsonl.read_rows(said.folder.path / "records.jsonl")
    return {row["id"]: parse_record(row, where) for where, row in rows if row["id"] in wanted}
