"""Tables of the paper: settings of knobs as rows, from stored responses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.files import write_atomic
from zsc.generation.cells import Cell, State, writing
from zsc.generation.folder import RunFolder
from zsc.metrics import build_metrics
from zsc.study.experiment import Experiment, Place, prepare
from zsc.study.filling import fill, say_cut
from zsc.study.folders import how_made, performed
from zsc.study.knobs import merged
from zsc.study.options import KnobChoice, TableGroup, TableOptions, TableSpec
from zsc.study.plan import estimate
from zsc.study.scoring import build_scoring, check_scoring, score_folder, warnings
from zsc.study.watch import Watch
from zsc.tables.paper import PaperTable, Section, adjusted, written


@dataclass(frozen=True)
class Part:
    """One group of a table: settings that are compared with each other, scored for a topic of their own."""

    label: str
    experiment: Experiment
    choices: Sequence[KnobChoice]


def check_table(spec: TableSpec, name: str) -> None:
    """Raise ZscError unless the table called ``name`` has columns that are metrics and rows of one kind."""
    form = f"table {name}: see the files in configs/table for the form."
    if (spec.baseline is None) == (not spec.groups):
        raise ZscError(f"{form} It holds title, columns, either groups or baseline, and perhaps published.")
    if not spec.columns:
        raise ZscError(f"{form} columns must be a list of metrics, such as [length, question_rate].")
    if spec.baseline is None:
        build_metrics(list(spec.columns))
    labels = [group.label for group in spec.groups]
    if len(set(labels)) < len(labels):
        raise ZscError(f"{form} Groups need different labels, got {labels}.")


def make(
    options: TableOptions, name: str, choices: Sequence[Sequence[KnobChoice]], watch: Watch, command: str | None = None
) -> tuple[PaperTable, list[RunFolder]]:
    """Score the table called ``name``, with the ``choices`` of knobs of each of its groups; return it with the folders
    of its runs.

    What is missing is generated if the options say so. Raises ZscError where responses are missing and are not to be
    made.
    """
    check_scoring(options)
    spec = options.table
    if options.knob.parts:
        raise ZscError(f"table {name} names its own knobs: leave knob={options.knob.name} out.")
    if options.trained is not None:
        raise ZscError(f"table {name} compares settings of knobs: leave trained={options.trained} out.")
    records = options.dataset.load()
    parts = [
        prepare_group(options, group, chosen, records, command)
        for group, chosen in zip(spec.groups, choices, strict=True)
    ]
    whole = union([part.experiment for part in parts], options)
    say_cut(whole.cut, watch)
    if missing := [cell for cell in whole.cells.values() if cell.stored().state is not State.DONE]:
        if not options.make:
            lacking = f"{len(missing)} of the {len(whole.cells)} cells of this table"
            raise ZscError(
                f"{lacking} are not in {options.cells}, or not whole. Repeat the command with make=true to generate"
                f" them. {estimate(whole)}"
            )
        fill(whole, watch)
    sections: list[Section] = []
    signatures: dict[str, str] = {}
    folders: list[RunFolder] = []
    for part in parts:
        scoring = build_scoring(part.experiment.options, part.experiment.built.made_from)
        with performed(part.experiment, f"table-{name}", watch, knobs=part.choices) as folder:
            rows, signed = score_folder(folder, scoring, options.layout.turns, watch)
        sections.append(Section(part.label, rows))
        signatures |= signed
        folders.append(folder)
    known = {setting for section in sections for setting in section.settings}
    if unknown := [setting for setting in spec.published.rows if setting not in known]:
        watch.say(f"published, but no setting of this table: {', '.join(unknown)}")
    for line in warnings(spec.columns, [row for section in sections for row in section.rows], options.resampling):
        watch.say(line)
    lines = how_made(folders[0].manifest())
    return PaperTable(name, spec.title, adjusted(sections), spec.columns, spec.published, signatures, lines), folders


def save(table: PaperTable, folder: Path) -> None:
    """Write ``table`` to ``folder`` in every format. Raises ZscError if that fails."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in written(table).items():
            write_atomic(folder / name, text)


def prepare_group(
    options: TableOptions,
    group: TableGroup,
    choices: Sequence[KnobChoice],
    records: Sequence[Record],
    command: str | None,
) -> Part:
    """Prepare the settings of one group, with the metrics of the table and the topic of the group."""
    output = f"{options.output}/{group.label}" if options.output and group.label else options.output
    topic = options.topic if group.topic is None else group.topic
    own = replace(options, metrics=options.table.columns, topic=topic, output=output)
    return Part(group.label, prepare(own, choices, records, command), choices)


def union(parts: Sequence[Experiment], options: TableOptions) -> Experiment:
    """Return one experiment with the settings of all ``parts``, so that they are decoded side by side."""
    cells: dict[Place, Cell] = {place: cell for part in parts for place, cell in part.cells.items()}
    return replace(parts[0], options=options, built=merged([part.built for part in parts]), cells=cells)
