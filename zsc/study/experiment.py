"""From options to cells: models, records and knobs, loaded, built and checked, and what decides each response."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zsc.data.cut import Cut
from zsc.data.record import Record
from zsc.data.source import Sources
from zsc.generation.cells import Cell, Place, code_version, identified, library_versions, records_hash
from zsc.generation.checks import check_settings
from zsc.knobs.base import Knob
from zsc.models.load import Loaded
from zsc.options import plain
from zsc.study.formats import Format, format_of
from zsc.study.knobs import Built, build_settings, load_once, merged
from zsc.study.known import key_of
from zsc.study.options import KnobChoice, RunOptions


@dataclass(frozen=True)
class Experiment:
    """Settings and seeds of one model on the same records, and the cell of each.

    ``command`` is the command line that asks for it, if one does; ``key`` that under which it is known once it is done.
    """

    options: RunOptions
    command: str | None
    key: str | None
    loaded: Loaded
    records: Sequence[Record]
    format: Format
    sources: Sources
    cut: Cut
    built: Built
    cells: dict[Place, Cell]

    @property
    def seeds(self) -> list[int]:
        return list(self.options.seeds)

    @property
    def remarks(self) -> str:
        """What is to be said of its format and of what that cuts off, line by line."""
        return "\n".join(filter(None, [*self.format.remarks, str(self.cut)]))

    @property
    def identity(self) -> str:
        """A hash of what decides the responses, and the names of the settings."""
        return str(identified(self.cells)["identity"])


def prepare(
    options: RunOptions,
    choices: Sequence[KnobChoice] | None = None,
    records: Sequence[Record] | None = None,
    command: str | None = None,
) -> Experiment:
    """Load, build and check everything that ``options`` name, with the settings of ``choices`` of knobs.

    ``choices`` and ``records`` stand for those of the options, if given. Nothing is generated or written.
    """
    records = options.dataset.load() if records is None else records
    choices = [options.knob] if choices is None else choices
    key = key_of(options, choices, records)  # before files are read: one that changes meanwhile is then not known
    loaded = load_once(options.model)
    built = build_settings(choices, options.model, loaded)
    format = format_of(options, loaded)
    sources, cut = format.lay_out(records, loaded)
    check_settings(loaded, built.settings, records, sources)
    common = common_spec(loaded, format, records)
    ids = [record.id for record in records]
    cells = {
        (name, seed): Cell(
            Path(options.cells),
            {**common, "code": code_of(format, knobs), "knobs": built.deciding[name], "seed": seed},
            ids,
        )
        for name, knobs in built.settings.items()
        for seed in options.seeds
    }
    return Experiment(options, command, key, loaded, records, format, sources, cut, built, cells)


def code_of(format: Format, knobs: Sequence[Knob]) -> str:
    """Return the hash of the code that responses under ``knobs`` can reach."""
    return code_version(frozenset({type(format.layout), *map(type, knobs)}))


def common_spec(loaded: Loaded, format: Format, records: Sequence[Record]) -> dict[str, Any]:
    """Return what decides responses, beside knobs, their code and seed."""
    return {
        "libraries": library_versions(),
        "weights": loaded.fingerprint,
        "model": {
            "dtype": str(loaded.model.dtype),
            "attention": loaded.model.get_decoder().config._attn_implementation,
            "device": loaded.model.device.type,
        },
        "records": {"count": len(records), "sha256": records_hash(records)},
        "layout": plain(format.layout),
        "decoding": asdict(format.decoding),
    }


def union(parts: Sequence[Experiment]) -> Experiment:
    """Return one experiment with the settings of all ``parts``, so that they are decoded side by side."""
    cells: dict[Place, Cell] = {place: cell for part in parts for place, cell in part.cells.items()}
    return replace(parts[0], built=merged([part.built for part in parts]), cells=cells, key=None)
