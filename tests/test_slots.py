"""Rows at steps of their own, against the library: the same responses on every family, whoever stands beside."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import transformers

from tests.causal import NAMED, PROMPTS, known, make_prompts, tiny_causal
from tests.causal import code as causal_code
from tests.families import EAGER_ONLY, FAMILIES, TOKENS, UNSOUND, tiny_family
from zsc.data.source import Source
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, decode
from zsc.generation.slots import positions, sound, weights
from zsc.generation.slots.loop import Batch, Loop
from zsc.knobs import AttentionBias, ComponentSwap, SelfAttentionBias, apply
from zsc.knobs.anatomy import UnsupportedModel, is_causal
from zsc.knobs.read import read
from zsc.knobs.stack import under
from zsc.knobs.supported import MEASURED_WITH, check_model

RELEASE = ".".join(transformers.__version__.split(".")[:2])
VOCABULARY = 90
ENDS = [2, *range(10, 300, 7)]  # so many tokens end a response that most do before their longest
SAMPLING = Decoding(max_new_tokens=9, temperature=1.5, top_p=0.95)
GREEDY = Decoding(max_new_tokens=9, sample=False)
BATCH_BY_BATCH = {  # families whose decoders lose masks at steps with a cache, or cannot be told where rows stand
    "led", "nllb-moe", "t5gemma", "t5gemma2",
}  # fmt: skip
SOUND = [family for family in FAMILIES if family not in (*UNSOUND, *BATCH_BY_BATCH)]
SLIDING = ("mistral", "gemma2", "gemma3_text")


def sources(lengths=(12, 9, 7, 11)):
    """Sources with padding inside of them, as layouts of fixed parts have it, and behind."""
    width = max(lengths)
    ids = torch.randint(5, VOCABULARY, (len(lengths), width), generator=torch.Generator().manual_seed(4))
    segments = torch.full((len(lengths), width), -1)
    for row, length in enumerate(lengths):
        segments[row, :length] = torch.tensor([0, 1, 1, -1, 2, *[3] * (length - 5)])
    mask = (segments >= 0).long()
    return Source(ids.masked_fill(mask == 0, TOKENS["pad_token_id"]), mask, segments)


def ending(model):
    """Return ``model`` with ends of responses that it comes to."""
    model.generation_config.eos_token_id = ENDS
    model.generation_config.forced_eos_token_id = None
    return model


def check_used_here(model):
    """Skip where the model is refused, which none is with the versions of the library that were measured."""
    try:
        check_model(model)
    except UnsupportedModel as error:
        assert RELEASE not in MEASURED_WITH
        pytest.skip(str(error))


def settings(family, causal):
    knobs = [[], [AttentionBias("gradual", 30.0, steps=3)], [SelfAttentionBias("recent", 9.0, size=2, layers=[1])]]
    knobs.append([AttentionBias("knowledge", 9.0), SelfAttentionBias("start", 5.0)])
    return [*knobs, [causal_code(4.0)], [causal_code(0.5), AttentionBias("dialog", 4.0)]] if causal else knobs


def batches_of(reading, jobs, sizes=(2, 1)):
    """Return batches of so many rows each, and of the rest."""
    rows = len(reading.source.input_ids)
    cuts = [0, *(sum(sizes[: i + 1]) for i in range(len(sizes))), rows]
    for number, (first, last) in enumerate(pairwise(cuts)):
        if last > first:
            names = [f"r{row}" for row in range(first, last)]
            yield Batch(number, reading.select(list(range(first, last))), names, dict(enumerate(jobs)))


def shares(reading):
    return not is_causal(reading.model) and sound.sharing_fault(reading) is None


def in_slots(reading, jobs, decoding, capacity, tokenizer=None):
    """Return the tokens of each row of each job, without padding."""
    found = {}
    for said in Loop(decoding, capacity, tokenizer, shares(reading)).run(batches_of(reading, jobs)):
        for identity, row in zip(said.batch.ids, said.tokens.tolist(), strict=True):
            found[said.job, identity] = row
    return found


def alone(reading, jobs, decoding, tokenizer=None):
    found = {}
    for number, job in enumerate(jobs):
        ids = [f"r{row}" for row in range(len(reading.source.input_ids))]
        for identity, row in zip(ids, decode(reading, ids, [job], decoding, tokenizer).tolist(), strict=True):
            found[number, identity] = row
    return found


def whole(found):
    """Return responses up to their end."""

    def cut(row):
        end = next((i for i, token in enumerate(row) if i and token in ENDS), len(row) - 1)
        return row[: end + 1]

    return {key: cut(row) for key, row in found.items()}


def check(reading, jobs, decoding):
    expected = whole(alone(reading, jobs, decoding))
    assert len({len(row) for row in expected.values()}) > 1 or decoding is GREEDY
    for capacity in (1, 5, 64):
        assert whole(in_slots(reading, jobs, decoding, capacity)) == expected, capacity
    return expected


@pytest.mark.parametrize("decoding", [SAMPLING, GREEDY], ids=["sampling", "greedy"])
@pytest.mark.parametrize("family", SOUND)
def test_encoder_decoders_say_what_they_say_batch_by_batch(family, decoding):
    model = ending(tiny_family(family, VOCABULARY, "eager" if family in EAGER_ONLY else "sdpa"))
    check_used_here(model)
    reading = read(model, sources())
    assert sound.slots_fault(reading, True) is None
    biased = settings(family, False) if decoding is SAMPLING else settings(family, False)[:2]
    expected = check(reading, [Job(knobs, seed) for seed in (0, 1) for knobs in biased], decoding)
    assert len({tuple(row) for row in expected.values()}) > 2 or decoding is GREEDY


@pytest.mark.parametrize("family", [family for family in NAMED if family not in SLIDING])
def test_decoders_alone_say_what_they_say_batch_by_batch(family):
    model = ending(tiny_causal(family, "sdpa"))
    check_used_here(model)
    reading = read(model, PROMPTS)
    assert sound.slots_fault(reading, True) is None
    check(reading, [Job(knobs, seed) for seed in (0, 1) for knobs in settings(family, True)], SAMPLING)


@pytest.mark.parametrize("family", SLIDING)
def test_a_sliding_window_goes_batch_by_batch(family):
    fault = sound.slots_fault(read(known(family, "eager"), PROMPTS), False)
    assert fault == "a layer keeps a sliding window of its past"


@pytest.mark.parametrize("family", sorted(BATCH_BY_BATCH))
def test_a_family_that_loses_masks_is_found_out(family):
    model = tiny_family(family, VOCABULARY, "eager")
    assert sound.slots_fault(read(model, sources()), True) is not None


def test_positions_that_are_not_replayed_are_found_out(monkeypatch):
    monkeypatch.setattr(positions, "NAMES", ())
    assert "logits are" in sound.slots_fault(read(tiny_family("bart", VOCABULARY), sources()), False)


def test_weights_that_come_too_late_are_found_out(monkeypatch):
    look_up = weights.Tables.at
    monkeypatch.setattr(
        weights.Tables, "at", lambda self, where, steps, columns: look_up(self, where, steps + 1, columns)
    )
    reading = read(tiny_family("t5", VOCABULARY), sources())
    assert "logits are" in sound.slots_fault(reading, True)
    assert sound.slots_fault(reading, False) is None


def test_no_row_is_decoded_that_has_ended_and_none_waits_while_a_place_is_free():
    model = ending(tiny_family("bart", VOCABULARY, "sdpa"))
    reading, jobs = read(model, sources()), [Job([], seed) for seed in range(6)]
    assert shares(reading)
    rows = []
    with model.get_decoder().register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    ):
        found = whole(in_slots(reading, jobs, SAMPLING, capacity=6))
    opened = [len(batch.ids) for batch in batches_of(reading, jobs)]  # each read once, for all jobs
    steps = list(rows)
    for size in opened:
        steps.remove(size)
    assert sum(steps) == sum(len(row) - 1 for row in found.values())
    last = max(i for i, size in enumerate(steps) if size == 6)
    assert set(steps[:last]) == {6}


@pytest.mark.parametrize(
    "changes",
    [
        dict(min_new_tokens=4),
        dict(sample=False, repetition_penalty=30.0),
        dict(no_repeat_ngram_size=1),
        dict(suppress_tokens=tuple(range(10, 60))),
        dict(begin_suppress_tokens=tuple(range(3, 80)), min_new_tokens=0),
        dict(forced_first=17, begin_suppress_tokens=tuple(range(3, 80))),
        dict(forced_last=2),
        dict(top_k=3),
        dict(renormalize_logits=True, top_p=1.0),
        dict(sample=False, repetition_penalty=2.0, min_new_tokens=9),
    ],
    ids=str,
)
@pytest.mark.parametrize("family", ["bart", "t5"])
def test_options_are_those_of_the_library(family, changes):
    model = ending(tiny_family(family, VOCABULARY, "sdpa" if family == "bart" else "eager"))
    reading, decoding = read(model, sources()), replace(SAMPLING, **changes)
    jobs = [Job([], 0), Job([AttentionBias("knowledge", 9.0)], 0), Job([], 1)]
    expected = whole(alone(reading, jobs, decoding))
    without = replace(SAMPLING, sample=decoding.sample)
    assert expected != whole(alone(reading, jobs, without)) or "renormalize_logits" in changes
    assert whole(in_slots(reading, jobs, decoding, 5)) == expected


def test_bad_words_are_never_said():
    model = tiny_family("bart", VOCABULARY, "sdpa")
    model.generation_config.bad_words_ids = [[token] for token in range(20, 80)]
    reading, jobs = read(model, sources()), [Job([], 0), Job([], 1)]
    expected = whole(alone(reading, jobs, SAMPLING))
    assert whole(in_slots(reading, jobs, SAMPLING, 3)) == expected
    assert not {token for row in expected.values() for token in row} & {*range(20, 80)}


class Letters:
    """A tokenizer whose tokens are letters."""

    def batch_decode(self, rows, skip_special_tokens):
        return ["".join(chr(97 + int(token) % 26) for token in row) for row in rows]

    def decode(self, row, skip_special_tokens):
        return self.batch_decode([row], skip_special_tokens)[0]


def test_a_row_ends_where_the_text_to_stop_at_is_complete():
    model = tiny_family("bart", VOCABULARY, "sdpa")
    reading, jobs = read(model, sources()), [Job([], seed) for seed in range(3)]
    free = whole(alone(reading, jobs, SAMPLING))
    letters = Letters().batch_decode([row[1:] for row in free.values()], True)
    stop = max((text[2:4] for text in letters if len(text) > 5), key=lambda two: sum(two in text for text in letters))
    found = whole(in_slots(reading, jobs, replace(SAMPLING, stop=stop), 4, Letters()))
    ended = 0
    for key, row in free.items():
        text = Letters().batch_decode([row[1:]], True)[0]
        place = text.find(stop)
        expected = row if place < 0 else row[: 1 + place + len(stop)]
        ended += place >= 0
        assert found[key][: len(expected)] == expected
        assert len(found[key]) == len(expected) or set(found[key][len(expected) :]) <= {1, 2}
    assert ended


@pytest.mark.parametrize("causal", [False, True])
def test_replaced_weights_are_on_for_what_is_read_and_said(causal):
    if causal:
        model, other = (ending(tiny_causal("llama", "sdpa", seed)) for seed in (0, 1))
        reading = read(model, PROMPTS)
    else:
        model, other = (ending(tiny_family("bart", VOCABULARY, "sdpa", seed)) for seed in (0, 1))
        reading = read(model, sources())
    knobs = [ComponentSwap("self_attention", by="other", other=other)]
    jobs = [Job(knobs, 0), Job(knobs, 1)]
    expected = whole(alone(reading, jobs, SAMPLING))
    with apply(model, knobs):
        found = whole(in_slots(under(reading, knobs), jobs, SAMPLING, 3))
    assert found == expected
    assert found != whole(alone(reading, [Job([], 0), Job([], 1)], SAMPLING))


@pytest.mark.parametrize("causal", [False, True])
def test_jobs_may_be_of_some_batches_only_whatever_their_widths(causal):
    """As where work goes on that was stopped: biased rows beside others that read wider sources."""
    if causal:
        model, wide, biased = ending(tiny_causal("llama", "sdpa")), make_prompts((16, 14)), [causal_code(4.0)]
        narrow = make_prompts((7, 6, 7))
    else:
        model, wide, biased = ending(tiny_family("bart", VOCABULARY, "sdpa")), sources((16, 14)), []
        narrow = sources((7, 6, 7))
    biased = [*biased, AttentionBias("knowledge", 9.0), SelfAttentionBias("recent", 9.0)]
    jobs = {0: Job([], 0), 1: Job(biased, 0), 2: Job(biased, 1)}
    for some, others in (([0], [0, 1, 2]), ([0, 1, 2], [0]), ([0, 2], [1])):
        batches = [
            Batch(number, read(model, source), [f"{number} {i}" for i in range(len(source.input_ids))],
                  {job: jobs[job] for job in wanted})
            for number, (source, wanted) in enumerate(((wide, some), (narrow, others)))
        ]  # fmt: skip
        found = list(Loop(SAMPLING, 4, None, shares=not causal).run(batches))
        assert {(said.batch.number, said.job) for said in found} == {(0, job) for job in some} | {
            (1, job) for job in others
        }
        for said in found:
            expected = decode(said.batch.reading, said.batch.ids, [jobs[said.job]], SAMPLING).tolist()
            assert whole(dict(enumerate(said.tokens.tolist()))) == whole(dict(enumerate(expected)))


def test_what_is_not_made_in_slots():
    assert sound.takes_slots(SAMPLING, Job([AttentionBias("knowledge", 2.0)], 0), True)
    for changes in (dict(sample=False, num_beams=2), dict(use_cache=False), dict(encoder_no_repeat_ngram_size=2)):
        assert not sound.takes_slots(replace(SAMPLING, **changes), Job([], 0), False)
    assert sound.takes_slots(replace(SAMPLING, repetition_penalty=2.0), Job([], 0), False)
    assert not sound.takes_slots(replace(SAMPLING, repetition_penalty=2.0), Job([], 0), True)
