"""What cannot be right with a decoder alone is refused, and a family not measured unless it passes a check."""

from dataclasses import replace
from functools import wraps
from types import SimpleNamespace

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    CodeGenConfig,
    MambaConfig,
    MptConfig,
)

from tests.causal import NAMED, PROMPTS, VOCABULARY, code, self_attentions, tiny_causal
from tests.families import BERT, draw_weights
from zsc.knobs import AttentionBias, SelfAttentionBias, UnsupportedModel, apply, supported
from zsc.knobs.prompt_masks import PromptMask
from zsc.knobs.read import read
from zsc.knobs.supported import MEASURED_CAUSAL, check_model, check_supported, measured

ON = [AttentionBias("knowledge", 5.0), SelfAttentionBias("uniform", 5.0), code()]


@pytest.fixture
def unmeasured(monkeypatch):
    monkeypatch.setattr(supported, "MEASURED_CAUSAL", frozenset())


def test_the_families_measured_are_those_of_these_tests():
    assert set(NAMED) == MEASURED_CAUSAL


@pytest.mark.parametrize("knob", ON, ids=lambda knob: type(knob).__name__)
def test_a_prompt_that_is_not_given(knob):
    model = tiny_causal("llama")
    for open_it in (lambda: apply(model, [knob]).__enter__(), lambda: knob.check(model, None)):
        with pytest.raises(ValueError, match=r"needs the source.*: apply\(model, knobs, source\)"):
            open_it()


def test_a_prompt_padded_on_the_right():
    turned = replace(PROMPTS, **{n: getattr(PROMPTS, n).flip(1) for n in ("input_ids", "attention_mask", "segments")})
    with pytest.raises(ValueError, match="goes on from the end of its prompt: pad the source on the left"):
        read(tiny_causal("llama"), turned)


def test_knobs_for_prompts_of_different_lengths():
    model, shorter = tiny_causal("llama"), replace(PROMPTS, **{
        name: getattr(PROMPTS, name)[:, 2:] for name in ("input_ids", "attention_mask", "segments")
    })  # fmt: skip
    with (
        apply(model, [ON[1]], PROMPTS),
        apply(model, [SelfAttentionBias("recent", 3.0)], shorter),
        pytest.raises(ValueError, match=r"prompts of different lengths, \['10', '12'\]"),
    ):
        model(PROMPTS.input_ids)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (BertModel, "BertModel says nothing"),
        (BertForMaskedLM, "BertForMaskedLM does not write: load an encoder-decoder"),
    ],
)
def test_encoders_alone(kind, message):
    encoder = kind(BertConfig(hidden_size=32, vocab_size=VOCABULARY, **BERT)).eval()
    with pytest.raises(UnsupportedModel, match=message):
        ON[0].check(encoder, PROMPTS)


@pytest.mark.parametrize("knob", ON, ids=lambda knob: type(knob).__name__)
def test_a_cache_of_fixed_size(knob):
    model = tiny_causal("llama")
    inputs = {"input_ids": PROMPTS.input_ids, "attention_mask": PROMPTS.attention_mask}
    with (
        apply(model, [knob], PROMPTS),
        pytest.raises(ValueError, match="a cache that grows: leave cache_implementation"),
    ):
        model.generate(**inputs, max_new_tokens=3, cache_implementation="static", disable_compile=True)


@pytest.mark.parametrize("family", ["llama", "olmo2"])
def test_flash_attention(family):
    model = tiny_causal(family)
    model.get_decoder().config._attn_implementation = "flash_attention_2"
    with pytest.raises(UnsupportedModel, match="'flash_attention_2' takes no additive mask: load with eager or sdpa"):
        check_supported(model)


def test_caps_that_sdpa_attention_leaves_out():
    model = tiny_causal("gemma2")
    model.get_decoder().config._attn_implementation = "sdpa"
    with pytest.raises(UnsupportedModel, match=r"Gemma2.* caps its attention scores, .* model.attention=eager"):
        check_model(model)


OTHERS = {
    "mpt": (MptConfig(d_model=32, n_heads=4, n_layers=2, vocab_size=VOCABULARY), "leave row 0 no prompt position"),
    "codegen": (
        CodeGenConfig(n_embd=32, n_layer=2, n_head=4, rotary_dim=4, n_positions=99, vocab_size=VOCABULARY),
        "attention in layer 0 is not that which the weights make of it",
    ),
    "mamba": (
        MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=4, vocab_size=VOCABULARY),
        "keeps no cache of",
    ),
}


