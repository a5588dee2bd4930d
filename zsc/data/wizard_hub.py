"""Wizard of Wikipedia (Dinan et al., 2019) as `chujiezheng/wizard_of_wikipedia` on the Hugging Face hub lays it out.

A row is a dialogue in lists of equal length: ``post``, what the apprentice said, ``response``, what the wizard
answered, ``knowledge``, the sentences the wizard could see, each as a title, SEPARATOR and a sentence, and ``labels``,
the number of the sentence that was used. ``topics`` names the topic of each answer. An answer that used none says
UNUSED. The layout is known from code that reads it; it was not tried on the data itself.
"""

from collections.abc import Iterator

from zsc.data.columns import Row
from zsc.data.hub import check_names, load_split, read_rows
from zsc.data.record import Record, Turn
from zsc.data.wizard import UNUSED, check_min_history
from zsc.errors import ZscError

SEPARATOR = "__knowledge__"
COLUMNS = ("post", "response", "knowledge", "labels")


def load(
    path: str | None = "chujiezheng/wizard_of_wikipedia",
    split: str = "test",
    revision: str | None = None,
    min_history: int = 1,
) -> list[Record]:
    """Return one record per answer of the wizard that used a sentence and follows at least ``min_history`` turns."""
    check_min_history(min_history)
    rows = load_split(path, None, split, revision)
    check_names(COLUMNS, rows.column_names, f"{path}, split {split}")
    return [
        record
        for number, (where, row) in enumerate(read_rows(rows, f"{path}, split {split}"))
        for record in _records(f"{split}/{number}", row, min_history, where)
    ]


def _records(key: str, dialogue: Row, min_history: int, where: str) -> Iterator[Record]:
    lists = [dialogue[name] for name in COLUMNS]
    if not all(isinstance(one, list) and len(one) == len(lists[0]) for one in lists):
        raise ZscError(f"{where}: {', '.join(COLUMNS)} must be lists of equal length. Fetch the dataset again.")
    topics = dialogue.get("topics") or [None] * len(lists[0])
    history: list[Turn] = []
    for number, (post, response, sentences, label) in enumerate(zip(*lists, strict=True)):
        if text := _clean(post):
            history.append(Turn("Apprentice", text))
        answer = _clean(response)
        if not isinstance(label, int) or not isinstance(sentences, list) or label >= len(sentences):
            raise ZscError(f"{where}, answer {number}: label {label!r} names none of its sentences.")
        title, _, sentence = sentences[label].partition(SEPARATOR) if label >= 0 else ("", "", UNUSED)
        knowledge = _clean(sentence)
        if answer and len(history) >= min_history and knowledge not in ("", UNUSED):
            topic = _clean(topics[number]) or _clean(title) or None
            yield Record(f"{key}/{number}", tuple(history), answer, knowledge, topic)
        if answer:
            history.append(Turn("Wizard", answer))


def _clean(text: str | None) -> str:
    return " ".join((text or "").split())
