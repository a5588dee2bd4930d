"""An encoder-decoder put together from two models: an encoder, and a causal language model as its decoder [I, D].

The language model brings its self-attention, feed-forward, norms and embeddings. Cross-attention is new, and has to be
trained; so has the norm behind it in families that normalise after each module (BART), which a language model skips.
"""

from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    EncoderDecoderModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING

from zsc.errors import ZscError, first_line
from zsc.knobs.anatomy import decoder_layers
from zsc.knobs.parameters import component_parameters
from zsc.models.files import find_checkpoint
from zsc.models.intact import check_files
from zsc.models.load import Loaded, load_model, silence_library
from zsc.models.pretrained import read_config, read_model, read_tokenizer


def assembled(checkpoint: str, language_model: str) -> Loaded:
    """Return the encoder of ``checkpoint`` with the decoder of ``language_model``, its cross-attention drawn anew.

    ``checkpoint`` is an encoder-decoder whose decoder and embeddings are of the language model's kind (see
    :mod:`zsc.training.language_model`), or an encoder, such as BERT or RoBERTa, which makes an
    :class:`transformers.EncoderDecoderModel` with a vocabulary for each side. Raises ZscError if the two do not fit.
    """
    silence_library()
    folders = [find_checkpoint(name) for name in (checkpoint, language_model)]
    names = [f"model {checkpoint}", f"objective.language_model={language_model}"]
    for folder, name in zip(folders, names, strict=True):
        check_files(folder, name)
    kinds = [read_config(folder, name) for folder, name in zip(folders, names, strict=True)]
    if kinds[1].is_encoder_decoder:
        raise ZscError(f"objective.language_model={language_model} is an encoder-decoder, not a causal language model.")
    # an encoder that becomes a decoder may have no output projection, which then trains with the rest
    head = () if kinds[0].is_encoder_decoder else ("cls.", "lm_head.")
    decoder = read_model(AutoModelForCausalLM, folders[1], names[1], unread=head, dtype=torch.float32)
    try:
        if kinds[0].is_encoder_decoder:
            loaded = load_model(checkpoint, device="cpu")
            graft(loaded.model, decoder)
            return loaded
        return joined(checkpoint, language_model)
    except (OSError, ValueError, SafetensorError) as error:
        raise ZscError(f"{checkpoint} and objective.language_model={language_model}: {first_line(error)}") from error


def graft(model: PreTrainedModel, language_model: PreTrainedModel) -> None:
    """Give the decoder of ``model`` the weights of ``language_model``, and new ones for its cross-attention.

    Raises ValueError, and changes nothing, unless both decoders are of one kind and shape and read the same token
    embeddings, which the encoder and the output projection share.
    """
    own, theirs = model.get_decoder(), language_model.get_decoder()
    if type(own) is not type(theirs):
        raise ValueError(
            f"a {type(theirs).__name__} cannot take the place of a {type(own).__name__}. Take an encoder such as"
            " roberta-base as the checkpoint, or train a language model with objective=language_model."
        )
    fresh = dict(AutoModelForSeq2SeqLM.from_config(model.config).get_decoder().named_parameters())
    given = dict(theirs.named_parameters())
    cross = component_parameters(model, "cross_attention")
    values = {name: (fresh if name in cross else given).get(name) for name, _ in own.named_parameters()}
    tokens: Any = model.get_input_embeddings().weight
    if tokens is not own.get_input_embeddings().weight or tokens is not model.get_output_embeddings().weight:
        raise ValueError(f"the embeddings and the output projection of this {type(model).__name__} are not tied.")
    if beyond := next((name for name in given if name not in values), None):
        raise ValueError(f"the decoder has no {beyond}, which the language model has.")
    for name, parameter in own.named_parameters():
        value = values[name]
        if value is None or value.shape != parameter.shape:
            raise ValueError(f"the language model has no {name} of shape {tuple(parameter.shape)}.")
        if parameter is tokens and not torch.equal(value, parameter):
            raise ValueError(
                "the language model has other token embeddings than the encoder. Train one with"
                " objective=language_model and objective.checkpoint as here."
            )
    own.load_state_dict({name: value.detach() for name, value in values.items() if value is not None}, strict=False)


def joined(encoder: str, language_model: str) -> Loaded:
    """Return an EncoderDecoderModel of two checkpoints, each with its own tokenizer. Raises ValueError if the first is
    no encoder."""
    folders = [find_checkpoint(name) for name in (encoder, language_model)]
    kind = read_config(folders[0], f"model {encoder}")
    if type(kind) not in MODEL_FOR_MASKED_LM_MAPPING or kind.is_decoder or hasattr(kind, "decoder_layers"):
        raise ValueError(f"{encoder} ({kind.model_type}) is no encoder, such as BERT or RoBERTa.")
    own = read_model(AutoModel, folders[0], f"model {encoder}", unread=("pooler.",), heads=True, dtype=torch.float32)
    model: PreTrainedModel = EncoderDecoderModel.from_encoder_decoder_pretrained(
        None, str(folders[1]), encoder_model=own, decoder_dtype=torch.float32, decoder_trust_remote_code=False
    )
    source = read_tokenizer(folders[0], f"model {encoder}")
    target = read_tokenizer(folders[1], f"objective.language_model={language_model}")
    complete(target, language_model)
    if (pooler := getattr(model.get_encoder(), "pooler", None)) is not None:  # which a decoder never reads
        pooler.requires_grad_(False)
    for config in (model.config, model.generation_config):
        config.decoder_start_token_id, config.eos_token_id = target.bos_token_id, target.eos_token_id
        config.pad_token_id = target.pad_token_id
    return Loaded(model, source, target, "")


def complete(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Give ``tokenizer`` a begin, an end and a padding token among those it has. Raises ZscError if it has none."""
    tokenizer.eos_token = tokenizer.eos_token or tokenizer.sep_token
    if tokenizer.eos_token is None:
        raise ZscError(f"the tokenizer of objective.language_model={name} has no end token.")
    tokenizer.bos_token = tokenizer.bos_token or tokenizer.cls_token or tokenizer.eos_token
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token


def new_parameters(model: PreTrainedModel) -> list[torch.nn.Parameter]:
    """Return what is new in a model that was put together and makes no sense untrained: cross-attention, a projection
    between two widths, and the norm behind cross-attention where that is on the way of every state.

    So it is in families without a norm after the last layer: there a layer norm comes after each module.
    """
    modules = [getattr(model, "enc_to_dec_proj", None)]
    if not hasattr(model.get_decoder(), "layer_norm"):
        modules += [getattr(layer.module, "encoder_attn_layer_norm", None) for layer in decoder_layers(model)]
    beside = [parameter for module in modules if module is not None for parameter in module.parameters()]
    return [*component_parameters(model, "cross_attention").values(), *beside]
