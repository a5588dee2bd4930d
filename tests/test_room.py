"""Rows as the memory has room for: an estimate against what is kept, halves where it fails, the same responses."""

from types import SimpleNamespace

import pytest
import torch

from tests.families import TOKENS, tiny_family
from zsc.data.source import Row, Sources
from zsc.errors import ZscError
from zsc.generation import batches as batches_module
from zsc.generation import room as room_module
from zsc.generation.batches import ReadBatches
from zsc.generation.cells import Cell
from zsc.generation.decoding import Decoding
from zsc.generation.fill import Filler
from zsc.generation.generate import Job
from zsc.generation.pieces import Task
from zsc.generation.room import Room, out_of_memory, room, rows_that_fit
from zsc.generation.slots import slots

IDS = [f"r{number}" for number in range(9)]
DECODING = Decoding(max_new_tokens=6)


@pytest.fixture(scope="module")
def model():
    return tiny_family("bart", 90, "sdpa")


@pytest.fixture
def sources():
    found, generator = Sources(TOKENS["pad_token_id"]), torch.Generator().manual_seed(3)
    for number in range(len(IDS)):
        length = 6 + number % 4
        found.add([Row(torch.randint(5, 90, (length,), generator=generator).tolist(), [1] * length)])
    return found


class Watcher:
    def __init__(self):
        self.notes = []

    def advance(self, responses):
        pass

    def note(self, message):
        self.notes.append(message)


def filled(folder, model, sources, size, rows, decoding=DECODING):
    task = Task(Cell(folder, {"size": size}, IDS), Job([], 0), None)
    loaded = SimpleNamespace(model=model, target_tokenizer=SimpleNamespace(batch_decode=decoded))
    watcher = Watcher()
    Filler(loaded, ReadBatches(model, sources, size), decoding, 1, rows, watcher).fill([task])
    return [item["response"] for item in task.cell.responses()], watcher.notes


def decoded(rows, skip_special_tokens):
    return [" ".join(map(str, map(int, row))) for row in rows]


def free(monkeypatch, memory):
    monkeypatch.setattr(room_module.psutil, "virtual_memory", lambda: SimpleNamespace(available=memory))


def test_rows_that_fit_are_those_whose_keys_values_and_scores_do(model, monkeypatch):
    """2 layers of 32 numbers for keys and values each, of 10 positions and twice 6 tokens; 6 scores of 90 tokens."""
    row = 2 * 2 * 32 * 4 * (10 + 2 * 6) + 6 * 4 * 90
    free(monkeypatch, 4 * (5 * row + 1))
    assert rows_that_fit(model, 10, DECODING) == 5
    assert rows_that_fit(model, 10, Decoding(max_new_tokens=6, sample=False, num_beams=2)) == 2
    free(monkeypatch, 10)
    assert rows_that_fit(model, 10, DECODING) == 1
    kept = slots.SourceSlots(model, 3, 6, shares=True)
    kept.past.layers[0].buffers(torch.zeros(1, 4, 1, 8), torch.zeros(1, 4, 1, 8))
    own = sum(one.nbytes for one in kept.past.layers[0].kept)
    assert own == 2 * 3 * 32 * 4 * room_module.ROOM * 6  # as many columns as are counted


def test_room_is_bounded_and_never_none(model, monkeypatch):
    free(monkeypatch, 2**40)
    assert room(model, 10, DECODING) == Room(32, 256)
    free(monkeypatch, 0)
    assert room(model, 10, DECODING) == Room(1, 1)


@pytest.mark.parametrize("decoding", [DECODING, Decoding(max_new_tokens=6, sample=False, num_beams=2)])
def test_responses_do_not_depend_on_room(model, sources, tmp_path, decoding):
    expected, notes = filled(tmp_path / "a", model, sources, 4, 4, decoding)
    assert not notes and len({*expected}) > 3
    for number, (size, rows) in enumerate([(1, 1), (9, 64), (2, 5), (4, 3)]):
        assert filled(tmp_path / str(number), model, sources, size, rows, decoding)[0] == expected


def test_sources_that_cannot_be_read_at_once_are_read_in_halves(model, sources, tmp_path, monkeypatch):
    expected, _ = filled(tmp_path / "whole", model, sources, 4, 8)
    true = batches_module.read

    def read(own, source):
        if len(source.input_ids) > 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried")
        return true(own, source)

    monkeypatch.setattr(batches_module, "read", read)
    found, notes = filled(tmp_path / "halves", model, sources, 9, 64)
    assert found == expected
    assert notes == [
        "9 sources read at once exceed the memory: going on with 4.",
        "4 sources read at once exceed the memory: going on with 2.",
    ]


def test_what_is_there_stays_when_the_memory_fails_in_the_middle(model, sources, tmp_path, monkeypatch):
    """Also where responses are made batch by batch, whose batches then get smaller."""
    beams = Decoding(max_new_tokens=6, sample=False, num_beams=2)
    expected, _ = filled(tmp_path / "whole", model, sources, 4, 4, beams)
    true, sizes = type(model).generate, []

    def generate(self, **options):
        sizes.append(len(options["attention_mask"]))
        if len(sizes) > 1 and sizes[-1] > 1:
            raise torch.OutOfMemoryError
        return true(self, **options)

    monkeypatch.setattr(type(model), "generate", generate)
    found, notes = filled(tmp_path / "broken", model, sources, 4, 4, beams)
    assert found == expected and sizes[0] == 4
    assert [note.split()[0] for note in notes] == ["4", "2"]


def test_one_example_must_fit(model, sources, tmp_path, monkeypatch):
    def read(own, source):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(batches_module, "read", read)
    with pytest.raises(ZscError, match=r"one example at a time exceeds the memory: choose a smaller model or model\."):
        filled(tmp_path, model, sources, 2, 2)


@pytest.mark.parametrize("error", [RuntimeError("shapes"), ValueError("x")])
def test_other_errors_are_none_of_memory(model, sources, tmp_path, monkeypatch, error):
    def read(own, source):
        raise error

    monkeypatch.setattr(batches_module, "read", read)
    with pytest.raises(type(error)):
        filled(tmp_path, model, sources, 2, 2)
    assert not out_of_memory(error) and out_of_memory(MemoryError()) and out_of_memory(torch.OutOfMemoryError())


@pytest.mark.parametrize(("memory", "passes"), [(2**40, 1), (0, 3)])
def test_what_was_read_is_kept_as_the_memory_allows(model, sources, monkeypatch, memory, passes):
    free(monkeypatch, memory)
    batches = ReadBatches(model, sources, 4)
    first, *others = [batches.batch(0)[1] for _ in range(3)]
    assert batches.passes == passes and all(torch.equal(first.states, one.states) for one in others)
