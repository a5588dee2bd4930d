"""Parts of a source, gradual weights, and subsets of layers and heads."""

import pytest
import torch

from tests.reference import cross_attentions, reweighted
from zsc.data.layouts import BucketLayout
from zsc.data.record import Record, Turn
from zsc.data.source import Source
from zsc.knobs import AttentionBias, NoSuchSpan, apply
from zsc.knobs.attn_bias import schedule_share
from zsc.knobs.spans import chosen_positions, parse_span

FAMILIES = ["bart", "t5"]


@pytest.fixture
def source(tokenizer):
    turns = (Turn("a", "I saw the cat run"), Turn("b", "which cat was it"), Turn("a", "the old one"))
    records = [
        Record("0", turns, "yes", "A cat is an animal with four legs and a tail"),
        Record("1", turns[:1], "no", "the cat"),
    ]
    return BucketLayout().encode(records, tokenizer)


def text_at(source, chosen, row, tokenizer):
    return tokenizer.decode(source.input_ids[row][chosen[row]]).split()


def words_at(source, chosen, row, tokenizer):
    return [word for word in text_at(source, chosen, row, tokenizer) if "<" not in word]


def test_turns_are_counted_over_the_turns_there_are(source, tokenizer):
    for number, text in [(0, "I saw the cat run"), (1, "which cat was it"), (2, "the old one"), (-1, "the old one")]:
        chosen = parse_span(f"turn:{number}")(source)
        assert words_at(source, chosen, 0, tokenizer) == text.split()
    last = chosen_positions("turn:-1", parse_span("turn:-1"), source)
    assert words_at(source, last, 1, tokenizer) == [
        "I",
        "saw",
        "the",
        "cat",
        "run",
    ]
    with pytest.raises(NoSuchSpan, match="row 1 has no turn:2"):
        chosen_positions("turn:2", parse_span("turn:2"), source)


def test_tokens_are_counted_over_attended_positions(source):
    chosen = parse_span("tokens:2:5")(source)
    for row in range(2):
        places = source.attention_mask[row].nonzero().flatten()[2:5]
        assert torch.equal(chosen[row].nonzero().flatten(), places)


def test_text_selects_every_token_of_a_match(source, tokenizer):
    chosen = parse_span("text:cats?|four legs", tokenizer)(source)
    found = "".join(text_at(source, chosen, 0, tokenizer))
    assert found == "catfourlegscatcat"
    assert "".join(text_at(source, chosen, 1, tokenizer)) == "catcat"


def test_text_leaves_special_tokens_out_and_takes_every_token_of_a_character(tokenizer):
    history = (Turn("a", "so many 🎉 today"), Turn("b", "speaker of the house"))
    source = BucketLayout().encode([Record("0", history, "yes", "🎉 and \u65e5\u672c")], tokenizer)
    found = parse_span("text:speaker", tokenizer)(source)
    assert "".join(text_at(source, found, 0, tokenizer)) == "speaker"
    for text in ("🎉", "\u65e5\u672c"):
        chosen = parse_span(f"text:{text}", tokenizer)(source)[0] & (source.segments[0] == 1)
        places = chosen.nonzero().flatten()
        assert text in tokenizer.decode(source.input_ids[0, places])
        assert torch.equal(places, torch.arange(int(places[0]), int(places[-1]) + 1))


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (["knowledge", "dialog"], "is not one of"),
        (5, "is not one of"),
        ("turn:x", "knowledge, dialog, focus, another field of the source, turn:N"),
        ("dialog+tokens:5:2", "tokens:START:END"),
        ("tokens:5:2", "tokens:START:END"),
        ("text:", "text:REGEX"),
        ("text:(", "no regular expression"),
        ("text:a", "needs the tokenizer"),
        ("a field", "is not one of"),
    ],
)
def test_bad_profiles(profile, message):
    with pytest.raises(ValueError, match=message):
        AttentionBias(profile)


