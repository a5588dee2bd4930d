"""Threads on one model: each under its own knobs, at the same time, and none without a word under another's or none."""

import asyncio
import copy
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from contextvars import copy_context

import pytest
import torch

from tests.families import tiny_family
from tests.knob_cases import Given, dosed, lone_ways, made_knob, neutral, shared_ways
from zsc.data.layouts import BucketLayout
from zsc.knobs import AttentionBias, ComponentSwap, DecoderMixing, SelfAttentionBias, apply
from zsc.knobs.contexts import ThreadConflict
from zsc.knobs.probe import eager

LEVELS = ("hidden", "cross_attention", "probs")
WAIT = 60  # seconds after which a deadlock becomes a failure


@pytest.fixture
def source(parlor, tokenizer):
    return BucketLayout(turns=2).encode(parlor[:2], tokenizer)


@pytest.fixture
def settings(tokenizer):
    """What threads do to one model, by name; ``other`` is the second decoder."""
    return lambda other: {
        "plain": [],
        **{way: [made_knob(way, Given(tokenizer, other))] for way in shared_ways()},
        "layers of both": [DecoderMixing(other, 0.5, "hidden"), AttentionBias("knowledge", 30.0, layers=[0])],
    }


def scores(model, source, after_step=lambda step: None):
    """Return the logits (steps, rows, vocabulary) of greedy generation, calling ``after_step`` after each."""

    def between(input_ids, scores):
        after_step(input_ids.shape[1])
        return scores

    generated = model.generate(
        input_ids=source.input_ids, attention_mask=source.attention_mask, max_new_tokens=5, min_new_tokens=5,
        do_sample=False, output_logits=True, return_dict_in_generate=True, logits_processor=[between],
    )  # fmt: skip
    return torch.stack(generated.logits)


def alone(model, knobs, source):
    with apply(model, knobs, source):
        return scores(model, source)


