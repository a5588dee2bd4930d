"""What rows begin from: the keys and values of a batch of sources, computed once for all jobs on it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zsc.generation.slots.weights import Weighted, weighted
from zsc.knobs.base import Knob
from zsc.knobs.encoder import EncoderReading
from zsc.knobs.packing import packed
from zsc.knobs.reading import KeysAndValues, Reading
from zsc.knobs.stack import additive


@dataclass(frozen=True, eq=False)
class Opened:
    """``reading``, and of its sources the ``keys``, which end at the right, layer by layer; of each job the keys of its
    codes, if it has any (1 or rows, heads, length, width), and what it weighs (``weighted``)."""

    reading: Reading
    keys: KeysAndValues
    codes: Sequence[KeysAndValues | None]
    weighted: Weighted


def open_reading(reading: Reading, settings: Sequence[Sequence[Knob]], steps: int) -> Opened:
    """Return ``reading`` as the rows of ``settings`` begin from it, which say up to ``steps`` tokens each.

    Knobs that are more than additions must be on already.
    """
    if isinstance(reading, EncoderReading):
        reading = packed(reading)
    added = weighted(reading.model, settings, reading.source, steps)
    keys, codes = reading.keys(added.codes)
    if isinstance(reading, EncoderReading) and all(map(additive, settings)):
        reading = replace(reading, known=keys)
    return Opened(reading, keys, codes, added)
