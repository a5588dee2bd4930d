"""Attention biasing against an eager re-computation that multiplies probabilities and renormalises."""

import pytest
import torch
from transformers import BertConfig, BertModel, ProphetNetConfig, ProphetNetForConditionalGeneration

from tests.families import BERT
from tests.reference import cross_attentions, reweighted
from zsc.data.layouts import BucketLayout
from zsc.data.source import Source
from zsc.knobs import AttentionBias, NoSuchSpan, UnsupportedModel, biased_cross_attention
from zsc.knobs.masks import Bias, biased

FAMILIES = ["bart", "mbart", "marian", "t5"]
BACKENDS = ["eager", "sdpa"]


def multiplied_and_renormalised(model, weights):
    return reweighted(cross_attentions(model), weights[:, None, None])


@pytest.fixture
def batch():
    torch.manual_seed(1)
    lengths = [13, 9, 5]
    mask = torch.zeros(3, 13, dtype=torch.long)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    ids = torch.randint(10, 500, (3, 13)).masked_fill(mask == 0, 1)
    weights = torch.ones(3, 13)
    weights[:, 1:4] = 5.0
    weights[1, 6] = 0.5
    weights[2, 0] = 0.0
    return {"input_ids": ids, "attention_mask": mask}, weights


def logits(model, batch, decoder_input_ids):
    with torch.no_grad():
        return model(**batch, decoder_input_ids=decoder_input_ids).logits


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_equal_the_definition(tiny, batch, family, backend):
    inputs, weights = batch
    decoder_ids = torch.randint(10, 500, (3, 6))
    reference = tiny(family, "eager")
    with multiplied_and_renormalised(reference, weights):
        expected = logits(reference, inputs, decoder_ids)
    model = tiny(family, backend)
    plain = logits(model, inputs, decoder_ids)
    with biased_cross_attention(model, weights, inputs["attention_mask"]):
        actual = logits(model, inputs, decoder_ids)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
    assert (actual - plain).abs().max() > 1e-3


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_generation_equals_the_definition(tiny, batch, family, backend, beams, cache):
    inputs, weights = batch
    options = dict(max_new_tokens=8, num_beams=beams, do_sample=False, use_cache=cache,
                   output_scores=True, return_dict_in_generate=True)  # fmt: skip
    reference = tiny(family, "eager")
    with multiplied_and_renormalised(reference, weights):
        expected = reference.generate(**inputs, **options)
    model = tiny(family, backend)
    with biased_cross_attention(model, weights, inputs["attention_mask"]):
        actual = model.generate(**inputs, **options)
    assert torch.equal(actual.sequences, expected.sequences)
    torch.testing.assert_close(actual.scores[-1], expected.scores[-1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_strength_one_is_bit_equal(tiny, batch, family, backend):
    inputs, weights = batch
    model = tiny(family, backend)
    decoder_ids = torch.randint(10, 500, (3, 6))
    plain = logits(model, inputs, decoder_ids)
    with biased_cross_attention(model, torch.ones_like(weights), inputs["attention_mask"]):
        assert torch.equal(logits(model, inputs, decoder_ids), plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_is_as_before_afterwards_and_after_an_exception(tiny, batch, family):
    inputs, weights = batch
    model = tiny(family, "sdpa")
    decoder_ids = torch.randint(10, 500, (3, 6))
    plain = logits(model, inputs, decoder_ids)
    with pytest.raises(RuntimeError, match="stop"), biased_cross_attention(model, weights, inputs["attention_mask"]):
        raise RuntimeError("stop")
    assert torch.equal(logits(model, inputs, decoder_ids), plain)
    assert not model.get_decoder()._forward_pre_hooks


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_nothing(tiny, batch, family):
    inputs, weights = batch
    model = tiny(family, "sdpa")
    decoder_ids = torch.randint(10, 500, (3, 6))
    with biased_cross_attention(model, weights, inputs["attention_mask"]):
        together = logits(model, inputs, decoder_ids)
    alone = {name: tensor[1:2, :9] for name, tensor in inputs.items()}
    with biased_cross_attention(model, weights[1:2, :9], alone["attention_mask"]):
        torch.testing.assert_close(logits(model, alone, decoder_ids[1:2]), together[1:2], atol=1e-5, rtol=1e-5)


def test_weight_zero_hides_a_position_as_a_mask_does(tiny, batch):
    inputs, _ = batch
    model = tiny("bart", "sdpa")
    decoder_ids = torch.randint(10, 500, (3, 6))
    weights = torch.ones(3, 13)
    weights[:, 2] = 0
    hidden = inputs["attention_mask"].clone()
    hidden[:, 2] = 0
    with torch.no_grad():
        states = model.get_encoder()(**inputs)
        expected = model(encoder_outputs=states, attention_mask=hidden, decoder_input_ids=decoder_ids).logits
    with biased_cross_attention(model, weights, inputs["attention_mask"]):
        torch.testing.assert_close(logits(model, inputs, decoder_ids), expected, atol=1e-5, rtol=1e-5)


def test_nested_weights_multiply(tiny, batch):
    inputs, weights = batch
    model = tiny("bart", "sdpa")
    decoder_ids = torch.randint(10, 500, (3, 6))
    other = torch.ones(3, 13)
    other[:, 3:6] = 0.25
    with biased_cross_attention(model, weights * other, inputs["attention_mask"]):
        expected = logits(model, inputs, decoder_ids)
    with (
        biased_cross_attention(model, weights, inputs["attention_mask"]),
        biased_cross_attention(model, other, inputs["attention_mask"]),
    ):
        torch.testing.assert_close(logits(model, inputs, decoder_ids), expected, atol=1e-5, rtol=1e-5)


def test_half_precision_masks_stay_finite():
    lowest = torch.finfo(torch.float16).min
    base = torch.tensor([0.0, 0.0, -3.0, lowest], dtype=torch.float16)[None, None, None]
    log = torch.tensor([-torch.inf, -1e9, -7.0, -7.0])[None, None]
    mask = biased(base, [(Bias(weights=None), log)])
    assert mask.dtype == torch.float16 and torch.isfinite(mask).all()
    assert mask.flatten().tolist() == [lowest, lowest, -10.0, lowest]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (torch.ones(2, 3, dtype=torch.long), "0.5 would silently become 0"),
        (torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0]]), "at least 0"),
        (torch.tensor([[1.0, float("nan"), 1.0], [1.0, 1.0, 1.0]]), "finite"),
        (torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 5.0]]), "row 1 .* no source position"),
        (torch.ones(3, 3), "shape"),
    ],
)
def test_bad_weights(tiny, weights, message):
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    with pytest.raises(ValueError, match=message), biased_cross_attention(tiny("bart"), weights, mask):
        pass


