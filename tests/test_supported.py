"""Models that were not measured are checked when they are used, and what cannot be right is refused with the reason."""

from functools import wraps

import pytest
import torch

import tests.families
from tests.families import BART, T5, tiny_family, tiny_model
from zsc.data.source import Source
from zsc.errors import ZscError
from zsc.generation.checks import check_lengths
from zsc.knobs import AttentionBias, ContextAugmentation, SelfAttentionBias, UnsupportedModel, apply, supported
from zsc.knobs.additions import Additions
from zsc.knobs.encoder import encode, encoder_outputs
from zsc.knobs.masks import Bias
from zsc.knobs.repeated import past_fault, source_fault
from zsc.knobs.steering import steered
from zsc.knobs.supported import check_model, check_supported, fault, made_up

VOCABULARY = 300
TARGETS = torch.randint(10, VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def source():
    ids = torch.randint(10, VOCABULARY, (2, 11), generator=torch.Generator().manual_seed(2))
    segments = torch.tensor([[1] * 4 + [2] * 7, [1] * 4 + [2] * 4 + [-1] * 3])
    return Source(ids, (segments >= 0).long(), segments)


@pytest.fixture
def unmeasured(monkeypatch):
    monkeypatch.setattr(supported, "MEASURED", frozenset())


def altered(model, change):
    """Let the decoder of ``model`` change the arguments it is given."""
    decoder = model.get_decoder()
    forward = decoder.forward
    decoder.forward = wraps(forward)(lambda **kwargs: forward(**change(kwargs)))
    return model


def without_weights(kwargs):
    mask = kwargs.get("encoder_attention_mask")
    if mask is None or mask.dim() == 2:
        return kwargs
    return kwargs | {"encoder_attention_mask": (mask > torch.finfo(mask.dtype).min)[:, 0, -1].long()}


def without_past_weights(kwargs):
    mask = kwargs.get("attention_mask")
    return kwargs if mask is None or mask.dim() == 2 else kwargs | {"attention_mask": mask.masked_fill(mask > -1e4, 0)}


def lost_at_cached_steps(kwargs):
    alone = kwargs["input_ids"].shape[1] == 1
    return kwargs | ({"attention_mask": None} if alone else {})


def everything_visible(kwargs):
    count = kwargs["input_ids"].shape[1]
    return kwargs | {"attention_mask": torch.zeros(len(kwargs["input_ids"]), 1, count, count)}


@pytest.mark.parametrize("family", ["bart", "t5", "bert2roberta"])
@pytest.mark.parametrize("backend", ["eager", "sdpa"])
def test_a_family_not_measured_is_used_once_it_passes(family, backend, unmeasured):
    model = tiny_family(family, VOCABULARY, backend)
    check_supported(model)
    assert {what for what, _ in supported._FAULTS[model]} == {"steps", "source", "past"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without_weights, "weights on the source do not give what repeating its states gives"),
        (without_past_weights, "changes 0 in logits"),
        (lost_at_cached_steps, "steps with a cache do not give what they give without"),
        (everything_visible, "logits depend on later tokens"),
        (lambda kwargs: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_family_not_measured_is_refused_if_it_fails(change, reason, unmeasured):
    model = altered(tiny_family("bart", VOCABULARY), change)
    with pytest.raises(UnsupportedModel, match=f"(?s)was not measured with transformers .*{reason}"):
        check_supported(model)


def test_other_versions_of_the_library_are_checked_too(monkeypatch):
    model = altered(tiny_family("bart", VOCABULARY), everything_visible)
    if supported.measured(model):
        check_model(model)
    monkeypatch.setattr(supported.transformers, "__version__", "5.99.0")
    with pytest.raises(UnsupportedModel, match=r"5\.99\.0, and it fails a check: logits depend on later"):
        check_model(model)


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
def test_a_slight_bias_on_t5gemma2_shows_no_future(backend, source):
    """Its decoder joins the masks of past and source: an additive one beside a boolean one would let it see ahead."""
    model = tiny_family("t5gemma2", VOCABULARY, backend)
    states = encode(model, source)
    inputs = {"attention_mask": source.attention_mask, "use_cache": False}
    with torch.no_grad():
        plain = model(encoder_outputs=encoder_outputs(states), decoder_input_ids=TARGETS, **inputs).logits
        with apply(model, [AttentionBias("knowledge", 1.000001)], source):
            on = model(encoder_outputs=encoder_outputs(states), decoder_input_ids=TARGETS, **inputs).logits
            other = TARGETS.clone()
            other[:, -1] += 1
            changed = model(encoder_outputs=encoder_outputs(states), decoder_input_ids=other, **inputs).logits
    torch.testing.assert_close(on, plain, atol=1e-4, rtol=1e-4)
    assert torch.equal(changed[:, :-1], on[:, :-1]) and not torch.equal(changed, on)


@pytest.mark.parametrize(
    ("family", "backend", "find"),
    [
        ("led", "eager", past_fault),
        ("nllb-moe", "eager", past_fault),
        ("t5gemma", "eager", past_fault),
        ("t5gemma2", "sdpa", source_fault),
    ],
)
def test_masks_in_layers_are_needed(family, backend, find, monkeypatch):
    """What these families do with a mask that their decoder is given is found by the same check."""
    model = tiny_family(family, VOCABULARY, backend)
    assert find(model, *made_up(model)) is None
    monkeypatch.setattr("zsc.knobs.anatomy.MASKED_IN_LAYERS", ())
    assert find(model, *made_up(model)) is not None


@pytest.mark.parametrize("family", ["led", "nllb-moe", "t5gemma", "t5gemma2", "t5"])
def test_layers_and_codes_of_whole_numbers(family, source):
    """A code of strength 2 stands twice; a bias of one layer is one of all layers but for the others."""
    model = tiny_family(family, VOCABULARY)
    states, mask = encode(model, source), source.attention_mask
    code = ContextAugmentation(["a", "b"], Words(), strength=2.0, count=2)
    front = code.code(model).expand(2, -1, -1)
    twice = torch.cat([front, front, states], dim=1)
    seen = torch.cat([torch.ones(2, 2 * front.shape[1], dtype=torch.long), mask], dim=1)
    with torch.no_grad():
        expected = model(
            encoder_outputs=encoder_outputs(twice), attention_mask=seen, decoder_input_ids=TARGETS, use_cache=False
        ).logits
        with apply(model, [code], source):
            actual = model(
                encoder_outputs=encoder_outputs(states), attention_mask=mask, decoder_input_ids=TARGETS, use_cache=False
            ).logits
        torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)
        logits = {}
        for layers in (None, [0], [1], [0, 1]):
            with apply(model, [AttentionBias("knowledge", 5.0, layers=layers)], source):
                logits[str(layers)] = model(
                    encoder_outputs=encoder_outputs(states), attention_mask=mask, decoder_input_ids=TARGETS
                ).logits
    torch.testing.assert_close(logits["None"], logits["[0, 1]"], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(logits["[0]"], logits["[1]"], atol=1e-3)


class Words:
    def __call__(self, phrases, padding, padding_side, return_tensors):
        from transformers import BatchEncoding

        ids = torch.tensor([[11, 12, 13, 2], [21, 22, 2, 1]])
        return BatchEncoding({"input_ids": ids, "attention_mask": (ids != 1).long()})


@pytest.mark.parametrize("family", ["led", "mvp"])
def test_heads_that_cannot_be_told_apart(family, source):
    model = tiny_family(family, VOCABULARY)
    for knob in (AttentionBias("knowledge", 5.0, heads=[0]), SelfAttentionBias(heads=[0])):
        with pytest.raises(UnsupportedModel, match="one mask for all heads"):
            knob.check(model, source)
    heads = torch.tensor([True, False, False, False])
    one = Bias(lambda steps, positions: torch.full((1, 1, positions), 5.0), None, heads)
    states = encode(model, source)
    with steered(model, Additions(cross=[one])), pytest.raises((ValueError, RuntimeError)):
        model(encoder_outputs=encoder_outputs(states), attention_mask=source.attention_mask, decoder_input_ids=TARGETS)


def test_an_encoder_that_phrases_would_change(monkeypatch):
    monkeypatch.setitem(tests.families.FAMILIES, "bigbird_pegasus", BART | dict(block_size=4, num_random_blocks=1))
    model = tiny_family("bigbird_pegasus", VOCABULARY)
    long = torch.randint(10, VOCABULARY, (1, 64), generator=torch.Generator().manual_seed(3))
    before = model.get_encoder()(input_ids=long).last_hidden_state
    code = ContextAugmentation(["a", "b"], Words(), count=2)
    with pytest.raises(UnsupportedModel, match="original_full"):
        code.check(model, None)
    code.code(model)
    assert not torch.allclose(model.get_encoder()(input_ids=long).last_hidden_state, before, atol=1e-3)


def test_a_decoder_deeper_than_its_encoder(monkeypatch):
    monkeypatch.setitem(tests.families.FAMILIES, "t5", T5 | dict(num_decoder_layers=3))
    model = tiny_family("t5", VOCABULARY)
    with pytest.raises(UnsupportedModel, match="a cache of 2 layers for its 3"):
        check_model(model)
    with pytest.raises(IndexError):
        model.generate(input_ids=TARGETS, max_new_tokens=2)
    monkeypatch.setitem(tests.families.FAMILIES, "bart", BART | dict(decoder_layers=3))
    check_model(tiny_family("bart", VOCABULARY))


def test_a_model_that_must_be_told_its_language():
    model = tiny_family("seamless_m4t", VOCABULARY)
    check_model(model)
    model.generation_config.forced_bos_token_id = None
    with pytest.raises(UnsupportedModel, match="what language to write: set forced_bos_token_id"):
        check_model(model)


@pytest.mark.parametrize(("family", "limit"), [("bart", 200), ("led", 200), ("bert2roberta", 198), ("t5", None)])
def test_sources_and_responses_longer_than_the_position_embeddings(tokenizer, family, limit):
    model = tiny_model(family, tokenizer)
    check_lengths(model, 200, limit or 5000)
    if limit is not None:
        with pytest.raises(ZscError, match=f"responses take {limit + 1} positions, but this model has {limit}"):
            check_lengths(model, 200, limit + 1)
        ids = torch.full((1, limit), 10)
        model(input_ids=ids[:, :8], decoder_input_ids=ids)
        if family == "bert2roberta":
            with pytest.raises((IndexError, RuntimeError)):
                model(input_ids=ids[:, :8], decoder_input_ids=torch.full((1, limit + 1), 10))


def test_the_check_itself_says_what_rounding_hides(unmeasured):
    model = tiny_family("bart", VOCABULARY)
    with torch.no_grad():
        for parameter in model.get_decoder().layers.parameters():
            parameter.mul_(0)
    assert "which rounding" in fault(model, "source")
