"""Fill cells: every setting on the same examples, several side by side, resumed where they stopped."""

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import Any, Protocol

from filelock import Timeout

from zsc.errors import ZscError
from zsc.generation.batches import ReadBatches, SourcesExceedMemory
from zsc.generation.cells import Cell, State, writing
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, Response, fit_together, generate, responses
from zsc.generation.room import out_of_memory
from zsc.generation.slots.loop import Batch, Loop, Said
from zsc.generation.slots.sound import slots_fault, takes_slots
from zsc.knobs import AdditiveKnob, Knob, apply
from zsc.knobs.anatomy import is_causal
from zsc.knobs.stack import under
from zsc.models.load import Loaded


@dataclass(frozen=True)
class Task:
    """A cell, the job that fills it, and the effect of its knobs, to be noted with it."""

    cell: Cell
    job: Job
    effect: dict[str, Any] | None


@dataclass
class Queue:
    """The responses of a task: ``ready`` are in its cell, the ``waiting`` ones come after others that are not there."""

    task: Task
    ready: int
    waiting: dict[int, dict[str, Any]] = field(default_factory=dict)

    def put(self, items: Mapping[int, dict[str, Any]]) -> int:
        """Take ``items`` by the number of their record, append those whose turn it is, and return how many."""
        self.waiting |= {number: item for number, item in items.items() if number >= self.ready}
        turn = list(takewhile(self.waiting.__contains__, count(self.ready)))
        self.task.cell.append([self.waiting.pop(number) for number in turn])
        self.ready += len(turn)
        return len(turn)


@dataclass
class Tally:
    """How many cells were ``found`` finished, ``made`` here, or made ``elsewhere``, by another process, meanwhile."""

    found: int = 0
    made: int = 0
    elsewhere: int = 0


class Watcher(Protocol):
    """Who is told how the work goes on."""

    def advance(self, responses: int) -> None:
        """So many more responses are there."""

    def note(self, message: str) -> None:
        """Something worth a line."""


