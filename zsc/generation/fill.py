"""Fill cells: every setting on the same examples, several side by side, resumed where they stopped."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from zsc.errors import ZscError
from zsc.generation.batches import ReadBatches, SourcesExceedMemory
from zsc.generation.cells import State, writing
from zsc.generation.decoding import Decoding
from zsc.generation.ended import ended
from zsc.generation.generate import decode, responses
from zsc.generation.pieces import Piece, Task, claim, evenly, missing, pieces_of
from zsc.generation.room import out_of_memory
from zsc.generation.slots.loop import Batch, Loop, Said
from zsc.generation.slots.sound import sharing_fault, slots_fault, takes_slots
from zsc.knobs import AdditiveKnob, Knob, apply
from zsc.knobs.anatomy import is_causal
from zsc.knobs.base import other_models
from zsc.knobs.reading import Reading
from zsc.knobs.stack import under
from zsc.models.load import Loaded
from zsc.models.prepacked import prepacked

PAUSE = 0.5  # seconds between two looks at what other workers make


@dataclass
class Tally:
    """How many cells were ``found`` finished, ``made`` here, at least in part, made ``elsewhere``, by other workers, or
    ``left`` to others that are at work."""

    found: int = 0
    made: int = 0
    elsewhere: int = 0
    left: int = 0


class Watcher(Protocol):
    """Who is told how the work goes on."""

    def advance(self, responses: int) -> None:
        """So many more responses are there."""

    def note(self, message: str) -> None:
        """Something worth a line."""


@dataclass
class Filler:
    """Fills cells, shard by shard, those of up to ``together`` cells side by side, up to ``rows`` responses at a time.

    ``workers`` says how many share the work: each takes no more at a time than its share of what nobody makes. One that
    ``waits`` comes back when all is there, another when there is nothing to take. Where the memory does not suffice,
    it goes on with half as many, and says so; what is there stays.
    """

    loaded: Loaded
    batches: ReadBatches
    decoding: Decoding
    together: int
    rows: int
    watcher: Watcher
    workers: Callable[[], int] = lambda: 1
    waits: bool = True
    told: set[str] = field(default_factory=set)

    def fill(self, tasks: Sequence[Task]) -> Tally:
        """Fill every cell that is not finished. Raises ZscError where writing fails or one example exceeds the memory.

        What another worker is making is left to it.
        """
        pending = [task for task in tasks if not self._found(task)]
        others = other_models(knob for task in pending for knob in task.job.knobs)
        with prepacked(self.batches.model, *others):
            return self._filled(pending, len(tasks))

    def _filled(self, pending: Sequence[Task], tasks: int) -> Tally:
        pieces = pieces_of(pending, self.batches.shard)
        made: set[int] = set()
        while pieces:
            with writing(pieces[0].task.cell.root), ExitStack() as leases:
                lacking, free = missing(pieces)
                for piece in {*pieces} - {*lacking}:
                    self.watcher.advance(piece.finished())
                group = claim(free, self._width(free), leases) if free else []
                if group:
                    self._fill_group(group)
                    made |= {id(piece.task) for piece in group}
                elif lacking and not free and not self.waits:
                    break
                elif lacking:
                    self._wait(lacking[0])
                pieces = lacking or self._joined(pending)
        done = [task for task in pending if task.cell.done()]
        ours = sum(id(task) in made for task in done)
        return Tally(tasks - len(pending), ours, len(done) - ours, len(pending) - len(done))

    def _width(self, free: Sequence[Piece]) -> int:
        return min(evenly(free, self.together), math.ceil(len(free) / max(1, self.workers())))

    def _wait(self, piece: Piece) -> None:
        holder = piece.shard.lease.holder()
        if holder is not None:
            self._tell_once(f"another process is making cell {piece.task.cell.path.name}: waiting.")
            time.sleep(PAUSE)

    def _joined(self, tasks: Sequence[Task]) -> list[Piece]:
        """Finish the cells of ``tasks``, whose shards are all there; return the pieces of those that are not whole."""
        size = self.batches.shard
        broken = [task for task in tasks if not task.cell.join(task.cell.shards(size))]
        for task in broken:
            self.watcher.note(f"cell {task.cell.path.name}: a shard is broken, it is made again.")
        return pieces_of(broken, size)

    def _found(self, task: Task) -> bool:
        if task.cell.done():
            self.watcher.advance(len(task.cell.ids))
            return True
        stored = task.cell.stored()
        if stored.state is State.BROKEN:
            left = f" Left alone in it: {', '.join(others)}." if (others := task.cell.foreign()) else ""
            self.watcher.note(f"cell {task.cell.path.name} is broken ({stored.why}): it is made again.{left}")
        return False

    def _tell_once(self, message: str) -> None:
        if message not in self.told:
            self.told.add(message)
            self.watcher.note(message)

    def _fill_group(self, pieces: Sequence[Piece]) -> None:
        """Fill ``pieces``, which fit together, from the first response that one of them lacks."""
        for piece in pieces:
            self.watcher.advance(piece.begin())
        groups = list(alike(pieces, self.decoding).values())
        while (number := self._first_lacking(groups)) is not None:
            if (exceeded := self._fill_from(number, groups)) is not None:
                self._halve(exceeded)
        for piece in pieces:
            if piece.shard.publish():
                piece.task.cell.join(piece.task.cell.shards(self.batches.shard))

    def _fill_from(self, number: int, groups: Sequence[Sequence[Piece]]) -> type[Exception] | None:
        """Fill the pieces, the batch ``number`` first; return what exceeded the memory, if something did.

        No error goes on from here: it would hold what was in the memory.
        """
        try:
            fill = self._fill_in_slots if self._takes_slots(groups, number) else self._fill_by_batch
            fill(groups)
        except SourcesExceedMemory:
            return SourcesExceedMemory
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return MemoryError
        return None

    def _numbers(self, groups: Sequence[Sequence[Piece]]) -> range:
        """Return the batches of the records of ``groups``."""
        return self.batches.of_shard(groups[0][0].shard.start)

    def _first_lacking(self, groups: Sequence[Sequence[Piece]]) -> int | None:
        """Return the first batch of which a response is not there."""
        rows = self.batches.rows
        return next((i for i in self._numbers(groups) if any(lacks(one, rows[i]) for one in groups)), None)

    def _takes_slots(self, groups: Sequence[Sequence[Piece]], number: int) -> bool:
        """Say whether rows at steps of their own can make the responses of ``groups``, asking the model on a batch."""
        jobs = [group[0].task.job for group in groups]
        if not takes_slots(self.decoding, jobs[0], is_causal(self.batches.model)):
            return False
        fault = slots_fault(self.batches.batch(number)[1], any(job.knobs for job in jobs))
        if fault is not None:
            self._tell_once(f"responses are made batch by batch: rows at different steps fail ({fault}).")
        return fault is None

    def _fill_in_slots(self, groups: Sequence[Sequence[Piece]]) -> None:
        """Fill the pieces, those of a group with the same responses, rows taking each other's place as they end.

        Where knobs replace weights, as much is decoded as two fillings of the places, before likelihoods, which are
        those of the unmodified model, are looked at.
        """
        knobs = [knob for knob in groups[0][0].task.job.knobs if not isinstance(knob, AdditiveKnob)]
        numbers = self._numbers(groups)
        share = len(numbers) if not knobs else math.ceil(2 * self.rows / (len(groups) * self.batches.size))
        for start in range(0, len(numbers), share):
            some = numbers[start : start + share]
            batches = self._batches(some, groups, knobs)
            most = len(groups) * sum(len(self.batches.rows[number]) for number in some)
            shares = len(groups) > 1 and self._shares(some[0])
            loop = Loop(self.decoding, min(self.rows, most), self.loaded.target_tokenizer, shares)
            with closing(self._said(loop, batches, knobs)) as said:
                for one in said:
                    self._keep(one, groups)

    def _shares(self, number: int) -> bool:
        """Say whether rows of one source can have its keys in common, asking the model on a batch."""
        if is_causal(self.batches.model):
            return False
        fault = sharing_fault(self.batches.batch(number)[1])
        if fault is not None:
            self._tell_once(f"responses to one source read it one by one: together they fail ({fault}).")
        return fault is None

    def _said(self, loop: Loop, batches: Iterator[Batch], knobs: Sequence[Knob]) -> Generator[Said]:
        """Yield what ``loop`` yields: at once, or where ``knobs`` replace weights, when they are off again."""
        if not knobs:
            yield from loop.run(batches)
            return
        with apply(self.batches.model, knobs):
            every = list(loop.run(batches))
        yield from every

    def _batches(
        self, numbers: Sequence[int], groups: Sequence[Sequence[Piece]], knobs: Sequence[Knob]
    ) -> Iterator[Batch]:
        for number in numbers:
            wanting = [i for i, group in enumerate(groups) if lacks(group, self.batches.rows[number])]
            if wanting:
                rows, reading = self.batches.batch(number)
                ids = [groups[0][0].task.cell.ids[i] for i in rows]
                jobs = {i: groups[i][0].task.job for i in wanting}
                yield Batch(number, under(reading, knobs), ids, jobs)

    def _keep(self, said: Said, groups: Sequence[Sequence[Piece]]) -> None:
        rows, ids = self.batches.rows[said.batch.number], said.batch.ids
        self._put(groups[said.job], rows, self._items(said.reading, ids, said.tokens))

    def _fill_by_batch(self, groups: Sequence[Sequence[Piece]]) -> None:
        """Fill the pieces one batch after the other, as many of them at a time as have room."""
        several = max(1, self.rows // self.batches.size)
        for number in self._numbers(groups):
            wanting = [group for group in groups if lacks(group, self.batches.rows[number])]
            for start in range(0, len(wanting), several):
                self._fill_batch(number, wanting[start : start + several])

    def _fill_batch(self, number: int, groups: Sequence[Sequence[Piece]]) -> None:
        """Generate the responses of one batch, and append those of each task whose turn it is."""
        rows, reading = self.batches.batch(number)
        ids = [groups[0][0].task.cell.ids[i] for i in rows]
        jobs = [group[0].task.job for group in groups]
        sequences = decode(reading, ids, jobs, self.decoding, self.loaded.target_tokenizer)
        for group, own in zip(groups, sequences.chunk(len(jobs)), strict=True):
            self._put(group, rows, self._items(reading, ids, own))

    def _items(self, reading: Reading, ids: Sequence[str], sequences: torch.Tensor) -> list[dict[str, Any]]:
        """Return what a cell holds of the responses that ``sequences`` (rows, 1 + length) of token ids are."""
        tokenizer = self.loaded.target_tokenizer
        made = responses(reading, tokenizer, self.decoding, ids, sequences)
        whole = ended(sequences, self.decoding, reading.model, tokenizer)
        return [{**one.item(i), "ended": end} for i, one, end in zip(ids, made, whole, strict=True)]

    def _put(self, group: Sequence[Piece], rows: Sequence[int], made: Sequence[dict[str, Any]]) -> None:
        items = dict(zip(rows, made, strict=True))
        for piece in group:
            self.watcher.advance(piece.put(items))

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


def alike(pieces: Sequence[Piece], decoding: Decoding) -> dict[Any, list[Piece]]:
    """Return ``pieces`` by what decides their responses: without sampling, seeds do not."""
    groups: dict[Any, list[Piece]] = {}
    for piece in pieces:
        job = piece.task.job
        groups.setdefault((id(job.knobs), job.seed if decoding.sample else None), []).append(piece)
    return groups


def lacks(group: Sequence[Piece], rows: Sequence[int]) -> bool:
    """Say whether a piece of ``group`` lacks a response to one of ``rows``."""
    return any(piece.lacks(rows) for piece in group)
