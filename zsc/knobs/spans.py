"""Parts of a source that a bias can be put on, named in the way a shell can write them."""

import re
from collections.abc import Callable

import torch
from transformers import PreTrainedTokenizerBase

from zsc.data.layout import FIRST_TURN, KNOWLEDGE, PAD, Source

Span = Callable[[Source], torch.Tensor]

BLOCKS: dict[str, Span] = {
    "knowledge": lambda source: source.segments == KNOWLEDGE,
    "dialog": lambda source: source.segments >= FIRST_TURN,
}
FORMS = "knowledge, dialog, turn:N (-1 is the newest), tokens:START:END (END is not part of it), text:REGEX"


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
    if text in BLOCKS:
        return BLOCKS[text]
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


def turn(source: Source, number: int) -> torch.Tensor:
    """Select one turn of each row: 0 is the oldest in the source, -1 the newest; none where there is no such turn."""
    chosen = torch.zeros_like(source.segments, dtype=torch.bool)
    for row, segments in enumerate(source.segments):
        turns = segments[(segments >= FIRST_TURN) & source.attention_mask[row].bool()].unique()
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
            ends = [common_length(decoded(tokenizer, ids[: i + 1]), text) for i in range(len(ids))]
            spans = [match.span() for match in pattern.finditer(text)]
            for i, place in enumerate(places):
                start = ends[i - 1] if i else 0
                end = next((later for later in ends[i:] if later > start), start)
                chosen[row, place] = any(start < last and first < end for first, last in spans)
    return chosen


def decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def common_length(first: str, second: str) -> int:
    """Return how many characters two texts begin with alike; an unfinished character at the end does not count."""
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
