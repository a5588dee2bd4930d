"""Components partition the weights of every family, and what is frozen costs nothing that it need not."""

from collections import Counter

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, T5Config

from tests.families import BART, FAMILIES, T5, tiny_model
from zsc.errors import ZscError
from zsc.knobs import ComponentSwap, UnsupportedModel
from zsc.knobs.anatomy import COMPONENTS
from zsc.knobs.components import ALL_COMPONENTS, components
from zsc.training.freeze import freeze
from zsc.training.measure import optimiser_bytes, saved_activations
from zsc.training.shares import describe_shares, share_rows, weight_shares

ROWS, SOURCE, TARGET = 2, 6, 5
LACKING = {family: {"output"} for family in FAMILIES}  # tied to an embedding, but in these:
LACKING |= {"encoder-decoder": set(), "bert2bert-generation": set(), "bert2roberta": set()}
LACKING["t5gemma2"] = {"cross_attention", "output"}
TRAINED = [family for family in FAMILIES if family != "fsmt"]


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.randint(10, 500, (ROWS, length), generator=generator) for length in (SOURCE, TARGET))
    return {"input_ids": source, "decoder_input_ids": target, "labels": target}


def weights(model):
    return {name: sum(p.numel() for p in parameters.values()) for name, parameters in components(model).items()}


@pytest.mark.parametrize("family", TRAINED)
def test_every_parameter_belongs_to_exactly_one_component(tokenizer, family):
    model = tiny_model(family, tokenizer)
    counts = Counter(name for parameters in components(model).values() for name in parameters)
    assert counts == Counter(name for name, _ in model.named_parameters())
    assert set(ALL_COMPONENTS) - set(components(model)) == LACKING[family]
    assert sum(weights(model).values()) == model.num_parameters()


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("family", TRAINED)
def test_what_is_frozen_is_what_the_swap_replaces(tokenizer, family, component):
    model = tiny_model(family, tokenizer)
    if component in LACKING[family]:
        with pytest.raises(UnsupportedModel, match="no cross-attention module of its own"):
            ComponentSwap(component, "random").values(model)
        return
    swapped = ComponentSwap(component, "random").values(model)
    frozen = components(model)[component]
    decoder = dict(model.get_decoder().named_parameters())
    assert {id(decoder[name]) for name in swapped} == {id(p) for p in frozen.values()}


def test_counts_of_bart_by_hand(tokenizer):
    d, ffn, layers, vocabulary = BART["d_model"], BART["decoder_ffn_dim"], BART["decoder_layers"], len(tokenizer)
    attention, norm = 4 * (d * d + d), 2 * d
    feed_forward = d * ffn + ffn + ffn * d + d
    positions = BART["max_position_embeddings"] + 2
    assert weights(tiny_model("bart", tokenizer)) == {
        "embeddings": vocabulary * d + 2 * positions * d,
        "encoder": layers * (attention + feed_forward + 2 * norm) + norm,
        "self_attention": layers * attention,
        "cross_attention": layers * attention,
        "feed_forward": layers * feed_forward,
        "norms": layers * 3 * norm + norm,
    }


@pytest.mark.parametrize("tied", [True, False])
def test_counts_of_t5_by_hand(tied):
    d, inner, ff, layers, heads = T5["d_model"], T5["num_heads"] * T5["d_kv"], T5["d_ff"], T5["num_layers"], 4
    attention, feed_forward, relative = 4 * d * inner, 2 * d * ff, 32 * heads
    config = T5Config(vocab_size=600, **T5)
    config.tie_word_embeddings = tied
    model = AutoModelForSeq2SeqLM.from_config(config)
    assert weights(model) == {
        "embeddings": 600 * d * (1 if tied else 3),  # shared, and those of the encoder and the decoder
        "encoder": layers * (attention + feed_forward + 2 * d) + relative + d,
        "self_attention": layers * attention + relative,
        "cross_attention": layers * attention,
        "feed_forward": layers * feed_forward,
        "norms": layers * 3 * d + d,
    } | ({} if tied else {"output": 600 * d})


def test_components_of_an_encoder_decoder_put_together_from_two_models(tokenizer):
    parts = components(tiny_model("encoder-decoder", tokenizer))
    layer = "decoder.bert.encoder.layer.0."
    for component, names in {
        "encoder": ["enc_to_dec_proj.weight", "encoder.pooler.dense.bias", "encoder.embeddings.LayerNorm.weight"],
        "self_attention": [f"{layer}attention.self.query.weight", f"{layer}attention.output.LayerNorm.weight"],
        "cross_attention": [f"{layer}crossattention.output.dense.bias"],
        "feed_forward": [f"{layer}intermediate.dense.weight", f"{layer}output.LayerNorm.bias"],
        "norms": ["decoder.bert.embeddings.LayerNorm.weight"],
        "output": ["decoder.cls.predictions.bias", "decoder.cls.predictions.transform.LayerNorm.bias"],
    }.items():
        assert set(names) <= set(parts[component])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["encodr"], "no such component. Did you mean 'encoder'.* Allowed here: embeddings, encoder, self_attention"),
        (["embeddings", "output"], "freeze=output: Bart.* no parameter .* tied to the embeddings.* Allowed here"),
        ([3], "freeze=3: there is no such component"),
        ("encoder", "must be a list"),
        ([name for name in ALL_COMPONENTS if name != "output"], "leaves no weight of Bart.* to train"),
    ],
)
def test_names_that_cannot_be_frozen(tokenizer, names, message):
    model = tiny_model("bart", tokenizer)
    with pytest.raises(ZscError, match=message):
        freeze(model, names)
    assert all(p.requires_grad for p in model.parameters())


