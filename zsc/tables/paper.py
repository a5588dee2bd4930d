"""Tables as in a paper: one row per setting, values with intervals and stars, published figures beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from zsc.metrics.resampling import holm
from zsc.metrics.score import Row, difference, settings_of
from zsc.tables import latex
from zsc.tables.render import ALPHA, code_span, entry, markdown_text, number, numbered, render, star
from zsc.terminal import one_line

ENDINGS = {"md": "md", "latex": "tex", "csv": "csv", "json": "json"}
NUMBERS = ("value", "low", "high", "n", "seeds", "dropped")
TESTS = ("value", "low", "high", "p", "p_holm", "p_bootstrap", "effect")


@dataclass(frozen=True)
class Section:
    """The score rows of one run, which share a baseline, under a ``label`` that may be empty."""

    label: str
    rows: Sequence[Row]

    @property
    def settings(self) -> list[str]:
        """The names of the settings, the first of them the model without knobs."""
        return settings_of(self.rows)

    def find(self, setting: str, metric: str) -> Row | None:
        return next((row for row in self.rows if row.setting == setting and row.metric == metric), None)

    def change(self, setting: str, metric: str) -> Row | None:
        """Return the difference of ``setting`` to the first one, None for the first itself."""
        return None if setting == self.settings[0] else self.find(difference(setting, self.settings), metric)


@dataclass(frozen=True)
class Published:
    """Figures of others: their ``source``, and a text for each name of a setting."""

    source: str = ""
    rows: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "Published":
        """Return what the description of a table says was published, if anything."""
        return cls(**(spec.get("published") or {}))


@dataclass(frozen=True)
class PaperTable:
    """A table called ``name``, whose ``columns`` are metrics; those that were not scored are left out. ``provenance``
    says in lines how it was made, ``remarks`` what else a reader must know."""

    name: str
    title: str
    sections: Sequence[Section]
    columns: Sequence[str]
    published: Published
    signatures: Mapping[str, str]
    provenance: Sequence[str] = ()
    remarks: Sequence[str] = ()

    @property
    def shown(self) -> list[str]:
        return [name for name in self.columns if name in self.signatures]

    @property
    def notes(self) -> list[str]:
        """What a reader must know beside the numbers."""
        row = self.sections[0].rows[0]
        seeds = f"{row.seeds} seed{'s' * (row.seeds > 1)}"
        notes = [
            f"{row.n} examples, {seeds}; percentile bootstrap intervals over examples. * differs from"
            f" {self.sections[0].settings[0]}: p < {ALPHA} in a paired sign-flip test, after Holm's correction over the"
            " whole table."
        ]
        return [*notes, *self.remarks] + [f"Published: {self.published.source}."] * bool(self.published.source)

    @property
    def published_lines(self) -> list[str]:
        """What was published, a line for each setting that the table has."""
        shown = {setting for section in self.sections for setting in section.settings}
        return [f"{name}: published {text}" for name, text in self.published.rows.items() if name in shown]


def adjusted(sections: Sequence[Section]) -> list[Section]:
    """Return ``sections`` with p-values adjusted (Holm) for all differences of all of them."""
    tested = [row.p for section in sections for row in section.rows if row.p is not None]
    values = iter(holm(tested))
    return [
        Section(one.label, [row if row.p is None else replace(row, p_holm=next(values)) for row in one.rows])
        for one in sections
    ]


def wide_rows(table: PaperTable, intervals: bool) -> list[dict[str, str]]:
    """Return one line per setting: the value of each metric, perhaps with its interval, a star where it differs from
    the first setting of its section, responses without a value, and what was published of a setting of that name."""
    lines = []
    for section in table.sections:
        for setting in section.settings:
            line = {"group": section.label} if any(one.label for one in table.sections) else {}
            line["setting"] = setting
            for metric in table.shown:
                line[metric] = _entry(section, setting, metric, intervals)
            found = [section.find(setting, metric) for metric in table.shown]
            line["dropped"] = str(sum(row.dropped for row in found if row is not None))
            if table.published.rows:
                line["published"] = table.published.rows.get(setting, "")
            lines.append(line)
    return lines


def _entry(section: Section, setting: str, metric: str, intervals: bool) -> str:
    row, change = section.find(setting, metric), section.change(setting, metric)
    mark = star(None if change is None else change.p_holm)
    if intervals:
        return entry(None if row is None else asdict(row), signed=False) + mark
    return number(None if row is None else row.value, "") + mark


def long_rows(table: PaperTable) -> list[dict[str, Any]]:
    """Return one line per setting and metric with every number there is."""
    lines = []
    for section in table.sections:
        for setting in section.settings:
            for metric in table.shown:
                row, change = section.find(setting, metric), section.change(setting, metric)
                if row is None:
                    continue
                line: dict[str, Any] = {"group": section.label, "setting": setting, "metric": metric}
                line |= {key: getattr(row, key) for key in NUMBERS}
                line |= {
                    key if key.startswith(("p", "e")) else f"difference_{key}": getattr(change, key, None)
                    for key in TESTS
                }
                line["published"] = table.published.rows.get(setting, "")
                lines.append(line | {"signature": table.signatures[metric]})
    return lines


def render_paper(table: PaperTable, style: str) -> str:
    """Render ``table``: ``table`` for a terminal, ``md`` and ``latex`` for a paper, ``csv`` and ``json`` in full."""
    return STYLES[style](table)


def written(table: PaperTable) -> dict[str, str]:
    """Return the table in every format that is a file, by the file's name."""
    return {f"{table.name}.{ending}": render_paper(table, style) + "\n" for style, ending in ENDINGS.items()}


