"""Context augmentation against codes made phrase by phrase and given to the stock model as encoder states."""

import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput

from tests.reference import cross_attentions, reweighted
from zsc.data.control_phrases import load_phrases, phrase_sets
from zsc.data.layouts import BucketLayout
from zsc.errors import ZscError
from zsc.knobs import ContextAugmentation, apply

FAMILIES = ["bart", "mbart", "marian", "t5"]
PHRASES = ["What do you think?", "Have you ever been there?", "Why?", "How did they do that in the end?"]


@pytest.fixture
def source(parlor, tokenizer):
    return BucketLayout().encode(parlor[:3], tokenizer)


def states_of(model, ids):
    with torch.no_grad():
        return model.get_encoder()(input_ids=torch.tensor([ids]), return_dict=True).last_hidden_state[0]


def code_by_hand(model, tokenizer, phrases):
    """The mean at each position over the phrases that reach it, each encoded alone, without padding."""
    encoded = [states_of(model, tokenizer(phrase)["input_ids"]) for phrase in phrases]
    longest = max(map(len, encoded))
    return torch.stack([torch.stack([e[i] for e in encoded if len(e) > i]).mean(dim=0) for i in range(longest)])


def knob(tokenizer, **settings):
    return ContextAugmentation(PHRASES, tokenizer, **{"count": 4, "strength": 1.0} | settings)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_code_is_the_mean_over_the_phrases_that_reach_a_position(tiny, tokenizer, family):
    model = tiny(family)
    ctx_aug = knob(tokenizer)
    expected = code_by_hand(model, tokenizer, ctx_aug.drawn)
    torch.testing.assert_close(ctx_aug.code(model)[0], expected, atol=1e-5, rtol=1e-5)


def test_a_longer_phrase_does_not_change_the_code_before_its_own_end(tiny, tokenizer):
    model = tiny("bart")
    with_long = ContextAugmentation([*PHRASES[:2], PHRASES[0] + " and more" * 9], tokenizer, count=3).code(model)[0]
    longer = states_of(model, tokenizer(PHRASES[0] + " and more" * 9)["input_ids"])
    alone = [states_of(model, tokenizer(phrase)["input_ids"]) for phrase in PHRASES[:2]]
    expected = (alone[0][0] + alone[1][0] + longer[0]) / 3
    torch.testing.assert_close(with_long[0], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(with_long[-1], longer[-1], atol=1e-5, rtol=1e-5)


def test_variants_by_hand(tiny, tokenizer):
    model = tiny("bart")
    drawn = knob(tokenizer).drawn
    encoded = [states_of(model, tokenizer(phrase)["input_ids"]) for phrase in drawn]
    for variant, expected in [
        ("concat", torch.cat(encoded)),
        ("single", encoded[0]),
        ("token_mean", torch.cat(encoded).mean(dim=0, keepdim=True)),
    ]:
        torch.testing.assert_close(knob(tokenizer, variant=variant).code(model)[0], expected, atol=1e-5, rtol=1e-5)


def test_literal_encodes_and_averages_pads(tiny, tokenizer):
    model = tiny("bart")
    ctx_aug = knob(tokenizer, literal=True)
    rows = tokenizer(ctx_aug.drawn)["input_ids"]
    longest = max(map(len, rows))
    padded = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in rows])
    with torch.no_grad():
        states = model.get_encoder()(input_ids=padded, attention_mask=torch.ones_like(padded)).last_hidden_state
    torch.testing.assert_close(ctx_aug.code(model)[0], states.mean(dim=0), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(ctx_aug.code(model), knob(tokenizer).code(model), atol=1e-3)


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_strength_one_equals_a_stock_model_given_the_longer_context(tiny, tokenizer, source, family, backend):
    model = tiny(family, backend)
    ctx_aug = knob(tokenizer)
    code = code_by_hand(model, tokenizer, ctx_aug.drawn)
    inputs = {"input_ids": source.input_ids, "attention_mask": source.attention_mask}
    options = dict(max_new_tokens=8, num_beams=3, do_sample=False, output_scores=True, return_dict_in_generate=True)
    with torch.no_grad():
        states = model.get_encoder()(**inputs, return_dict=True).last_hidden_state
        longer = torch.cat([code.expand(3, -1, -1), states], dim=1)
        mask = torch.cat([torch.ones(3, len(code), dtype=torch.long), source.attention_mask], dim=1)
        expected = model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=longer), attention_mask=mask, **options
        )
        plain = model.generate(**inputs, **options)
        with apply(model, [ctx_aug], source):
            actual = model.generate(**inputs, **options)
    assert torch.equal(actual.sequences, expected.sequences)
    torch.testing.assert_close(actual.scores[0], expected.scores[0], atol=1e-5, rtol=1e-5)
    assert (actual.scores[0] - plain.scores[0]).abs().max() > 1e-3


