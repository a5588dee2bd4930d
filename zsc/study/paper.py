"""Tables of the paper: settings of knobs as rows, from stored responses."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.files import write_atomic
from zsc.generation.cells import writing
from zsc.generation.folder import RunFolder
from zsc.metrics import build_metrics
from zsc.options import read
from zsc.study.folders import config_text, folder_of, provenance, written
from zsc.study.known import recall
from zsc.study.options import KnobChoice, TableGroup, TableOptions, TableSpec
from zsc.study.scoring import build_scoring, check_scoring, score_folder, warnings
from zsc.study.watch import Watch, say_remarks
from zsc.tables.paper import PaperTable, Section, adjusted
from zsc.tables.paper import written as formats_of
from zsc.training.finished import FIGURES


@dataclass(frozen=True)
class Group:
    """Settings of ``choices`` of knobs that are compared with each other, and scored as ``options`` say."""

    label: str
    options: TableOptions
    choices: Sequence[KnobChoice]


Opened = tuple[dict[str, Any], AbstractContextManager[RunFolder]]  # what knobs are made from, and the folder, written


def check_spec(values: Any, name: str) -> None:
    """Raise ZscError unless ``values`` have the form of the files in configs/table: columns that are metrics, and rows
    of one kind."""
    try:
        check_rows(read(TableSpec, values, "table"))
    except ZscError as error:
        raise ZscError(f"table {name}: see the files in configs/table for the form. {error}") from error


def check_rows(spec: TableSpec) -> None:
    if (spec.baseline is None) == (not spec.groups):
        raise ZscError("It holds title, columns, either groups, a list, or baseline, and perhaps published.")
    if not spec.columns:
        raise ZscError("columns must be a list of metrics, such as [length, question_rate].")
    build_metrics(metrics_of(spec))
    labels = [group.label for group in spec.groups]
    if len(set(labels)) < len(labels):
        raise ZscError(f"Groups need different labels, got {labels}.")


def metrics_of(spec: TableSpec) -> list[str]:
    """Return the columns that are metrics of responses: all, but for the figures in a table of trainings.

    Raises ZscError if there is none.
    """
    metrics = [column for column in spec.columns if spec.baseline is None or column not in FIGURES]
    if not metrics:
        raise ZscError("columns must name a metric of responses beside the figures of trainings.")
    return metrics


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
    groups = [group_of(options, group, chosen) for group, chosen in zip(spec.groups, choices, strict=True)]
    sections: list[Section] = []
    signatures: dict[str, str] = {}
    folders: list[RunFolder] = []
    opened = stored(groups, name, records, watch, command) or generated(groups, name, records, watch, command)
    for group, (made_from, context) in zip(groups, opened, strict=True):
        scoring = build_scoring(group.options, made_from)
        with context as folder:
            rows, signed = score_folder(folder, scoring, options.dialog_turns, watch)
        sections.append(Section(group.label, rows))
        signatures |= signed
        folders.append(folder)
    known = {setting for section in sections for setting in section.settings}
    if unknown := [setting for setting in spec.published.rows if setting not in known]:
        watch.say(f"published, but no setting of this table: {', '.join(unknown)}")
    for line in warnings(spec.columns, [row for section in sections for row in section.rows], options.resampling):
        watch.say(line)
    lines = provenance(folders[0].manifest())
    return PaperTable(name, spec.title, adjusted(sections), spec.columns, spec.published, signatures, lines), folders


def save(table: PaperTable, folder: Path) -> None:
    """Write ``table`` to ``folder`` in every format. Raises ZscError if that fails."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in formats_of(table).items():
            write_atomic(folder / name, text)


def group_of(options: TableOptions, group: TableGroup, choices: Sequence[KnobChoice]) -> Group:
    """Return one group, with the metrics of the table and the topic of the group."""
    output = f"{options.output}/{group.label}" if options.output and group.label else options.output
    topic = options.topic if group.topic is None else group.topic
    return Group(group.label, replace(options, metrics=options.table.columns, topic=topic, output=output), choices)


def stored(
    groups: Sequence[Group], name: str, records: Sequence[Record], watch: Watch, command: str | None
) -> list[Opened]:
    """Return the folders of ``groups`` where the cells of all are there and known, else nothing."""
    recalled = [recall(group.options, group.choices, records, command) for group in groups]
    known = [one for one in recalled if one is not None]
    if len(known) < len(groups):
        return []
    say_remarks(known[0].remarks, watch)
    opened: list[Opened] = []
    for group, one in zip(groups, known, strict=True):
        watch.say(one.summary)
        folder = folder_of(group.options, f"table-{name}", one.manifest["identity"])
        config = config_text(group.options, knobs=group.choices)
        opened.append((one.manifest["made_from"], written(folder, one.manifest, config, records, one.cells)))
    return opened


def generated(
    groups: Sequence[Group], name: str, records: Sequence[Record], watch: Watch, command: str | None
) -> list[Opened]:
    """Return the folders of ``groups``, whose missing responses are generated, if the options say so, when they open.

    Raises ZscError where responses are missing and are not to be made.
    """
    from zsc.study.experiment import prepare, union
    from zsc.study.filling import fill
    from zsc.study.performed import performed
    from zsc.study.plan import estimate

    options = groups[0].options
    parts = [prepare(group.options, group.choices, records, command) for group in groups]
    joint = union(parts)
    say_remarks(joint.remarks, watch)
    if missing := [cell for cell in joint.cells.values() if not cell.done()]:
        if not options.make:
            lacking = f"{len(missing)} of the {len(joint.cells)} cells of this table"
            raise ZscError(
                f"{lacking} are not in {options.cells}, or not whole. Repeat the command with make=true to generate"
                f" them. {estimate(joint)}"
            )
        fill(joint, watch)
    return [
        (part.built.made_from, performed(part, f"table-{name}", watch, knobs=group.choices))
        for group, part in zip(groups, parts, strict=True)
    ]
