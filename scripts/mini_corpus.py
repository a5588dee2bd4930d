"""Gather the pre-training text of `mini`: python scripts/mini_corpus.py DATA OUT

DATA holds topical_chat/, self_dialogue/ and text/ (the model card names the sources). OUT gets train.txt and
heldout.txt, one document per line in random order. Only the valid_* splits of Topical-Chat are read.
"""

import json
import lzma
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from zsc.data.text import read_documents

BOOKS_SHARE = 0.12
HELDOUT_SHARE = 0.004


def dialogue(turns: list[str]) -> str:
    return " ".join(f"<speaker{1 + i % 2}> {' '.join(turn.split())}" for i, turn in enumerate(turns))


def self_dialogues(data: Path) -> Iterator[str]:
    with lzma.open(data / "self_dialogue/dialogues.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield dialogue(json.loads(line)["turns"])


def topical_chat(data: Path) -> Iterator[str]:
    wiki = json.loads((data / "topical_chat/src/wiki/wiki.json").read_text(encoding="utf-8"))
    sections = {number: text for kind in wiki.values() for text, number in kind.items()}
    for split in ("valid_freq", "valid_rare"):
        conversations = json.loads((data / f"topical_chat/conversations/{split}.json").read_text(encoding="utf-8"))
        for conversation in conversations.values():
            yield dialogue([turn["message"] for turn in conversation["content"]])
        reading = json.loads((data / f"topical_chat/reading_sets/pre-build/{split}.json").read_text(encoding="utf-8"))
        numbers = {
            value
            for conversation in reading.values()
            for agent in ("agent_1", "agent_2")
            for fact in conversation[agent].values()
            if isinstance(fact, dict)
            for key, value in fact.items()
            if key.endswith("wiki_lead_section")
        }
        yield from (" ".join(sections[number].split()) for number in sorted(numbers))


def books(data: Path, rng: random.Random) -> Iterator[str]:
    return (text for text in read_documents(data / "text/books.txt.xz") if rng.random() < BOOKS_SHARE)


def main(data: Path, out: Path) -> None:
    rng = random.Random(0)
    documents = [
        *self_dialogues(data),
        *topical_chat(data),
        *books(data, rng),
        *read_documents(data / "text/wikitext2.txt.xz"),
        *read_documents(data / "text/wordnet_glosses.txt.xz"),
        *(text.replace("\t", " ") for text in read_documents(data / "text/trivia.txt.xz")),
    ]
    documents = list(dict.fromkeys(documents))
    rng.shuffle(documents)
    cut = round(HELDOUT_SHARE * len(documents))
    out.mkdir(parents=True, exist_ok=True)
    (out / "heldout.txt").write_text("\n".join(documents[:cut]) + "\n", encoding="utf-8")
    (out / "train.txt").write_text("\n".join(documents[cut:]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
