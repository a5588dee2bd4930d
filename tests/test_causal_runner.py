"""The runner with decoders alone: one pass of a prompt for all settings, and what its decoding options do."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from tests.causal import known, make_prompts, tiny_causal
from zsc.data.source import Row, Sources
from zsc.errors import ZscError
from zsc.generation.batches import ReadBatches
from zsc.generation.cells import Cell
from zsc.generation.decoding import Decoding
from zsc.generation.fill import Filler
from zsc.generation.generate import Job, decode, generate
from zsc.generation.pieces import Task
from zsc.generation.sampling import generation_config
from zsc.knobs import AttentionBias, apply
from zsc.knobs.read import read
from zsc.knobs.supported import check_supported

LENGTHS = (12, 9, 7, 12, 8)
IDS = [str(i) for i in range(len(LENGTHS))]
GREEDY = Decoding(max_new_tokens=12, sample=False)
KNOB = AttentionBias("knowledge", 9.0)


@pytest.fixture(scope="module")
def model(tokenizer):
    return tiny_causal("llama", "sdpa", vocabulary=len(tokenizer))


@pytest.fixture(scope="module")
def prompts():
    return make_prompts(LENGTHS)


@pytest.fixture
def prompt_passes(model):
    """The shapes of what is read behind an empty cache: passes of prompts."""
    check_supported(model)  # which reads prompts of its own, with versions of the library that were not measured
    shapes = []

    def count(module, args, kwargs):
        cache = kwargs.get("past_key_values", kwargs.get("cache"))
        if cache is None or not cache.get_seq_length():
            shapes.append(tuple(kwargs["input_ids"].shape))

    handle = model.register_forward_pre_hook(count, with_kwargs=True)
    yield shapes
    handle.remove()


def filled(folder, model, tokenizer, prompts, together):
    """Fill a cell for each of ten strengths, two prompts a batch; return what they hold."""
    sources = Sources(tokenizer.pad_token_id, side="left")
    for ids, segments, mask in zip(prompts.input_ids, prompts.segments, prompts.attention_mask.bool(), strict=True):
        sources.add([Row(ids[mask].tolist(), segments[mask].tolist())])
    tasks = [
        Task(Cell(folder, {"strength": number}, IDS), Job([AttentionBias("knowledge", 1.5**number)], 0), None)
        for number in range(10)
    ]
    watcher = SimpleNamespace(note=print, advance=lambda count: None)
    loaded = SimpleNamespace(target_tokenizer=tokenizer)
    Filler(loaded, ReadBatches(model, sources, 2), Decoding(max_new_tokens=6), together, 2 * together, watcher).fill(
        tasks
    )
    return [[(item["response"], item["tokens"]) for item in task.cell.responses()] for task in tasks]


def test_ten_strengths_share_the_passes_of_their_prompts(tmp_path, model, tokenizer, prompts, prompt_passes):
    """Side by side or after each other, likelihoods included: one pass for each of three batches."""
    found = {}
    for together in (10, 1):
        found[together] = filled(tmp_path / str(together), model, tokenizer, prompts, together)
        assert sorted(rows for rows, _ in prompt_passes) == [1, 2, 2]
        prompt_passes.clear()
    assert found[10] == found[1] and len({str(one) for one in found[1]}) > 5
    assert all(len(one) == len(IDS) for one in found[1])


def alone(prompts, row, length):
    one = prompts.select([row])
    return replace(
        one, **{name: getattr(one, name)[:, -length:] for name in ("input_ids", "attention_mask", "segments")}
    )


@pytest.mark.parametrize(
    "options",
    [{"repetition_penalty": 1.7}, {"no_repeat_ngram_size": 1}, {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2}],
)
def test_options_that_count_the_prompt_are_those_of_the_library_and_no_padding_counts(model, prompts, options):
    """In a padded batch a row gives what the library alone gives without padding, the tokens of its prompt counted."""
    rows = decode(read(model, prompts), IDS, [Job([KNOB], 0)], replace(GREEDY, **options))
    plain = decode(read(model, prompts), IDS, [Job([KNOB], 0)], GREEDY)
    changed = 0
    for row, length in enumerate(LENGTHS):
        one = alone(prompts, row, length)
        with apply(model, [KNOB], one):
            expected = model.generate(
                input_ids=one.input_ids, attention_mask=one.attention_mask, max_new_tokens=12, min_new_tokens=1,
                do_sample=False, **options,
            )[0, length - 1 :]  # fmt: skip
        assert torch.equal(rows[row, : len(expected)], expected) and (rows[row, len(expected) :] == 1).all()
        changed += not torch.equal(plain[row, : len(expected)], expected)
    assert changed


def test_a_padding_token_in_front_is_none_that_was_said(model, prompts):
    """Where padding is the end token, as in many of these models, a penalty on it would lengthen padded rows only."""
    padded = replace(prompts, input_ids=prompts.input_ids.masked_fill(prompts.attention_mask == 0, 2))
    decoding = replace(GREEDY, repetition_penalty=5.0)
    both = [decode(read(model, one), IDS, [Job([KNOB], 0)], decoding) for one in (prompts, padded)]
    assert torch.equal(*both)


def losses(model, one, response):
    """Return the library's loss of each token of a ``response`` behind the prompt ``one``, by themselves."""
    found = []
    ids = torch.cat([one.input_ids, response[None]], dim=1)
    for place in range(one.input_ids.shape[1], ids.shape[1]):
        labels = torch.full_like(ids, -100)
        labels[0, place] = ids[0, place]
        with torch.no_grad():
            found.append(float(model(ids, labels=labels).loss))
    return found


