"""The encoder of a model: running it, and its states in the form in which a model takes them back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from typing import Any, ClassVar

import torch
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from zsc.data.source import Source
from zsc.knobs.additions import Additions
from zsc.knobs.cache import cache_name, new_cache
from zsc.knobs.masks import Code
from zsc.knobs.reading import Decoded, KeysAndValues, Reading, side_by_side
from zsc.knobs.steering import steered


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


def start_token(model: PreTrainedModel) -> int:
    """Return the token from which the decoder of ``model`` starts: one of its own, or that for beginnings."""
    own = model.generation_config
    start: int = own.bos_token_id if own.decoder_start_token_id is None else own.decoder_start_token_id
    return start


def cache_of(known: KeysAndValues) -> EncoderDecoderCache:
    """Return a cache that holds the keys and values of the source alone."""
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    for number, (keys, values) in enumerate(known):
        cache.cross_attention_cache.update(keys, values, number)
        cache.is_updated[number] = True
    return cache


@dataclass(frozen=True, eq=False)
class EncoderReading(Reading):
    """The encoder ``states`` (rows, positions, width) of ``source``, which knobs of the decoder leave as they are, and,
    where it is ``known``, what the unmodified decoder makes of them."""

    called: ClassVar[str] = "encoder states"

    model: PreTrainedModel
    source: Source
    states: torch.Tensor
    known: KeysAndValues | None = None

    @property
    def before(self) -> int:
        return 0

    @property
    def nbytes(self) -> int:
        return self.states.nbytes

    def repeat(self, times: int) -> "EncoderReading":
        return replace(self, source=self.source.repeat(times), states=self.states.repeat(times, 1, 1), known=None)

    def select(self, rows: Sequence[int]) -> "EncoderReading":
        own = list(rows)
        known = None if self.known is None else [(keys[own], values[own]) for keys, values in self.known]
        return replace(self, source=self.source.select(rows), states=self.states[own], known=known)

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
        begun = {} if self.known is None or attentions else {cache_name(self.model): cache_of(self.known)}
        output = self.model(
            encoder_outputs=encoder_outputs(self.states),
            attention_mask=self.source.attention_mask,
            decoder_input_ids=target_ids,
            use_cache=bool(begun),
            output_attentions=attentions,
            **begun,
            **more,
        )
        if not attentions:
            return Decoded(output.logits)
        return Decoded(output.logits, torch.stack(output.cross_attentions), torch.stack(output.decoder_attentions))

    def keys(self, codes: Sequence[Sequence[Code]]) -> tuple[KeysAndValues, list[KeysAndValues | None]]:
        model = self.model
        every: list[Code] = []
        for own in codes:
            for code in own:
                if not any(torch.equal(code.states, one.states) for one in every):
                    every.append(replace(code, strength=1.0))
        new: Any = new_cache(model)
        with steered(model, Additions(codes=every)):
            model(
                encoder_outputs=encoder_outputs(self.states),
                attention_mask=self.source.attention_mask,
                decoder_input_ids=self.begins[:, None],
                use_cache=True,
                **{cache_name(model): new},
            )
        read = [(layer.keys, layer.values) for layer in new.cross_attention_cache.layers]
        first = sum(code.states.shape[1] for code in every)
        ends = [0, *accumulate(code.states.shape[1] for code in every)]  # counted from the source leftwards

        def number(code: Code) -> int:
            return next(i for i, one in enumerate(every) if torch.equal(one.states, code.states))

        @cache
        def joined(numbers: tuple[int, ...]) -> KeysAndValues | None:
            return side_by_side([of(one) for one in reversed(numbers)])

        def of(one: int) -> KeysAndValues:
            rows, place = len(every[one].states), slice(first - ends[one + 1], first - ends[one])
            return [(keys[:rows, :, place], values[:rows, :, place]) for keys, values in read]

        return (
            [(keys[:, :, first:], values[:, :, first:]) for keys, values in read],
            [joined(tuple(number(code) for code in own)) for own in codes],
        )

    @property
    def begins(self) -> torch.Tensor:
        return torch.full((len(self.states),), start_token(self.model), device=self.states.device)
