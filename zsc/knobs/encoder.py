"""The encoder of a model: running it, and its states in the form in which a model takes them back."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from zsc.data.source import Source
from zsc.knobs.reading import Decoded, Reading


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
    return encoded(model, source.input_ids, source.attention_mask)


def encoded(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the encoder states (rows, positions, width) of tokens ``ids``, where ``mask`` is 1."""
    encoder: Any = model.get_encoder()
    return encoder(input_ids=ids, attention_mask=mask, return_dict=True).last_hidden_state


@torch.inference_mode()
def phrase_states(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the encoder states (rows, positions, width) of texts ``ids``, as wide as the decoder reads them."""
    states = encoded(model, ids, mask)
    projection = getattr(model, "enc_to_dec_proj", None)
    return states if projection is None else projection(states)


@dataclass(frozen=True, eq=False)
class EncoderReading(Reading):
    """The encoder ``states`` (rows, positions, width) of ``source``. Knobs of the decoder leave them as they are."""

    called: ClassVar[str] = "encoder states"

    model: PreTrainedModel
    source: Source
    states: torch.Tensor

    @property
    def before(self) -> int:
        return 0

    @property
    def nbytes(self) -> int:
        return self.states.nbytes

    def repeat(self, times: int) -> "EncoderReading":
        return replace(self, source=self.source.repeat(times), states=self.states.repeat(times, 1, 1))

    def afresh(self) -> "EncoderReading":
        return self

    def unsound(self) -> torch.Tensor:
        if bool(torch.isfinite(self.states.detach().amax() - self.states.detach().amin())):
            return torch.zeros(len(self.states), dtype=torch.bool)
        wrong = ~torch.isfinite(self.states).all(dim=-1) & self.source.attention_mask.bool()
        return wrong.any(dim=1)

    def generate(self, **options: Any) -> Any:
        generator: Any = self.model  # generate() comes with the concrete class
        config = options.get("generation_config")
        read = {"input_ids": self.source.input_ids} if getattr(config, "encoder_no_repeat_ngram_size", 0) else {}
        return generator.generate(
            **read,  # else of no use
            encoder_outputs=encoder_outputs(self.states),
            attention_mask=self.source.attention_mask,
            **options,
        )

    def decode(self, target_ids: torch.Tensor, attentions: bool = False, **more: Any) -> Decoded:
        output = self.model(
            encoder_outputs=encoder_outputs(self.states),
            attention_mask=self.source.attention_mask,
            decoder_input_ids=target_ids,
            use_cache=False,
            output_attentions=attentions,
            **more,
        )
        if not attentions:
            return Decoded(output.logits)
        return Decoded(output.logits, torch.stack(output.cross_attentions), torch.stack(output.decoder_attentions))
