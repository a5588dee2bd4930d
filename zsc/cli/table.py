"""`zsc table`: a table of the paper from stored responses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from zsc.cli.build import merged
from zsc.cli.configs import compose_knob, resolved
from zsc.cli.experiment import Experiment, Place, fill, how_made, performed, prepare, tell
from zsc.cli.plan import estimate
from zsc.cli.score import build_scoring, check_scoring, scored, warn
from zsc.cli.trainings import compare, metrics_of
from zsc.data import load_records
from zsc.errors import ZscError
from zsc.files import write_atomic
from zsc.generation.cells import Cell, State, writing
from zsc.generation.folder import RunFolder
from zsc.metrics import build_metrics
from zsc.tables.paper import PaperTable, Published, Section, adjusted, render_paper, written
from zsc.tables.render import PAPER_FORMATS, check_format
from zsc.terminal import say

ROWS = {"groups", "baseline"}  # what a table's rows are: settings of knobs, or trainings
SPEC = {"title", "columns", "published"}
GROUP = {"label", "topic", "runs"}


@dataclass(frozen=True)
class Part:
    """One group of a table: settings that are compared with each other, scored for a topic of their own."""

    label: str
    experiment: Experiment


def table(cfg: DictConfig) -> None:
    """Print the table that ``cfg`` (configs/table.yaml) names."""
    config = resolved(cfg)
    check_format(config["format"], PAPER_FORMATS)
    check_scoring(config)
    name = HydraConfig.get().runtime.choices["table"]
    check_spec(config["table"], name)
    made, folders = (compare if "baseline" in config["table"] else make)(config, name)
    print(render_paper(made, config["format"]))
    if config["save"] is not None:
        save(made, Path(str(config["save"])))
    for folder in folders:
        say(f"run: {folder.path}")


def save(table: PaperTable, folder: Path) -> None:
    """Write ``table`` to ``folder`` in every format. Raises ZscError if that fails."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in written(table).items():
            write_atomic(folder / name, text)


def make(config: dict[str, Any], name: str) -> tuple[PaperTable, list[RunFolder]]:
    """Score the table that ``config["table"]`` describes, called ``name``, and return it with the folders of its runs.

    What is missing is generated if ``config["make"]`` is true. Raises ZscError for an ill-formed table, and where
    responses are missing and are not to be made.
    """
    spec = config["table"]
    if config["knob"]["name"] != "none":
        raise ZscError(f"table {name} names its own knobs: leave knob={config['knob']['name']} out.")
    if config["trained"] is not None:
        raise ZscError(f"table {name} compares settings of knobs: leave trained={config['trained']} out.")
    records = load_records(**config["dataset"])
    parts = [Part(group.get("label", ""), prepare_group(config, group, records)) for group in spec["groups"]]
    whole = union([part.experiment for part in parts], config)
    tell(whole.cut)
    if missing := missing_cells(whole):
        if not config["make"]:
            lacking = f"{len(missing)} of the {len(whole.cells)} cells of this table"
            raise ZscError(
                f"{lacking} are not in {config['cells']}, or not whole. Repeat the command with make=true to generate"
                f" them. {estimate(whole)}"
            )
        fill(whole)
    sections: list[Section] = []
    signatures: dict[str, str] = {}
    folders: list[RunFolder] = []
    for part in parts:
        scoring = build_scoring(part.experiment.config, part.experiment.built.made_from)
        with performed(part.experiment, f"table-{name}") as folder:
            rows, signed = scored(folder, scoring, part.experiment.layout.turns)
        sections.append(Section(part.label, rows))
        signatures |= signed
        folders.append(folder)
    published = Published.of(spec)
    known = {setting for section in sections for setting in section.settings}
    if unknown := [setting for setting in published.rows if setting not in known]:
        say(f"published, but no setting of this table: {', '.join(unknown)}")
    warn(spec["columns"], [row for section in sections for row in section.rows], scoring.resampling)
    lines = how_made(folders[0].manifest())
    paper = PaperTable(name, spec["title"], adjusted(sections), spec["columns"], published, signatures, lines)
    return paper, folders


def check_spec(spec: Any, name: str) -> None:
    """Raise ZscError unless ``spec`` has the form of the files in configs/table."""
    form = f"table {name}: see the files in configs/table for the form."
    known = isinstance(spec, dict) and {"title", "columns"} <= set(spec) <= SPEC | ROWS
    if not known or len(set(spec) & ROWS) != 1:
        raise ZscError(f"{form} It holds title, columns, either groups or baseline, and perhaps published.")
    if not isinstance(spec["columns"], list) or not spec["columns"]:
        raise ZscError(f"{form} columns must be a list of metrics, such as [length, question_rate].")
    if "baseline" in spec:
        if not isinstance(spec["baseline"], str):
            raise ZscError(f"{form} baseline must be the name of a training, got {spec['baseline']}.")
        if not (metrics := metrics_of(spec["columns"])):
            raise ZscError(f"{form} columns must name a metric of responses beside the figures of trainings.")
        build_metrics(metrics)
    else:
        build_metrics(spec["columns"])
        check_groups(spec["groups"], form)
    check_published(spec.get("published") or {"source": "", "rows": {}}, form)


def check_groups(groups: Any, form: str) -> None:
    """Raise ZscError unless ``groups`` has the form of those in configs/table."""
    if not isinstance(groups, list) or not groups:
        raise ZscError(f"{form} groups must be a non-empty list.")
    for group in groups:
        if not isinstance(group, dict) or not {"runs"} <= set(group) <= GROUP or not texts(group["runs"]):
            raise ZscError(f"{form} A group holds runs, a list of texts, and perhaps label and topic; got {group}.")
    labels = [group.get("label", "") for group in groups]
    if not texts(labels) or len(set(labels)) < len(labels):
        raise ZscError(f"{form} Groups need different labels, texts, got {labels}.")


def check_published(published: Any, form: str) -> None:
    """Raise ZscError unless ``published`` has the form of those in configs/table."""
    if (
        not isinstance(published, dict)
        or set(published) != {"source", "rows"}
        or not isinstance(published["rows"], dict)
    ):
        raise ZscError(f"{form} published holds source, a text, and rows, a mapping of settings to texts.")
    if not texts([published["source"], *published["rows"], *published["rows"].values()]):
        raise ZscError(f'{form} published holds texts; quote names such as "off". Got {published["rows"]}.')


def texts(values: Any) -> bool:
    """Say whether ``values`` is a list of texts."""
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def prepare_group(config: dict[str, Any], group: dict[str, Any], records: list[Any]) -> Experiment:
    """Prepare the settings of one group, with the metrics of the table and the topic of the group."""
    label, output = group.get("label", ""), config["output"]
    own = {
        "metrics": config["table"]["columns"],
        "topic": group.get("topic", config["topic"]),
        "output": f"{output}/{label}" if output and label else output,
    }
    knobs = [compose_knob(run, config) for run in group["runs"]]
    return prepare({**config, **own, "knobs": knobs}, knobs, records)


def union(parts: Sequence[Experiment], config: dict[str, Any]) -> Experiment:
    """Return one experiment with the settings of all ``parts``, so that they are decoded side by side."""
    cells: dict[Place, Cell] = {place: cell for part in parts for place, cell in part.cells.items()}
    return replace(parts[0], config=config, built=merged([part.built for part in parts]), cells=cells)


def missing_cells(experiment: Experiment) -> list[Cell]:
    """Return the cells that are not finished."""
    return [cell for cell in experiment.cells.values() if cell.stored().state is not State.DONE]
