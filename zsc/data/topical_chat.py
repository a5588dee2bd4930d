"""Topical-Chat (Gopalakrishnan et al., 2019) in its official layout.

    FOLDER/conversations/SPLIT.json            or FOLDER/TopicalChatEnriched/SPLIT.json, preferred when there
    FOLDER/reading_sets/post-build/SPLIT.json  or FOLDER/reading_sets/pre-build/SPLIT.json with
    FOLDER/src/wiki/wiki.json

A post-build reading set holds the text of Wikipedia sections, fun facts and articles. A pre-build one holds
numbers of Wikipedia sections, which wiki.json resolves; its fun facts are Reddit ids without text and are left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zsc.data.files import dataset_folder, read_json
from zsc.data.record import Record, Turn
from zsc.data.similarity import most_similar
from zsc.data.text import split_sentences
from zsc.errors import ZscError, suggestion

SPLITS = ("train", "valid_freq", "valid_rare", "test_freq", "test_rare")
WIKI_FIELDS = ("shortened_wiki_lead_section", "summarized_wiki_lead_section")
FETCH = "Clone https://github.com/alexa/Topical-Chat (src/build.py adds fun facts and articles)."

Sections = dict[int, str]


def load(
    path: str | None = None, split: str = "test_freq", min_history: int = 5, min_similarity: float = 0.0
) -> list[Record]:
    """Return one record per turn that follows at least ``min_history`` turns.

    Its knowledge is the enriched annotation where there is one, otherwise the sentence of the speaker's own reading
    set most similar to the turn [P A.1]. Turns whose similarity is below ``min_similarity`` are left out [D].
    """
    if split not in SPLITS:
        raise ZscError(f"dataset.split={split} is not one of {', '.join(SPLITS)}.{suggestion(split, SPLITS)}")
    folder = dataset_folder("topical_chat", path, FETCH)
    enriched = folder / "TopicalChatEnriched" / f"{split}.json"
    conversations = enriched if enriched.is_file() else folder / "conversations" / f"{split}.json"
    records: list[Record] = []
    where = str(folder / "reading_sets")
    try:
        reading_sets, sections = _reading_sets(folder, split)
        where = str(conversations)
        for key, conversation in read_json(conversations, FETCH).items():
            where = f"{conversations}, conversation {key}"
            records += _records(key, conversation, reading_sets[key], sections, min_history, min_similarity)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        lacking = f"field {error} is missing" if isinstance(error, LookupError) else f"a wrong type ({error})"
        raise ZscError(f"{where}: not in the official layout: {lacking}. Fetch the files again.") from error
    return records


def _reading_sets(folder: Path, split: str) -> tuple[dict[str, Any], Sections]:
    built = folder / "reading_sets" / "post-build" / f"{split}.json"
    if built.is_file():
        return read_json(built, FETCH), {}
    wiki = read_json(folder / "src" / "wiki" / "wiki.json", FETCH)
    sections = {number: text for kind in wiki.values() for text, number in kind.items()}
    if not sections:
        raise ValueError("src/wiki/wiki.json holds no section")
    return read_json(folder / "reading_sets" / "pre-build" / f"{split}.json", FETCH), sections


def _records(
    key: str,
    conversation: dict[str, Any],
    reading_set: dict[str, Any],
    sections: Sections,
    min_history: int,
    min_similarity: float,
) -> list[Record]:
    turns = [Turn(turn["agent"], _message(turn["message"])) for turn in conversation["content"]]
    candidates = {agent: list(_sentences(reading_set, agent, sections)) for agent in {t.speaker for t in turns}}
    targets = [i for i, turn in enumerate(turns) if i >= max(min_history, 1) and turn.text]
    chosen: dict[int, tuple[str, str, float]] = {}
    for agent, known in candidates.items():
        mine = [i for i in targets if turns[i].speaker == agent]
        if known and mine:
            choices = most_similar([sentence for sentence, _ in known], [turns[i].text for i in mine])
            chosen |= {i: (*known[choice.index], choice.similarity) for i, choice in zip(mine, choices, strict=True)}
    records = []
    for i in targets:
        knowledge, topic, similarity = (
            _annotated(conversation["content"][i], reading_set, sections) or chosen.get(i) or (None, None, 0.0)
        )
        history = tuple(turn for turn in turns[:i] if turn.text)
        if similarity >= min_similarity and history:
            records.append(Record(f"{key}/{i}", history, turns[i].text, knowledge, topic))
    return records


def _message(message: str | list[str]) -> str:
    return " ".join((message if isinstance(message, str) else " ".join(message)).split())


def _sentences(reading_set: dict[str, Any], agent: str, sections: Sections) -> Iterator[tuple[str, str]]:
    """Yield (sentence, entity or headline) of everything ``agent`` had to read."""
    for name, fact in reading_set[agent].items():
        if name.startswith("FS"):
            texts = [_wiki(fact, sections), *(fact["fun_facts"] if not sections else [])]
            for text in texts:
                yield from ((sentence, fact["entity"]) for sentence in _split(text))
    article = reading_set.get("article", {})
    for name, text in article.items():
        if name.startswith("AS"):
            yield from ((sentence, article["headline"]) for sentence in _split(text))


def _split(text: str) -> list[str]:
    return [" ".join(sentence.split()) for line in text.splitlines() for sentence in split_sentences(line.strip())]


def _wiki(fact: dict[str, Any], sections: Sections) -> str:
    for field in WIKI_FIELDS:
        if field in fact:
            return sections[fact[field]] if sections else fact[field]
    return ""


def _annotated(turn: dict[str, Any], reading_set: dict[str, Any], sections: Sections) -> tuple[str, str, float] | None:
    """Return (sentence, topic, similarity) of an enriched annotation, or None without one whose text is at hand."""
    note = turn.get("gt_turn_ks")
    if not note:
        return None
    span = slice(note.get("start_index"), note.get("end_index"))
    if note["ds"] == "article":
        article = reading_set.get("article", {})
        found, topic = article.get(note["section"], "")[span], article.get("headline")
    else:
        fact = reading_set[turn["agent"]].get(note["section"], {})
        topic = fact.get("entity")
        if note["ds"] == "wiki":
            found = _wiki(fact, sections)[span]
        else:
            found = "" if sections else fact["fun_facts"][note["index"]]
    sentence = " ".join(found.split())
    return (sentence, topic, float(note["score"] or 0)) if sentence else None
