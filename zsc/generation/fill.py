"""Fill cells: every setting on the same examples, several side by side, resumed where they stopped."""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
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
from zsc.generation.generate import Job, fit_together, generate
from zsc.knobs.anatomy import head_count
from zsc.models.load import Loaded

MEMORY_SHARE = 0.25  # of what is free, for the caches of the decoder


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
        queues = {id(task): Queue(task, len(task.cell.begin(task.effect))) for task in tasks}
        self.watcher.advance(sum(queue.ready for queue in queues.values()))
        for number, rows in enumerate(self.batches.rows):
            wanting = [queue for queue in queues.values() if queue.ready <= max(rows)]
            while wanting:
                side_by_side = wanting[: self.together]
                if not self._fill_batch(number, side_by_side):
                    continue
                wanting = wanting[len(side_by_side) :]
        for task in tasks:
            task.cell.finish()

    def _fill_batch(self, number: int, queues: Sequence[Queue]) -> bool:
        """Generate the responses of one batch, and append those of each task whose turn it is.

        Returns False, with ``together`` halved, if the memory did not suffice for so many tasks.
        """
        rows, reading = self.batches.batch(number)
        ids = [queues[0].task.cell.ids[i] for i in rows]
        jobs = [queue.task.job for queue in queues]
        try:
            by_job = generate(reading, self.loaded.target_tokenizer, ids, jobs, self.decoding)
        except torch.OutOfMemoryError as error:
            if len(queues) == 1:
                raise ZscError(f"{len(ids)} examples at a time exceed the memory: reduce batch_size.") from error
            self.together = len(queues) // 2
            self.watcher.note(f"{len(queues)} cells side by side exceed the memory: going on with {self.together}.")
            return False
        for queue, responses in zip(queues, by_job, strict=True):
            items = [one.item(identity) for identity, one in zip(ids, responses, strict=True)]
            self.watcher.advance(queue.put(dict(zip(rows, items, strict=True))))
        return True


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

    An estimate of the keys and values that the decoder caches, in ``MEMORY_SHARE`` of the memory.
    """
    config = model.get_decoder().config
    layers = getattr(config, "decoder_layers", None) or getattr(config, "num_decoder_layers", None)
    layers = layers or config.num_hidden_layers
    kept = getattr(config, "num_key_value_heads", None)
    head = getattr(config, "head_dim", None) or config.hidden_size // head_count(model)
    width = config.hidden_size if kept is None else kept * head
    per_position = 2 * layers * width * torch.finfo(model.dtype).bits // 8
    per_job = batch_size * decoding.num_beams * (positions + decoding.max_new_tokens) * per_position
    on_cuda = model.device.type == "cuda"
    free = torch.cuda.mem_get_info(model.device)[0] if on_cuda else psutil.virtual_memory().available
    return max(1, min(together, int(free * MEMORY_SHARE) // per_job))
