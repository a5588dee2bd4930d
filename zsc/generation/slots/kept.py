"""Keys and values of rows that are decoded together, whatever step each of them is at.

What a row reads stands at the right end: the keys of the newest tokens of all rows are in one column, older ones before
it, as far back as the row goes. A row that has ended leaves its place to another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from zsc.knobs.reading import KeysAndValues


@dataclass
class Window:
    """What is in use of ``capacity`` rows and ``room`` columns: the first ``rows``, from ``start`` to ``end``."""

    capacity: int
    room: int
    rows: int = 0
    start: int = 0
    end: int = 0


class KeptLayer(DynamicLayer):
    """The keys and values of one layer. What a step adds goes into the column at the end of the ``window``; without
    ``zeros``, what was not written is left as it comes, which must not be shown."""

    def __init__(self, window: Window, zeros: bool):
        super().__init__()
        self.window, self.zeros = window, zeros
        self.kept: Sequence[torch.Tensor] = ()

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        window = self.window
        for kept, new in zip(self.buffers(key_states, value_states), (key_states, value_states), strict=True):
            kept[: window.rows, :, window.end] = new[:, :, 0]
        return tuple(kept[: window.rows, :, window.start : window.end + 1] for kept in self.kept)

    def get_seq_length(self) -> int:
        return self.window.end - self.window.start

    def buffers(self, *like: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the tensors for keys and values, made for states ``like`` those if there are none."""
        if not self.kept:
            self.kept = [self.room_like(one) for one in like]
            self.is_initialized, self.dtype, self.device = True, like[0].dtype, like[0].device
        return self.kept

    def room_like(self, one: torch.Tensor) -> torch.Tensor:
        shape = self.window.capacity, one.shape[1], self.window.room, one.shape[-1]
        return one.new_zeros(shape) if self.zeros else one.new_empty(shape)


class Kept:
    """``depth`` layers of keys and values. Where they do not grow, the source's, they are shown as what the layers hold
    as their own."""

    def __init__(self, depth: int, capacity: int, room: int, grows: bool = True):
        self.window = Window(capacity, room, end=0 if grows else room)
        self.layers = [KeptLayer(self.window, grows) for _ in range(depth)]
        self.grows = grows

    @property
    def cache(self) -> Cache:
        return Cache(layers=[*self.layers])

    def put(self, places: torch.Tensor, states: KeysAndValues, rows: torch.Tensor, before: int = 0) -> None:
        """Write ``rows`` of ``states``, or the only one there is, so that they end ``before`` so many columns from the
        end."""
        last = self.window.end - before
        self.window.start = min(self.window.start, last - states[0][0].shape[2])
        for layer, own in zip(self.layers, states, strict=True):
            for kept, new in zip(layer.buffers(*own), own, strict=True):
                first = last - new.shape[2]
                kept[places, :, first:last] = new[rows] if len(new) > 1 else new
                if not (self.grows or before):
                    kept[places, :, :first] = 0

    def show(self, rows: int, columns: int) -> None:
        """Let the next step see the last ``columns`` of so many rows."""
        window = self.window
        window.rows, window.start = rows, window.end - columns
        if not self.grows:
            for layer in self.layers:
                layer.keys, layer.values = (kept[:rows, :, window.start : window.end] for kept in layer.kept)

    def advance(self) -> None:
        """Go on by one column, or back to where there is room."""
        self.window.end += 1
        if self.window.end == self.window.room:
            self._shift(self.window.start)

    def reach(self, columns: int) -> None:
        """Make room for so many columns before the end."""
        if self.window.end < columns:
            self._shift(self.window.end - columns)

    def widen(self, columns: int, rows: int) -> None:
        """Have so many columns more, in front of the others. Only the first ``rows`` are kept."""
        window = self.window
        window.room, window.start, window.end = window.room + columns, window.start + columns, window.end + columns
        for layer in self.layers:
            wider = [layer.room_like(kept) for kept in layer.kept]
            for new, kept in zip(wider, layer.kept, strict=True):
                new[:rows, :, columns:], new[:rows, :, :columns] = kept[:rows], 0
            layer.kept = wider

    def move(self, source: torch.Tensor, target: torch.Tensor) -> None:
        start, end = self.window.start, self.window.end
        for layer in self.layers:
            for kept in layer.kept:
                kept[target, :, start:end] = kept[source, :, start:end]

    def _shift(self, columns: int) -> None:
        """Move what is in use ``columns`` to the left."""
        window = self.window
        for layer in self.layers:
            for kept in layer.kept:
                kept[:, :, window.start - columns : window.end - columns] = kept[
                    :, :, window.start : window.end
                ].clone()
        window.start, window.end = window.start - columns, window.end - columns

    def like(self) -> torch.Tensor:
        """Return one number of the type that is kept, (1, 1, 1)."""
        return self.layers[0].kept[0].new_zeros(1, 1, 1)
