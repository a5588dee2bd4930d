"""What a run will generate, what is there, who makes what, and how long the rest will take."""

import time
from typing import Any

from zsc.generation.cells import Cell, State, Stored
from zsc.generation.generate import Job, generate
from zsc.knobs.read import read
from zsc.leases import Holder
from zsc.study.experiment import Experiment
from zsc.study.watch import duration

TIMED = 16  # examples that are timed for the estimate


def cell_rows(experiment: Experiment) -> list[dict[str, Any]]:
    """Return a row for each cell: its setting, seed and state, how many responses and how many of its shards are there,
    who makes others, and where it lies."""
    rows = []
    for (name, seed), cell in experiment.cells.items():
        stored = cell.stored()
        shards, made_by = shards_of(cell, stored, experiment.options.shard)
        rows.append(
            {
                "setting": name,
                "seed": seed,
                "state": stored.state.value,
                "responses": f"{cell.ready()} of {len(experiment.records)}",
                "shards": shards,
                "made by": "; ".join(map(str, made_by)),
                "cell": str(cell.path),
            }
        )
    return rows


def shards_of(cell: Cell, stored: Stored, size: int) -> tuple[str, list[Holder]]:
    """Return how many shards of a cell are done, and who makes others."""
    shards = cell.shards(size)
    if stored.state is State.DONE:
        return f"{len(shards)} of {len(shards)}", []
    done = [shard for shard in shards if shard.path.is_file()]
    holders = [holder for one in shards if one not in done and (holder := one.lease.holder()) is not None]
    return f"{len(done)} of {len(shards)}", holders


def estimate(experiment: Experiment) -> str:
    """Say how many responses are to be made and, after timing a few, how long that will take."""
    cells = experiment.cells
    open_places = [place for place, cell in cells.items() if not cell.done()]
    if not open_places:
        return f"{len(cells)} cells, all done."
    count = sum(len(experiment.records) - cells[place].ready() for place in open_places)
    name, seed = open_places[-1]
    rows = range(min(TIMED, len(experiment.records)))
    ids = [experiment.records[i].id for i in rows]
    loaded, job = experiment.loaded, Job(experiment.built.settings[name], seed)
    source = experiment.sources.batch(rows).to(loaded.model.device)
    started = time.perf_counter()
    generate(read(loaded.model, source), loaded.target_tokenizer, ids, [job], experiment.format.decoding)
    each = (time.perf_counter() - started) / len(rows)
    return (
        f"{len(cells)} cells, {len(cells) - len(open_places)} done; {count} responses to make, about"
        f" {duration(count * each)} here ({each * 1000:.0f} ms each, measured on {len(rows)} of {name})."
    )
