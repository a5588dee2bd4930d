"""Fill the cells of an experiment: probe what is new, generate what is missing, say how it goes."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from zsc.errors import INTERRUPTED, ZscError
from zsc.generation.batches import ReadBatches
from zsc.generation.cells import State
from zsc.generation.checks import probe_settings
from zsc.generation.fill import Filler, Tally, Watcher
from zsc.generation.generate import Job
from zsc.generation.pieces import Task
from zsc.generation.room import Room, room, rows_that_fit
from zsc.study.crew import at_work, making, present, started_together
from zsc.study.experiment import Experiment
from zsc.study.watch import Advance, Watch

PROBED = 8  # examples on which the effect of a setting is measured before it is used

Effects = dict[str, dict[str, Any] | None]


def fill(experiment: Experiment, watch: Watch, waits: bool = True) -> Effects:
    """Fill the cells of ``experiment``; return the effect of each setting.

    Settings without a finished or begun cell are probed first, so that one that does nothing costs nothing. One that
    ``waits`` comes back when all are there. Another leaves when there is nothing to take, and refuses to work beside
    workers that were asked for the same and make other cells of it.
    """
    settings, effects = experiment.built.settings, known_effects(experiment)
    if unknown := {name: knobs for name, knobs in settings.items() if name not in effects}:
        few = experiment.sources.batch(range(min(PROBED, len(experiment.records))))
        cached = experiment.format.decoding.use_cache
        for name, effect in probe_settings(experiment.loaded, unknown, few, cached).items():
            watch.say(f"{name}: {effect}")
            effects[name] = asdict(effect)
    tasks = [
        Task(experiment.cells[name, seed], Job(knobs, seed), effects.get(name))
        for seed in experiment.seeds
        for name, knobs in settings.items()
    ]
    tally = fill_cells(experiment, tasks, watch, waits)
    watch.say(summary(tally, len(tasks)))
    return {name: effects.get(name) for name in settings}


def summary(tally: Tally, cells: int) -> str:
    """Say what became of so many cells."""
    others = f", {tally.elsewhere} made by another process" if tally.elsewhere else ""
    left = f", {tally.left} left to others that are at work" if tally.left else ""
    return f"cells: {cells}, {tally.found} found, {tally.made} made{others}{left}"


def known_effects(experiment: Experiment) -> Effects:
    """Return the effects noted with cells that are there."""
    effects: Effects = {}
    for (name, _), cell in experiment.cells.items():
        if cell.done() or cell.stored().state is State.BEGUN:
            effects[name] = cell.effect()
    return effects


class Counted:
    """Counts the responses that are there, for a watch."""

    def __init__(self, watch: Watch, advance: Advance):
        self.watch, self._advance, self.ready = watch, advance, 0

    def advance(self, responses: int) -> None:
        self.ready += responses
        self._advance(responses)

    def note(self, message: str) -> None:
        self.watch.say(message)


def fill_cells(experiment: Experiment, tasks: list[Task], watch: Watch, waits: bool) -> Tally:
    """Fill ``tasks``, beside as many others as the options or a launcher say, or at least another one where this one
    does not wait for them at the end. An interrupt becomes a ZscError that says what is kept."""
    total, root = len(tasks) * len(experiment.records), Path(experiment.options.cells)
    if all(task.cell.done() for task in tasks):
        return Tally(found=len(tasks))
    asked = started_together() if experiment.options.workers == "auto" else int(experiment.options.workers)
    least = asked or (1 if waits else 2)
    shards = sum(len(task.cell.shards(experiment.options.shard)) for task in tasks if not task.cell.done())
    if asked is not None and asked > shards:
        watch.say(f"{asked} workers for {shards} shards: some find nothing to take. A smaller shard=N makes more.")
    with (
        at_work(root),
        making(root, experiment.cells, not waits) as differs,
        watch.progress("responses", total) as advance,
    ):
        counted = Counted(watch, advance)
        if differs:
            watch.say(differs)
        try:
            one = filler(experiment, counted)
            return replace(one, workers=lambda: max(least, len(present(root))), waits=waits).fill(tasks)
        except KeyboardInterrupt:
            kept = f"{counted.ready} of {total} responses are kept in {experiment.options.cells}"
            raise ZscError(f"interrupted: {kept}; the same command resumes.", INTERRUPTED) from None


def filler(experiment: Experiment, watcher: Watcher) -> Filler:
    """Return what fills cells of ``experiment``, as much at a time as its options and the memory allow."""
    loaded, decoding, size = experiment.loaded, experiment.format.decoding, room_of(experiment)
    pack = not decoding.encoder_no_repeat_ngram_size  # whose n-grams end at what is hidden
    batches = ReadBatches(loaded.model, experiment.sources, size.read, pack, experiment.options.shard)
    return Filler(loaded, batches, decoding, experiment.options.together, size.decoded, watcher)


def room_of(experiment: Experiment) -> Room:
    """Return how many sources are read at once, and how many responses decoded at a time: what ``batch_size`` says of
    the one, and ``together`` times as many of the other, as far as the memory allows, or what that has room for."""
    options, positions = experiment.options, experiment.sources.longest
    model, decoding = experiment.loaded.model, experiment.format.decoding
    if options.batch_size == "auto":
        return room(model, positions, decoding)
    size = options.batch_size
    return Room(size, max(size, min(options.together * size, rows_that_fit(model, positions, decoding))))
