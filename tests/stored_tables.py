"""The tables in results/, as they were before they were written: from the JSON and the Markdown of each."""

import json
import re
from pathlib import Path

from omegaconf import OmegaConf

from zsc.configs import CONFIGS
from zsc.metrics.score import Row, difference
from zsc.tables.paper import PaperTable, Published, Section

RESULTS = Path(__file__).parents[1] / "results"


def stored_tables():
    """Return the files, without their ending, of every table that was written with the LaTeX of it."""
    return sorted(file.with_suffix("") for file in RESULTS.rglob("*.tex"))


def stored_table(file):
    """Return the table of these files."""
    lines = json.loads(file.with_suffix(".json").read_text())
    sections = [section_of(label, lines) for label in dict.fromkeys(line["group"] for line in lines)]
    title, *others = file.with_suffix(".md").read_text().splitlines()
    columns = next(line for line in others if line.startswith("| ")).split(" | ")
    others = [line for line in others if line and not line.startswith("| ")]
    end = others.index("Made by, and signatures of the metrics:")
    notes = [re.sub(r"\\([\\|$`])", r"\1", line) for line in others[:end]]
    published = Published.of(OmegaConf.to_container(OmegaConf.load(CONFIGS / "table" / f"{file.name}.yaml")))
    signatures = {line["metric"]: line["signature"] for line in lines}
    made = [line.removeprefix("- `").removesuffix("`") for line in others[end + 1 :]]
    return PaperTable(
        file.name, title.removeprefix("# "), sections, columns, published, signatures,
        [line for line in made if line not in signatures.values()],
        [note for note in notes[1:] if not note.startswith("Published: ")],
    )  # fmt: skip


def section_of(label, lines):
    """Return the rows of settings and of their differences to the first, as far as tables show them; figures that are
    of no examples come last, as they do where trainings are compared."""
    own = sorted((line for line in lines if line["group"] == label), key=lambda line: line["n"] == 0)
    settings = list(dict.fromkeys(line["setting"] for line in own))
    rows = []
    for line in own:
        rows.append(Row(*(line[key] for key in ("setting", "metric", "value", "low", "high", "n", "seeds", "dropped"))))
        if line["p"] is not None:
            change = [line[f"difference_{key}"] for key in ("value", "low", "high")]
            tests = {key: line[key] for key in ("p", "p_holm", "p_bootstrap", "effect")}
            name = difference(line["setting"], settings)
            rows.append(Row(name, line["metric"], *change, line["n"], line["seeds"], line["dropped"], **tests))
    return Section(label, rows)
