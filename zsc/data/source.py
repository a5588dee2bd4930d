"""Sources: token ids laid out for a model, and what of the record each position belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # imported where tensors are made: who only reads options needs no torch
    import torch
    from transformers import PreTrainedTokenizerBase

PAD, BEGIN, KNOWLEDGE, FIRST_TURN, FIRST_FIELD = -1, 0, 1, 2, 10_000
CHUNK = 1000  # records that are looked at together


@dataclass(frozen=True)
class Source:
    """A batch as a model reads it; every tensor has the shape (batch, positions).

    ``segments`` says what each position belongs to: ``PAD``, ``BEGIN`` (special tokens and what is no text of the
    record), ``KNOWLEDGE``, ``FIRST_TURN + i`` for the i-th turn of the history, oldest first, or ``FIRST_FIELD + i``
    for the i-th of the other ``fields``. ``focus`` marks the positions of the records' focus, where they have one.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    segments: torch.Tensor
    fields: tuple[str, ...] = ()
    focus: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> Source:
        return self._each(lambda tensor: tensor.to(device))

    def select(self, rows: Sequence[int]) -> Source:
        import torch

        index = torch.tensor(rows, device=self.input_ids.device)
        return self._each(lambda tensor: tensor[index])

    def at(self, order: torch.Tensor) -> Source:
        """Return the positions ``order`` (batch, width) of each row."""
        return self._each(lambda tensor: tensor.gather(1, order))

    def repeat(self, times: int) -> Source:
        """Return ``times`` copies, one after the other."""
        return self._each(lambda tensor: tensor.repeat(times, 1))

    def _each(self, change) -> Source:  # type: ignore[no-untyped-def]
        names = ("input_ids", "attention_mask", "segments", "focus")
        return replace(self, **{name: change(one) for name in names if (one := getattr(self, name)) is not None})


@dataclass(frozen=True)
class Row:
    """One source without padding around it: token ``ids``, ``segments``, and which positions are of the ``focus``.

    An id below 0 is padding inside of it.
    """

    ids: Sequence[int] | np.ndarray
    segments: Sequence[int] | np.ndarray
    focus: np.ndarray | None = None


class Sources:
    """The sources of many records, one after the other, without the padding around them.

    Padding is the token ``pad``, on the ``side`` that the tokenizer says: "right", or "left" where responses follow the
    source. Positions of the segment ``PAD`` are not attended, nor is the padding around a source.
    """

    def __init__(self, pad: int, fields: tuple[str, ...] = (), attend_padding: bool = False, side: str = "right"):
        self.pad, self.fields, self.attend_padding, self.side = pad, fields, attend_padding, side
        self._ends = [0]
        self._ids: list[np.ndarray] = []
        self._segments: list[np.ndarray] = []
        self._focus: list[np.ndarray] = []

    def add(self, rows: Iterable[Row]) -> None:
        """Put more sources behind those that are there."""
        found = list(rows)
        for kept, name, kind in ((self._ids, "ids", np.int32), (self._segments, "segments", np.int16)):
            every = [np.asarray(getattr(row, name), dtype=kind) for row in found]
            kept.append(np.concatenate(every) if every else np.zeros(0, dtype=kind))
        none = (np.zeros(len(row.ids), dtype=bool) for row in found)
        marks = [blank if row.focus is None else np.asarray(row.focus) for row, blank in zip(found, none, strict=True)]
        self._focus.append(np.concatenate(marks) if marks else np.zeros(0, dtype=bool))
        self._ends += (self._ends[-1] + np.cumsum([len(row.ids) for row in found], dtype=int)).tolist()

    def __len__(self) -> int:
        return len(self._ends) - 1

    @property
    def lengths(self) -> np.ndarray:
        """The number of positions of each source."""
        return np.diff(self._ends)

    @property
    def attended(self) -> np.ndarray:
        """How many positions of each source are attended."""
        if self.attend_padding:
            return self.lengths
        self._join()
        counted = (
            np.concatenate([[0], np.cumsum(self._segments[0] != PAD)]) if self._segments else np.zeros(1, dtype=int)
        )
        return np.diff(counted[self._ends])

    @property
    def longest(self) -> int:
        return int(self.lengths.max(initial=0))

    def batch(self, rows: Sequence[int]) -> Source:
        """Return the sources ``rows`` as a batch, padded to the longest of them."""
        import torch

        self._join()
        lengths = [self._ends[i + 1] - self._ends[i] for i in rows]
        shape = (len(rows), max(lengths, default=0))
        ids, segments = np.full(shape, -1, dtype=np.int64), np.full(shape, PAD, dtype=np.int64)
        focus = np.zeros(shape, dtype=bool)
        attended = np.zeros(shape, dtype=np.int64)
        for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            own = slice(self._ends[row], self._ends[row + 1])
            first = shape[1] - length if self.side == "left" else 0
            place = number, slice(first, first + length)
            ids[place], segments[place], focus[place] = self._ids[0][own], self._segments[0][own], self._focus[0][own]
            attended[place] = 1 if self.attend_padding else self._segments[0][own] != PAD
        ids[ids < 0] = self.pad
        marked = torch.from_numpy(focus) if focus.any() else None
        tensors = (torch.from_numpy(ids), torch.from_numpy(attended), torch.from_numpy(segments))
        return Source(*tensors, self.fields, marked)

    def chunks(self) -> Iterator[tuple[int, Source]]:
        """Yield batches of consecutive sources, with the number of the first."""
        for start in range(0, len(self), CHUNK):
            yield start, self.batch(range(start, min(start + CHUNK, len(self))))

    def _join(self) -> None:
        """Make one array of each kind."""
        for kept in (self._ids, self._segments, self._focus):
            kept[:] = [np.concatenate(kept)] if len(kept) > 1 else kept


def plain_source(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Source:
    """Return ``texts`` as the tokenizer lays them out, each one segment (``FIRST_TURN``), padded to the longest."""
    import torch

    batch = tokenizer(list(texts), padding=True, return_tensors="pt")
    mask = batch["attention_mask"]
    return Source(batch["input_ids"], mask, torch.where(mask.bool(), FIRST_TURN, PAD))