def test_models_that_cannot_be_biased_say_so(tiny, monkeypatch):
    monkeypatch.setattr("zsc.knobs.supported.measured", lambda model: True)  # whatever the version of transformers
    mask, weights = torch.ones(1, 3, dtype=torch.long), torch.full((1, 3), 2.0)
    encoder_only = BertModel(BertConfig(hidden_size=16, vocab_size=300, **BERT))
    prophet = ProphetNetForConditionalGeneration(
        ProphetNetConfig(vocab_size=20, hidden_size=8, num_encoder_layers=1, num_decoder_layers=1,
                         num_encoder_attention_heads=2, num_decoder_attention_heads=2,
                         encoder_ffn_dim=8, decoder_ffn_dim=8)
    )  # fmt: skip
    flash = tiny("bart")
    flash.get_decoder().config._attn_implementation = "flash_attention_2"
    for model, message in [(encoder_only, "says nothing"), (prophet, "ProphetNet"), (flash, "eager or sdpa")]:
        with pytest.raises(UnsupportedModel, match=message), biased_cross_attention(model, weights, mask):
            pass


@pytest.fixture
def source(parlor, tokenizer):
    return BucketLayout().encode(parlor[:4], tokenizer)


def test_profiles_weight_their_own_attended_positions(source):
    knowledge = AttentionBias("knowledge", 0.5).weights(source)
    dialog = AttentionBias("dialog", 3.0).weights(source)
    attended = source.attention_mask.bool()
    bucket = torch.zeros_like(attended)
    bucket[:, 1:33] = True
    assert torch.equal(knowledge == 0.5, bucket & attended)
    history = torch.zeros_like(attended)
    history[:, 33:] = True
    assert torch.equal(dialog == 3.0, history & attended)
    assert (knowledge[~(bucket & attended)] == 1).all()


def test_a_source_without_the_span_is_named():
    segments = torch.tensor([[0, 1, 2], [0, -1, 2]])
    source = Source(torch.ones(2, 3, dtype=torch.long), (segments >= 0).long(), segments)
    with pytest.raises(NoSuchSpan, match="row 1 has no knowledge") as error:
        AttentionBias("knowledge", 2.0).weights(source)
    assert error.value.row == 1


def test_a_row_left_without_positions_is_noticed_by_the_check(tiny):
    segments = torch.tensor([[-1, -1, 2, 2]])
    source = Source(torch.ones(1, 4, dtype=torch.long), (segments >= 0).long(), segments)
    with pytest.raises(ValueError, match="no source position"):
        AttentionBias("dialog", 0.0).check(tiny("bart"), source)


@pytest.mark.parametrize("strength", [-1, float("nan"), float("inf"), "5", None, True, 10**400, 1e39, 1e-50])
def test_bad_strengths(strength):
    with pytest.raises(ValueError, match="strength"):
        AttentionBias("knowledge", strength)


def test_bad_profile():
    with pytest.raises(ValueError, match="knowledge, dialog"):
        AttentionBias("know lege", 2.0)
