"""Check the embedded evaluation set against the rules of its data card: python scripts/check_parlor.py [FILE]"""

import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

from zsc.data import jsonl
from zsc.data.embedded import PARLOR
from zsc.data.record import Record
from zsc.data.words import ngrams, words

TOPICS = 8
PER_TOPIC = 30
MAX_BYTES = 500_000
QUESTION_SHARE = (0.2, 0.3)
KNOWLEDGE_WORDS, TURN_WORDS, REFERENCE_WORDS = (8, 26), (2, 24), (8, 32)
COPIED_RUN = 5
NEAR_DUPLICATE = 0.3


def problems(file: Path) -> list[str]:
    """Return one line for each rule that ``file`` breaks."""
    records = jsonl.load(str(file))
    return [
        *_counts(file, records),
        *(line for record in records for line in _record(record)),
        *_openings(records),
        *_near_duplicates(records),
    ]


def _counts(file: Path, records: list[Record]) -> list[str]:
    found = []
    topics = Counter(record.topic for record in records)
    if len(topics) != TOPICS or set(topics.values()) != {PER_TOPIC}:
        found.append(f"topics {dict(topics)}: wants {TOPICS} of {PER_TOPIC}")
    share = sum("?" in record.reference for record in records) / len(records)
    if not QUESTION_SHARE[0] <= share <= QUESTION_SHARE[1]:
        found.append(f"{share:.0%} of the references ask something: wants about a quarter")
    if file.stat().st_size > MAX_BYTES:
        found.append(f"{file.stat().st_size} bytes: wants at most {MAX_BYTES}")
    return found


def _record(record: Record) -> list[str]:
    found = []
    if [turn.speaker for turn in record.history] != ["speaker1", "speaker2"] * 2 + ["speaker1"]:
        found.append("speakers do not alternate over five turns")
    sized = [("knowledge", record.knowledge or "", KNOWLEDGE_WORDS), ("reference", record.reference, REFERENCE_WORDS)]
    sized += [(f"turn {i}", turn.text, TURN_WORDS) for i, turn in enumerate(record.history)]
    found += [
        f"{name} has {len(text.split())} words"
        for name, text, (low, high) in sized
        if not low <= len(text.split()) <= high
    ]
    known = set(ngrams(words(record.knowledge or ""), COPIED_RUN))
    said_before = {gram for turn in record.history for gram in ngrams(words(turn.text), COPIED_RUN)}
    if known & set(ngrams(words(record.reference), COPIED_RUN)):
        found.append(f"the reference copies {COPIED_RUN} words running of the knowledge")
    if known & said_before:
        found.append("the history already tells the knowledge")
    return [f"{record.id}: {line}" for line in found]


def _openings(records: list[Record]) -> list[str]:
    references = Counter((record.topic, *words(record.reference)[:2]) for record in records)
    turns = Counter((record.topic, *words(record.history[0].text)[:3]) for record in records)
    return [f"opening used {count} times: {key}" for key, count in (references + turns).items() if count > 1]


def _near_duplicates(records: list[Record]) -> list[str]:
    texts = [
        (f"{record.id} {name}", set(ngrams(words(text), 3)))
        for record in records
        for name, text in [
            ("knowledge", record.knowledge or ""),
            ("reference", record.reference),
            *((f"turn {i}", turn.text) for i, turn in enumerate(record.history)),
        ]
    ]
    return [
        f"near-duplicates: {a} and {b}"
        for (a, left), (b, right) in combinations(texts, 2)
        if left and len(left & right) > NEAR_DUPLICATE * len(left | right)
    ]


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]) if len(sys.argv) > 1 else PARLOR)
    print("\n".join(found) or "parlor keeps every rule")
    raise SystemExit(bool(found))
