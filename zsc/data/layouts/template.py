"""A template: a text with the fields of a record in it, and the tokenizer's own special tokens around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from zsc.data.layouts.drafts import Draft, Rendered
from zsc.data.layouts.languages import check_form, language_token
from zsc.data.layouts.written import WrittenLayout
from zsc.errors import ZscError
from zsc.options import Count

if TYPE_CHECKING:  # imported where texts are tokenized: who only reads the options needs no transformers
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class TemplateLayout(WrittenLayout):
    """``text`` with {field}s of a record in their places, as the tokenizer lays it out; see
    :mod:`zsc.data.layouts.markup` for parts that not every record has. Each field is a segment of its own.

    {history} is its last ``turns`` turns, or all, each written as ``turn`` says with {text} and {speaker}, joined by
    ``joiner``. ``speakers``, if given, are what whoever spoke last and the other are called. {source_language} and
    {target_language} are the options of these names, the second written as ``target_form`` says, such as >>{}<<, if it
    is a token; with ``language_tokens``, the tokenizer marks the source with the first and responses begin with the
    token of the second.

    A source longer than ``max_tokens``, or what the model reads, is cut field by field: those of ``cut`` first, then
    the history, whose oldest turns are left out, then the others from the last to the first, each at its end [D].

    ``stop`` is a text at which a response ends: that which a model of texts goes on with after an answer.
    """

    form: ClassVar[str] = "template"
    texts: ClassVar[tuple[str, ...]] = ("text",)
    special: ClassVar[bool] = True

    text: str = ""
    turn: str = "{text}"
    joiner: str = "\n"
    speakers: tuple[str, str] | None = None
    turns: Count | None = None
    max_tokens: Count | None = None
    cut: tuple[str, ...] = ()
    source_language: str | None = None
    target_language: str | None = None
    target_form: str | None = None
    language_tokens: bool = False
    stop: str | None = None

    def __post_init__(self) -> None:
        self.check()
        if self.target_form is not None and self.target_form.count("{}") != 1:
            raise ZscError(f"layout.target_form={self.target_form!r} must have one {{}}, in the place of the language.")

    def first_token(self, tokenizer: PreTrainedTokenizerBase) -> int | None:
        if not self.language_tokens:
            return None
        return language_token(self.target_language, "layout.target_language", tokenizer)

    def renderer(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[Draft], Rendered]:
        if self.language_tokens and self.source_language is None:
            language_token(None, "layout.source_language", tokenizer)
        if self.target_form is not None:
            check_form(self.target_form, self.target_language, tokenizer)
        return lambda draft: draft.write("text")
