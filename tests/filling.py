"""Cells of a tiny model, filled by rows that take each other's place, and settings to fill them with."""

from types import SimpleNamespace

import torch

from tests.families import TOKENS, tiny_family
from zsc.data.source import Row, Sources
from zsc.generation.batches import ReadBatches
from zsc.generation.cells import Cell
from zsc.generation.decoding import Decoding
from zsc.generation.fill import Filler
from zsc.generation.generate import Job
from zsc.generation.pieces import Task
from zsc.knobs import AttentionBias

VOCABULARY, RECORDS = 90, 11
IDS = [f"r{number}" for number in range(RECORDS)]
ENDS = [2, *range(10, 90, 7)]


class Stopped(Exception):
    pass


class Watcher:
    """Stops the work once so many responses are written."""

    def __init__(self, until=None):
        self.until, self.seen, self.notes = until, 0, []

    def advance(self, responses):
        self.seen += responses
        if self.until is not None and self.seen >= self.until:
            raise Stopped

    def note(self, message):
        self.notes.append(message)


class Words:
    def batch_decode(self, rows, skip_special_tokens):
        return [" ".join(str(int(token)) for token in row if int(token) not in (0, 1, 2)) for row in rows]


def model_of(family="bart", attention="sdpa"):
    model = tiny_family(family, VOCABULARY, attention)
    model.generation_config.eos_token_id = ENDS
    model.generation_config.forced_eos_token_id = None
    return model


def filled(folder, model, settings, seeds=(0, 1), together=2, until=None, decoding=None):
    """Fill a cell for each setting and seed; return the bytes of them and the watcher."""
    generator = torch.Generator().manual_seed(3)
    sources = Sources(TOKENS["pad_token_id"])
    for number in range(RECORDS):
        length = 6 + number % 4
        ids = torch.randint(5, VOCABULARY, (length,), generator=generator)
        sources.add([Row(ids.tolist(), [0, 1, 1, *[2] * (length - 3)])])
    tasks = [
        Task(Cell(folder, {"setting": number, "seed": seed}, IDS), Job(knobs, seed), None)
        for seed in seeds
        for number, knobs in enumerate(settings)
    ]
    watcher = Watcher(until)
    loaded = SimpleNamespace(target_tokenizer=Words(), model=model)
    decoding = decoding or Decoding(max_new_tokens=9, temperature=1.5)
    Filler(loaded, ReadBatches(model, sources, 3), decoding, together, 3 * together, watcher).fill(tasks)
    return [task.cell.items.read_bytes() for task in tasks], watcher


SETTINGS = [[], [AttentionBias("knowledge", 20.0)], [AttentionBias("gradual", 9.0, steps=3)]]
