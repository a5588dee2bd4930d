"""Rows of one source that have its keys in common: kept once, read once a step, and each row's response its own."""

import random

import pytest
import torch
from torch import nn
from transformers import BatchEncoding

from tests.families import TOKENS, tiny_family
from tests.filling import RECORDS, SETTINGS, filled, model_of
from zsc.data.source import Source
from zsc.generation import fill
from zsc.generation.slots import sound
from zsc.generation.slots.holes import filled as filled_holes
from zsc.generation.slots.kept import Kept
from zsc.generation.slots.shared import Groups, Sources, grouped, groups_of
from zsc.knobs import AttentionBias, ContextAugmentation
from zsc.knobs.anatomy import decoder_layers
from zsc.knobs.read import read


@pytest.mark.parametrize("seed", range(20))
def test_the_last_places_move_into_those_that_are_free(seed):
    draw = random.Random(seed)
    count = draw.randrange(1, 9)
    free = draw.sample(range(count), draw.randrange(count + 1))
    places = list(range(count))
    for source, target in filled_holes(free, count):
        assert source not in free and target in free
        places[target] = source
    assert sorted(places[: count - len(free)]) == sorted({*range(count)} - {*free})


@pytest.mark.parametrize("seed", range(20))
def test_rows_come_and_go_and_read_what_they_read(seed):
    """Beside a table of what each row reads, and what stands in each place."""
    draw, sources = random.Random(seed), Sources()
    rows: list[str] = []
    stored: list[str] = []
    for _ in range(60):
        new = [draw.choice("abcdefg") for _ in range(draw.randrange(4))]
        begun = sources.begin(new)
        assert [new[i] for i in begun] == [name for name in dict.fromkeys(new) if name not in rows]
        stored += [new[i] for i in begun]
        rows += new
        ended = draw.sample(range(len(rows)), draw.randrange(len(rows) + 1))
        moved = filled_holes(ended, len(rows))
        for source, target in moved:
            rows[target] = rows[source]
        del rows[len(rows) - len(ended) :]
        for source, target in sources.end(moved, len(rows)):
            stored[target] = stored[source]
        del stored[len({*rows}) :]
        assert [stored[place] for place in sources.of] == rows and len({*stored}) == len(stored) == len({*rows})


class Cross(nn.Module):
    """Attention of a query to what ``keys`` hold for each row, by its definition."""

    def __init__(self, keys):
        super().__init__()
        self.keys, self.seen = keys, []

    def forward(self, hidden_states, key_value_states=None, attention_mask=None):
        self.seen.append((tuple(hidden_states.shape), len(key_value_states)))
        scores = hidden_states @ self.keys.transpose(1, 2)
        if attention_mask is not None:
            scores = scores + attention_mask[:, 0]
        return scores.softmax(-1) @ self.keys, None


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("of", [[0, 1, 1, 0, 2, 1], [2, 1, 0], [0, 0, 0, 0]], ids=str)
def test_rows_are_queries_of_their_source(of, masked):
    torch.manual_seed(0)
    keys, queries = torch.randn(max(of) + 1, 7, 4), torch.randn(len(of), 1, 4)
    mask = torch.randn(len(of), 1, 1, 7) if masked else None
    states = torch.zeros(1, 1, 1).expand(len(of), 7, 4)
    expected = Cross(keys[of])(queries, states, mask)[0]
    module, groups = Cross(keys), groups_of(of, keys.device)
    with grouped([module], groups):
        actual, weights = module(queries, key_value_states=states, attention_mask=mask)
    most = max(of.count(source) for source in of)
    assert module.seen == [((len(keys), most, 4), len(keys))] and weights is None
    assert actual.shape == queries.shape and torch.allclose(actual, expected, atol=1e-6)
    assert Cross(keys[of])(queries, states)[0].shape == queries.shape and not module._forward_hooks


def test_rows_with_a_source_each_need_no_groups():
    assert groups_of([0, 1, 2], torch.device("cpu")).alone
    assert not groups_of([0, 2, 1], torch.device("cpu")).alone and not groups_of([0, 0], torch.device("cpu")).alone


