"""Decoding, sampling that does not depend on the batch, and likelihoods."""

import pytest
import torch
from transformers import GenerationConfig, LogitsProcessorList

from zsc.data.layouts import BucketLayout
from zsc.errors import ZscError
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, generate, response_mask
from zsc.generation.noise import stream_keys
from zsc.generation.sampling import GumbelSampling, drawing, generation_config
from zsc.knobs import AttentionBias
from zsc.knobs.encoder import EncoderReading, encode
from zsc.models.load import load_model, token_protocol
from zsc.options import read


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load_model(str(checkpoint), device="cpu")


def respond(loaded, records, knobs=(), seed=0, **decoding):
    source = BucketLayout().encode(records, loaded.tokenizer)
    ids = [record.id for record in records]
    settings = Decoding(max_new_tokens=10, **decoding)
    return generate(
        EncoderReading(loaded.model, source, encode(loaded.model, source)),
        loaded.tokenizer,
        ids,
        [Job(knobs, seed)],
        settings,
    )[0]


def texts(responses):
    return [response.text for response in responses]


@pytest.mark.parametrize("decoding", [{}, {"sample": False}, {"sample": False, "num_beams": 3}])
def test_responses_do_not_depend_on_batch_or_order(loaded, parlor, decoding):
    knobs = [AttentionBias("knowledge", 5.0)]
    records = parlor[:6]
    together = texts(respond(loaded, records, knobs, **decoding))
    backwards = texts(respond(loaded, records[::-1], knobs, **decoding))[::-1]
    alone = [texts(respond(loaded, [record], knobs, **decoding))[0] for record in records]
    assert together == backwards == alone


def test_the_knob_changes_responses_and_strength_one_does_not(loaded, parlor):
    plain = respond(loaded, parlor[:6])
    assert respond(loaded, parlor[:6], [AttentionBias("knowledge", 1.0)]) == plain
    assert texts(respond(loaded, parlor[:6], [AttentionBias("knowledge", 20.0)])) != texts(plain)
    assert respond(loaded, parlor[:6]) == plain
    assert texts(respond(loaded, parlor[:6], seed=1)) != texts(plain)


def test_gumbel_sampling_draws_from_the_softmax():
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    scores = probabilities.log().expand(20_000, 4)
    over_examples = GumbelSampling(stream_keys([str(i) for i in range(20_000)], 3))(
        torch.zeros(20_000, 1), scores
    ).argmax(dim=1)
    one = GumbelSampling(stream_keys(["x"], 3))
    over_steps = torch.cat([one(torch.zeros(1, step), scores[:1]).argmax(dim=1) for step in range(20_000)])
    for drawn in (over_examples, over_steps):
        shares = torch.bincount(drawn, minlength=4) / len(drawn)
        torch.testing.assert_close(shares, probabilities, atol=0.012, rtol=0)
    assert abs(((over_examples == 0).float() * 2 - 1).mul((over_steps == 0).float() * 2 - 1).mean()) < 0.03


def test_scores_that_are_ruled_out_stay_so_and_those_given_are_not_changed():
    scores = torch.tensor([[0.5, -torch.inf, 0.1]])
    noisy = GumbelSampling(stream_keys(["x"], 0))(torch.zeros(1, 3), scores)
    assert noisy[0, 1] == -torch.inf and scores[0, 0] == 0.5 and noisy[0, 0] != 0.5


def test_top_p_and_temperature_limit_what_is_drawn(loaded):
    scores = torch.tensor([2.0, 1.9, -1.0, -9.0]).expand(300, 4)
    ids = [str(i) for i in range(300)]
    processors = LogitsProcessorList(drawing(Decoding(top_p=0.9, temperature=0.7), stream_keys(ids, 0), 0))
    drawn = processors(torch.zeros(300, 1, dtype=torch.long), scores).argmax(dim=1)
    assert set(drawn.tolist()) == {0, 1}  # probabilities at temperature 0.7: .53, .46, .01, .00


def test_greedy_is_the_librarys_own(loaded, parlor):
    source = BucketLayout().encode(parlor[:4], loaded.tokenizer)
    expected = loaded.model.generate(
        input_ids=source.input_ids,
        attention_mask=source.attention_mask,
        max_new_tokens=10,
        do_sample=False,
        num_beams=1,
    )
    actual = texts(respond(loaded, parlor[:4], sample=False))
    assert actual == [" ".join(t.split()) for t in loaded.tokenizer.batch_decode(expected, skip_special_tokens=True)]


def test_likelihood_is_the_models_own_loss(loaded, parlor):
    for record in parlor[:3]:
        response = respond(loaded, [record])[0]
        source = BucketLayout().encode([record], loaded.tokenizer)
        states = encode(loaded.model, source)
        config = generation_config(Decoding(max_new_tokens=10), loaded.model)
        processors = LogitsProcessorList(drawing(Decoding(), stream_keys([record.id], 0), 0))
        ids = loaded.model.generate(
            input_ids=source.input_ids, attention_mask=source.attention_mask, generation_config=config,
            logits_processor=processors,
        )  # fmt: skip
        with torch.no_grad():
            mean = loaded.model(
                encoder_outputs=(states,),
                attention_mask=source.attention_mask,
                decoder_input_ids=ids[:, :-1],
                labels=ids[:, 1:],
            ).loss
        assert response.tokens == ids.shape[1] - 1
        assert response.nll == pytest.approx(float(mean) * response.tokens, rel=1e-4)


def test_a_forced_first_token_is_not_charged_to_the_model(loaded):
    sequences = torch.tensor([[2, 0, 9, 8, 2, 1], [2, 0, 7, 7, 7, 7]])
    config = token_protocol(loaded.model.generation_config)
    config.forced_bos_token_id = None
    assert response_mask(sequences, config).tolist() == [[True] * 4 + [False], [True] * 5]
    assert response_mask(sequences, GenerationConfig(eos_token_id=None)).all()
    config.forced_bos_token_id = 0
    assert response_mask(sequences, config).tolist() == [[False] + [True] * 3 + [False], [False] + [True] * 4]


def test_settings_stored_with_a_checkpoint_are_not_inherited(loaded, checkpoint):
    assert GenerationConfig.from_pretrained(checkpoint).no_repeat_ngram_size == 3
    config = generation_config(Decoding(), loaded.model)
    assert config.no_repeat_ngram_size == 0 and config.num_beams == 1
    assert config.decoder_start_token_id == 2 and config.eos_token_id == 2
    assert (
        token_protocol(GenerationConfig(forced_bos_token_id=7, num_beams=4)).to_diff_dict()["forced_bos_token_id"] == 7
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_p": 0.0}, "top_p=0.0 is out of range"),
        ({"temperature": 0}, "temperature=0 is out of range"),
        ({"sample": True, "num_beams": 4}, "decoding=beam"),
        ({"top_pp": 0.5}, "Did you mean 'top_p'"),
        ({"max_new_tokens": "x"}, "decoding.max_new_tokens=x must be a whole number"),
        ({"sample": 1}, "decoding.sample=1 must be true or false"),
    ],
)
def test_bad_options(settings, message):
    with pytest.raises(ZscError, match=message):
        read(Decoding, settings, "decoding")
