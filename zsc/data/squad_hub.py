"""SQuAD as `rajpurkar/squad` and `rajpurkar/squad_v2` on the Hugging Face hub lay it out.

A row is a question: ``id``, ``title``, ``context``, ``question``, and ``answers`` with a list of ``text`` and one of
``answer_start``.
"""

from collections.abc import Iterator

from zsc.data.columns import Row
from zsc.data.hub import check_names, load_split, read_rows
from zsc.data.record import Record
from zsc.data.squad import Asked, records
from zsc.data.wizard import field
from zsc.errors import ZscError

COLUMNS = ("id", "title", "context", "question", "answers")


def load(
    path: str | None = "rajpurkar/squad",
    split: str = "validation",
    revision: str | None = None,
    task: str = "question_answering",
    unanswerable: bool = False,
) -> list[Record]:
    """Return one record per question, see :func:`zsc.data.squad.records`."""
    rows = load_split(path, None, split, revision)
    where = f"{path}, split {split}"
    check_names(COLUMNS, rows.column_names, where)
    return records(_asked(read_rows(rows, where)), task, unanswerable)


def _asked(rows: Iterator[tuple[str, Row]]) -> Iterator[Asked]:
    for where, row in rows:
        answers = row["answers"]
        texts, starts = field(answers, "text", list, where), field(answers, "answer_start", list, where)
        if len(texts) != len(starts):
            raise ZscError(f"{where}: 'answers' has {len(texts)} texts and {len(starts)} places. Fetch it again.")
        pairs = tuple(zip(texts, starts, strict=True))
        key, title, context, question = (field(row, name, str, where) for name in COLUMNS[:4])
        yield Asked(key, title, context, question, pairs, where)
