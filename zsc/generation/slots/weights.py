"""The weights that knobs give each row at each of its steps, computed once for a batch and looked up from then on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.additions import united
from zsc.knobs.base import AdditiveKnob, Knob
from zsc.knobs.masks import Bias, Code
from zsc.knobs.stack import stacked_biases

Where = tuple[tuple[int, ...] | None, tuple[bool, ...] | None, int]  # layers, heads, and which of several biases there
CODES: Where = (None, None, -1)


@dataclass(frozen=True, eq=False)
class Weighted:
    """What the knobs of each job add on a batch of sources: weights (jobs * rows, steps or 1, positions) ``on_source``
    and ``on_past``, job by job, and the ``codes`` of each job."""

    on_source: dict[Where, torch.Tensor]
    on_past: dict[Where, torch.Tensor]
    codes: Sequence[Sequence[Code]]


def weighted(model: PreTrainedModel, settings: Sequence[Sequence[Knob]], source: Source, steps: int) -> Weighted:
    """Return what those of ``settings`` that only add to the decoder add while it reads ``source`` and says so many
    tokens."""
    known = {
        id(knobs): united([knob.additions(model, source) for knob in knobs if isinstance(knob, AdditiveKnob)])
        for knobs in settings
    }
    merged = [known[id(knobs)] for knobs in settings]
    rows, positions = source.input_ids.shape
    return Weighted(
        _tables([one.cross for one in merged], rows, steps, positions, model.device),
        _tables([one.past for one in merged], rows, steps, steps, model.device),
        [one.codes for one in merged],
    )


def _tables(
    settings: Sequence[Sequence[Bias]], rows: int, steps: int, positions: int, device: torch.device
) -> dict[Where, torch.Tensor]:
    taken: Counter[tuple[tuple[int, ...] | None, tuple[bool, ...] | None]] = Counter()
    tables = {}
    for bias in stacked_biases(settings, rows):
        layers = None if bias.layers is None else tuple(bias.layers)
        heads = None if bias.heads is None else tuple(bias.heads.tolist())
        where = layers, heads, taken[layers, heads]
        taken[layers, heads] += 1
        tables[where] = bias.weights(torch.arange(steps, device=device), positions)
    return tables


class Tables:
    """Tables of weights for the rows that are decoded: one row of each per place, right-aligned, 1 where a row has
    none."""

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.by_place: dict[Where, torch.Tensor] = {}

    def put(self, places: torch.Tensor, given: dict[Where, torch.Tensor]) -> None:
        """Write what is ``given`` (rows, steps or 1, positions) for ``places`` (rows,)."""
        for where in {*self.by_place, *given}:
            table, new = self.by_place.get(where), given.get(where)
            if new is not None and (table is None or table.shape[1] < new.shape[1] or table.shape[2] < new.shape[2]):
                table = self.by_place[where] = _grown(table, self.capacity, new)
            assert table is not None
            table[places] = 1.0
            if new is not None:
                table[places, :, table.shape[2] - new.shape[2] :] = new

    def move(self, source: torch.Tensor, target: torch.Tensor) -> None:
        for table in self.by_place.values():
            table[target] = table[source]

    def at(self, where: Where, steps: torch.Tensor, columns: int) -> torch.Tensor:
        """Return the weights (rows, columns) of the first rows, which are at ``steps`` (rows,), in the last columns."""
        table = self.by_place[where]
        rows = torch.arange(len(steps), device=table.device)
        found = table[rows, steps.clamp(max=table.shape[1] - 1)][:, -columns:]
        return torch.nn.functional.pad(found, (columns - found.shape[1], 0), value=1.0)


def _grown(table: torch.Tensor | None, capacity: int, new: torch.Tensor) -> torch.Tensor:
    steps = max(new.shape[1], 1 if table is None else table.shape[1])
    positions = max(new.shape[2], 0 if table is None else table.shape[2])
    grown = new.new_ones(capacity, steps, positions)
    if table is not None:
        grown[:, :, positions - table.shape[2] :] = table.expand(-1, steps, -1)
    return grown


def bias(where: Where, weights: torch.Tensor) -> Bias:
    """Return a bias with ``weights`` (rows, positions) of the step that each row is at."""
    layers, heads, _ = where
    return Bias(lambda steps, positions: weights[:, None], layers, None if heads is None else torch.tensor(heads))
