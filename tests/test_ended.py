"""Whether a response ended by itself: by hand, and against the same responses with room for another token."""

import json

import pytest
import torch

import zsc
from zsc.generation.decoding import Decoding
from zsc.generation.ellipsis import as_shown, is_cut
from zsc.generation.ended import ended
from zsc.generation.items import lines, whole

END, PAD = 2, 1


def flags(model, tokenizer, rows, **decoding):
    sequences = torch.tensor([[END, *row] for row in rows])
    return ended(sequences, Decoding(max_new_tokens=4, **decoding), model, tokenizer)


def test_an_end_token_of_its_own_ends_a_response(tiny, tokenizer):
    rows = [[7, 7, END, PAD], [7, 7, 7, END], [7, 7, 7, 7], [END, PAD, PAD, PAD]]
    assert flags(tiny("bart"), tokenizer, rows) == [True, True, False, True]
    assert flags(tiny("bart"), tokenizer, rows, forced_last=END) == [True, False, False, True]
    assert flags(tiny("bart"), tokenizer, [[7, 7]], forced_last=END) == [False]


def test_so_does_the_text_to_stop_at_wherever_it_is(tiny, tokenizer):
    (point,) = tokenizer(".", add_special_tokens=False)["input_ids"][-1:]
    rows = [[7, point, PAD, PAD], [7, 7, 7, point], [7, 7, 7, 7]]
    assert flags(tiny("bart"), tokenizer, rows, stop=".") == [True, True, False]
    assert flags(tiny("bart"), tokenizer, rows) == [False, False, False]


@pytest.mark.parametrize("decoding", [{}, {"sample": False, "num_beams": 2, "early_stopping": True}])
def test_a_response_was_cut_where_it_goes_on_with_room_for_another_token(tmp_path, decoding):
    """Sampling noise depends on the step alone, so that room for more changes nothing before."""
    most = 14 if not decoding else 17
    found = [
        zsc.run(
            dataset=zsc.dataset("parlor", limit=24), seeds=[0, 1] if not decoding else [0], quiet=True,
            metrics=["length"], cells=f"{tmp_path}/cells", output=f"{tmp_path}/{count}", resampling={"resamples": 10},
            decoding={"max_new_tokens": count, **decoding},
        ).folder.rows()
        for count in (most, most + 1)
    ]  # fmt: skip
    rows = list(zip(*found, strict=True))
    same = [(one, more) for one, more in rows if more["response"].startswith(one["response"])]
    assert len(same) == len(rows) or decoding  # beams may turn to another text
    assert all(one["ended"] == (more["tokens"] <= most) for one, more in same)
    full = [one["ended"] for one, _ in same if one["tokens"] == most]
    assert False in full and (True in full or decoding)  # which tokens alone do not tell


def test_items_of_earlier_versions_are_whole_and_shown_as_they_are():
    item = {"id": "a", "response": "a b", "tokens": 2, "nll": 1.5}
    told = [item | {"ended": end} for end in (True, False)]
    assert whole(lines([item]).encode(), ["a"]) == [item] and whole(lines(told[1:]).encode(), ["a"]) == told[1:]
    assert whole(lines([item | {"other": 1}]).encode(), ["a"]) == []
    assert [as_shown(row) for row in (item, *told)] == ["a b", "a b", "a b…"] and not is_cut(item)
    assert json.loads(lines(told[1:]))["response"] == "a b"
