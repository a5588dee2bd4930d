"""What a run will generate, what is there, and how long the rest will take."""

import time
from typing import Any

from zsc.generation.cells import State
from zsc.generation.generate import Job, generate
from zsc.knobs.read import read
from zsc.study.experiment import Experiment

TIMED = 16  # examples that are timed for the estimate


def cell_rows(experiment: Experiment) -> list[dict[str, Any]]:
    """Return a row for each cell: its setting, seed and state, how many responses it has, and where it lies."""
    rows = []
    for (name, seed), cell in experiment.cells.items():
        stored = cell.stored()
        ready = f"{len(stored.items)} of {len(experiment.records)}"
        row = {"setting": name, "seed": seed, "state": stored.state.value, "responses": ready, "cell": str(cell.path)}
        rows.append(row)
    return rows


def estimate(experiment: Experiment) -> str:
    """Say how many responses are to be made and, after timing a few, how long that will take."""
    stored = {place: cell.stored() for place, cell in experiment.cells.items()}
    open_places = [place for place, found in stored.items() if found.state is not State.DONE]
    count = sum(len(experiment.records) - len(stored[place].items) for place in open_places)
    if not count:
        return f"{len(stored)} cells, all done."
    name, seed = open_places[-1]
    rows = range(min(TIMED, len(experiment.records)))
    ids = [experiment.records[i].id for i in rows]
    loaded, job = experiment.loaded, Job(experiment.built.settings[name], seed)
    source = experiment.sources.batch(rows).to(loaded.model.device)
    started = time.perf_counter()
    generate(read(loaded.model, source), loaded.target_tokenizer, ids, [job], experiment.format.decoding)
    each = (time.perf_counter() - started) / len(rows)
    return (
        f"{len(stored)} cells, {len(stored) - len(open_places)} done; {count} responses to make, about"
        f" {duration(count * each)} here ({each * 1000:.0f} ms each, measured on {len(rows)} of {name})."
    )


def duration(seconds: float) -> str:
    """Return ``seconds`` in words of the two largest units."""
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 1:
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"