def test_both_shares_are_stated(tokenizer):
    model = tiny_model("bart", tokenizer)
    count = weights(model)
    freeze(model, ["encoder", "embeddings", "self_attention"])
    shares = weight_shares(model)
    trained = count["cross_attention"] + count["feed_forward"] + count["norms"]
    total = model.num_parameters()
    bare = total - count["embeddings"]
    assert shares["all"] == {"weights": total, "trained": trained, "share": trained / total}
    assert shares["without_embeddings"] == {"weights": bare, "trained": trained, "share": trained / bare}
    assert f"training {trained:,} of {total:,} weights" in describe_shares(shares)
    assert f"without embeddings {trained:,} of {bare:,}" in describe_shares(shares)
    states = {row["component"]: row["state"] for row in share_rows(shares)}
    assert states["self_attention"] == "frozen" and states["norms"] == "trained" and states["all"] == "in part"


@pytest.mark.parametrize("family", TRAINED)
def test_frozen_parts_get_neither_gradient_nor_optimiser_state(tokenizer, family, batch):
    model = tiny_model(family, tokenizer)
    parts = components(model)
    frozen = ["embeddings", "encoder", "self_attention", "feed_forward"]
    freeze(model, frozen)
    optimiser = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    model(**batch).loss.backward()
    optimiser.step()
    for name, parameters in parts.items():
        for parameter in parameters.values():
            assert (parameter.grad is None) == (name in frozen) == (parameter not in optimiser.state)
    trained = [p for name in parts if name not in frozen for p in parts[name].values()]
    assert optimiser_bytes(optimiser) == sum(2 * 4 * p.numel() + 4 for p in trained)  # two moments, a step each


def kept(model, run):
    with saved_activations(model) as saved:
        output = run()
        return saved.bytes, output


@pytest.mark.parametrize("family", TRAINED)
def test_a_frozen_encoder_with_frozen_embeddings_keeps_nothing(tokenizer, family, batch):
    model = tiny_model(family, tokenizer).train()
    encode = lambda: model.get_encoder()(input_ids=batch["input_ids"]).last_hidden_state  # noqa: E731
    assert kept(model, encode)[0] > 0
    freeze(model, ["encoder"])
    assert encode().requires_grad  # embeddings train, so gradients pass through the encoder
    freeze(model, ["embeddings"])
    saved, states = kept(model, encode)
    assert saved == 0 and not states.requires_grad


def test_what_is_kept_beside_a_frozen_encoder_is_what_the_decoder_alone_keeps(tokenizer, batch):
    model = tiny_model("bart", tokenizer)
    full, _ = kept(model, lambda: model(**batch).loss)
    freeze(model, ["encoder", "embeddings"])
    frozen, _ = kept(model, lambda: model(**batch).loss)
    with torch.no_grad():
        states = model.get_encoder()(input_ids=batch["input_ids"])
    mine = {name: tensor for name, tensor in batch.items() if name != "input_ids"}
    alone, _ = kept(model, lambda: model(encoder_outputs=states, **mine).loss)
    assert frozen == alone < full


def test_frozen_modules_do_not_keep_their_inputs(tokenizer, batch):
    """Counted by hand for BART without dropout: a linear map with frozen weights passes gradients on without its input.

    Of self-attention that frees the layer's input, which queries, keys and values share, and the joint output of the
    heads; of feed-forward what fc1 and fc2 read. The attention itself and GELU keep what they did.
    """
    model = tiny_model("bart", tokenizer).eval()
    full, _ = kept(model, lambda: model(**batch).loss)
    positions, layers = ROWS * TARGET, BART["decoder_layers"]
    freeze(model, ["self_attention"])
    without_attention, _ = kept(model, lambda: model(**batch).loss)
    assert full - without_attention == 4 * positions * layers * 2 * BART["d_model"]
    freeze(model, ["feed_forward"])
    without_both, _ = kept(model, lambda: model(**batch).loss)
    assert without_attention - without_both == 4 * positions * layers * (BART["d_model"] + BART["decoder_ffn_dim"])


def test_dropout_is_the_same_whatever_is_frozen(tokenizer, batch):
    losses = []
    for frozen in ([], ["self_attention"], ["encoder", "embeddings"]):
        model = tiny_model("bart", tokenizer).train()
        freeze(model, frozen)
        torch.manual_seed(1)
        losses.append(model(**batch).loss.item())
    assert losses[0] == losses[1] == losses[2] != tiny_model("bart", tokenizer)(**batch).loss.item()
