"""Fill cells: every setting on the same examples, several side by side, resumed where they stopped."""

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import Any, Protocol

import psutil
import torch
from filelock import Timeout
from transformers import PreTrainedModel

from zsc.errors import ZscError
from zsc.generation.batches import ReadBatches
from zsc.generation.cells import Cell, State, writing
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, fit_together, generate, responses
from zsc.generation.slots.loop import Batch, Loop, Said
from zsc.generation.slots.sound import slots_fault, takes_slots
from zsc.knobs import AdditiveKnob, Knob, apply
from zsc.knobs.anatomy import head_count, is_causal
from zsc.knobs.stack import under
from zsc.models.load import Loaded

MEMORY_SHARE = 0.25  # of what is free, for the caches of the decoder
ROOM = 4


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
    """Fills cells, up to ``together`` of them side by side in one batch of the decoder."""

    loaded: Loaded
    batches: ReadBatches
    decoding: Decoding
    together: int
    watcher: Watcher
    tally: Tally = field(default_factory=Tally)
    told: set[str] = field(default_factory=set)

    def fill(self, tasks: Sequence[Task]) -> Tally:
        """Fill every cell that is not finished. Raises ZscError where writing fails or one batch exceeds the memory.

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
        stored = task.cell.stored()
        if stored.state is State.BROKEN:
            left = f" Left alone in it: {', '.join(others)}." if (others := task.cell.foreign()) else ""
            self.watcher.note(f"cell {task.cell.path.name} is broken ({stored.why}): it is made again.{left}")
        if stored.state is State.DONE:
            self.tally.found += 1
            self.watcher.advance(len(stored.items))
        return stored.state is State.DONE

    def _made_elsewhere(self, task: Task) -> bool:
        stored = task.cell.stored()
        if stored.state is State.DONE:
            self.tally.elsewhere += 1
            self.watcher.advance(len(stored.items))
        return stored.state is State.DONE

    def _fill_group(self, tasks: Sequence[Task]) -> None:
        """Fill the cells of ``tasks``, which fit together, from the first response that one of them lacks."""
        queues = [Queue(task, len(task.cell.begin(task.effect))) for task in tasks]
        self.watcher.advance(sum(queue.ready for queue in queues))
        groups = list(alike(queues, self.decoding).values())
        lacking = [number for number, rows in enumerate(self.batches.rows) if any(lacks(one, rows) for one in groups)]
        if lacking and self._takes_slots(tasks, lacking[0]):
            self._fill_in_slots(groups)
        elif lacking:
            self._fill_by_batch(groups)
        for task in tasks:
            task.cell.finish()

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
        share = len(numbers) if not knobs else max(1, math.ceil(2 * self.together / len(groups)))
        start = 0
        while start < len(numbers):
            try:
                batches = self._batches(numbers[start : start + share], groups, knobs)
                loop = Loop(self.decoding, self._capacity(), self.loaded.target_tokenizer)
                with closing(self._said(loop, batches, knobs)) as said:
                    for one in said:
                        self._keep(one, groups)
            except torch.OutOfMemoryError as error:
                self._halve(self.together, f"{self._capacity()} responses at a time", error)
            else:
                start += share

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
        rows = self.batches.rows[said.batch.number]
        ids = said.batch.ids
        made = responses(said.reading, self.loaded.target_tokenizer, self.decoding, ids, said.tokens)
        items = {row: one.item(identity) for row, identity, one in zip(rows, ids, made, strict=True)}
        for queue in groups[said.job]:
            self.watcher.advance(queue.put(items))

    def _capacity(self) -> int:
        return self.together * max(map(len, self.batches.rows))

    def _fill_by_batch(self, groups: Sequence[Sequence[Queue]]) -> None:
        for number, rows in enumerate(self.batches.rows):
            wanting = [group for group in groups if lacks(group, rows)]
            while wanting:
                side_by_side = wanting[: self.together]
                if not self._fill_batch(number, side_by_side):
                    continue
                wanting = wanting[len(side_by_side) :]

    def _fill_batch(self, number: int, groups: Sequence[Sequence[Queue]]) -> bool:
        """Generate the responses of one batch, and append those of each task whose turn it is.

        Returns False, with ``together`` halved, if the memory did not suffice for so many tasks.
        """
        rows, reading = self.batches.batch(number)
        ids = [groups[0][0].task.cell.ids[i] for i in rows]
        jobs = [group[0].task.job for group in groups]
        try:
            by_job = generate(reading, self.loaded.target_tokenizer, ids, jobs, self.decoding)
        except torch.OutOfMemoryError as error:
            self._halve(len(groups), f"{len(groups)} times {len(ids)} responses at a time", error)
            return False
        for group, made in zip(groups, by_job, strict=True):
            items = {row: one.item(identity) for row, identity, one in zip(rows, ids, made, strict=True)}
            for queue in group:
                self.watcher.advance(queue.put(items))
        return True

    def _halve(self, tried: int, what: str, error: Exception) -> None:
        """Go on with half of ``tried`` at a time. Raises ZscError if that is one."""
        size = max(map(len, self.batches.rows))
        if tried == 1:
            raise ZscError(f"{size} examples at a time exceed the memory: reduce batch_size.") from error
        self.together = tried // 2
        self.watcher.note(f"{what} exceed the memory: going on with {self.together} times {size}.")


def alike(queues: Sequence[Queue], decoding: Decoding) -> dict[Any, list[Queue]]:
    """Return ``queues`` by what decides their responses: without sampling, seeds do not."""
    groups: dict[Any, list[Queue]] = {}
    for queue in queues:
        job = queue.task.job
        groups.setdefault((id(job.knobs), job.seed if decoding.sample else None), []).append(queue)
    return groups


def lacks(group: Sequence[Queue], rows: Sequence[int]) -> bool:
    """Say whether a queue of ``group`` lacks a response to one of ``rows``."""
    return any(queue.ready <= max(rows) for queue in group)


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


def fitting(model: PreTrainedModel, positions: int, decoding: Decoding, batch_size: int, together: int) -> int:
    """Return how many jobs, at least 1 and at most ``together``, a batch can hold in the free memory.

    An estimate of the keys and values that the decoder keeps, in ``MEMORY_SHARE`` of the memory; there is room for the
    longest response ``ROOM`` times over.
    """
    config = model.get_decoder().config
    layers = getattr(config, "decoder_layers", None) or getattr(config, "num_decoder_layers", None)
    layers = layers or config.num_hidden_layers
    kept = getattr(config, "num_key_value_heads", None)
    head = getattr(config, "head_dim", None) or config.hidden_size // head_count(model)
    width = config.hidden_size if kept is None else kept * head
    per_position = 2 * layers * width * torch.finfo(model.dtype).bits // 8
    per_job = batch_size * decoding.num_beams * (positions + ROOM * decoding.max_new_tokens) * per_position
    on_cuda = model.device.type == "cuda"
    free = torch.cuda.mem_get_info(model.device)[0] if on_cuda else psutil.virtual_memory().available
    return max(1, min(together, int(free * MEMORY_SHARE) // per_job))
