"""Rows of the decoder, each at a step of its own, for both kinds of models."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from transformers import EncoderDecoderCache, PreTrainedModel

from zsc.generation.room import ROOM
from zsc.generation.slots.holes import filled
from zsc.generation.slots.kept import Kept
from zsc.generation.slots.opened import Opened
from zsc.generation.slots.positions import replayed_positions
from zsc.generation.slots.shared import Groups, Sources, grouped, groups_of
from zsc.generation.slots.weights import CODES, Tables, Where, bias
from zsc.knobs.additions import Additions
from zsc.knobs.anatomy import decoder_layers, is_causal
from zsc.knobs.cache import cache_name
from zsc.knobs.encoder import EncoderReading, encoder_outputs
from zsc.knobs.prompt import accepted
from zsc.knobs.steering import steered


class Slots(ABC):
    """Up to ``capacity`` rows of ``model``, which say up to ``steps`` tokens each.

    ``tokens`` (capacity, 1 + steps) is what stands in each, the token that decoding starts from first, ``step``
    (capacity,) how many it has said. The first ``rows`` are in use. ``past`` is what of the decoder's own they keep.
    """

    past: Kept

    def __init__(self, model: PreTrainedModel, capacity: int, steps: int):
        device = model.device
        self.model, self.capacity, self.rows = model, capacity, 0
        self.tokens = torch.zeros(capacity, 1 + steps, dtype=torch.long, device=device)
        self.step = torch.zeros(capacity, dtype=torch.long, device=device)
        self.attended = torch.zeros(capacity, 0, dtype=torch.bool, device=device)  # of the source, right-aligned
        self.on_source, self.on_past = Tables(capacity), Tables(capacity)
        self.extents: list[int] = []  # how many columns of the source each row takes

    @abstractmethod
    def forward(self, tokens: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """Return the logits (rows, vocabulary) behind ``tokens`` (rows,) at ``steps`` (rows,)."""

    @abstractmethod
    def place(self, opened: Opened, places: torch.Tensor, job: int, numbers: torch.Tensor) -> None:
        """Write the keys of the rows ``numbers`` of ``opened``, under ``job``, to ``places``."""

    @abstractmethod
    def widen(self, columns: int) -> None:
        """Make room for sources of so many columns more."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """While the context is open, rows can be taken in and decoded."""
        yield

    def begin(self, opened: Opened, job: int, numbers: Sequence[int]) -> None:
        """Take in the rows ``numbers`` of ``opened`` under the knobs of ``job``."""
        device, source = self.tokens.device, opened.reading.source
        index = torch.tensor(numbers, device=device)
        places = torch.arange(self.rows, self.rows + len(numbers), device=device)
        codes = opened.codes[job]
        extra = 0 if codes is None else codes[0][0].shape[2]
        mask = torch.nn.functional.pad(source.attention_mask[index].bool(), (extra, 0), value=True)
        if (more := mask.shape[1] - self.attended.shape[1]) > 0:
            self.attended = torch.nn.functional.pad(self.attended, (more, 0))
            self.widen(more)
        self.attended[places] = False
        self.attended[places, -mask.shape[1] :] = mask
        self.tokens[places, 0] = opened.reading.begins[index]
        self.step[places] = 0
        rows = job * len(source.input_ids) + index
        own = {where: table[rows] for where, table in opened.weighted.on_source.items()}
        own = {where: torch.nn.functional.pad(table, (extra, 0), value=1.0) for where, table in own.items()}
        if extra:
            own[CODES] = strengths(opened, job, mask.shape[1])
        self.on_source.put(places, own)
        self.on_past.put(places, {where: table[rows] for where, table in opened.weighted.on_past.items()})
        self.rows += len(numbers)
        self.extents += [mask.shape[1]] * len(numbers)
        self.place(opened, places, job, index)

    def decode(self) -> torch.Tensor:
        """Return the logits (rows, vocabulary) of what comes next in every row."""
        steps = self.step[: self.rows]
        tokens = self.tokens[torch.arange(self.rows, device=steps.device), steps]
        return self.forward(tokens, steps)

    def past_weights(self, where: Where, steps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the weights (rows, columns) of what stands at ``targets`` (rows, columns), positions of what was said;
        those of columns before it mean nothing."""
        return self.on_past.at(where, steps, self.tokens.shape[1] - 1).gather(1, targets.clamp(min=0))

    def say(self, tokens: torch.Tensor) -> None:
        """Append ``tokens`` (rows,)."""
        self.step[: self.rows] += 1
        self.tokens[torch.arange(self.rows, device=tokens.device), self.step[: self.rows]] = tokens

    def end(self, ended: Sequence[int]) -> list[tuple[int, int]]:
        """Let the rows in the places ``ended`` go; return from where to where others moved into their places."""
        moved = filled(ended, self.rows)
        self.rows -= len(ended)
        if moved:
            source, target = pairs(moved, self.tokens.device)
            for one in (self.tokens, self.step, self.attended):
                one[target] = one[source]
            for tables in (self.on_source, self.on_past):
                tables.move(source, target)
            self.past.move(source, target)
            for a, b in moved:
                self.extents[b] = self.extents[a]
        del self.extents[self.rows :]
        return moved


