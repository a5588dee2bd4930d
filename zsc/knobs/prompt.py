"""The prompt of a decoder alone: its keys and values, read once and by the unmodified model, and masks behind them.

A response begins at the last token of the prompt, step 0, whose query chooses the first token of the response, as that
of the start token does in an encoder-decoder. What stands before it is read without knobs, so that its keys and values
are the same under all of them. In one softmax, each query from step 0 on attends to

    [code of knob C] [prompt: positions 0 .. P-1] [response: target positions 1 ..]

Weights on the source count for the keys of the P prompt positions, weights on the past for those of target positions;
the last prompt token, which is position 0 of the target too, has both.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch.nn.functional import pad
from transformers import Cache, DynamicCache, PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.anatomy import UnsupportedModel, decoder_layers
from zsc.knobs.cache import cache_name, returned_cache
from zsc.knobs.masks import Code
from zsc.knobs.prompt_masks import keys_and_values, parameters
from zsc.knobs.reading import Decoded, KeysAndValues, Reading, side_by_side


@dataclass(frozen=True, eq=False)
class PromptReading(Reading):
    """What ``model`` has cached of ``source``, padded on the left, but its last token; nothing where ``cache`` is None.

    The cache is never written to: each use has a copy that shares its tensors.
    """

    called: ClassVar[str] = "keys and values"

    model: PreTrainedModel
    source: Source
    cache: Cache | None

    @property
    def before(self) -> int:
        return self.source.input_ids.shape[1] - 1

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for layer in _layers(self.cache) for tensor in (layer.keys, layer.values))

    def repeat(self, times: int) -> "PromptReading":
        cache = None if self.cache is None else _copy(self.cache, lambda one: one.repeat(times, 1, 1, 1))
        return replace(self, source=self.source.repeat(times), cache=cache)

    def select(self, rows: Sequence[int]) -> "PromptReading":
        cache = None if self.cache is None else _copy(self.cache, lambda one: one[list(rows)])
        return replace(self, source=self.source.select(rows), cache=cache)

    def afresh(self) -> "PromptReading":
        return replace(self, cache=None)

    def unsound(self) -> torch.Tensor:
        attended = self.source.attention_mask.bool()
        wrong = torch.zeros(len(attended), dtype=torch.bool, device=attended.device)
        for layer in _layers(self.cache):
            for tensor in (layer.keys, layer.values):
                if not bool(torch.isfinite(tensor.amax() - tensor.amin())):
                    kept = attended[:, :-1][:, -tensor.shape[2] :]
                    wrong |= (~torch.isfinite(tensor).all(dim=-1).all(dim=1) & kept).any(dim=1)
        return wrong

    def generate(self, **options: Any) -> Any:
        generator: Any = self.model  # generate() comes with the concrete class
        config = options["generation_config"]
        begun, source = {}, self.source
        if self.cache is not None and options.get("use_cache", config.use_cache):
            begun[cache_name(self.model)] = cache = _copy(self.cache)
            if config.num_beams > 1:  # which the library repeats of everything else
                cache.batch_repeat_interleave(config.num_beams)
        output = generator.generate(
            input_ids=source.input_ids, attention_mask=source.attention_mask, **begun, **options
        )
        if isinstance(output, torch.Tensor):
            return output[:, self.before :]
        output.sequences = output.sequences[:, self.before :]
        return output

    def decode(self, target_ids: torch.Tensor, attentions: bool = False, **more: Any) -> Decoded:
        source, steps = self.source, target_ids.shape[1]
        shown = pad(source.attention_mask, (0, steps - 1), value=1)
        cache = self._whole() if attentions else self.cache
        begun: dict[str, Any] = {}
        if cache is None:
            target_ids = torch.cat([source.input_ids[:, :-1], target_ids], dim=1)
        else:
            begun = {cache_name(self.model): _copy(cache)}
        output = self.model(
            input_ids=target_ids,
            attention_mask=shown,
            use_cache=bool(begun),
            output_attentions=attentions,
            **accepted(self.model, position_ids=position_ids(shown)[:, -target_ids.shape[1] :], logits_to_keep=steps),
            **begun,
            **more,
        )
        logits = output.logits[:, -steps:]
        if not attentions:
            return Decoded(logits)
        shares = torch.stack([layer[:, :, -steps:] for layer in output.attentions])
        behind = shares.shape[-1] - (steps - 1)  # the source
        return Decoded(logits, shares[..., :behind], shares[..., behind:])

    @property
    def begins(self) -> torch.Tensor:
        return self.source.input_ids[:, -1]

    def keys(self, codes: Sequence[Sequence[Code]]) -> tuple[KeysAndValues, list[KeysAndValues | None]]:
        cache = _cached_prompt(self.model, self.source) if self.cache is None else self.cache
        read = [(layer.keys, layer.values) for layer in _layers(cache)]

        def of(code: Code) -> KeysAndValues:
            parts = zip(code.states.chunk(len(read), dim=-1), read, strict=True)
            return [keys_and_values(states, keys) for states, (keys, _) in parts]

        return read, [side_by_side([of(code) for code in reversed(own)]) for own in codes]

    def _whole(self) -> Cache | None:
        """Return the cache, read now if there is none, without which a pass over the whole prompt holds attention that
        grows with the square of its length; None if a layer keeps less than all positions (a sliding window)."""
        if not self.before:
            return None
        cache = _cached_prompt(self.model, self.source) if self.cache is None else self.cache
        return cache if all(layer.keys.shape[2] == self.before for layer in _layers(cache)) else None


def read_prompt(model: PreTrainedModel, source: Source) -> PromptReading:
    """Return ``source`` as ``model`` reads it, up to its last token. Raises ValueError where it does not end with text.

    ``source`` must be padded on the left: the last position of every row is attended to.
    """
    if not bool(source.attention_mask[:, -1].all()):
        raise ValueError("a decoder alone goes on from the end of its prompt: pad the source on the left.")
    read = source.input_ids.shape[1] > 1
    return PromptReading(model, source, _cached_prompt(model, source) if read else None)


def _cached_prompt(model: PreTrainedModel, source: Source) -> Cache:
    before = source.attention_mask[:, :-1]
    return cached(model, source.input_ids[:, :-1], before, position_ids(before), None)


@torch.inference_mode()
def cached(
    model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, places: torch.Tensor, cache: Cache | None
) -> Cache:
    """Return the cache that ``model`` makes of tokens ``ids`` (rows, positions), or the ``cache`` that it fills."""
    output = model(
        input_ids=ids,
        attention_mask=mask,
        use_cache=True,
        **accepted(model, position_ids=places, logits_to_keep=1),
        **({} if cache is None else {cache_name(model): cache}),
    )
    made = returned_cache(output)
    if not isinstance(made, Cache):
        raise UnsupportedModel(f"{type(model).__name__} keeps no cache of keys and values for its prompt.")
    return made


def position_ids(mask: torch.Tensor) -> torch.Tensor:
    """Return the positions of tokens counted over those whose ``mask`` (rows, positions) is 1, as ``generate`` does."""
    return (mask.long().cumsum(dim=-1) - 1).masked_fill(mask == 0, 0)


def accepted(model: PreTrainedModel, **arguments: Any) -> dict[str, Any]:
    """Return those of ``arguments`` that the forward of ``model`` takes."""
    return {name: value for name, value in arguments.items() if name in parameters(type(model).forward)}


def _layers(cache: Cache | None) -> list[Any]:
    """Return the layers that hold keys and values."""
    layers: list[Any] = [] if cache is None else cache.layers
    return [layer for layer in layers if layer.is_initialized]


def _copy(cache: Cache, change: Callable[[torch.Tensor], torch.Tensor] = lambda one: one) -> Cache:
    """Return a cache with what ``change`` makes of the tensors of ``cache``, by default the same ones."""
    second = copy.copy(cache)
    second.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in _layers(second):
        layer.keys, layer.values = change(layer.keys), change(layer.values)
    return second


@torch.inference_mode()
def phrase_states(
    model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, opening: Sequence[int] = ()
) -> torch.Tensor:
    """Return keys and values (rows, positions, width) of texts ``ids``, which are padded on the right, layer by layer.

    Each is read behind the tokens of an ``opening``. The texts stand right before the prompt: where positions are
    rotated into keys, the longest has the positions from minus its length to -1; where they are embedded, the first
    ones that there are behind the opening.
    """
    before = torch.tensor([list(opening)] * len(ids), dtype=ids.dtype, device=ids.device)
    ids = torch.cat([before, ids], dim=1)
    mask = torch.cat([mask.new_ones(before.shape), mask], dim=1)
    length = ids.shape[1]
    first = -length if rotates(model) else 0
    places = torch.arange(first, first + length, device=ids.device).expand(len(ids), -1)
    layers = _layers(cached(model, ids, mask, places, DynamicCache()))
    if len(layers) != len(decoder_layers(model)) or any(layer.keys.shape[2] != length for layer in layers):
        raise UnsupportedModel(f"{type(model).__name__} does not keep keys and values of its own for every layer.")
    parts = [one.transpose(1, 2).flatten(2) for layer in layers for one in (layer.keys, layer.values)]
    return torch.cat(parts, dim=-1)[:, len(opening) :]


def rotates(model: PreTrainedModel) -> bool:
    """Say whether ``model`` computes its positions (rotary embeddings), so that they may lie before 0."""
    return any(name.rpartition(".")[2] == "rotary_emb" for name, _ in model.get_decoder().named_modules())
