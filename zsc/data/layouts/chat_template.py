"""The chat template that comes with a tokenizer: what it takes, and what it writes of messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from inspect import signature
from itertools import count, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from zsc.data.layouts.drafts import Rendered
from zsc.errors import ZscError, first_line, suggestion

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TODAY = datetime(2024, 7, 26)  # in every prompt, or responses would change with the day; Llama 3.2's own default [D]
PRIVATE = range(0xE000, 0xF900)  # characters that no script has


class Message(NamedTuple):
    role: str
    content: Rendered


def trial(*roles: str) -> list[Message]:
    """Return a message of each of ``roles``."""
    return [Message(role, Rendered(f"trial {number}", [])) for number, role in enumerate(roles)]


@dataclass(frozen=True)
class ChatTemplate:
    """The ``text`` of a chat template, for ``tokenizer`` to render with ``options``. A switch for thinking is off, so
    that a response is the answer, unless the options say otherwise."""

    tokenizer: PreTrainedTokenizerBase
    text: str
    options: Mapping[str, Any]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, options: Mapping[str, Any]) -> ChatTemplate:
        """Return the chat template of ``tokenizer``.

        Raises ZscError where there is none, it writes no message of a user, or takes no such ``options``.
        """
        if not tokenizer.chat_template:
            raise ZscError(
                "layout=chat: this checkpoint's tokenizer has no chat template. Choose layout=base_dialogue or another"
                " base layout (see `zsc ls`), or write your own with layout=template layout.text=TEXT."
            )
        try:
            text = tokenizer.get_chat_template()
            cls(tokenizer, text, {})._written(trial("user"))
        except Exception as error:  # a template is code of the checkpoint, which may raise anything
            raise ZscError(
                f"layout=chat: this checkpoint's chat template fails: {first_line(error)} Choose another layout."
            ) from error
        found = cls(tokenizer, dated(text), options)
        found.check_options()
        return found

    def check_options(self) -> None:
        """Raise ZscError for options that the template does not name, or that are set already."""
        set_already = {*signature(self.tokenizer.apply_chat_template).parameters}
        for name in self.options:
            if name in set_already or not re.search(rf"\b{re.escape(name)}\b", self.text):
                words = sorted({*re.findall(r"\b[a-z]+_[a-z_]+\b", self.text)} - set_already)
                raise ZscError(
                    f"layout.template_options.{name}: this checkpoint's chat template takes no such option."
                    f"{suggestion(name, words)}"
                )

    def takes(self, *roles: str) -> bool:
        """Say whether the template writes messages of ``roles``, each of them."""
        messages = trial(*roles)
        try:
            text = self._written(messages)
        except Exception:  # how a template says that it does not
            return False
        return all(message.content.text in text for message in messages)

    def render(self, messages: Sequence[Message], what: str) -> Rendered:
        """Return what the template makes of ``messages``, with the places of their spans, up to where the response is
        to begin.

        They are found by marks around them, which must change nothing else. Raises ZscError, naming ``what`` they are
        of, where the template refuses the messages, or leaves out or changes a text.
        """
        try:
            text = self._written(messages)
            marks = Marks.beside(text)
            marked = self._written(marks.put(messages))
        except Exception as error:  # a template is code of the checkpoint, which may raise anything
            roles = ", ".join(message.role for message in messages)
            raise ZscError(
                f"{what}: the chat template refuses its messages ({roles}): {first_line(error)} Choose another layout."
            ) from error
        found = marks.taken(marked)
        expected = [(name, segment) for message in messages for name, segment, _, _ in message.content.spans]
        texts = [message.content.text[start:end] for message in messages for _, _, start, end in message.content.spans]
        lost = {*range(len(texts))} - {
            number for number, start, end in found.places if text[start:end] == texts[number]
        }
        if found.text != text or lost:
            name = expected[min(lost)][0] if lost else "texts"
            raise ZscError(
                f"{what}: the chat template leaves out or changes its {name}, so that no part can be told from another."
                " Choose another layout, such as layout=template."
            )
        return Rendered(text, [(*expected[number], start, end) for number, start, end in found.places])

    def _written(self, messages: Sequence[Message]) -> str:
        conversation = [{"role": role, "content": content.text} for role, content in messages]
        given = {"enable_thinking": False, **self.options}
        return str(
            self.tokenizer.apply_chat_template(
                conversation, chat_template=self.text, tokenize=False, add_generation_prompt=True, **given
            )
        )


def dated(text: str) -> str:
    """Return the ``text`` of a chat template with ``TODAY`` in the place of the day it is rendered on.

    Raises ZscError where it asks for that in a form that only rendering tells.
    """
    found = re.sub(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""", lambda call: repr(TODAY.strftime(call[2])), text)
    if "strftime_now(" in found:
        raise ZscError(
            "layout=chat: this checkpoint's chat template writes the day of today, which would change its responses"
            " every day. Choose another layout, such as layout=template."
        )
    return found


class Unmarked(NamedTuple):
    """A text without its marks, and what stood between those of each number: (number, start, end)."""

    text: str
    places: list[tuple[int, int, int]]


class Marks(NamedTuple):
    """Two characters, which with a number between them stand before what is marked, and turned around behind it."""

    first: str
    second: str

    @classmethod
    def beside(cls, text: str) -> Marks:
        """Return marks of characters that ``text`` has not."""
        first, second = islice((letter for code in PRIVATE if (letter := chr(code)) not in text), 2)
        return cls(first, second)

    def put(self, messages: Sequence[Message]) -> list[Message]:
        """Return ``messages`` with marks around their spans, which are numbered through."""
        numbers, found = count(), []
        for role, (text, spans, _) in messages:
            pieces, end = [], 0
            for (_, _, start, stop), number in zip(spans, numbers, strict=False):
                pieces += [text[end:start], self.first, str(number), self.second, text[start:stop]]
                pieces += [self.second, str(number), self.first]
                end = stop
            found.append(Message(role, Rendered("".join([*pieces, text[end:]]), [])))
        return found

    def taken(self, text: str) -> Unmarked:
        """Return ``text`` without its marks."""
        first, second = self
        kept, places, begun, end, length = [], [], dict[int, int](), 0, 0
        for mark in re.finditer(f"{first}(\\d+){second}|{second}(\\d+){first}", text):
            kept.append(text[end : mark.start()])
            length, end = length + mark.start() - end, mark.end()
            if mark[1]:
                begun[int(mark[1])] = length
            elif (number := int(mark[2])) in begun:
                places.append((number, begun.pop(number), length))
        return Unmarked("".join([*kept, text[end:]]), places)
