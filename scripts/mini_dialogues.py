"""Gather the dialogues `mini` is fine-tuned on: python scripts/mini_dialogues.py DATA OUT

OUT gets
- grounded.jsonl and heldout.jsonl, turns of different conversations of Topical-Chat's valid_* splits whose knowledge
  sentence shares words with the response;
- retrieved.jsonl, turns of the self-dialogue corpus, each with the most similar utterance or sentence from elsewhere as
  its knowledge;
- restated.jsonl, turns of that corpus that say a Wikipedia sentence, which is their knowledge, in place of their text;
- chat.jsonl, other turns of that corpus without knowledge.
"""

import json
import lzma
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from zsc.data import topical_chat
from zsc.data.record import Record, Turn
from zsc.data.text import read_documents, split_sentences

MIN_SIMILARITY = 0.25
CHAT_TURNS = 40_000
ASKED_UTTERANCES, ASKED_FACTS = 40_000, 80_000  # turns for which a sentence is looked for among either
RETRIEVED_SIMILARITY = (0.35, 0.9)  # below, hardly a shared word; above, the response itself
POOL_UTTERANCES, POOL_BOOKS = 160_000, 80_000
MIN_WORDS = 6  # of a sentence that is to serve as knowledge, and of a turn it is looked for
RESTATED_TURNS, RESTATED_WORDS = 8_000, (8, 26)
LEADS = ("Did you know that", "I read that", "I heard that", "Yeah,", "Well,", "I know.", "It is interesting that", "")
KIND_MISMATCH = 0.15  # taken off the similarity of a question and a statement
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


def sentences(data: Path, name: str) -> list[str]:
    documents = read_documents(data / f"text/{name}.txt.xz")
    return [text for document in documents for text in split_sentences(document) if long_enough(text)]


def with_retrieved_knowledge(turns: list[Record], pool: list[tuple[str, str]]) -> list[Record]:
    """Give each turn the most similar sentence of ``pool``, (conversation, sentence) pairs, as its knowledge.

    Similarity is the TF-IDF cosine over words that less than a tenth of the pool holds. A sentence of the turn's own
    conversation does not count, and turns whose best match lies outside ``RETRIEVED_SIMILARITY`` are left out.
    """
    vectorizer = TfidfVectorizer(max_df=0.1, sublinear_tf=True, dtype=np.float32)
    known = vectorizer.fit_transform([sentence for _, sentence in pool]).T.tocsr()
    asks = np.array(["?" in sentence for _, sentence in pool])
    places: dict[str, list[int]] = {}
    for place, (owner, _) in enumerate(pool):
        places.setdefault(owner, []).append(place)
    low, high = RETRIEVED_SIMILARITY
    found = []
    for start in range(0, len(turns), 256):
        chunk = turns[start : start + 256]
        similarity = (vectorizer.transform([turn.reference for turn in chunk]) @ known).toarray()
        similarity[similarity > high] = 0
        for row, turn in zip(similarity, chunk, strict=True):
            row[places.get(conversation(turn), [])] = 0
            best = int((row - KIND_MISMATCH * (asks != ("?" in turn.reference))).argmax())
            if row[best] >= low:
                found.append(replace(turn, knowledge=pool[best][1]))
    return found


def restated(turns: list[Record], sentences: list[str], rng: random.Random) -> list[Record]:
    """Replace each turn by a sentence, mostly behind a few words of talk; the sentence is the turn's knowledge."""
    low, high = RESTATED_WORDS
    known = [text for text in sentences if low <= len(text.split()) <= high]
    restatements = []
    for turn, fact in zip(turns, rng.choices(known, k=len(turns)), strict=True):
        lead = rng.choice(LEADS)
        ending = "?" if lead.startswith("Did") else "."
        text = f"{lead} {fact.rstrip('. ')}{ending}".strip()
        restatements.append(replace(turn, reference=text, knowledge=fact))
    return restatements


def long_enough(text: str) -> bool:
    return len(text.split()) >= MIN_WORDS


def conversation(record: Record) -> str:
    return record.id.rpartition("/")[0]


def write(path: Path, records: list[Record]) -> None:
    path.write_text(
        "".join(json.dumps(record.to_json(), allow_nan=False) + "\n" for record in records), encoding="utf-8"
    )


def main(data: Path, out: Path) -> None:
    rng = random.Random(0)
    known, chat = grounded(data), list(self_dialogues(data))
    conversations = list(dict.fromkeys(conversation(record) for record in known))
    held = set(rng.sample(conversations, HELDOUT_CONVERSATIONS))
    rng.shuffle(chat)
    wikipedia = sentences(data, "wikitext2")
    facts = [*wikipedia, *sentences(data, "wordnet_glosses"), *rng.sample(sentences(data, "books"), POOL_BOOKS)]
    utterances = [(conversation(turn), turn.reference) for turn in rng.sample(chat, POOL_UTTERANCES)]
    utterances = [(owner, text) for owner, text in utterances if long_enough(text)]
    others, restating = chat[CHAT_TURNS:-RESTATED_TURNS], chat[-RESTATED_TURNS:]
    others = [turn for turn in others if long_enough(turn.reference)]
    retrieved = [
        *with_retrieved_knowledge(others[:ASKED_UTTERANCES], utterances),
        *with_retrieved_knowledge(
            others[ASKED_UTTERANCES : ASKED_UTTERANCES + ASKED_FACTS], [("", text) for text in facts]
        ),
    ]
    out.mkdir(parents=True, exist_ok=True)
    write(out / "heldout.jsonl", [record for record in known if conversation(record) in held])
    write(out / "grounded.jsonl", [record for record in known if conversation(record) not in held])
    write(out / "retrieved.jsonl", retrieved)
    write(out / "restated.jsonl", restated(restating, wikipedia, rng))
    write(out / "chat.jsonl", chat[:CHAT_TURNS])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
