"""Several settings of knobs at once: the decoder runs over a batch repeated, each repetition under its own knobs."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.additions import Additions, united
from zsc.knobs.base import AdditiveKnob, Knob
from zsc.knobs.masks import Bias, Code, Weights
from zsc.knobs.reading import Reading
from zsc.knobs.steering import steered

Slot = tuple[Any, Any, int]  # layers, heads, and which of several biases there


def additive(knobs: Sequence[Any]) -> bool:
    """Say whether all of ``knobs`` only add to the decoder."""
    return all(isinstance(knob, AdditiveKnob) for knob in knobs)


def under(reading: Reading, knobs: Sequence[Knob]) -> Reading:
    """Return what of ``reading`` is read alike while ``knobs`` are on: all of it, if they only add to the decoder."""
    return reading if additive(knobs) else reading.afresh()


def stacked(
    model: PreTrainedModel, settings: Sequence[Sequence[AdditiveKnob]], source: Source
) -> AbstractContextManager[PreTrainedModel]:
    """Return a context in which the decoder of ``model`` runs ``settings`` side by side.

    It must then be given as many copies of ``source``, one after the other: the i-th is read under the knobs of the
    i-th setting, which may be none. Rows give what they would under ``apply`` with these knobs alone.
    """
    rows = len(source.input_ids)
    merged = [united([knob.additions(model, source) for knob in knobs]) for knobs in settings]
    side_by_side = Additions(
        stacked_biases([part.cross for part in merged], rows),
        stacked_biases([part.past for part in merged], rows),
        stacked_codes([part.codes for part in merged], rows),
        united(merged).prompt,
    )
    return steered(model, side_by_side)


@dataclass(frozen=True, eq=False)
class StackedWeights:
    """The weights of each setting over ``rows`` rows, 1 where a setting has none."""

    parts: Sequence[Weights | None]
    rows: int

    def __call__(self, steps: torch.Tensor, positions: int) -> torch.Tensor:
        ones = torch.ones(1, 1, positions, device=steps.device)
        given = [ones if part is None else part(steps, positions).to(steps.device) for part in self.parts]
        queries = max(weights.shape[1] for weights in given)
        return torch.cat([weights.expand(self.rows, queries, positions) for weights in given])


def stacked_biases(settings: Sequence[Sequence[Bias]], rows: int) -> list[Bias]:
    """Return biases of the copies of a batch of ``rows``, those of each setting on its own copy."""
    slots: dict[Slot, tuple[Bias, list[Weights | None]]] = {}
    for number, biases in enumerate(settings):
        taken: Counter[tuple[Any, Any]] = Counter()
        for bias in biases:
            where = (
                None if bias.layers is None else tuple(bias.layers),
                None if bias.heads is None else tuple(bias.heads.tolist()),
            )
            _, weights = slots.setdefault((*where, taken[where]), (bias, [None] * len(settings)))
            weights[number] = bias.weights
            taken[where] += 1
    return [Bias(StackedWeights(weights, rows), bias.layers, bias.heads) for bias, weights in slots.values()]


def stacked_codes(settings: Sequence[Sequence[Code]], rows: int) -> list[Code]:
    """Return the different codes of ``settings``, each with a strength per row, 0 where a setting does not have it."""
    codes: list[tuple[torch.Tensor, list[float]]] = []
    for number, own in enumerate(settings):
        for code in own:
            strengths = next(
                (given for states, given in codes if not given[number] and torch.equal(states, code.states)), None
            )
            if strengths is None:
                strengths = [0.0] * len(settings)
                codes.append((code.states, strengths))
            strengths[number] = float(code.strength)
    return [
        Code(
            states if len(states) == 1 else states.repeat(len(settings), 1, 1),
            torch.tensor(given, dtype=torch.float64).repeat_interleave(rows),
        )
        for states, given in codes
    ]
