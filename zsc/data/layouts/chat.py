"""Messages in the chat template of a tokenizer, as a language model tuned to follow instructions reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from zsc.data.layouts.chat_template import ChatTemplate, Message
from zsc.data.layouts.drafts import HISTORY, Draft, Rendered
from zsc.data.layouts.markup import names
from zsc.data.layouts.written import WrittenLayout
from zsc.data.record import Turn
from zsc.data.source import FIRST_TURN
from zsc.errors import ZscError
from zsc.options import Count

if TYPE_CHECKING:  # imported where texts are tokenized: who only reads the options needs no transformers
    from transformers import PreTrainedTokenizerBase

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
BETWEEN = "\n\n"  # the system text and the message that it stands in where a template has no role for it [D]
OPENING = (
    "You are talking with someone. Reply in one or two sentences{#knowledge}, using the knowledge below.\n\nKnowledge:"
    " {knowledge}{/knowledge}{^knowledge}.{/knowledge}"
)


@dataclass(frozen=True)
class ChatLayout(WrittenLayout):
    """Messages as the tokenizer's chat template writes them, up to where the response begins.

    The first is of the system and holds ``system``, if that is not empty. The others are the turns of the history,
    those of whoever spoke last of the user, others of the assistant; turns of one of these that follow each other are
    one message, joined by ``joiner``. With ``user``, there is one message of the user instead, with that text. Both are
    templates with {field}s, see :class:`TemplateLayout` for these and for the other options.

    Where the template has no role for the system, its text begins the first message of the user; where it wants the
    user to begin, turns of the assistant before that are left out; without a history, the system's text is the message
    of the user [D]. ``template_options`` are handed to the template, such as ``enable_thinking``, which is false where
    nothing is said; a template that asks for today's date gets 26 July 2024 [D].
    """

    form: ClassVar[str] = "chat"
    texts: ClassVar[tuple[str, ...]] = ("system", "user")
    special: ClassVar[bool] = False  # the chat template writes them

    system: str = OPENING
    user: str = ""
    turn: str = "{text}"
    joiner: str = "\n"
    speakers: tuple[str, str] | None = None
    turns: Count | None = None
    max_tokens: Count | None = None
    cut: tuple[str, ...] = ()
    source_language: str | None = None
    target_language: str | None = None
    stop: str | None = None
    template_options: Mapping[str, bool | int | float | str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.user and HISTORY in names(self.parts["system"]):
            raise ZscError("layout.system names {history}, whose turns are messages. Name it in layout.user instead.")
        self.check()

    @property
    def further_fields(self) -> tuple[str, ...]:
        return () if self.user else (HISTORY,)

    def renderer(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[Draft], Rendered]:
        template = ChatTemplate.of(tokenizer, self.template_options)
        system = template.takes(SYSTEM, USER)
        begun = template.takes(ASSISTANT, USER) and (not system or template.takes(SYSTEM, ASSISTANT, USER))

        def render(draft: Draft) -> Rendered:
            draft, left_out = stripped(draft), 0
            if not self.user and not begun:
                left_out = next((i for i in range(len(draft.turns)) if draft.of_last_speaker(i)), 0)
                draft = replace(draft, turns=draft.turns[left_out:])
            messages = self.messages(draft, system)
            if not messages:
                raise ZscError(draft.lacking(HISTORY, "layout=chat"))
            return template.render(messages, f"record {draft.record.id}")._replace(left_out=left_out)

        return render

    def messages(self, draft: Draft, system: bool) -> list[Message]:
        """Return the messages of ``draft``, one of the ``system`` among them where there is such a role."""
        opening = trimmed(draft.write("system"))
        said = [Message(USER, trimmed(draft.write("user")))] if self.user else turn_messages(draft)
        if not opening.text:
            return said
        if not said:
            return [Message(USER, opening)]
        if system:
            return [Message(SYSTEM, opening), *said]
        place = [role for role, _ in said].index(USER)
        said[place] = Message(USER, joined([opening, said[place].content], BETWEEN))
        return said


def turn_messages(draft: Draft) -> list[Message]:
    """Return the turns of ``draft`` as messages, those of one role that follow each other as one."""
    numbers = range(len(draft.turns))
    roles = [USER if draft.of_last_speaker(number) else ASSISTANT for number in numbers]
    return [
        Message(role, trimmed(joined([whole_turn(draft, number) for number in some], draft.layout.joiner)))
        for role, some in groupby(numbers, roles.__getitem__)
    ]


def whole_turn(draft: Draft, number: int) -> Rendered:
    text = draft.turn(number)
    return Rendered(text, [("turns", FIRST_TURN + number, 0, len(text))])


def joined(texts: Sequence[Rendered], joiner: str) -> Rendered:
    """Return ``texts`` as one, with ``joiner`` between them."""
    text, spans = "", []
    for number, one in enumerate(texts):
        text += joiner if number else ""
        spans += [(name, segment, start + len(text), end + len(text)) for name, segment, start, end in one.spans]
        text += one.text
    return Rendered(text, spans)


def trimmed(written: Rendered) -> Rendered:
    """Return what is ``written`` without white space around it, which templates may take away or not."""
    before, text = len(written.text) - len(written.text.lstrip()), written.text.strip()
    spans = [
        (name, segment, max(start - before, 0), min(end - before, len(text)))
        for name, segment, start, end in written.spans
    ]
    return Rendered(text, [span for span in spans if span[2] < span[3]])


def stripped(draft: Draft) -> Draft:
    """Return ``draft`` without white space around its texts and turns."""
    texts = {name: text.strip() for name, text in draft.texts.items()}
    return replace(draft, texts=texts, turns=[Turn(turn.speaker, turn.text.strip()) for turn in draft.turns])
