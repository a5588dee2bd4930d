"""SQuAD (Rajpurkar et al., 2016, 2018): questions on paragraphs of Wikipedia, answered by a part of the paragraph.

A file of version 1.1 or 2.0 is an object whose ``data`` are articles with a ``title`` and ``paragraphs``, each a
``context`` with ``qas``: an ``id``, a ``question`` and ``answers`` of a ``text`` and an ``answer_start`` in characters.
In version 2.0 a question that the paragraph does not answer has none.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from zsc.data.files import read_json
from zsc.data.record import Record, parse_record, unique
from zsc.data.wizard import field
from zsc.errors import ZscError, suggestion
from zsc.terminal import say

FETCH = "Download https://rajpurkar.github.io/SQuAD-explorer/dataset/dev-v1.1.json, and set dataset.path=FILE."

Task = Literal["question_answering", "question_generation"]


@dataclass(frozen=True)
class Asked:
    """A question on a paragraph, with its ``answers`` as a text and where it begins."""

    id: str
    title: str
    context: str
    question: str
    answers: tuple[tuple[str, int], ...]
    where: str  # in the data


def load(path: str | None = None, task: str = "question_answering", unanswerable: bool = False) -> list[Record]:
    """Return one record per question of a file, see :func:`records`."""
    if not path:
        raise ZscError(f"dataset squad needs dataset.path=FILE.json. {FETCH}")
    file = Path(str(path))
    return records(_asked(read_json(file, FETCH), str(file)), task, unanswerable)


def _asked(document: Any, file: str) -> Iterator[Asked]:
    for number, article in enumerate(field(document, "data", list, file)):
        where = f"{file}, article {number}"
        title = field(article, "title", str, where) if "title" in article else ""
        for place, paragraph in enumerate(field(article, "paragraphs", list, where)):
            inside = f"{where}, paragraph {place}"
            context = field(paragraph, "context", str, inside)
            for asked in field(paragraph, "qas", list, inside):
                key = field(asked, "id", str, inside)
                here = f"{inside}, question {key!a}"
                question = field(asked, "question", str, here)
                answers = field(asked, "answers", list, here)
                yield Asked(key, title, context, question, tuple(_answer(one, here) for one in answers), here)


def _answer(answer: Any, where: str) -> tuple[str, int]:
    return field(answer, "text", str, where), int(field(answer, "answer_start", float, where))


def records(asked: Iterable[Asked], task: str, unanswerable: bool) -> list[Record]:
    """Return one record per question, with the paragraph as the field ``context`` and the first answer as the field
    ``answer`` and, at its place in the paragraph, as focus.

    To be generated are, for the task ``question_answering``, the answers, from the field ``question``; for
    ``question_generation``, the question, which is then in no field. Without ``unanswerable``, questions without an
    answer are left out, which is said on stderr. Raises ZscError for another task, and for an answer that does not
    stand where it is said to.
    """
    if task not in get_args(Task):
        known = get_args(Task)
        hint = suggestion(str(task), known)
        raise ZscError(f"dataset.task={task} is not one of {', '.join(known)}.{hint} Add task=TASK.")
    if unanswerable and task == "question_generation":
        raise ZscError("dataset.unanswerable=true: no question can be generated without an answer. Leave it out.")
    every = list(asked)
    kept = [one for one in every if one.answers or unanswerable]
    if lacking := len(every) - len(kept):
        more = "" if task == "question_generation" else "; dataset.unanswerable=true keeps them"
        say(f"{lacking:,} of {len(every):,} questions have no answer, and are left out{more}.")
    return unique((one.where, parse_record(_fields(one, task), one.where)) for one in kept)


def _fields(asked: Asked, task: str) -> Mapping[str, Any]:
    common: dict[str, Any] = {"id": asked.id, "topic": asked.title.replace("_", " "), "context": asked.context}
    if asked.answers:
        text, start = asked.answers[0]
        common |= {"answer": text, "focus": {"field": "context", "start": start, "text": text}}
    if task == "question_generation":
        return {**common, "reference": asked.question}
    return {**common, "question": asked.question, "references": [text for text, _ in asked.answers]}
