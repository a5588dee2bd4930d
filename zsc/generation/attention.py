"""Shares of attention to the source along a response, as :mod:`zsc.generation.attended` measures them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Token:
    """A token of the source: its ``text`` (the name of a ``special`` one), the segment it belongs to as in
    :class:`zsc.data.source.Source`, and its share of attention with the knobs ``off`` and ``on``."""

    text: str
    segment: int
    special: bool
    off: float
    on: float


@dataclass(frozen=True)
class Attended:
    """Shares of attention: of ``tokens``, of what the knobs put in front of the source (``code``, with the knobs
    on), and of padding off and on, which is 0 unless the layout attends to it. Those of off, and of on, add up to 1,
    less what lies on the decoder's own past (T5Gemma 2, which attends to both in one softmax) or on prompts (MVP).
    ``fields`` are the names of the segments from ``FIRST_FIELD`` on."""

    tokens: tuple[Token, ...]
    code: float
    padding: tuple[float, float]
    fields: tuple[str, ...] = ()
