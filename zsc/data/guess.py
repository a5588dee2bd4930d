"""Guess what the columns of a table hold, and which task that is for, by their names and the shape of their values."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any

from zsc.data.columns import FIELDS, Row, cell, decoded, lines, present
from zsc.data.table import column_names

SAMPLE = 200  # rows that are looked at for the shape of values
NAMED, HINTED, SHAPED = 3, 2, 2  # what a name counts that is one of a field's, or has one in it; a shape that tells
AHEAD = 3  # by how much a task must be before the next one to be certain
LETTERS = 6  # of a word, where there are no spaces
LANGUAGES = (
    "en", "de", "fr", "es", "pt", "nl", "sv", "da", "nb", "nn", "fi", "pl", "cs", "ru", "uk", "ro", "hu", "tr", "ar",
    "he", "hi", "zh", "ja", "ko", "vi", "el", "bg", "et", "lv", "lt", "sl", "sk", "hr", "sr", "ca", "it", "english",
    "german", "french", "spanish", "portuguese", "dutch", "swedish", "russian", "chinese", "japanese", "arabic",
    "italian", "polish",
)  # fmt: skip
TOPIC = ("topic", "subject", "domain", "category", "genre")
ID = ("id", "uid", "guid", "key", "nr", "no", "number", "index")
REPLY = ("reference", "response", "reply", "target", "gold", "output", "completion", "label", "answer", "expected")


@dataclass(frozen=True)
class Slot:
    """A ``field`` that a task reads: ``names`` of its column, the ``shape`` of its values, and what it ``says``."""

    field: str
    names: tuple[str, ...]
    shape: str
    says: str
    needed: bool = False


IDENTITY = Slot("id", ID, "id", "a name for each row")
CONTEXT = Slot(
    "context",
    ("context", "passage", "paragraph", "evidence", "text", "background"),
    "long",
    "the text it is about",
    True,
)
TASKS: Mapping[str, tuple[Slot, ...]] = {
    "dialogue": (
        Slot(
            "history",
            ("history", "dialog", "dialogue", "conversation", "turns", "utterances", "messages", "message", "chat",
             "talk", "context", "prompt", "instruction", "input", "question", "query", "post"),
            "turns", "what was said before the response", True,
        ),
        Slot(
            "knowledge",
            ("knowledge", "fact", "facts", "evidence", "grounding", "snippet", "passage", "document", "background"),
            "text", "what the response is to use",
        ),
        Slot("reference", REPLY, "text", "what a human answered"),
        Slot("topic", TOPIC, "topic", "what it is about, in a word or two"),
        IDENTITY,
    ),
    "question_answering": (
        Slot("question", ("question", "query", "ask"), "question", "the question", True),
        CONTEXT,
        Slot("reference", ("answers", "answer", *REPLY), "any", "the answer"),
        IDENTITY,
    ),
    "summarisation": (
        Slot(
            "document",
            ("document", "article", "text", "body", "content", "report", "story", "source", "dialogue", "transcript"),
            "long", "the text to summarise", True,
        ),
        Slot("reference", ("summary", "highlights", "abstract", "headline", "tldr", *REPLY), "text", "a human summary"),
        IDENTITY,
    ),
    "translation": (
        Slot("source", ("source", "src", "original", *LANGUAGES), "text", "the text to translate", True),
        Slot("reference", ("translation", "tgt", *REPLY, *LANGUAGES), "text", "a human translation", True),
        IDENTITY,
    ),
    "question_generation": (
        CONTEXT,
        Slot("focus", ("focus", "answer", "answers", "span"), "any", "the answer that is asked for", True),
        Slot("reference", ("question", "query", *REPLY), "question", "a human question"),
        IDENTITY,
    ),
}  # fmt: skip
ASKED_FOR = ("question_generation",)  # tasks that are not guessed: their columns are those of another one


@dataclass(frozen=True)
class Column:
    """A column, or a path into one that holds objects, with its ``values`` in the first rows that have one, and whether
    all rows together have one each and ``distinct``."""

    name: str
    values: tuple[Any, ...]
    distinct: bool

    @cached_property
    def kind(self) -> str:
        """What most values are: list, lines, number or text."""
        of = len(self.values)
        if sum(isinstance(value, list) for value in self.values) * 2 > of:
            return "list"
        if all(isinstance(value, int | float) or re.fullmatch(r"[+-]?[\d.,]+", str(value)) for value in self.values):
            return "number"
        spoken = [lines(str(value)) for value in self.values]
        several = [one for one in spoken if len(one) > 1]
        short = bool(several) and median(words(line) for one in several for line in one) <= 40
        return "lines" if len(several) * 2 > of and short else "text"

    @cached_property
    def words(self) -> float:
        """How many words a value has, the median."""
        return median(words(str(value)) for value in self.values)

    @property
    def counts(self) -> bool:
        """Whether all values are whole numbers."""
        return all(re.fullmatch(r"\d+", str(value)) for value in self.values)

    def fits(self, shape: str) -> int:
        """Say how well the values have a ``shape``: SHAPED and more tells it, below 0 excludes it."""
        text, questions = (
            self.kind in ("text", "lines"),
            sum(str(one).rstrip()[-1:] in "?\uff1f" for one in self.values),
        )
        asked = questions * 5 > len(self.values) * 3
        some = len({str(value) for value in self.values})
        found = {
            "turns": {"list": 3, "lines": SHAPED, "text": 0}.get(self.kind, -9),
            "long": -9 if not text else SHAPED if self.words >= 40 else int(self.words >= 12),
            "question": -9 if not text else 3 if asked else 0,
            "text": -9 if self.kind == "number" else int(self.words >= 3 and not asked),
            "any": 0 if asked else 1,
            "id": -9 if not self.distinct or self.words > 2 else SHAPED if self.counts else 0,
            "topic": SHAPED if text and self.words <= 4 and some * 3 <= len(self.values) else 0,
        }
        return found[shape]

    def called(self, names: Sequence[str]) -> int:
        """Say how well the name is one of ``names``: NAMED, HINTED or 0."""
        parts = [part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|[^\W\d_]+", self.name.rpartition(".")[2])]
        return NAMED if "".join(parts) in names else HINTED if {*parts} & {*names} else 0


@dataclass(frozen=True)
class Guess:
    """A ``task``, the column of each field, and the fields of which that is ``unsure``; ``certain`` is the task where
    no other is nearly as likely."""

    task: str
    columns: Mapping[str, str]
    unsure: tuple[str, ...] = ()
    score: int = 0
    certain: bool = field(default=False, compare=False)


def words(text: str) -> int:
    """Return how many words ``text`` has, about, also in scripts without spaces."""
    return max(len(text.split()), len(text) // (2 * LETTERS))


def columns_of(rows: Sequence[tuple[str, Row]]) -> list[Column]:
    """Return the columns of ``rows`` that hold anything; of one that holds objects, its fields."""
    return [one for name in column_names(rows) for one in _columns(name, rows)]


def _columns(name: str, rows: Sequence[tuple[str, Row]]) -> Iterator[Column]:
    every = [value for _, row in rows if (value := present(decoded(cell(row, name)))) is not None]
    if not every:
        return
    if isinstance(every[0], Mapping) and "." not in name:
        for inner in every[0]:
            yield from _columns(f"{name}.{inner}", rows)
        return
    shown = {str(value) for value in every}
    yield Column(name, tuple(every[:SAMPLE]), len(shown) == len(rows))


def guess(columns: Sequence[Column], task: str | None, given: Mapping[str, str | None]) -> Guess | None:
    """Return the likeliest task with a column for each of its fields, or None where no task has all it needs.

    ``given`` are the columns of fields, None for one that is not read, and ``task`` is the one to take, if they are
    known.
    """
    tasks = [task] if task else [name for name in TASKS if name not in ASKED_FOR]
    found = [one for name in tasks if (one := of_task(name, columns, given))]
    found = sorted((one for one in found if has_needed(one)), key=lambda one: -one.score)
    if not found:
        return None
    ahead = len(found) == 1 or found[0].score - found[1].score >= AHEAD
    best = found[0]
    sure = task is not None or (ahead and not {slot.field for slot in TASKS[best.task] if slot.needed} & {*best.unsure})
    return Guess(best.task, best.columns, best.unsure, best.score, sure)


def has_needed(guess: Guess) -> bool:
    """Say whether every field that the task needs has a column."""
    return all(slot.field in guess.columns or not slot.needed for slot in TASKS[guess.task])


def of_task(task: str, columns: Sequence[Column], given: Mapping[str, str | None]) -> Guess:
    """Return the columns of the fields of ``task``: those ``given``, then by name and shape, the surest first; what is
    left of the texts is the reference and, of a dialogue, the knowledge, in the order that responses come last [D]."""
    slots = [slot for slot in TASKS[task] if slot.field not in given]
    chosen = {name: column for name, column in given.items() if column is not None}
    score, unsure = 10 * sum(slot.field in chosen for slot in TASKS[task]), list[str]()
    pairs = sorted((-_likely(slot, one), i, j) for i, slot in enumerate(slots) for j, one in enumerate(columns))
    for likely, i, j in pairs:
        slot, column = slots[i], columns[j]
        if -likely < SHAPED or slot.field in chosen or column.name in chosen.values():
            continue
        chosen[slot.field], score = column.name, score - likely
        rivals = [one for one in columns if one.name not in chosen.values() and _likely(slot, one) >= -likely]
        if not column.called(slot.names) or rivals:
            unsure.append(slot.field)
    left = [one for one in columns if one.name not in chosen.values() and one.kind == "text" and one.words >= 2]
    for name, place in (("reference", -1), ("knowledge", 0)):
        if left and name not in chosen and name in {slot.field for slot in slots}:
            chosen[name] = left.pop(place).name
            unsure.append(name)
    return Guess(task, ordered(task, chosen), tuple(unsure), score)


def _likely(slot: Slot, column: Column) -> int:
    fits = column.fits(slot.shape)
    return fits if fits < 0 else fits + column.called(slot.names)


def ordered(task: str, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the columns ``chosen`` in the order of the fields of ``task``, others last."""
    own = [slot.field for slot in TASKS[task] if slot.field in chosen]
    return {name: chosen[name] for name in [*own, *(one for one in chosen if one not in own)]}


def written(columns: Sequence[Column], chosen: Mapping[str, str]) -> dict[str, str | None]:
    """Return ``chosen`` as options have it: several references under their name, and null for a field whose own column
    is another's."""
    kinds = {one.name: one.kind for one in columns}
    found: dict[str, str | None] = {
        "references" if name == "reference" and kinds.get(column) == "list" else name: column
        for name, column in chosen.items()
    }
    taken = {column for name, column in chosen.items() if column != name}
    return found | {name: None for name in FIELDS if name in taken and name not in found}


def turns_of(columns: Sequence[Column], chosen: Mapping[str, str]) -> str:
    """Return what a plain text is as a history: ``lines`` where the column has one turn per line, else ``one``."""
    kinds = {one.name: one.kind for one in columns}
    return "lines" if kinds.get(chosen.get("history", "")) == "lines" else "one"