@dataclass
class Filler:
    """Fills cells, up to ``together`` of them side by side, up to ``rows`` responses at a time.

    Where the memory does not suffice, it goes on with half as many, and says so; what is there stays.
    """

    loaded: Loaded
    batches: ReadBatches
    decoding: Decoding
    together: int
    rows: int
    watcher: Watcher
    tally: Tally = field(default_factory=Tally)
    told: set[str] = field(default_factory=set)

    def fill(self, tasks: Sequence[Task]) -> Tally:
        """Fill every cell that is not finished. Raises ZscError where writing fails or one example exceeds the memory.

        A cell that another process is writing is left to it, and waited for when nothing else is left to do.
        """
        pending = [task for task in tasks if not self._found(task)]
        while pending:
            with writing(pending[0].cell.root), ExitStack() as locks:
                group = lock_group(pending, evenly(pending, self.together), locks)
                if not group:
                    group = pending[:1]
                    self.watcher.note(f"another process is making cell {group[0].cell.path.name}: waiting.")
                    locks.enter_context(group[0].cell.lock)
                begun = [task for task in group if not self._made_elsewhere(task)]
                self._fill_group(begun)
                self.tally.made += len(begun)
            pending = [task for task in pending if task not in group]
        return self.tally

    def _found(self, task: Task) -> bool:
        if task.cell.done():
            self.tally.found += 1
            self.watcher.advance(len(task.cell.ids))
            return True
        stored = task.cell.stored()
        if stored.state is State.BROKEN:
            left = f" Left alone in it: {', '.join(others)}." if (others := task.cell.foreign()) else ""
            self.watcher.note(f"cell {task.cell.path.name} is broken ({stored.why}): it is made again.{left}")
        return False

    def _made_elsewhere(self, task: Task) -> bool:
        if done := task.cell.done():
            self.tally.elsewhere += 1
            self.watcher.advance(len(task.cell.ids))
        return done

    def _fill_group(self, tasks: Sequence[Task]) -> None:
        """Fill the cells of ``tasks``, which fit together, from the first response that one of them lacks."""
        queues = [Queue(task, len(task.cell.begin(task.effect))) for task in tasks]
        self.watcher.advance(sum(queue.ready for queue in queues))
        groups = list(alike(queues, self.decoding).values())
        while (number := self._first_lacking(groups)) is not None:
            if (exceeded := self._fill_from(number, tasks, groups)) is not None:
                self._halve(exceeded)
        for task in tasks:
            task.cell.finish()

    def _fill_from(
        self, number: int, tasks: Sequence[Task], groups: Sequence[Sequence[Queue]]
    ) -> type[Exception] | None:
        """Fill the queues, the batch ``number`` first; return what exceeded the memory, if something did.

        No error goes on from here: it would hold what was in the memory.
        """
        try:
            fill = self._fill_in_slots if self._takes_slots(tasks, number) else self._fill_by_batch
            fill(groups)
        except SourcesExceedMemory:
            return SourcesExceedMemory
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return MemoryError
        return None

    def _first_lacking(self, groups: Sequence[Sequence[Queue]]) -> int | None:
        """Return the first batch of which a response is not there."""
        return next((i for i, rows in enumerate(self.batches.rows) if any(lacks(one, rows) for one in groups)), None)

    def _takes_slots(self, tasks: Sequence[Task], number: int) -> bool:
        """Say whether rows at steps of their own can make the responses of ``tasks``, asking the model on a batch."""
        if not takes_slots(self.decoding, tasks[0].job, is_causal(self.batches.model)):
            return False
        fault = slots_fault(self.batches.batch(number)[1], any(task.job.knobs for task in tasks))
        if fault is not None and fault not in self.told:
            self.told.add(fault)
            self.watcher.note(f"responses are made batch by batch: rows at different steps fail ({fault}).")
        return fault is None

    def _fill_in_slots(self, groups: Sequence[Sequence[Queue]]) -> None:
        """Fill the queues, those of a group with the same responses, rows taking each other's place as they end.

        Where knobs replace weights, as much is decoded as two fillings of the places, before likelihoods, which are
        those of the unmodified model, are looked at.
        """
        knobs = [knob for knob in groups[0][0].task.job.knobs if not isinstance(knob, AdditiveKnob)]
        numbers = range(len(self.batches.rows))
        share = len(numbers) if not knobs else math.ceil(2 * self.rows / (len(groups) * self.batches.size))
        for start in range(0, len(numbers), share):
            batches = self._batches(numbers[start : start + share], groups, knobs)
            loop = Loop(self.decoding, self.rows, self.loaded.target_tokenizer)
            with closing(self._said(loop, batches, knobs)) as said:
                for one in said:
                    self._keep(one, groups)

    def _said(self, loop: Loop, batches: Iterator[Batch], knobs: Sequence[Knob]) -> Generator[Said]:
        """Yield what ``loop`` yields: at once, or where ``knobs`` replace weights, when they are off again."""
        if not knobs:
            yield from loop.run(batches)
            return
        with apply(self.batches.model, knobs):
            every = list(loop.run(batches))
        yield from every

    def _batches(
        self, numbers: Sequence[int], groups: Sequence[Sequence[Queue]], knobs: Sequence[Knob]
    ) -> Iterator[Batch]:
        for number in numbers:
            wanting = [i for i, group in enumerate(groups) if lacks(group, self.batches.rows[number])]
            if wanting:
                rows, reading = self.batches.batch(number)
                ids = [groups[0][0].task.cell.ids[i] for i in rows]
                jobs = {i: groups[i][0].task.job for i in wanting}
                yield Batch(number, under(reading, knobs), ids, jobs)

    def _keep(self, said: Said, groups: Sequence[Sequence[Queue]]) -> None:
        rows, ids = self.batches.rows[said.batch.number], said.batch.ids
        made = responses(said.reading, self.loaded.target_tokenizer, self.decoding, ids, said.tokens)
        self._put(groups[said.job], rows, ids, made)

    def _fill_by_batch(self, groups: Sequence[Sequence[Queue]]) -> None:
        """Fill the queues one batch after the other, as many of them at a time as have room."""
        several = max(1, self.rows // self.batches.size)
        for number, rows in enumerate(self.batches.rows):
            wanting = [group for group in groups if lacks(group, rows)]
            for start in range(0, len(wanting), several):
                self._fill_batch(number, wanting[start : start + several])

    def _fill_batch(self, number: int, groups: Sequence[Sequence[Queue]]) -> None:
        """Generate the responses of one batch, and append those of each task whose turn it is."""
        rows, reading = self.batches.batch(number)
        ids = [groups[0][0].task.cell.ids[i] for i in rows]
        jobs = [group[0].task.job for group in groups]
        by_job = generate(reading, self.loaded.target_tokenizer, ids, jobs, self.decoding)
        for group, made in zip(groups, by_job, strict=True):
            self._put(group, rows, ids, made)

    def _put(self, group: Sequence[Queue], rows: Sequence[int], ids: Sequence[str], made: Sequence[Response]) -> None:
        items = {row: one.item(identity) for row, identity, one in zip(rows, ids, made, strict=True)}
        for queue in group:
            self.watcher.advance(queue.put(items))

    def _halve(self, exceeded: type[Exception]) -> None:
        """Go on with half of what ``exceeded`` the memory. Raises ZscError where that is one example."""
        size = self.batches.size
        of_sources = exceeded is SourcesExceedMemory
        tried = size if of_sources else self.rows
        if tried == 1:
            raise ZscError(
                "one example at a time exceeds the memory: choose a smaller model or model.dtype=bfloat16, or shorter"
                " sources (layout) and responses (decoding.max_new_tokens)."
            )
        if of_sources:
            self.batches = self.batches.resized(tried // 2)
        else:
            self.rows = tried // 2
            if self.rows < size:
                self.batches = self.batches.resized(self.rows)
        what = "sources read at once" if of_sources else "responses at a time"
        self.watcher.note(f"{tried} {what} exceed the memory: going on with {tried // 2}.")


def alike(queues: Sequence[Queue], decoding: Decoding) -> dict[Any, list[Queue]]:
    """Return ``queues`` by what decides their responses: without sampling, seeds do not."""
    groups: dict[Any, list[Queue]] = {}
    for queue in queues:
        job = queue.task.job
        groups.setdefault((id(job.knobs), job.seed if decoding.sample else None), []).append(queue)
    return groups


def lacks(group: Sequence[Queue], rows: Sequence[int]) -> bool:
    """Say whether a queue of ``group`` lacks a response to one of ``rows``."""
    return any(row >= queue.ready and row not in queue.waiting for queue in group for row in rows)


def evenly(pending: Sequence[Task], most: int) -> int:
    """Return how many tasks, at most ``most``, go side by side so that those that fit the first make even groups."""
    fitting_first = sum(fit_together(pending[0].job, task.job) for task in pending)
    return math.ceil(fitting_first / math.ceil(fitting_first / most))


def lock_group(pending: Sequence[Task], together: int, locks: ExitStack) -> list[Task]:
    """Lock and return up to ``together`` of the tasks that fit together and that no other process has locked."""
    group: list[Task] = []
    for task in pending:
        if len(group) < together and (not group or fit_together(group[0].job, task.job)):
            task.cell.path.mkdir(parents=True, exist_ok=True)
            lock = task.cell.lock
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            locks.callback(lock.release)
            group.append(task)
    return group
