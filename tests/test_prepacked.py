"""Linear layers by oneDNN: the numbers of torch's own, of the weights that are there at the time."""

import copy
import pickle
import sys
import threading

import pytest
import torch
from torch import nn

from tests.families import tiny_family
from zsc.knobs.parameters import replaced_parameters
from zsc.models import prepacked as module
from zsc.models.prepacked import Prepacked, available, prepacked

SHAPES = [(16, 24), (40, 7), (256, 100)]
needs_onednn = pytest.mark.skipif(not available(), reason="no linear layer by oneDNN here")


def layer(columns=40, rows=7, bias=True):
    torch.manual_seed(columns)
    return nn.Linear(columns, rows, bias=bias)


def close(actual, expected):
    return torch.allclose(actual, expected, rtol=1e-4, atol=1e-5)


def expected_of(one, given):
    """The product in double precision, from the definition."""
    product = given.double() @ one.weight.double().T
    return (product if one.bias is None else product + one.bias.double()).float()


@needs_onednn
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("columns, rows", SHAPES)
@torch.no_grad()
def test_the_numbers_are_those_of_the_layer(columns, rows, bias):
    one = layer(columns, rows, bias)
    every = torch.randn(3, 5, 2 * columns)[..., ::2]  # not contiguous
    with prepacked(one):
        assert type(one) is Prepacked and isinstance(one, nn.Linear)
        for given in (every, every[0], every[0, 0], every[:0], every.transpose(0, 1)):
            result = one(given)
            assert result.shape == (*given.shape[:-1], rows) and close(result, expected_of(one, given))
    assert type(one) is nn.Linear


@needs_onednn
@torch.no_grad()
def test_a_row_is_the_same_whoever_stands_beside_it():
    one, rows = layer(256, 100), torch.randn(70, 256)
    with prepacked(one):
        every = one(rows)
        assert all(torch.equal(one(rows[:count]), every[:count]) for count in (1, 2, 3, 5, 16, 33, 64))
        assert torch.equal(one(rows.flip(0)).flip(0), every)


@needs_onednn
@torch.no_grad()
def test_other_weights_are_seen():
    one, given = layer(), torch.randn(4, 40)
    with prepacked(one):
        before = one(given)
        one.weight.mul_(3.0)
        assert close(one(given), expected_of(one, given)) and not close(one(given), before)
        one.weight.data = torch.randn(7, 40)
        assert close(one(given), expected_of(one, given))
        with replaced_parameters(one, {"weight": torch.randn(7, 40)}):
            assert close(one(given), expected_of(one, given))
        assert close(one(given), expected_of(one, given))
        one.weight = nn.Parameter(torch.randn(7, 40))
        assert close(one(given), expected_of(one, given))
    one.weight.data.mul_(2.0)  # which nothing sees, outside of a context
    with prepacked(one):
        assert close(one(given), expected_of(one, given))


@needs_onednn
@torch.no_grad()
def test_weights_that_come_and_go_are_not_taken_for_each_other():
    one, given = layer(), torch.randn(4, 40)
    with prepacked(one):
        for _ in range(50):  # whose memory is used again
            with replaced_parameters(one, {"weight": torch.randn(7, 40)}):
                assert close(one(given), expected_of(one, given))


@needs_onednn
@pytest.mark.parametrize("how", ["parameter", "data"])
@torch.no_grad()
def test_the_same_memory_seen_otherwise_is_another_weight(how):
    one, given = nn.Linear(8, 8, bias=False), torch.randn(4, 8)
    one.weight = nn.Parameter(torch.randn(8, 8))
    with prepacked(one):
        before = one(given)
        if how == "parameter":
            one.weight = nn.Parameter(one.weight.data.t())
        else:
            one.weight.data = one.weight.data.t()
        assert close(one(given), expected_of(one, given)) and not close(one(given), before)


@needs_onednn
def test_a_thread_that_sees_weights_change_never_has_those_of_before():
    """As where one lays out what is new and another comes in between, at any of its lines."""
    weight, other = nn.Parameter(torch.randn(8, 8)), nn.Parameter(torch.randn(8, 8))
    layout, rows, wrong = module.Layout(), torch.randn(3, 8), []
    layout.of(weight)
    true = module._laid_out

    def between(found):
        if not close(module._linear(rows, true(other.detach()), None), module._linear(rows, found, None)):
            wrong.append(found)

    def trace(frame, event, argument):
        if frame.f_code is module.Layout.of.__code__ and not busy:
            busy.append(1)
            between(layout.of(other))
            busy.clear()
        return trace

    busy: list[int] = []
    sys.settrace(trace)
    try:
        layout.of(other)
    finally:
        sys.settrace(None)
    assert not wrong


@needs_onednn
@torch.no_grad()
def test_a_compiled_model_computes_as_ever():
    model, given = nn.Sequential(*[nn.Linear(8, 8) for _ in range(3)]), torch.randn(4, 8)
    expected = model(given)
    compiled = torch.compile(model, backend="eager")
    with prepacked(model):
        assert close(compiled(given), expected) and close(model(given), expected)
        assert close(torch.export.export(model, (given,)).module()(given), expected)
    assert close(compiled(given), expected)


