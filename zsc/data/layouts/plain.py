"""One field as the tokenizer lays it out, behind a prefix or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from zsc.data.cut import Cut
from zsc.data.layouts.base import Layout
from zsc.data.layouts.template import TemplateLayout
from zsc.data.record import Record
from zsc.data.source import Sources
from zsc.options import Count

if TYPE_CHECKING:  # imported where texts are tokenized: who only reads the options needs no transformers
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class PlainLayout(Layout):
    """The ``field`` of a record behind ``prefix``: a template of the two, see :class:`TemplateLayout` for the rest."""

    form: ClassVar[str] = "plain"

    field: str = "source"
    prefix: str = ""
    turns: Count | None = None
    max_tokens: Count | None = None
    source_language: str | None = None
    target_language: str | None = None
    language_tokens: bool = False

    def __post_init__(self) -> None:
        _ = self.template

    @property
    def template(self) -> TemplateLayout:
        literal = self.prefix.replace("{", "{{").replace("}", "}}")
        return TemplateLayout(
            f"{literal}{{{self.field}}}",
            turns=self.turns,
            max_tokens=self.max_tokens,
            source_language=self.source_language,
            target_language=self.target_language,
            language_tokens=self.language_tokens,
        )

    def first_token(self, tokenizer: PreTrainedTokenizerBase) -> int | None:
        return self.template.first_token(tokenizer)

    def lay_out(
        self, records: Sequence[Record], tokenizer: PreTrainedTokenizerBase, most: int | None = None
    ) -> tuple[Sources, Cut]:
        return self.template.lay_out(records, tokenizer, most)