def strengths(opened: Opened, job: int, columns: int) -> torch.Tensor:
    """Return the weights (1, 1, columns) of the codes of ``job``, 1 for the source behind them."""
    table = torch.ones(1, 1, columns, dtype=torch.float64)
    place = 0
    for code in reversed(opened.weighted.codes[job]):
        length = code.states.shape[1]
        table[:, :, place : place + length] = float(code.strength)
        place += length
    return table.to(opened.reading.source.input_ids.device)


def pairs(moved: Sequence[tuple[int, int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return from where, and to where, places ``moved``."""
    source, target = torch.tensor(moved, device=device).T
    return source, target


class SourceSlots(Slots):
    """Of an encoder-decoder: sources have keys of their own, which no step adds to. Where ``shares``, rows of one
    source have them in common."""

    def __init__(self, model: PreTrainedModel, capacity: int, steps: int, shares: bool):
        super().__init__(model, capacity, steps)
        layers = decoder_layers(model)
        self.past = Kept(len(layers), capacity, ROOM * steps)
        self.source = Kept(len(layers), capacity, 0, grows=False)
        self.cache = EncoderDecoderCache(self.past.cache, self.source.cache)
        self.cache.is_updated = dict.fromkeys(range(len(layers)), True)
        self.shares, self.sources = shares, Sources()
        self.groups: Groups | None = None
        self.attentions = [layer.component("cross_attention")[1] for layer in layers] if shares else []

    def widen(self, columns: int) -> None:
        self.source.widen(columns, len(self.sources.names))

    @contextmanager
    def running(self) -> Iterator[None]:
        with replayed_positions(self.model.get_decoder()) as self.replay:
            yield

    def place(self, opened: Opened, places: torch.Tensor, job: int, numbers: torch.Tensor) -> None:
        assert isinstance(opened.reading, EncoderReading)
        self.width = opened.reading.states.shape[2]
        codes = opened.codes[job]
        own = [(opened, number, id(codes), None if self.shares else object()) for number in numbers.tolist()]
        new = torch.tensor(self.sources.begin(own), dtype=torch.long, device=places.device)
        self.groups = None
        if not len(new):
            return
        first = len(self.sources.names) - len(new)
        free = torch.arange(first, len(self.sources.names), device=places.device)
        self.source.put(free, opened.keys, numbers[new])
        if codes is not None:
            self.source.put(free, codes, numbers[new], before=opened.keys[0][0].shape[2])

    def end(self, ended: Sequence[int]) -> list[tuple[int, int]]:
        moved = super().end(ended)
        if sources := self.sources.end(moved, self.rows):
            self.source.move(*pairs(sources, self.tokens.device))
        self.groups = None
        return moved

    def forward(self, tokens: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        if self.groups is None:
            self.groups = groups_of(self.sources.of, tokens.device)
        columns, said = max(self.extents), int(steps.max())
        self.source.show(len(self.sources.names), columns)
        self.past.show(self.rows, said)
        back = torch.arange(said + 1, device=steps.device) - (said - steps)[:, None]  # positions of each row's target
        added = Additions(
            cross=[bias(one, self.on_source.at(one, steps, columns)) for one in self.on_source.by_place],
            past=[bias(one, self.past_weights(one, steps, back)) for one in self.on_past.by_place],
        )
        states = self.source.like().expand(self.rows, columns, self.width)  # whose keys are there
        model: Any = self.model
        pad = model.generation_config.pad_token_id
        pads = torch.zeros_like(tokens, dtype=torch.bool) if pad is None else tokens == pad
        with (
            self.replay.at(steps, pads),
            steered(model, added) if added else nullcontext(),
            nullcontext() if self.groups.alone else grouped(self.attentions, self.groups),
        ):
            output = model(
                encoder_outputs=encoder_outputs(states),
                attention_mask=self.attended[: self.rows, -columns:].long(),
                decoder_input_ids=tokens[:, None],
                decoder_attention_mask=(back >= 0).long(),
                use_cache=True,
                **{cache_name(model): self.cache},
            )
        self.past.advance()
        return output.logits[:, -1]


class PromptSlots(Slots):
    """Of a decoder alone: the prompt stands in front of what was said."""

    def __init__(self, model: PreTrainedModel, capacity: int, steps: int):
        super().__init__(model, capacity, steps)
        self.past = Kept(len(decoder_layers(model)), capacity, ROOM * steps)
        self.cache = self.past.cache
        self.positions = torch.zeros(capacity, dtype=torch.long, device=model.device)  # of the last token of prompts

    def widen(self, columns: int) -> None:
        self.past.widen(columns, self.rows)

    def place(self, opened: Opened, places: torch.Tensor, job: int, numbers: torch.Tensor) -> None:
        width = opened.keys[0][0].shape[2]
        codes = opened.codes[job]
        self.past.reach(width + (0 if codes is None else codes[0][0].shape[2]))
        self.past.put(places, opened.keys, numbers)
        if codes is not None:
            self.past.put(places, codes, numbers, before=width)
        self.positions[places] = opened.reading.source.attention_mask[numbers].sum(dim=1) - 1

    def end(self, ended: Sequence[int]) -> list[tuple[int, int]]:
        moved = super().end(ended)
        for source, target in moved:
            self.positions[target] = self.positions[source]
        return moved

    def forward(self, tokens: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        taken = [extent - 1 + step for extent, step in zip(self.extents, steps.tolist(), strict=True)]
        self.past.show(self.rows, max(taken))
        target = torch.arange(max(taken) + 1, device=steps.device) - (max(taken) - steps)[:, None]
        source = target + self.attended.shape[1] - 1  # which has the last token of the prompt in common with the target
        within = (source >= 0) & (target <= 0)
        source = source.clamp(0, self.attended.shape[1] - 1)

        def on_source(where: Where) -> torch.Tensor:
            found = self.on_source.at(where, steps, self.attended.shape[1])
            return torch.where(within, found.gather(1, source), 1.0)

        def on_past(where: Where) -> torch.Tensor:
            return torch.where(target >= 0, self.past_weights(where, steps, target), 1.0)

        weights = [(where, on_source(where)) for where in self.on_source.by_place]
        weights += [(where, on_past(where)) for where in self.on_past.by_place]
        added = Additions(past=[bias(where, one) for where, one in weights], prompt=1)
        visible = (target > 0) | (within & self.attended[: self.rows].gather(1, source))
        model: Any = self.model
        with steered(model, added) if added else nullcontext():
            output = model(
                input_ids=tokens[:, None],
                attention_mask=visible.long(),
                use_cache=True,
                **accepted(model, position_ids=(self.positions[: self.rows] + steps)[:, None], logits_to_keep=1),
                **{cache_name(model): self.cache},
            )
        self.past.advance()
        return output.logits[:, -1]


def slots_of(model: PreTrainedModel, capacity: int, steps: int, shares: bool) -> Slots:
    return PromptSlots(model, capacity, steps) if is_causal(model) else SourceSlots(model, capacity, steps, shares)
