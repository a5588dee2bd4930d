"""Times, and ratios of times that were taken in turn."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

T = TypeVar("T")


@dataclass(frozen=True)
class Seconds:
    """By the clock, and of all threads of this process together."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Ratios:
    """The middle, the least and the greatest of several ratios."""

    median: float
    least: float
    most: float


def seconds_of(action: Callable[[], T]) -> tuple[T, Seconds]:
    """Return what ``action`` returns, and what it takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result, Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def ratios(own: Sequence[float], others: Sequence[float]) -> Ratios:
    """Return those of ``own`` to ``others``, pair by pair."""
    found = [one / other for one, other in zip(own, others, strict=True)]
    return Ratios(*(round(part(found), 4) for part in (statistics.median, min, max)))