def _terminal(table: PaperTable) -> str:
    rows = [
        {"setting": f"{row.pop('group', '')} {row.pop('setting')}".strip(), **row}
        for row in _unpublished(wide_rows(table, intervals=False))
    ]
    return "\n".join([one_line(table.title), numbered(rows), *map(one_line, (*table.notes, *table.published_lines))])


def _unpublished(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return ``rows`` without what was published, which stands below where columns must be narrow."""
    return [{key: value for key, value in row.items() if key != "published"} for row in rows]


def _markdown(table: PaperTable) -> str:
    notes = map(markdown_text, table.notes)
    parts = [f"# {markdown_text(table.title)}", render(wide_rows(table, intervals=True), "md"), *notes]
    lines = "\n".join(
        f"- {code_span(line)}" for line in (*table.provenance, *(table.signatures[one] for one in table.shown))
    )
    return "\n\n".join([*parts, "Made by, and signatures of the metrics:", lines])


def _latex(table: PaperTable) -> str:
    groups = [
        latex.Group(one.label, {setting: _latex_entries(table, one, setting) for setting in one.settings})
        for one in table.sections
    ]
    notes, columns = [*table.notes, *table.published_lines], list(table.shown)
    if any(line["dropped"] != "0" for line in wide_rows(table, intervals=False)):
        columns.append("dropped")
    else:
        notes[0] += " No response was dropped."
        groups = [latex.Group(one.label, {name: own[:-1] for name, own in one.lines.items()}) for one in groups]
    comments = [*table.provenance, *(table.signatures[metric] for metric in table.shown)]
    return latex.latex(latex.Content(table.name, table.title, columns, groups, notes, comments))


def _latex_entries(table: PaperTable, section: Section, setting: str) -> list[latex.Entry]:
    """Return the entries of ``setting``, last of them how many responses have no value."""
    entries, dropped = [], 0
    for metric in table.shown:
        row, change = section.find(setting, metric), section.change(setting, metric)
        whole = entry(None if row is None else asdict(row), signed=False)
        value, _, interval = whole.partition(" [")
        entries.append(latex.Entry(value, interval.removesuffix("]"), star(None if change is None else change.p_holm)))
        dropped += 0 if row is None else row.dropped
    return [*entries, latex.Entry(str(dropped))]


STYLES = {
    "table": _terminal,
    "md": _markdown,
    "latex": _latex,
    "csv": lambda table: render(long_rows(table), "csv"),
    "json": lambda table: render(long_rows(table), "json"),
}