def test_likelihoods_are_the_library_s_loss_of_responses_behind_prompts(model, tokenizer, prompts):
    """Under the unmodified model, whatever knob made them; padding does not count."""
    reading = read(model, prompts)
    responses = generate(reading, tokenizer, IDS, [Job([KNOB], 0)], GREEDY)[0]
    sequences = decode(reading, IDS, [Job([KNOB], 0)], GREEDY)
    for row, length in enumerate(LENGTHS):
        own = sequences[row, 1 : 1 + responses[row].tokens]
        assert responses[row].nll == pytest.approx(sum(losses(model, alone(prompts, row, length), own)), rel=1e-4)
        if len(own) < 12:
            assert own[-1] == 2


def test_a_text_to_stop_at_ends_text_count_and_likelihood(model, tokenizer, prompts):
    reading = read(model, prompts)
    sequences = decode(reading, IDS, [Job([], 0)], GREEDY)
    own = [[token for token in row.tolist() if token not in (1, 2)] for row in sequences[:, 1:]]
    row = max(range(len(own)), key=lambda i: len(own[i]))
    stop = tokenizer.decode(own[row])[6:9]
    whole = generate(reading, tokenizer, IDS, [Job([], 0)], GREEDY)[0]
    cut = generate(reading, tokenizer, IDS, [Job([], 0)], replace(GREEDY, stop=stop))[0]
    assert sum(a.text != b.text for a, b in zip(whole, cut, strict=True)) >= 1
    for number, response in enumerate(cut):
        text = tokenizer.decode(own[number])
        if stop not in text:
            assert response == replace(whole[number], nll=pytest.approx(whole[number].nll, rel=1e-5))
            continue
        count = next(n for n in itertools.count(1) if stop in tokenizer.decode(own[number][:n]))
        assert response.tokens == count
        assert response.text == " ".join(text[: text.index(stop)].split())
        spoken = torch.tensor(own[number][:count])
        loss = sum(losses(model, alone(prompts, number, LENGTHS[number]), spoken))
        assert response.nll == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize(("option", "value"), [("encoder_no_repeat_ngram_size", 2), ("forced_first", 5)])
def test_options_of_encoder_decoders_are_refused(option, value):
    with pytest.raises(
        ZscError, match=rf"decoding\.{option}={value}: a decoder-only model has neither encoder nor start"
    ):
        generation_config(Decoding(**{option: value}), known("llama"))
