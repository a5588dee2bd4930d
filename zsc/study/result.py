"""What a scored run gives: its table, its responses, and how they look on a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from zsc.generation.folder import RunFolder
from zsc.metrics.item_files import read_items
from zsc.metrics.score import Row, settings_of
from zsc.study.shown import page
from zsc.tables.render import render_scores
from zsc.terminal import Screen

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Result:
    """A run in its ``folder``, the ``rows`` of its table, and the signature of each of its metrics."""

    folder: RunFolder
    rows: Sequence[Row]
    signatures: Mapping[str, str]

    @cached_property
    def table(self) -> pandas.DataFrame:
        """The rows, with the columns of :class:`zsc.metrics.score.Row`."""
        import pandas

        return pandas.DataFrame([asdict(row) for row in self.rows])

    @cached_property
    def responses(self) -> pandas.DataFrame:
        """The responses: setting, seed, id, response, tokens, nll and whether it ended by itself, one row each."""
        import pandas

        return pandas.DataFrame(self.folder.rows())

    @cached_property
    def items(self) -> pandas.DataFrame:
        """The metrics of every response by itself: setting, seed, id, and a column of each; NaN where it has none."""
        return read_items(self.folder)

    def render(self, style: str = "table") -> str:
        """Return the table as ``table``, ``md``, ``csv`` or ``json``."""
        return render_scores([asdict(row) for row in self.rows], self.signatures, style)

    def page(self, examples: int, screen: Screen) -> str:
        """Return what was found in words, so many examples, and the table, laid out for ``screen``."""
        return page(self.folder, self.rows, examples, screen)

    def __repr__(self) -> str:
        return f"{self.render()}\nrun: {self.folder.path}"

    def _repr_html_(self) -> str:
        values = self.table.pivot_table(index="metric", columns="setting", values="value", sort=False)
        shown = values[[name for name in settings_of(self.rows) if name in values]]
        return str(shown.to_html(float_format="{:.3f}".format, na_rep="-"))
