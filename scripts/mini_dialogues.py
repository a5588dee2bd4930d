"""Gather the dialogues `mini` is fine-tuned on: python scripts/mini_dialogues.py DATA OUT

OUT gets grounded.jsonl and heldout.jsonl, turns of different conversations of Topical-Chat's valid_* splits whose
knowledge sentence shares words with the response, and chat.jsonl, turns of the self-dialogue corpus, which has no
knowledge.
"""

import json
import lzma
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from zsc.data import topical_chat
from zsc.data.record import Record, Turn

MIN_SIMILARITY = 0.15
CHAT_TURNS = 40_000
HELDOUT_CONVERSATIONS = 40


def self_dialogues(data: Path) -> Iterator[Record]:
    with lzma.open(data / "self_dialogue/dialogues.jsonl.xz", "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            dialogue = json.loads(line)
            turns = [Turn(f"speaker{1 + i % 2}", " ".join(t.split())) for i, t in enumerate(dialogue["turns"])]
            for i in range(1, len(turns)):
                if len(turns[i].text.split()) > 2 and all(turn.text for turn in turns[:i]):
                    history = tuple(turns[max(0, i - 5) : i])
                    yield Record(f"self-dialogue/{number}/{i}", history, turns[i].text, topic=dialogue["topic"])


def grounded(data: Path) -> list[Record]:
    folder = str(data / "topical_chat")
    return [
        Record(record.id, record.history[-5:], record.reference, record.knowledge, record.topic)
        for split in ("valid_freq", "valid_rare")
        for record in topical_chat.load(folder, split, min_history=1, min_similarity=MIN_SIMILARITY)
    ]


def conversation(record: Record) -> str:
    return record.id.split("/")[0]


def write(path: Path, records: list[Record]) -> None:
    path.write_text("".join(json.dumps(record.to_json()) + "\n" for record in records), encoding="utf-8")


def main(data: Path, out: Path) -> None:
    rng = random.Random(0)
    known, chat = grounded(data), list(self_dialogues(data))
    conversations = list(dict.fromkeys(conversation(record) for record in known))
    held = set(rng.sample(conversations, HELDOUT_CONVERSATIONS))
    rng.shuffle(chat)
    out.mkdir(parents=True, exist_ok=True)
    write(out / "heldout.jsonl", [record for record in known if conversation(record) in held])
    write(out / "grounded.jsonl", [record for record in known if conversation(record) not in held])
    write(out / "chat.jsonl", chat[:CHAT_TURNS])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
