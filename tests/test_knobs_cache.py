"""Steps are told whatever a decoder calls its cache, and a decoder whose cache has no known name is refused."""

import inspect
from contextlib import contextmanager

import pytest
import torch
from transformers import DynamicCache

from tests.knob_cases import Given, made_knob, shared_ways
from zsc.data.layouts import BucketLayout
from zsc.knobs import UnsupportedModel, apply
from zsc.knobs.cache import NAMES, cache_name, given_cache, returned_cache, with_cache


@contextmanager
def renamed(module, name):
    """Let callers of ``module``, a model or decoder, hand it its cache as ``name``, as another transformers would."""
    forward, own = module.forward, cache_name(module)

    def hand_over(module, args, kwargs):
        return args, {name if key == own else key: value for key, value in kwargs.items()}

    def call(*args, **kwargs):
        return forward(*args, **{own if key == name else key: value for key, value in kwargs.items()})

    parameters = inspect.signature(forward).parameters.values()
    call.__signature__ = inspect.Signature([one.replace(name=name) if one.name == own else one for one in parameters])
    handle = module.register_forward_pre_hook(hand_over, with_kwargs=True)
    module.forward = call
    yield
    handle.remove()
    del module.forward


@pytest.fixture
def source(parlor, tokenizer):
    return BucketLayout(turns=2).encode(parlor[:3], tokenizer)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", ["bart", "t5", "encoder-decoder"])
@pytest.mark.parametrize("case", shared_ways())
def test_cached_steps_are_those_recomputed_under_every_name(pair, source, tokenizer, case, family, name):
    model, other = pair(family)
    knob = made_knob(case, Given(tokenizer, other))

    def scores(cache):
        options = dict(max_new_tokens=8, do_sample=False, output_logits=True, return_dict_in_generate=True)
        inputs = dict(input_ids=source.input_ids, attention_mask=source.attention_mask)
        return torch.stack(model.generate(**inputs, **options, use_cache=cache).logits)

    with apply(model, [knob], source):
        expected = scores(cache=False)
    assert (expected - scores(cache=False)).abs().max() > 1e-2
    with renamed(model.get_decoder(), name), renamed(other.get_decoder(), name), apply(model, [knob], source):
        torch.testing.assert_close(scores(cache=True), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_model_is_handed_and_returns_is_read_under_either_name(tiny, name):
    model, cache, another = tiny("bart"), DynamicCache(), DynamicCache()
    assert cache_name(model) == cache_name(model.get_decoder()) in NAMES
    assert given_cache(model, {name: cache}) is cache and returned_cache({name: cache, "logits": None}) is cache
    assert given_cache(model, {"use_cache": True}) is None and returned_cache({"logits": None}) is None
    assert with_cache(model, {name: cache, "use_cache": True}, another) == {
        cache_name(model): another,
        "use_cache": True,
    }


def test_a_cache_without_a_known_name_is_refused(pair, source, tokenizer):
    model, other = pair("bart")
    knobs = [made_knob(way, Given(tokenizer, other)) for way in shared_ways()]
    with renamed(model.get_decoder(), "keys_and_values"):
        for knob in knobs:
            for act in (lambda knob: knob.check(model, source), lambda knob: knob.apply(model, source).__enter__()):
                with pytest.raises(UnsupportedModel, match=r"no cache under a name known .*use transformers 5\.16"):
                    act(knob)
