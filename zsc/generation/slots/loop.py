"""Decode rows of many batches and jobs together, filling the place of each that ends with the next."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from zsc.generation.decoding import Decoding
from zsc.generation.finite import check_logits, check_reading
from zsc.generation.generate import Job
from zsc.generation.noise import stream_keys
from zsc.generation.sampling import generation_config
from zsc.generation.slots.drawing import Drawing, drawing_of
from zsc.generation.slots.opened import Opened, open_reading
from zsc.generation.slots.slots import Slots, slots_of
from zsc.knobs.reading import Reading

IDLE = 8  # places are filled again once one in so many of those in use is free


@dataclass(frozen=True, eq=False)
class Batch:
    """Responses of ``jobs``, which go together, by number, to the records ``ids`` of a ``reading``."""

    number: int
    reading: Reading
    ids: Sequence[str]
    jobs: Mapping[int, Job]


@dataclass(frozen=True, eq=False)
class Said:
    """What a ``job``, by its number, of the ``batch`` has said: ``tokens`` (rows, length), the one that decoding starts
    from first, padding behind the end. ``reading`` is what it has read, without what no row attends to."""

    batch: Batch
    job: int
    reading: Reading
    tokens: torch.Tensor


@dataclass(eq=False)
class Begun:
    """A batch some of whose rows are decoded, and what those ``said`` that have ended, by job and row."""

    batch: Batch
    opened: Opened
    said: dict[int, dict[int, torch.Tensor]]


@dataclass(frozen=True, eq=False)
class Row:
    begun: Begun
    job: int
    place: int  # of the job among those of the batch
    number: int
    stream: int

    @property
    def complete(self) -> bool:
        """Whether its job is through with its batch."""
        return len(self.begun.said[self.job]) == len(self.begun.batch.ids)


@dataclass(frozen=True)
class Loop:
    """Decodes up to ``capacity`` rows at a time, where ``shares`` those of one source with its keys in common. A text
    to stop at needs the ``tokenizer`` of responses."""

    decoding: Decoding
    capacity: int
    tokenizer: PreTrainedTokenizerBase
    shares: bool

    def run(self, batches: Iterable[Batch]) -> Iterator[Said]:
        """Yield what the jobs of ``batches`` say, as soon as one is through with its batch.

        Knobs that are more than additions must be on already, on all that is decoded.
        """
        waiting = self._rows(batches)
        with torch.inference_mode():
            first = next(waiting, None)
        if first is None:
            return
        model, longest = first.begun.batch.reading.model, self.decoding.max_new_tokens
        config = generation_config(self.decoding, model)
        ends = torch.tensor([] if config.eos_token_id is None else config.eos_token_id, device=model.device)
        ends = ends.long().reshape(-1)
        padding = int(ends[0]) if config.pad_token_id is None and len(ends) else config.pad_token_id or 0
        draw = drawing_of(self.decoding, config, model.device)
        slots = slots_of(model, self.capacity, longest, self.shares)
        waiting, rows = chain([first], waiting), list[Row]()
        with slots.running():
            while True:
                with torch.inference_mode():
                    self._begin(slots, rows, waiting)
                    if not rows:
                        return
                    through = self._step(slots, rows, draw, ends)
                for begun, job in through:
                    tokens = begun.said.pop(job)
                    own = [tokens[number] for number in range(len(tokens))]
                    padded = pad_sequence(own, batch_first=True, padding_value=padding)
                    yield Said(begun.batch, job, begun.opened.reading, padded)

    def _begin(self, slots: Slots, rows: list[Row], waiting: Iterator[Row]) -> None:
        """Fill free places with those that are ``waiting``, if there are enough."""
        free = self.capacity - len(rows)
        if free >= max(1, len(rows) // IDLE):
            for begun, place, group in _groups(islice(waiting, free)):
                slots.begin(begun.opened, place, [row.number for row in group])
                rows += group

    def _step(self, slots: Slots, rows: list[Row], draw: Drawing, ends: torch.Tensor) -> list[tuple[Begun, int]]:
        """Let every row say a token; return the jobs that are through with their batch."""
        logits = slots.decode()
        check_logits(logits, slots.step, _named(rows))
        steps, streams = slots.step[: len(rows)].clone(), torch.tensor([row.stream for row in rows])
        said = draw(logits.float(), slots.tokens[: len(rows)], steps, streams)
        slots.say(said)
        over = (torch.isin(said, ends) | (steps + 1 == self.decoding.max_new_tokens)).nonzero()[:, 0].tolist()
        if not (ended := sorted({*over, *self._stopped(slots, len(rows))})):
            return []
        for place in ended:
            row = rows[place]
            row.begun.said[row.job][row.number] = slots.tokens[place, : int(slots.step[place]) + 1].clone()
        through = dict.fromkeys((row.begun, row.job) for place in ended if (row := rows[place]).complete)
        for source, target in slots.end(ended):
            rows[target] = rows[source]
        del rows[slots.rows :]
        return list(through)

    def _rows(self, batches: Iterable[Batch]) -> Iterator[Row]:
        for batch in batches:
            check_reading(batch.reading, batch.ids)
            settings = [job.knobs for job in batch.jobs.values()]
            opened = open_reading(batch.reading, settings, self.decoding.max_new_tokens)
            begun = Begun(batch, opened, {job: {} for job in batch.jobs})
            for place, (number, job) in enumerate(batch.jobs.items()):
                keys = stream_keys(batch.ids, job.seed).tolist()
                yield from (Row(begun, number, place, i, key) for i, key in enumerate(keys))

    def _stopped(self, slots: Slots, rows: int) -> list[int]:
        """Return the places of rows in which the text stands at which responses end."""
        if self.decoding.stop is None:
            return []
        said = zip(slots.tokens[:rows].tolist(), slots.step[:rows].tolist(), strict=True)
        texts = self.tokenizer.batch_decode([own[1 : 1 + step] for own, step in said], skip_special_tokens=True)
        return [place for place, text in enumerate(texts) if self.decoding.stop in text]


def _groups(rows: Iterable[Row]) -> Iterator[tuple[Begun, int, list[Row]]]:
    """Yield ``rows`` as those that are of one job of one batch, and which of its jobs it is."""
    for (begun, place), group in groupby(rows, key=lambda row: (row.begun, row.place)):
        yield begun, place, list(group)


def _named(rows: Sequence[Row]) -> Callable[[int], tuple[str, str]]:
    """Return what says of a place which record, and which setting, its row is of."""

    def name(place: int) -> tuple[str, str]:
        row, batch = rows[place], rows[place].begun.batch
        return batch.ids[row.number], "+".join(map(str, batch.jobs[row.job].knobs))

    return name
