"""The encoder of a model: running it, and its states in the form in which a model takes them back."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from zsc.data.source import Source


@dataclass
class EncoderOutputs(BaseModelOutput):
    """Encoder states alone. Mixtures of experts also look for the choices of the encoder's routers, which only a
    training loss reads."""

    router_logits: tuple[torch.Tensor, ...] | None = None


def encoder_outputs(states: torch.Tensor) -> EncoderOutputs:
    """Return what ``forward`` and ``generate`` of any encoder-decoder take as ``encoder_outputs``.

    ``states`` has the shape (batch, positions, width). ``generate`` expands the entries in place for beams: each call
    needs an object of its own.
    """
    return EncoderOutputs(last_hidden_state=states)


@torch.inference_mode()
def encode(model: PreTrainedModel, source: Source) -> torch.Tensor:
    """Return the encoder states (batch, positions, width) of ``source``."""
    encoder: Any = model.get_encoder()
    return encoder(input_ids=source.input_ids, attention_mask=source.attention_mask, return_dict=True).last_hidden_state
