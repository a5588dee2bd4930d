"""Which models knobs work on: families that were measured, and any other that passes the same check when it is used."""

import inspect
from weakref import WeakKeyDictionary

import torch
import transformers
from transformers import PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.anatomy import UnsupportedModel, decoder_layers, family, is_causal
from zsc.knobs.cache import cache_name
from zsc.knobs.contexts import ThreadConflict, unsteered
from zsc.knobs.encoder import encode
from zsc.knobs.repeated import FAULTS
from zsc.knobs.reweighted import CAUSAL_FAULTS, prompt_of
from zsc.knobs.steering import entered

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BACKENDS = ("eager", "sdpa")
MEASURED = frozenset((
    "bart", "mbart", "marian", "pegasus", "blenderbot", "blenderbot-small", "m2m_100", "plbart", "mvp", "pegasus_x",
    "bigbird_pegasus", "led", "nllb-moe", "t5", "mt5", "umt5", "longt5", "switch_transformers", "t5gemma", "t5gemma2",
    "seamless_m4t", "seamless_m4t_v2", "encoder-decoder bert", "encoder-decoder gpt2",
    "encoder-decoder bert-generation", "encoder-decoder roberta", "encoder-decoder bart",
))  # fmt: skip
MEASURED_WITH = ("5.23", "5.24")  # versions of transformers; with others, some families fail the check
REFUSED = {
    "fsmt": "FSMT leaves out its causal mask where it is given encoder states instead of text, so that its decoder sees"
    " later tokens.",
    "prophetnet": "the logits that ProphetNet gives a token depend on how many tokens it reads at once (transformers"
    " mixes up the relative positions of its predicting streams), so that no likelihood belongs to a response.",
}
MEASURED_CAUSAL = frozenset((  # decoders alone
    "llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "opt", "phi", "phi3",
    "smollm3",
))  # fmt: skip
OF_STEPS = {False: ("steps",), True: ("steps", "padding")}  # what must hold, by whether a model is a decoder alone
OF_WEIGHTS = {False: ("source", "past"), True: ("weights",)}
NEEDS_LANGUAGE = ("seamless_m4t", "seamless_m4t_v2")
_FAULTS: "WeakKeyDictionary[PreTrainedModel, dict[tuple[str, str], str | None]]" = WeakKeyDictionary()


def check_model(model: PreTrainedModel) -> None:
    """Raise UnsupportedModel unless ``model`` decodes soundly from what it has read of a source, the same step by step
    as all at once, and is told what language to write, if it must be."""
    name = type(model).__name__
    if model.get_output_embeddings() is None:
        raise UnsupportedModel(f"{name} says nothing: it has no output embeddings.")
    if not model.can_generate():
        raise UnsupportedModel(f"{name} does not write: load an encoder-decoder or a causal language model.")
    for one in model.parameters():
        if (one.is_floating_point() or one.is_complex()) and one.dtype not in DTYPES:
            known = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
            raise UnsupportedModel(f"{name} has weights of {one.dtype}, not of {known}: load it in one of these.")
    if (reason := REFUSED.get(family(model))) is not None:
        raise UnsupportedModel(f"{name} cannot be used: {reason}")
    depth, cached = len(decoder_layers(model)), model.config.get_text_config(decoder=True).num_hidden_layers
    if cached < depth:
        raise UnsupportedModel(
            f"{name} with a decoder deeper than its encoder cannot be used: transformers {transformers.__version__}"
            f" makes a cache of {cached} layers for its {depth}."
        )
    if family(model) in NEEDS_LANGUAGE and model.generation_config.forced_bos_token_id is None:
        raise UnsupportedModel(
            f"{name} is not told what language to write: set forced_bos_token_id in its generation_config.json to the"
            " number of the language's token, such as __eng__."
        )
    decoder = model.get_decoder()
    if getattr(decoder.config, "attn_logit_softcapping", None) and decoder.config._attn_implementation == "sdpa":
        raise UnsupportedModel(
            f"{name} caps its attention scores, which sdpa attention leaves out: load it with model.attention=eager."
        )
    for what in OF_STEPS[is_causal(model)]:
        _check(model, what)