PHRASES = {"Really?": [11, 12, 13, 14, 15], "Why?": [21, 22], "How so?": [31, 32, 33]}


class Phrases:
    """As much of a tokenizer as context augmentation uses."""

    def __call__(self, phrases, padding, padding_side, return_tensors):
        rows = [torch.tensor(PHRASES[phrase]) for phrase in phrases]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=TOKENS["pad_token_id"])
        return BatchEncoding({"input_ids": ids, "attention_mask": (ids != TOKENS["pad_token_id"]).long()})


def code(strength, seed=0):
    return ContextAugmentation(list(PHRASES), Phrases(), count=2, strength=strength, seed=seed)


WITH_CODES = [*SETTINGS, [code(2.0)], [code(9.0)], [code(9.0, seed=3), AttentionBias("knowledge", 4.0)]]


@pytest.mark.parametrize("family", ["bart", "t5", "encoder-decoder"])
def test_bytes_do_not_depend_on_what_is_shared(tmp_path, monkeypatch, family):
    attention = "eager" if family == "t5" else "sdpa"
    expected, _ = filled(tmp_path / "alone", model_of(family, attention), WITH_CODES, together=1)
    assert len({*expected}) == 2 * len(WITH_CODES)
    found, watcher = filled(tmp_path / "shared", model_of(family, attention), WITH_CODES, together=50)
    assert found == expected and not watcher.notes
    monkeypatch.setattr(fill, "sharing_fault", lambda reading: "logits are 7 off")
    apart, watcher = filled(tmp_path / "apart", model_of(family, attention), WITH_CODES, together=50)
    assert apart == expected
    assert watcher.notes == ["responses to one source read it one by one: together they fail (logits are 7 off)."]


def test_a_source_is_kept_once_for_all_that_read_it(tmp_path, monkeypatch):
    model, written, read_by, true = model_of(), [], [], Kept.put
    filled(tmp_path / "first", model, SETTINGS, together=50)  # which asks the model whether it can

    def put(self, places, states, rows, before=0):
        if not self.grows and not before:
            written.append(len(places))
        true(self, places, states, rows, before)

    monkeypatch.setattr(Kept, "put", put)
    first = decoder_layers(model)[0].component("cross_attention")[1]
    with first.q_proj.register_forward_pre_hook(lambda module, args: read_by.append(args[0].shape[:2])):
        filled(tmp_path / "next", model, SETTINGS, seeds=(0, 1, 2), together=50)
    assert sum(written) == RECORDS
    assert read_by[-1][0] <= RECORDS and max(queries for _, queries in read_by if queries <= 9) == 9  # jobs


@pytest.mark.parametrize("wrong", ["masks", "order", "keys", "handed on"])
def test_a_module_that_cannot_share_is_found_out(monkeypatch, wrong):
    true_gather, true_scatter = Groups.gather, Groups.scatter

    def gather(self, module, args, kwargs):
        args, given = true_gather(self, module, args, kwargs)
        if wrong == "handed on" and len(self.rows) == len(self.places):
            args, given = true_gather(self, module, args, given)  # as of a mask that the layer before has put in order
        if wrong == "masks":  # as modules do that look at that of the first query alone
            given["attention_mask"] = given["attention_mask"][:, :, :1].expand(-1, -1, self.rows.shape[1], -1)
        if wrong == "keys":
            given["hidden_states"] = given["hidden_states"].flip(0)
        return args, given

    def scatter(self, output):
        result = true_scatter(self, output)
        return (result[0].flip(0), *result[1:]) if wrong == "order" else result

    monkeypatch.setattr(Groups, "gather", gather)
    monkeypatch.setattr(Groups, "scatter", scatter)
    ids = torch.arange(5, 29).view(2, 12)
    mask = torch.tensor([[1] * 12, [1] * 9 + [0] * 3])
    reading = read(tiny_family("bart", 90, "sdpa"), Source(ids, mask, mask))
    assert sound.slots_fault(reading, True) is None
    assert "logits are" in sound.sharing_fault(reading)