@pytest.mark.parametrize("family", OTHERS)
def test_families_that_fail(family):
    config, reason = OTHERS[family]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    draw_weights(model)
    with pytest.raises(
        UnsupportedModel, match=rf"\({family}, eager attention\) was not measured .* a check: .*{reason}"
    ):
        check_supported(model)


def test_attention_that_the_library_returns_wrongly():
    """With sdpa, Falcon adds its boolean mask to the scores where attention is asked for: no knob could be measured."""
    check_supported(tiny_causal("falcon", "eager"))
    with pytest.raises(
        UnsupportedModel, match=r"sdpa attention.* attention in layer 0 is not that which the weights make"
    ):
        check_supported(tiny_causal("falcon", "sdpa"))


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral"])
def test_a_family_not_measured_is_used_once_it_passes(family, backend, unmeasured):
    model = tiny_causal(family, backend)
    assert not measured(model)
    check_supported(model)
    assert {what for what, _ in supported._FAULTS[model]} == {"steps", "padding", "weights"}


def with_mask(kwargs, change, of_booleans=lambda mask: mask):
    mask = kwargs.get("attention_mask")
    if mask is None:
        return kwargs
    return kwargs | {"attention_mask": (of_booleans if mask.dtype == torch.bool else change)(mask)}


def without_weights(kwargs):
    return with_mask(kwargs, lambda mask: mask.masked_fill(mask > -1e4, 0))


def with_squared_weights(kwargs):
    return with_mask(kwargs, lambda mask: (2 * mask).clamp(min=torch.finfo(mask.dtype).min))


def without_mask(kwargs):
    return with_mask(kwargs, torch.zeros_like, torch.ones_like)


def without_mask_at_steps(kwargs):
    return kwargs | {"attention_mask": None} if kwargs["hidden_states"].shape[1] == 1 else kwargs


def failing(kwargs):
    raise ZeroDivisionError("an error of its own")


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without_weights, "attention in layer 0 is not that which the weights make of it"),
        (without_mask, "logits depend on later tokens"),
        (without_mask_at_steps, "steps with a cache do not give what they give without"),
        (with_squared_weights, "attention in layer 0 is not that which the weights make of it"),
        (failing, "ZeroDivisionError: an error of its own"),
    ],
)
def test_a_family_not_measured_is_refused_if_its_attention_is_another(change, reason, backend, unmeasured):
    model = tiny_causal("llama", backend)
    for module in self_attentions(model):
        alter(module, change)
    with pytest.raises(UnsupportedModel, match=f"(?s)was not measured with transformers .*{reason}"):
        check_supported(model)


def alter(module, change):
    """Let ``module`` change the arguments it is given by name."""
    forward = module.forward
    module.forward = wraps(forward)(lambda *args, **kwargs: forward(*args, **change(kwargs)))


def test_a_backend_that_is_not_as_the_eager_one(unmeasured):
    """What eager attention makes of weights says nothing of another that loses them."""
    model = tiny_causal("llama", "sdpa")
    for module in self_attentions(model):
        config = module.config
        alter(
            module,
            lambda kwargs, config=config: kwargs if config._attn_implementation == "eager" else without_weights(kwargs),
        )
    check_model(model)
    with pytest.raises(UnsupportedModel, match="weights do not give what they give with eager attention"):
        check_supported(model)


def test_weights_that_are_lost_where_nothing_is_padded(unmeasured, monkeypatch):
    """Where no token is hidden, sdpa attention is given no mask that weights could be added to."""
    true = PromptMask.__call__
    monkeypatch.setattr(PromptMask, "__call__", lambda self, own: own if own is None else true(self, own))
    check_supported(tiny_causal("llama", "eager"))
    with pytest.raises(UnsupportedModel, match=r"weights do not give the same where nothing is padded|later tokens"):
        check_supported(tiny_causal("llama", "sdpa"))


def test_positions_that_count_the_padding(unmeasured):
    """A decoder that drops its positions and counts all tokens gives a padded prompt another meaning."""
    model = tiny_causal("gpt2")
    alter(model.get_decoder(), lambda kwargs: kwargs | {"position_ids": None})
    with pytest.raises(UnsupportedModel, match="a padded prompt does not give what it gives alone"):
        check_model(model)


def test_other_versions_of_the_library_are_checked_too(monkeypatch):
    model = tiny_causal("llama")
    for module in self_attentions(model):
        alter(module, without_mask)
    if measured(model):
        check_model(model)
    monkeypatch.setattr(supported, "transformers", SimpleNamespace(__version__="5.99.0"))
    with pytest.raises(UnsupportedModel, match=r"5\.99\.0, and it fails a check: logits depend on later"):
        check_model(model)
