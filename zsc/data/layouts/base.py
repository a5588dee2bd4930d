"""What a layout is: how records become the token ids that a model reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from zsc.data.cut import Cut
from zsc.data.record import Record
from zsc.data.source import Source, Sources
from zsc.options import plain_fields

if TYPE_CHECKING:  # imported where tensors are made: who only reads the options needs no torch
    from transformers import PreTrainedTokenizerBase


class Layout(ABC):
    """A layout. Subclasses are frozen dataclasses of its options, ``turns`` among them: the most turns of a history
    that are laid out, None for all, and ``stop`` where there is a text that ends a response."""

    form: ClassVar[str]
    turns: int | None
    stop: str | None = None

    @abstractmethod
    def lay_out(
        self, records: Sequence[Record], tokenizer: PreTrainedTokenizerBase, most: int | None = None
    ) -> tuple[Sources, Cut]:
        """Lay out ``records``, each in ``most`` positions or fewer; return the sources with what does not fit.

        Raises ZscError, naming the record, for one that cannot be laid out.
        """

    def encode(self, records: Sequence[Record], tokenizer: PreTrainedTokenizerBase, most: int | None = None) -> Source:
        """Lay out ``records`` as one batch."""
        return self.lay_out(records, tokenizer, most)[0].batch(range(len(records)))

    def first_token(self, tokenizer: PreTrainedTokenizerBase) -> int | None:
        """Return the token that the layout has responses begin with, in the vocabulary of ``tokenizer``, if any."""
        return None

    def to_mapping(self) -> dict[str, Any]:
        return {"form": self.form, **plain_fields(self)}