def test_a_field_that_the_source_lacks_is_refused_with_those_it_has(tiny, source):
    for knob in (AttentionBias("knowlege"), AttentionBias("gradual", end="knowlege"), AttentionBias("dialog+knowlege")):
        with pytest.raises(
            ValueError, match=r"no field 'knowlege' .* Did you mean 'knowledge'\? It has: knowledge, dialog"
        ):
            knob.check(tiny("bart"), source)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"profile": "gradual", "schedule": "cubic"}, "linear, step"),
        ({"profile": "gradual", "steps": 0}, "at least 1"),
        ({"profile": "gradual", "end": "no where"}, "is not one of"),
        ({"layers": [-1]}, "layers=.*whole numbers"),
        ({"layers": []}, "layers=.*whole numbers"),
        ({"heads": [0, 0]}, "heads=.*different"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        AttentionBias(**settings)


def test_layers_and_heads_beyond_the_model_are_refused(tiny, source):
    for settings, message in [({"layers": [2]}, "layer 2 does not exist: .* 2"), ({"heads": [4]}, "head 4 .* 4")]:
        with pytest.raises(ValueError, match=message):
            AttentionBias(**settings).check(tiny("bart"), source)


def test_the_share_of_a_schedule_by_hand():
    steps = torch.arange(6.0)
    assert schedule_share(steps, "linear", 4).tolist() == [0, 0.25, 0.5, 0.75, 1, 1]
    assert schedule_share(steps, "step", 4).tolist() == [0, 0, 0, 0, 1, 1]


def block_weights(source, first, last, value):
    weights = torch.ones(source.segments.shape)
    weights[(source.segments >= first) & (source.segments <= last)] = value
    return weights


def compare(tiny, family, backend, knob, source, expected_weights, layers=None):
    """Teacher-forced logits and cached greedy generation equal those of the re-weighted eager model."""
    inputs = {"input_ids": source.input_ids, "attention_mask": source.attention_mask}
    decoder_ids = torch.randint(10, 500, (2, 6), generator=torch.Generator().manual_seed(3))
    reference, model = tiny(family, "eager"), tiny(family, backend)
    modules = cross_attentions(reference)
    assert len(modules) == 2
    chosen = modules if layers is None else [modules[i] for i in layers]
    with torch.no_grad():
        plain = model(**inputs, decoder_input_ids=decoder_ids).logits
        with reweighted(chosen, expected_weights):
            expected = reference(**inputs, decoder_input_ids=decoder_ids).logits
        with apply(model, [knob], source):
            actual = model(**inputs, decoder_input_ids=decoder_ids).logits
            cached = model.generate(**inputs, max_new_tokens=8, num_beams=2, do_sample=False, use_cache=True)
            recomputed = model.generate(**inputs, max_new_tokens=8, num_beams=2, do_sample=False, use_cache=False)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
    assert (actual - plain).abs().max() > 1e-4
    assert torch.equal(cached, recomputed)


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("schedule", ["linear", "step"])
def test_gradual_weights_move_with_the_step(tiny, source, family, backend, schedule):
    knob = AttentionBias("gradual", 9.0, start="knowledge", end="dialog", schedule=schedule, steps=4)
    start, end = block_weights(source, 1, 1, 9.0), block_weights(source, 2, 6, 9.0)
    shares = [0, 0.25, 0.5, 0.75, 1, 1] if schedule == "linear" else [0, 0, 0, 0, 1, 1]
    weights = torch.stack([(1 - share) * start + share * end for share in shares], dim=1)[:, None]
    compare(tiny, family, backend, knob, source, weights)


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_single_layers(tiny, source, family, backend):
    weights = block_weights(source, 1, 1, 7.0)[:, None, None]
    compare(tiny, family, backend, AttentionBias("knowledge", 7.0, layers=[1]), source, weights, layers=[1])


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_single_heads(tiny, source, family, backend):
    weights = torch.ones(2, 4, 1, source.segments.shape[1])
    weights[:, [0, 3]] = block_weights(source, 1, 1, 7.0)[:, None, None]
    compare(tiny, family, backend, AttentionBias("knowledge", 7.0, heads=[0, 3]), source, weights)


def test_single_heads_of_a_single_layer_beside_a_bias_of_all(tiny, source):
    """Two knobs, one restricted: its layer gets both, the other layer one."""
    both = [AttentionBias("knowledge", 7.0, layers=[0], heads=[1]), AttentionBias("dialog", 0.5)]
    inputs = {"input_ids": source.input_ids, "attention_mask": source.attention_mask}
    decoder_ids = torch.randint(10, 500, (2, 6), generator=torch.Generator().manual_seed(3))
    reference, model = tiny("bart", "eager"), tiny("bart", "sdpa")
    everywhere = block_weights(source, 2, 6, 0.5)[:, None, None].expand(-1, 4, -1, -1)
    first = everywhere.clone()
    first[:, 1] *= block_weights(source, 1, 1, 7.0)[:, None]
    modules = cross_attentions(reference)
    with torch.no_grad():
        with reweighted(modules[:1], first), reweighted(modules[1:], everywhere):
            expected = reference(**inputs, decoder_input_ids=decoder_ids).logits
        with apply(model, both, source):
            torch.testing.assert_close(
                model(**inputs, decoder_input_ids=decoder_ids).logits, expected, atol=1e-5, rtol=1e-5
            )


def test_knobs_that_together_remove_every_position_are_refused(tiny):
    segments = torch.tensor([[1, 1, 2, 2]])
    source = Source(torch.full((1, 4), 20), torch.ones(1, 4, dtype=torch.long), segments)
    model = tiny("bart")
    with (
        pytest.raises(ValueError, match="together, the knobs leave row 0 no source position"),
        apply(model, [AttentionBias("knowledge", 0.0), AttentionBias("dialog", 0.0)], source),
    ):
        model(input_ids=source.input_ids, attention_mask=source.attention_mask, decoder_input_ids=source.input_ids)
    assert not model.get_decoder()._forward_pre_hooks