def in_thread(act, *arguments):
    """Run ``act`` in a new thread to its end; return its result, or raise its error."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act, *arguments).result(WAIT)


def unhooked(*models):
    modules = [module for model in models for module in model.modules()]
    return not any(module._forward_hooks or module._forward_pre_hooks for module in modules)


@pytest.mark.parametrize("family", ["bart", "t5"])
def test_threads_at_the_same_steps_each_get_what_they_get_alone(family, pair, source, settings):
    """All open their contexts before any generates, and wait for each other between all steps."""
    model, other = pair(family)
    every = settings(other)
    expected = {name: alone(model, knobs, source) for name, knobs in every.items()}
    together = threading.Barrier(len(every), timeout=WAIT)

    def act(name):
        with apply(model, every[name], source):
            together.wait()
            try:
                return scores(model, source, lambda step: together.wait())
            except BaseException:
                together.abort()
                raise

    with ThreadPoolExecutor(len(every)) as pool:
        actual = dict(zip(every, pool.map(act, every), strict=True))
    for name in every:
        assert torch.equal(actual[name], expected[name]), name
    assert len({float(one.sum()) for one in expected.values()}) == len(every)
    assert unhooked(model, other)


def test_contexts_that_open_and_close_meanwhile_change_nothing(pair, source, settings):
    model, other = pair("bart")
    every = settings(other)
    knobs = every.pop("attn_bias-gradual")
    expected = alone(model, knobs, source)
    names = list(every)

    def come_and_go(step):
        for name in names[step - 1 :: 5]:
            in_thread(alone, model, every[name], source)

    with apply(model, knobs, source):
        actual = scores(model, source, come_and_go)
    assert torch.equal(actual, expected)
    assert torch.equal(scores(model, source), alone(model, [], source)) and unhooked(model, other)


@pytest.mark.parametrize("case", shared_ways())
def test_a_thread_without_a_context_is_refused_beside_anothers_knobs(case, pair, source, settings):
    model, other = pair("bart")
    plain = scores(model, source)
    with apply(model, settings(other)[case], source):
        steered = scores(model, source)
        with pytest.raises(ThreadConflict, match=r"with apply\(model, \[\]\):.*copy_context"):
            in_thread(scores, model, source)
        assert torch.equal(in_thread(alone, model, [], source), plain)
        assert torch.equal(in_thread(copy_context().run, scores, model, source), steered)
        assert torch.equal(asyncio.run(handed_on(model, source)), steered)
        if any(getattr(knob, "other", None) is other for knob in settings(other)[case]):
            assert not torch.equal(in_thread(scores, other, source), steered)  # the second model is free
        assert torch.equal(scores(model, source), steered)
    assert torch.equal(in_thread(scores, model, source), plain) and unhooked(model, other)


async def handed_on(model, source):
    return await asyncio.to_thread(scores, model, source)


def test_a_context_without_knobs_or_with_neutral_ones_stands_in_nobodys_way(pair, source, tokenizer):
    model, other = pair("bart")
    plain = scores(model, source)
    off = [neutral(name, Given(tokenizer, other)) for name in dosed()]
    for knobs in ([], *([knob] for knob in off), off):
        with apply(model, knobs, source):
            assert torch.equal(in_thread(scores, model, source), plain)
            assert torch.equal(scores(model, source), plain)


def test_the_other_model_is_itself_while_it_is_mixed_in(pair, source):
    """Used directly, in the same thread and in another, also under knobs of its own."""
    model, other = pair("bart")
    plain, bias = scores(other, source), [AttentionBias("dialog", 30.0)]
    steered = alone(other, bias, source)
    for level in LEVELS:
        with apply(model, [DecoderMixing(other, 0.5, level), AttentionBias("knowledge", 30.0, layers=[1])], source):
            scores(model, source)
            assert torch.equal(scores(other, source), plain) and torch.equal(in_thread(scores, other, source), plain)
            assert torch.equal(in_thread(alone, other, bias, source), steered)


@pytest.mark.parametrize("case", [*lone_ways(), "eager"])
def test_what_changes_the_model_itself_excludes_other_threads(case, pair, source, tokenizer):
    model, other = pair("bart")
    plain = scores(model, source)

    def change(model):
        return eager(model) if case == "eager" else apply(model, [made_knob(case, Given(tokenizer, other))], source)

    with change(model):
        changed = scores(model, source)
        for act in (scores, lambda model, source: alone(model, [], source)):
            with pytest.raises(ThreadConflict, match=r"another thread .* changes the model itself"):
                in_thread(act, model, source)
        assert torch.equal(in_thread(copy_context().run, scores, model, source), changed)
    with apply(model, []):
        with pytest.raises(ThreadConflict, match="on which another thread has opened `apply`"):
            in_thread(lambda: change(model).__enter__())
        assert torch.equal(scores(model, source), plain)
    assert torch.equal(scores(model, source), plain) and unhooked(model, other)


def test_a_model_that_is_mixed_in_cannot_be_changed_by_another_thread(pair, source, tokenizer):
    model, other = pair("bart")
    knob = DecoderMixing(other, 0.5, "hidden")
    expected = alone(model, [knob], source)
    with apply(model, [knob], source):
        with pytest.raises(ThreadConflict, match="changes the model itself"):
            in_thread(alone, other, [ComponentSwap(by="shuffled")], source)
        assert torch.equal(scores(model, source), expected)
    with apply(other, [ComponentSwap(by="shuffled")]):
        for one in (made_knob(way, Given(tokenizer, other)) for way in lone_ways()):
            if getattr(one, "other", None) is other:
                with pytest.raises(ThreadConflict):
                    in_thread(alone, model, [one], source)
        with pytest.raises(ThreadConflict):
            in_thread(alone, model, [knob], source)
    assert torch.equal(alone(model, [knob], source), expected) and unhooked(model, other)


def test_contexts_close_in_any_order_and_anywhere(tiny, source):
    model = tiny("bart")
    first, second = [AttentionBias("knowledge", 9.0, layers=[1])], [SelfAttentionBias(strength=9.0, layers=[0])]
    plain, expected = scores(model, source), {str(knobs): alone(model, knobs, source) for knobs in (first, second)}
    outer, inner = ExitStack(), ExitStack()
    outer.enter_context(apply(model, first, source))
    inner.enter_context(apply(model, second, source))
    scores(model, source)
    outer.close()
    assert torch.equal(scores(model, source), expected[str(second)])
    in_thread(inner.close)
    assert torch.equal(scores(model, source), plain) and unhooked(model)
    with apply(model, first, source):
        handed = copy_context()
        assert torch.equal(in_thread(handed.run, scores, model, source), expected[str(first)])
    for knobs in (None, [], second):  # what it was handed is closed, whatever else is open
        with nullcontext() if knobs is None else apply(model, knobs, source):
            with pytest.raises(ThreadConflict, match="handed is closed"):
                in_thread(handed.run, scores, model, source)
            assert torch.equal(in_thread(handed.copy().run, alone, model, first, source), expected[str(first)])
            assert torch.equal(scores(model, source), expected.get(str(knobs), plain))
    del handed
    assert torch.equal(scores(model, source), plain) and unhooked(model)


def test_a_thread_that_outlives_what_it_was_handed_is_stopped(tiny, source):
    model = tiny("bart")
    begun, closed = threading.Event(), threading.Event()

    def after(step):
        begun.set()
        assert closed.wait(WAIT)

    with ThreadPoolExecutor(1) as pool:
        with apply(model, [AttentionBias("knowledge", 9.0)], source):
            late = pool.submit(copy_context().run, scores, model, source, after)
            assert begun.wait(WAIT)
        closed.set()
        with pytest.raises(ThreadConflict, match="keep it open until the thread is done"):
            late.result(WAIT)


def test_a_thread_that_fails_leaves_the_others_alone(tiny, source):
    model, knobs = tiny("bart"), [AttentionBias("knowledge", 9.0)]
    expected = alone(model, knobs, source)

    def fail():
        with apply(model, [SelfAttentionBias(layers=[0])], source):
            raise RuntimeError("stop")

    with apply(model, knobs, source):
        with pytest.raises(RuntimeError, match="stop"):
            in_thread(fail)
        assert torch.equal(scores(model, source), expected)
    assert unhooked(model)


@pytest.mark.parametrize("closed", [True, False])
def test_a_model_is_not_kept_alive(tokenizer, source, closed):
    model = tiny_family("bart", len(tokenizer))
    stack = ExitStack()
    stack.enter_context(apply(model, [AttentionBias("knowledge", 9.0, layers=[0])], source))
    scores(model, source)
    if closed:
        stack.close()
    gone = weakref.ref(model.get_decoder())
    stack.pop_all()
    del model, stack
    gc.collect()
    assert gone() is None


def test_a_copy_of_a_model_is_another_model(tiny, source):
    model = tiny("bart")
    plain = scores(model, source)
    with apply(model, [ComponentSwap(by="shuffled")], source):
        pass
    twin = copy.deepcopy(model)
    with apply(model, [AttentionBias("knowledge", 9.0)], source):
        assert torch.equal(in_thread(scores, twin, source), plain)