@pytest.mark.parametrize("family", ["bart", "t5"])
def test_strength_weighs_the_code_as_the_definition_does(tiny, tokenizer, source, family):
    reference, model = tiny(family, "eager"), tiny(family, "sdpa")
    ctx_aug = knob(tokenizer, strength=5.0)
    code = code_by_hand(reference, tokenizer, ctx_aug.drawn)
    decoder_ids = torch.randint(10, 500, (3, 6), generator=torch.Generator().manual_seed(0))
    inputs = {"input_ids": source.input_ids, "attention_mask": source.attention_mask}
    weights = torch.ones(3, 1, 1, len(code) + source.input_ids.shape[1])
    weights[..., : len(code)] = 5.0
    with torch.no_grad():
        states = reference.get_encoder()(**inputs, return_dict=True).last_hidden_state
        longer = BaseModelOutput(last_hidden_state=torch.cat([code.expand(3, -1, -1), states], dim=1))
        mask = torch.cat([torch.ones(3, len(code), dtype=torch.long), source.attention_mask], dim=1)
        with reweighted(cross_attentions(reference), weights):
            expected = reference(encoder_outputs=longer, attention_mask=mask, decoder_input_ids=decoder_ids).logits
        with apply(model, [ctx_aug], source):
            actual = model(**inputs, decoder_input_ids=decoder_ids).logits
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def test_strength_zero_is_bit_equal_to_no_knob(tiny, tokenizer, source):
    model = tiny("bart", "sdpa")
    inputs = {"input_ids": source.input_ids, "attention_mask": source.attention_mask}
    with torch.no_grad():
        plain = model(**inputs, decoder_input_ids=source.input_ids[:, :5]).logits
        with apply(model, [knob(tokenizer, strength=0.0)], source):
            assert torch.equal(model(**inputs, decoder_input_ids=source.input_ids[:, :5]).logits, plain)


def test_the_draw_has_its_own_seed(tokenizer):
    draws = {seed: ContextAugmentation(PHRASES, tokenizer, count=2, seed=seed).drawn for seed in range(8)}
    assert draws[3] == ContextAugmentation(PHRASES, tokenizer, count=2, seed=3).drawn
    assert len({tuple(drawn) for drawn in draws.values()}) > 1
    assert all(set(drawn) <= set(PHRASES) and len(set(drawn)) == 2 for drawn in draws.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 5}, "between 1 and the 4 phrases"),
        ({"count": 0}, "between 1 and the 4 phrases"),
        ({"variant": "median"}, "mean, concat, single, token_mean"),
        ({"strength": -1}, "at least 0"),
        ({"literal": True, "variant": "concat"}, "variant=mean only"),
        ({"literal": "maybe"}, "true or false"),
        ({"seed": None}, "seed=None must be a whole number"),
        ({"seed": -1}, "seed=-1 must be a whole number"),
    ],
)
def test_bad_settings(tokenizer, settings, message):
    with pytest.raises(ValueError, match=message):
        knob(tokenizer, **settings)


def test_phrases_come_from_a_set_or_a_file(tmp_path):
    assert len(phrase_sets()) == 15 and load_phrases("questions")[0].endswith("?")
    file = tmp_path / "mine.txt"
    file.write_text("one\n\n two \n")
    assert load_phrases(str(file)) == ["one", "two"]
    file.write_text("\n")
    with pytest.raises(ZscError, match="holds no phrase"):
        load_phrases(str(file))
    with pytest.raises(ZscError, match=r"'question' are neither .* Did you mean 'questions'"):
        load_phrases("question")


def test_one_text_is_not_a_list_of_phrases(tokenizer):
    with pytest.raises(ValueError, match="must be a list of texts"):
        ContextAugmentation("Why is it so?", tokenizer, count=3)
