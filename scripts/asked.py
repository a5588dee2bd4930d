"""Which of the questions that a context answers was asked: python scripts/asked.py RUN

RUN is a run of `zsc run task=question_generation` on a test file of scripts/question_corpus.py, in which the records
test/CONTEXT/NUMBER of a context are one for each of its answers. A response asks what the reference with the greatest
token F1 asks, of those of its context. Printed for each setting, in percent of the responses: that is the
record's own reference; that is one of its own statement; and the first word is that of the own reference. Choosing at
random would give the shares of the last line.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

from zsc.data.jsonl import load
from zsc.data.record import Record
from zsc.metrics.answers import AnswerF1


def context(record: Record) -> str:
    return record.id.rpartition("/")[0]


def alike(asked: Record, own: Record, first: str) -> tuple[bool, bool, bool]:
    """Say whether two records have the same question, the same statement, and questions of the same ``first`` word."""
    same = asked.fields["statement"] == own.fields["statement"]
    return asked.id == own.id, same, str(own.reference).split()[0] == first


def first_word(text: str | None) -> str:
    return str(text).split()[0] if text else ""


def main(run: Path) -> None:
    records = {record.id: record for record in load(str(run / "records.jsonl"))}
    rivals = defaultdict(list)
    for record in records.values():
        rivals[context(record)].append(record)
    f1 = AnswerF1("f1", "reference")
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for line in (run / "generations.jsonl").read_text(encoding="utf-8").splitlines():
        said = json.loads(line)
        own = records[said["id"]]
        others = rivals[context(own)]
        scores = f1.statistics([said["response"]] * len(others), [[other.reference] for other in others])[:, 0]
        found[said["setting"]].append(alike(others[int(scores.argmax())], own, first_word(said["response"])))
    for own in records.values():
        chances = [alike(other, own, first_word(other.reference)) for other in rivals[context(own)]]
        found["by chance"].append(tuple(map(mean, zip(*chances, strict=True))))
    for setting, rows in found.items():
        print("\t".join([setting, *(f"{100 * mean(column):.1f}" for column in zip(*rows, strict=True))]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
