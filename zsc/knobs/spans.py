"""Parts of a source that a bias can be put on, named in the way a shell can write them."""

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cache

import torch
from transformers import PreTrainedTokenizerBase

from zsc.data.source import FIRST_FIELD, FIRST_TURN, KNOWLEDGE, PAD, Source
from zsc.errors import suggestion

Span = Callable[[Source], torch.Tensor]

BLOCKS: dict[str, Span] = {
    "knowledge": lambda source: source.segments == KNOWLEDGE,
    "dialog": lambda source: (source.segments >= FIRST_TURN) & (source.segments < FIRST_FIELD),
    "focus": lambda source: (
        torch.zeros_like(source.segments, dtype=torch.bool) if source.focus is None else source.focus
    ),
}
FORMS = (
    "knowledge, dialog, focus, another field of the source, turn:N (-1 is the newest), tokens:START:END (END is not"
    " part of it), text:REGEX, or several of these joined by +"
)


BYTES = 4  # that a character has at most


class NoSuchSpan(ValueError):
    """A source holds no position of the profile; ``row`` is its place in the batch."""

    def __init__(self, profile: str, row: int):
        super().__init__(f"the source in row {row} has no {profile} to bias towards.")
        self.profile, self.row = profile, row


def parse_span(text: str, tokenizer: PreTrainedTokenizerBase | None = None) -> Span:
    """Return the span that ``text`` names (see ``FORMS``): from a source to booleans (batch, positions).

    ``text:REGEX`` needs the ``tokenizer`` of the source. Raises ValueError for what is none of the forms.
    """
    if not isinstance(text, str):
        raise ValueError(f"profile {text!r} is not one of {FORMS}.")
    kind, _, argument = text.partition(":")
    first, joined, rest = text.partition("+")
    if joined and kind != "text":
        spans = parse_span(first, tokenizer), parse_span(rest, tokenizer)
        return lambda source: spans[0](source) | spans[1](source)
    if text in BLOCKS:
        return BLOCKS[text]
    if re.fullmatch(r"[A-Za-z_]\w*", text):
        return lambda source: field(source, text)
    if kind == "turn" and re.fullmatch(r"-?\d+", argument):
        return lambda source: turn(source, int(argument))
    if kind == "tokens" and (bounds := re.fullmatch(r"(\d+):(\d+)", argument)):
        start, end = int(bounds[1]), int(bounds[2])
        if start < end:
            return lambda source: tokens(source, start, end)
    if kind == "text" and argument:
        try:
            pattern = re.compile(argument)
        except re.error as error:
            raise ValueError(f"profile {text!r} holds no regular expression: {error}.") from error
        if tokenizer is None:
            raise ValueError(f"profile {text!r} needs the tokenizer that made the source.")
        return lambda source: matches(source, pattern, tokenizer)
    raise ValueError(f"profile {text!r} is not one of {FORMS}.")


def chosen_positions(name: str, span: Span, source: Source | None) -> torch.Tensor:
    """Return the attended positions of ``span``, booleans (batch, positions). Raises NoSuchSpan for a row of none."""
    if source is None:
        raise ValueError(f"biasing towards {name} needs the source: apply(model, knobs, source).")
    chosen = span(source) & source.attention_mask.bool()
    for row, found in enumerate(chosen.any(dim=1).tolist()):
        if not found:
            raise NoSuchSpan(name, row)
    return chosen


def field(source: Source, name: str) -> torch.Tensor:
    """Select the field called ``name``. Raises ValueError where the source has none, with those that it has."""
    if name not in source.fields:
        present = [*(["knowledge"] if bool((source.segments == KNOWLEDGE).any()) else []), *source.fields]
        if bool(BLOCKS["dialog"](source).any()):
            present.append("dialog")
        hint = suggestion(name, [*present, *BLOCKS])
        raise ValueError(
            f"the source has no field '{name}' to bias towards.{hint} It has: {', '.join(present)}; a profile is one of"
            f" {FORMS}."
        )
    return source.segments == FIRST_FIELD + source.fields.index(name)


def turn(source: Source, number: int) -> torch.Tensor:
    """Select one turn of each row: 0 is the oldest in the source, -1 the newest; none where there is no such turn."""
    chosen = torch.zeros_like(source.segments, dtype=torch.bool)
    for row, segments in enumerate(source.segments):
        dialog = (segments >= FIRST_TURN) & (segments < FIRST_FIELD)
        turns = segments[dialog & source.attention_mask[row].bool()].unique()
        if -len(turns) <= number < len(turns):
            chosen[row] = segments == turns[number]
    return chosen


def tokens(source: Source, start: int, end: int) -> torch.Tensor:
    """Select the positions from ``start`` to before ``end``, counted over each row's attended tokens from 0."""
    attended = source.attention_mask.bool()
    order = attended.cumsum(dim=1) - 1
    return attended & (order >= start) & (order < end)


def matches(source: Source, pattern: re.Pattern[str], tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """Select every token that shares a character with a match of ``pattern`` in the text of its bucket.

    Special tokens are not part of the text. A character that several tokens make up belongs to all of them.
    """
    chosen = torch.zeros_like(source.segments, dtype=torch.bool)
    special = torch.tensor(tokenizer.all_special_ids, device=source.input_ids.device)
    readable = source.attention_mask.bool() & ~torch.isin(source.input_ids, special)
    for row, segments in enumerate(source.segments):
        for segment in segments[segments != PAD].unique():
            places = ((segments == segment) & readable[row]).nonzero().flatten()
            ids = source.input_ids[row, places].tolist()
            text = decoded(tokenizer, ids)
            for match in pattern.finditer(text):
                chosen[row, places[_covering(*match.span(), ids, text, tokenizer)]] = True
    return chosen


def _covering(first: int, last: int, ids: list[int], text: str, tokenizer: PreTrainedTokenizerBase) -> slice:
    """Return which of ``ids`` make up the characters from ``first`` to before ``last`` of the ``text`` they decode to.

    Texts of beginnings of the tokens are compared with the whole, as few as a binary search needs. While the bytes of
    a character are not all there, some decoders show none of those before it either.
    """

    @cache
    def alike(count: int) -> int:
        return common_length(decoded(tokenizer, ids[:count]), text)

    def end(count: int) -> int:  # of the text of so many tokens
        return max(alike(one) for one in range(max(count - BYTES + 1, 0), count + 1))

    start = bisect_right(range(1, len(ids) + 1), first, key=end)
    stop = start
    while start and end(start) == end(start - 1):  # a character that several tokens make up
        start -= 1
    if end(start) >= last:  # nothing between two tokens
        return slice(0)
    while stop < len(ids) and end(stop) < last:
        stop += 1
    return slice(start, stop)


def decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def common_length(first: str, second: str) -> int:
    """Return how many characters two texts begin with alike; an unfinished character at the end does not count."""
    if second.startswith(first):
        return len(first)
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