def check_supported(model: PreTrainedModel) -> None:
    """Raise UnsupportedModel unless the attention of ``model`` takes weights.

    With a family or a version of transformers that was not measured it must pass the checks of
    :mod:`zsc.knobs.repeated`, or of :mod:`zsc.knobs.reweighted` for a decoder alone.
    """
    decoder = model.get_decoder()
    backend = decoder.config._attn_implementation
    if backend not in BACKENDS:
        raise UnsupportedModel(
            f"attention backend {backend!r} takes no additive mask: load with {' or '.join(BACKENDS)}."
        )
    check_model(model)
    parameters = inspect.signature(decoder.forward).parameters
    if not is_causal(model) and "encoder_attention_mask" not in parameters:
        raise UnsupportedModel(
            f"the decoder of {type(model).__name__} takes no encoder_attention_mask, so it cannot be biased."
        )
    cache_name(decoder)
    for what in OF_WEIGHTS[is_causal(model)]:
        _check(model, what)


def check_codes(model: PreTrainedModel) -> None:
    """Raise UnsupportedModel unless the attention of ``model`` takes weights, and codes in front of the source."""
    check_supported(model)
    if is_causal(model):
        _check(model, "codes")


def measured(model: PreTrainedModel) -> bool:
    """Say whether the family of ``model`` was measured with this version of transformers."""
    known = MEASURED_CAUSAL if is_causal(model) else MEASURED
    return family(model) in known and ".".join(transformers.__version__.split(".")[:2]) in MEASURED_WITH


def _check(model: PreTrainedModel, what: str) -> None:
    if measured(model):
        return
    known = _FAULTS.setdefault(model, {})
    key = (what, str(model.get_decoder().config._attn_implementation))
    if key not in known:
        known[key] = fault(model, what)
    if (reason := known[key]) is not None:
        raise UnsupportedModel(
            f"{type(model).__name__} ({family(model)}, {key[1]} attention) was not measured with transformers"
            f" {transformers.__version__}, and it fails a check: {reason.rstrip('.')}."
        )


def fault(model: PreTrainedModel, what: str) -> str | None:
    """Say what is wrong with ``model`` by one of :data:`zsc.knobs.repeated.FAULTS`, on made-up states, or of
    :data:`zsc.knobs.reweighted.CAUSAL_FAULTS`, on a made-up prompt.

    Knobs that are on do not count, unless they change the model itself.
    """
    try:
        with unsteered(), entered(model):
            if is_causal(model):
                return CAUSAL_FAULTS[what](model, *made_up_prompt(model))
            return FAULTS[what](model, *made_up(model))
    except ThreadConflict:
        raise
    except Exception as error:  # whatever a model that nobody tried may raise
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def fault_on(model: PreTrainedModel, what: str, source: Source) -> str | None:
    """As :func:`fault`, on ``source``, two rows at most. Raises ValueError where rounding may hide what is compared."""
    rows = len(source.input_ids)
    if is_causal(model):
        return CAUSAL_FAULTS[what](model, source, made_up_prompt(model)[1][:rows])
    return FAULTS[what](model, encode(model, source), source.attention_mask, made_up(model)[2][:rows])


def made_up(model: PreTrainedModel) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return encoder states (2, 8, width), their mask (2, 8) and what the decoder reads (2, 6), drawn at random."""
    generator = torch.Generator().manual_seed(0)
    width = model.get_encoder().config.get_text_config().hidden_size
    states = torch.randn(2, 8, width, generator=generator).to(model.device, model.dtype)
    mask = torch.ones(2, 8, dtype=torch.long, device=model.device)
    mask[1, 6:] = 0
    return states, mask, drawn_tokens(model, 12, generator).view(2, 6)


def made_up_prompt(model: PreTrainedModel) -> tuple[Source, torch.Tensor]:
    """Return a prompt (2, 8), padded on the left, and what follows it (2, 6), drawn at random."""
    tokens = drawn_tokens(model, 28, torch.Generator().manual_seed(0))
    return prompt_of(tokens[:16].view(2, 8), [8, 6]), tokens[16:].view(2, 6)


def drawn_tokens(model: PreTrainedModel, count: int, generator: torch.Generator) -> torch.Tensor:
    """Return ``count`` different tokens (count,) of ``model``, special ones aside."""
    vocabulary = model.get_decoder().get_input_embeddings().num_embeddings
    tokens = model.generation_config
    ends = tokens.eos_token_id if isinstance(tokens.eos_token_id, list) else [tokens.eos_token_id]
    special = {tokens.pad_token_id, tokens.bos_token_id, *ends}
    plain = torch.tensor([token for token in range(min(vocabulary, 1000)) if token not in special])
    return plain[torch.randperm(len(plain), generator=generator)[:count]].to(model.device)