@needs_onednn
@torch.no_grad()
def test_a_forward_that_was_kept_outlives_the_context():
    one, given = layer(), torch.randn(4, 40)
    with prepacked(one):
        kept = one.forward
    assert torch.equal(kept(given), one(given))


@needs_onednn
@torch.no_grad()
def test_what_onednn_refuses_is_the_layers_own_matter():
    empty = [nn.Linear(0, 4), nn.Linear(8, 0)]
    with prepacked(*empty):
        assert torch.equal(empty[0](torch.ones(2, 0)), empty[0].bias.expand(2, 4))
        assert empty[1](torch.ones(2, 8)).shape == (2, 0)
    one = layer()
    with prepacked(one), pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        one(torch.ones(2, 39))


@needs_onednn
def test_gradients_are_those_of_the_layer():
    one, given = layer(), torch.randn(4, 40)
    one(given).sum().backward()
    expected, one.weight.grad = one.weight.grad, None
    with prepacked(one):
        one(given).sum().backward()
    assert torch.equal(one.weight.grad, expected)


@needs_onednn
@torch.inference_mode()
def test_weights_made_without_versions_are_the_layers_own():
    one, given = layer(), torch.randn(4, 40)
    assert one.weight.is_inference()
    with prepacked(one):
        assert torch.equal(one(given), nn.functional.linear(given, one.weight, one.bias))
        one.weight.mul_(2.0)
        assert torch.equal(one(given), nn.functional.linear(given, one.weight, one.bias))


@needs_onednn
@torch.no_grad()
def test_a_copy_is_a_layer_of_its_own():
    one, given = layer(), torch.randn(4, 40)
    with prepacked(one):
        one(given)
        other = copy.deepcopy(one)
        assert type(other) is nn.Linear and type(pickle.loads(pickle.dumps(one))) is nn.Linear
        other.weight.zero_()
        assert close(one(given), expected_of(one, given)) and close(other(given), other.bias.expand(4, 7))
    assert close(other(given), other.bias.expand(4, 7))


@needs_onednn
def test_contexts_nest_in_any_order():
    both, one = nn.Sequential(layer(), layer(7, 5)), layer(9, 9)
    first, second = prepacked(both), prepacked(both[0], one)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert [type(layer) for layer in (*both, one)] == [Prepacked, nn.Linear, Prepacked]
    second.__exit__(None, None, None)
    assert {type(layer) for layer in (*both, one)} == {nn.Linear} and not module._LAYOUTS
    with pytest.raises(KeyError), prepacked(one):
        raise KeyError
    assert type(one) is nn.Linear


@needs_onednn
def test_threads_share_a_layer():
    one, given, wrong = layer(256, 100), torch.randn(8, 256), []
    expected = expected_of(one, given).detach()

    def run():
        for _ in range(30):
            with torch.no_grad(), prepacked(one):
                if not close(one(given), expected):
                    wrong.append(1)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and type(one) is nn.Linear


class Own(nn.Linear):
    """A layer that computes in a way of its own."""


def test_other_layers_and_other_numbers_stay_as_they_are():
    others = [Own(4, 4), layer().to(torch.bfloat16), layer().to(torch.float64), layer().to("meta")]
    with prepacked(*others):
        assert [type(one) for one in others] == [Own, nn.Linear, nn.Linear, nn.Linear]


@needs_onednn
@torch.no_grad()
def test_what_is_no_float32_goes_the_layers_own_way():
    one = layer()
    with prepacked(one):
        with torch.autocast("cpu", torch.bfloat16):
            assert one(torch.ones(2, 40)).dtype == torch.bfloat16
        with pytest.raises(RuntimeError):
            one(torch.ones(2, 40, dtype=torch.float64))
        one.to(torch.float64)
        assert one(torch.ones(2, 40, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("lost", ["operators", "wrong", "memory", "processor"])
def test_without_it_nothing_changes(monkeypatch, lost):
    one = layer()
    available.cache_clear()
    if lost == "operators":
        monkeypatch.setattr(module, "_laid_out", lambda weight: torch.ops.mkldnn._no_such_operator(weight))
    elif lost == "wrong":
        monkeypatch.setattr(module, "_linear", lambda rows, packed, bias: torch.zeros(len(rows), len(bias)))
    elif lost == "memory":
        monkeypatch.setattr(module, "SHARE", 0.0)
    else:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    with prepacked(one):
        assert type(one) is nn.Linear
    available.cache_clear()


@needs_onednn
@torch.no_grad()
@pytest.mark.parametrize("family", ["bart", "t5"])
def test_a_model_says_the_same(family):
    model = tiny_family(family, 90)
    ids = torch.arange(5, 45).view(2, 20)
    expected = model(input_ids=ids, decoder_input_ids=ids[:, :6]).logits
    with prepacked(model):
        actual = model(input_ids=ids, decoder_input_ids=ids[:, :6]).logits
    assert torch.allclose(actual, expected, rtol=1e-3, atol=1e-4)
