"""Cells filled by rows that take each other's place: in order, resumed, and not one response made twice."""

import json

import pytest
import torch

from tests.filling import RECORDS, SETTINGS, Stopped, filled, model_of
from tests.stored import kept
from zsc.generation import fill
from zsc.generation.decoding import Decoding
from zsc.knobs import AttentionBias, ComponentSwap


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("whole"), model_of(), SETTINGS)[0]


@pytest.mark.parametrize("together", [1, 3, 50])
def test_bytes_do_not_depend_on_what_is_decoded_together(tmp_path, expected, together):
    assert filled(tmp_path, model_of(), SETTINGS, together=together)[0] == expected
    assert len(set(expected)) == len(SETTINGS) * 2


@pytest.mark.parametrize("until", [1, 4, 9, 17, 23, 40, 59])
def test_work_that_is_stopped_goes_on_to_the_same_bytes(tmp_path, expected, until):
    model = model_of()
    with pytest.raises(Stopped):
        filled(tmp_path, model, SETTINGS, until=until)
    assert len(kept(tmp_path)) >= until - 1
    found, watcher = filled(tmp_path, model, SETTINGS, together=5)
    assert found == expected and watcher.seen == RECORDS * 6


def test_replaced_weights_are_off_again_for_likelihoods(tmp_path):
    """Cells of swapped weights, made in slots and batch by batch."""
    model, other = model_of(), model_of()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(-1)
    knobs = [ComponentSwap("self_attention", by="other", other=other)]
    found = filled(tmp_path / "slots", model, [knobs])[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fill, "takes_slots", lambda *arguments: False)
        by_batch = filled(tmp_path / "batches", model, [knobs])[0]
    assert texts(found) == texts(by_batch) and likelihoods(found) == pytest.approx(likelihoods(by_batch), abs=1e-4)


def texts(cells):
    return [[json.loads(line)["response"] for line in cell.decode().splitlines()] for cell in cells]


def likelihoods(cells):
    return [json.loads(line)["nll"] for cell in cells for line in cell.decode().splitlines()]


@pytest.mark.parametrize(("sample", "times"), [(False, 1), (True, 3)])
def test_greedy_responses_of_several_seeds_are_made_once(tmp_path, monkeypatch, sample, times):
    made = []
    true = fill.Loop.run

    def run(self, batches):
        for said in true(self, batches):
            made.append((said.batch.number, said.job))
            yield said

    monkeypatch.setattr(fill.Loop, "run", run)
    decoding = Decoding(max_new_tokens=9, sample=sample)
    found, watcher = filled(tmp_path, model_of(), [[]], seeds=(0, 1, 2), together=3, decoding=decoding)
    assert len(made) == times * 4 and watcher.seen == 3 * RECORDS
    assert (len(set(map(str, texts(found)))) == 1) is not sample


def test_a_model_that_loses_masks_is_filled_batch_by_batch_and_it_is_said_once(tmp_path):
    found, watcher = filled(tmp_path, model_of("led", "eager"), [[], [AttentionBias("knowledge", 20.0)]], together=1)
    assert len(found) == 4 and all(cell.count(b"\n") == RECORDS for cell in found)
    (note,) = watcher.notes
    assert note.startswith("responses are made batch by batch: rows at different steps fail (")
