"""Examples of responses off and on: which are shown, and how their changed words are marked."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

import numpy as np
from rich.text import Text

from zsc.data.record import Record
from zsc.data.words import is_unspaced
from zsc.generation.ellipsis import ELLIPSIS, SHOWN
from zsc.tables.lines import wrapped
from zsc.tables.render import number
from zsc.terminal import one_line

CONTEXT = 2  # lines of each text that a response answers
NAME = 20  # letters of a setting's name
STYLES = ("bold red", "bold green")  # of what a knob takes away, and of what it puts there


@dataclass(frozen=True)
class Example:
    """A ``record`` with its responses to ``seed``, off and on or, where there is but one setting, one; their ``values``
    of the metric that it was chosen by; which of them were ``cut``, none by default; and what two are called."""

    record: Record
    seed: int
    responses: Sequence[str]
    values: Sequence[float]
    cut: Sequence[bool] = (False, False)
    names: Sequence[str] = ("off", "on")


def near_median(values: np.ndarray, count: int) -> tuple[list[tuple[int, int]], float]:
    """Return the places in ``values`` (seeds, examples) of the ``count`` nearest to the median of all, and the median.

    At most one is of each example; of several equally near, the first one by example and seed. Those that are NaN count
    for nothing. Without any value there is no place, and the median is NaN.
    """
    by_example = values.T
    if np.isnan(by_example).all():
        return [], float("nan")
    median = float(np.nanmedian(by_example))
    distances = np.abs(by_example - median)
    chosen: dict[int, int] = {}
    for place in np.argsort(distances, axis=None, kind="stable").tolist():
        example, seed = divmod(place, by_example.shape[1])
        if len(chosen) == count or np.isnan(distances[example, seed]):
            break
        chosen.setdefault(example, seed)
    return [(seed, example) for example, seed in chosen.items()], median


def heading(count: int, of: int, setting: str, metric: str, median: float, compared: bool, cut: bool = False) -> str:
    """Say which examples are shown: ``count`` of so many responses, chosen by their ``metric`` alone; and what an
    ellipsis means, where one of them was ``cut``."""
    what = "changed responses" if compared else "responses"
    how = f"whose change in {metric} is" if compared else f"whose {metric} is"
    shown = number(median, "+" if compared else "")
    return (
        f"{count} of the {of:,} {what} of {setting}, those {how} nearest to the median of them all, {shown}"
        f" (examples=N shows N{f'; {SHOWN}' if cut else ''}):"
    )


def example_lines(example: Example, metric: str, width: int, colour: bool) -> list[Text]:
    """Return lines of at most ``width`` columns: what is answered, cut short, and the responses to it, whole.

    Words that only one of two responses has are in colour, or else between asterisks; an ellipsis ends those that did
    not end by themselves.
    """
    off, *on = map(one_line, example.responses)
    marked = marks(off, on[0], colour) if on else [Text(off)]
    marked = [text.append(ELLIPSIS * was_cut) for text, was_cut in zip(marked, example.cut, strict=False)]
    numbers = " to ".join(number(value, "") for value in example.values)
    context = dict(answered(example.record))
    names = [one_line(name)[:NAME] for name in example.names] if on else ["response"]
    indent = 2 + max(map(len, [*context, *names])) + 2

    def beside(name: str, text: str | Text) -> list[Text]:
        return wrapped(text, width, " " * indent, f"  {name}".ljust(indent))

    lines = wrapped(f"{example.record.id}, seed {example.seed}: {metric} {numbers}", width)
    for name, text in context.items():
        lines += cut(beside(name, text), width)
    for name, response in zip(names, marked, strict=True):
        lines += beside(name, response)
    return lines


def cut(lines: list[Text], width: int) -> list[Text]:
    """Return the first CONTEXT of ``lines``, with an ellipsis within ``width`` columns where there are more."""
    if len(lines) > CONTEXT:
        last = lines[CONTEXT - 1].append(" …")
        last.truncate(width, overflow="ellipsis")
    return lines[:CONTEXT]


def answered(record: Record) -> Iterator[tuple[str, str]]:
    """Yield the texts of ``record`` that a response answers, with their names: of a history the last turn."""
    if record.history:
        yield "turn", record.history[-1].text
    for name in ("knowledge", *record.fields):
        if text := record.text(name):
            yield name, text


def marks(off: str, on: str, colour: bool) -> list[Text]:
    """Return both texts with what only one of them has marked."""
    return [marked(own, style if colour else "") for own, style in zip(runs(off, on), STYLES, strict=True)]


def runs(off: str, on: str) -> list[list[tuple[str, bool]]]:
    """Return each of two texts in runs of words, with whether both have them in the same order."""
    pieces = [split(off), split(on)]
    same: list[set[int]] = [set(), set()]
    words = [[piece.strip() for piece in own] for own in pieces]
    for begin, other, size in SequenceMatcher(None, words[0], words[1], autojunk=False).get_matching_blocks():
        same[0] |= {*range(begin, begin + size)}
        same[1] |= {*range(other, other + size)}
    return [
        [("".join(own[i] for i in run), both) for both, run in groupby(range(len(own)), key=kept.__contains__)]
        for own, kept in zip(pieces, same, strict=True)
    ]


def marked(own: Sequence[tuple[str, bool]], style: str) -> Text:
    """Return a text in runs with those that only it has in ``style``, or between asterisks without one."""
    text = Text()
    for joined, both in own:
        shown = joined.strip()
        if both or not shown:
            text.append(joined)
            continue
        before, after = joined[: len(joined) - len(joined.lstrip())], joined[len(joined.rstrip()) :]
        text.append(before).append(shown if style else f"*{shown}*", style).append(after)
    return text


def split(text: str) -> list[str]:
    """Return ``text`` in words with the white space behind each; a letter of a script without spaces is one."""
    words = re.findall(r"\S+\s*|\s+", text)
    return [piece for word in words for piece in (list(word) if any(map(is_unspaced, word)) else [word])]
