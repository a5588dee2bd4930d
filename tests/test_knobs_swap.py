"""Components of the decoder replaced, against plain copies of the models."""

import copy
import re

import pytest
import torch

from tests.families import EAGER_ONLY, FAMILIES, UNSOUND
from zsc.knobs import AttentionBias, ComponentSwap, UnsupportedModel, apply
from zsc.knobs.swap import DRAWN

DECODER_IDS = torch.randint(10, 500, (3, 6), generator=torch.Generator().manual_seed(2))
LAYER = r"decoder\..*(layers?|block|h)\.\d\."
NAMES = {  # in BART, T5, BERT and GPT-2, then others
    "self_attention": rf"{LAYER}(self_attn|layer\.0\.SelfAttention|attention|attn)\.",
    "cross_attention": rf"{LAYER}(encoder_attn|layer\.1\.EncDecAttention|crossattention|cross_attention|cross_attn)\.",
    "feed_forward": rf"{LAYER}(fc1|fc2|layer\.2\.DenseReluDense|intermediate|output|mlp|layer\.2\.mlp|ffn)\.",
}
CELLS = [
    (family, component)
    for family in FAMILIES
    for component in NAMES
    if family not in UNSOUND and (family, component) != ("t5gemma2", "cross_attention")
]


def logits(model, inputs):
    with torch.no_grad():
        return model(**inputs, decoder_input_ids=DECODER_IDS).logits


def tensors_of(model, component):
    return {name: tensor for name, tensor in model.state_dict().items() if re.search(NAMES[component], name)}


def copy_with(model, tensors):
    changed = copy.deepcopy(model)
    assert tensors and not changed.load_state_dict(tensors, strict=False).unexpected_keys
    return changed


@pytest.fixture
def pair(tiny):
    def make(family):
        backend = "eager" if family in EAGER_ONLY else "sdpa"
        return tiny(family, backend, seed=0), tiny(family, backend, seed=1)

    return make


@pytest.mark.parametrize(("family", "component"), CELLS)
def test_swap_equals_a_model_with_the_other_modules(pair, inputs, family, component):
    model, other = pair(family)
    theirs, plain = tensors_of(other, component), logits(model, inputs)
    with apply(model, [ComponentSwap(component, other=other)]):
        swapped = logits(model, inputs)
        assert torch.equal(swapped, logits(copy_with(model, theirs), inputs))
    assert torch.equal(logits(model, inputs), plain) and not torch.equal(swapped, plain)
    first = {n: t for n, t in theirs.items() if re.match(r"\D*0\.", n)}
    assert 0 < len(first) < len(theirs)
    with apply(model, [ComponentSwap(component, other=other, layers=[0])]):
        assert torch.equal(logits(model, inputs), logits(copy_with(model, first), inputs))


@pytest.mark.parametrize(("family", "component"), [cell for cell in CELLS if cell[0] in ("bart", "t5")])
def test_averages_by_hand(pair, inputs, family, component):
    model, other = pair(family)
    own, theirs = tensors_of(model, component), tensors_of(other, component)
    half_way = {name: (own[name] + theirs[name]) / 2 for name in own}
    with apply(model, [ComponentSwap(component, "averaged", other)]):
        torch.testing.assert_close(logits(model, inputs), logits(copy_with(model, half_way), inputs))

    def in_layer(name, number):
        return re.sub(r"^(\D*)\d", rf"\g<1>{number}", name)

    means = {name: sum(own[n] for n in {in_layer(name, i) for i in (0, 1)} & set(own)) for name in own}
    means = {n: t / len({in_layer(n, i) for i in (0, 1)} & set(own)) for n, t in means.items()}
    with apply(model, [ComponentSwap(component, "layer_mean")]):
        torch.testing.assert_close(logits(model, inputs), logits(copy_with(model, means), inputs))
    with apply(model, [ComponentSwap(component, "layer_mean", layers=[1])]):
        second = {name: tensor for name, tensor in means.items() if in_layer(name, 1) == name}
        torch.testing.assert_close(logits(model, inputs), logits(copy_with(model, second), inputs))


