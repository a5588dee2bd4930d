"""The two kinds of models, encoder-decoders and language models that are a decoder alone, and how each is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from zsc.errors import ZscError


@dataclass(frozen=True)
class Kind:
    """Models of one kind: the class ``auto`` reads them; ``required`` are the fields of special tokens that they cannot
    do without and what each is for; sources are padded on the ``side``, with the end token where no other is named if
    ``end_pads``."""

    auto: Any
    required: Mapping[str, str]
    side: str
    end_pads: bool

    def prepare(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Let ``tokenizer`` pad as models of this kind are read."""
        tokenizer.padding_side = self.side
        if self.end_pads and tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token


ENCODER_DECODER = Kind(
    AutoModelForSeq2SeqLM,
    {
        "pad_token_id": "padding token",
        "eos_token_id": "end token",
        "decoder_start_token_id": "token that the decoder starts from",
    },
    side="right",
    end_pads=False,
)
CAUSAL = Kind(AutoModelForCausalLM, {"eos_token_id": "end token"}, side="left", end_pads=True)


def kind_of(config: PreTrainedConfig, what: str) -> Kind:
    """Return the kind of the model with ``config``. Raises ZscError, which begins with ``what``, for any other model.

    An encoder, such as BERT, is in the library's list of causal models too, but is one only if told to be a decoder.
    """
    if config.is_encoder_decoder:
        return ENCODER_DECODER
    encoder = type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False)
    if encoder or type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ZscError(
            f"{what} ({config.model_type}) is not an encoder-decoder, and not a causal language model: zsc steers what"
            " models attend to while they write."
        )
    return CAUSAL


def reading_embeddings(model: PreTrainedModel) -> Any:
    """Return the embeddings that sources are read by: those of the encoder, if ``model`` has one."""
    reader: nn.Module = model.get_encoder() if model.config.is_encoder_decoder else model
    return reader.get_input_embeddings()  # type: ignore[operator]