@pytest.mark.parametrize("component", NAMES)
def test_controls_keep_what_they_promise(tiny, component):
    model = tiny("bart")
    own = tensors_of(model, component)
    prefix = "model.decoder."
    shuffled, again = (ComponentSwap(component, "shuffled", seed=4).values(model) for _ in range(2))
    assert {prefix + name for name in shuffled} == set(own)
    for name, tensor in shuffled.items():
        before = own[prefix + name]
        assert torch.equal(tensor.flatten().sort().values, before.flatten().sort().values)
        assert torch.equal(tensor, again[name])
    weight = next(name for name in shuffled if name.endswith("weight"))
    assert not torch.equal(shuffled[weight], own[prefix + weight])
    drawn = ComponentSwap(component, "random", seed=4).values(model)[weight]
    assert float(drawn.std()) == pytest.approx(float(own[prefix + weight].std()), rel=0.1)
    assert not torch.equal(drawn, ComponentSwap(component, "random", seed=400).values(model)[weight])
    for name, tensor in ComponentSwap(component, "averaged_random", seed=4).values(model).items():
        random = ComponentSwap(component, "random", seed=4).values(model)[name]
        torch.testing.assert_close(tensor, (own[prefix + name] + random) / 2)


@pytest.mark.parametrize("by", DRAWN)
def test_controls_are_the_same_draw_in_double_precision(tiny, by):
    model = tiny("bart")
    single = ComponentSwap(by=by, seed=4).values(model)
    double = ComponentSwap(by=by, seed=4).values(model.double())
    for name, tensor in single.items():
        assert double[name].dtype == torch.float64
        torch.testing.assert_close(double[name].float(), tensor)


@pytest.mark.parametrize("family", ["bart", "t5"])
def test_draws_have_nothing_in_common(tiny, family):
    model = tiny(family)
    drawn = [
        (seed, name, tensor)
        for seed in range(3)
        for name, tensor in ComponentSwap(by="random", seed=seed).values(model).items()
        if tensor.dim() == 2 and tensor.shape == (32, 32)
    ]
    assert len(drawn) == 3 * 2 * 4
    noise = torch.stack([((t - t.mean()) / t.std()).flatten() for _, _, t in drawn])
    correlation = (noise @ noise.T / noise.shape[1]).fill_diagonal_(0)
    assert float(correlation.abs().max()) < 0.15


def test_a_layer_alone_gets_what_it_gets_among_all(tiny):
    model = tiny("bart")
    for by in ("random", "shuffled", "averaged_random"):
        every, second = (ComponentSwap(by=by, layers=layers).values(model) for layers in (None, [1]))
        assert second and all(torch.equal(tensor, every[name]) for name, tensor in second.items())


def test_names():
    assert str(ComponentSwap("feed_forward", "random", seed=4)) == "swap(feed_forward, random seed 4)"
    assert str(ComponentSwap(by="layer_mean", layers=[0, 2])) == "swap(self_attention, layer_mean, layers 0 2)"


def test_swaps_that_do_not_fit_are_refused(tiny):
    model = tiny("bart")
    for by in ("other", "averaged"):
        with pytest.raises(ValueError, match=f"by='{by}' needs another model"):
            ComponentSwap(by=by)
    with pytest.raises(ValueError, match="other, averaged, layer_mean, random, shuffled"):
        ComponentSwap(by="median")
    with pytest.raises(ValueError, match="self_attention, cross_attention, feed_forward"):
        ComponentSwap("self_attn")
    with pytest.raises(ValueError, match="differs in its kind: T5Stack instead of BartDecoder"):
        ComponentSwap(other=tiny("t5")).check(model, None)
    config = copy.deepcopy(model.config)
    for field, value, message in (
        ("decoder_layers", 3, "number of layers: 3 instead of 2"),
        ("decoder_attention_heads", 2, "number of heads: 2 instead of 4"),
        ("decoder_ffn_dim", 40, r"no layers\.0\.fc1\.weight of shape"),
    ):
        changed = copy.deepcopy(config)
        setattr(changed, field, value)
        other = type(model)(changed)
        with pytest.raises(ValueError, match=message):
            ComponentSwap("feed_forward", other=other).check(model, None)
    with pytest.raises(ValueError, match="layer 7 does not exist"):
        ComponentSwap(by="random", layers=[7]).check(model, None)


def test_a_decoder_without_layers_is_refused(tiny):
    model = tiny("bart")
    model.model.decoder.layers = torch.nn.ModuleList()
    with pytest.raises(UnsupportedModel, match="no list of layers"):
        ComponentSwap(by="random").check(model, None)


def test_a_swap_beside_biasing_acts_as_on_the_swapped_model(pair, inputs, tokenizer, parlor):
    from zsc.data.layouts import BucketLayout

    model, other = pair("bart")
    source = BucketLayout().encode(parlor[:3], tokenizer)
    given = {"input_ids": source.input_ids, "attention_mask": source.attention_mask}
    bias = AttentionBias("knowledge", 5.0)
    with apply(copied := copy_with(model, tensors_of(other, "cross_attention")), [bias], source):
        expected = logits(copied, given)
    with apply(model, [bias, ComponentSwap("cross_attention", other=other)], source):
        assert torch.equal(logits(model, given), expected)
