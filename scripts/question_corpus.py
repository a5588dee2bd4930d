"""Make a corpus of questions on a part of a text: python scripts/question_corpus.py DATA OUT

DATA holds text/wordnet_glosses.txt.xz and text/trivia.txt.xz. OUT gets train.jsonl, heldout.jsonl and test.jsonl:
records with a ``context`` of two or three statements on different things, an ``answer`` in it, its place as ``focus``,
and the question it answers as ``reference``. No two splits share a statement. A model that reads ``context`` alone
cannot know which of its answers is meant: in test.jsonl each answer of a context has a record of its own, with the id
test/CONTEXT/NUMBER. test_statement.jsonl is the same with the whole statement as focus, test_around.jsonl with the
statement but for the answer.

Statements and questions are made by rules, as many of lives ("Sax was a Belgian maker of musical instruments ..."),
of definitions that tell something besides ("A tocsin is a bell used to sound an alarm."), of other definitions ("A dell
is a small wooded hollow."), and of trivia turned around ("Tulsa is the Oklahoma city that saw a race riot in 1921.").
"""

import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zsc.data.text import read_documents

EXAMPLES = {"train": 150_000, "heldout": 1_000, "test": 1_000}  # records, of whole contexts in test
SHARES = {"test": 0.04, "heldout": 0.02}  # of the statements; the others train
MOST_WORDS = 30  # of a statement
ANSWER_WORDS = 12
SIZES = (2, 3)  # statements of a context

LIFE = re.compile(r"\((?:(?P<born>1\d{3})-(?P<died>1\d{3}|20\d\d)|born in (?P<alive>1\d{3}))\)$")
BIRTHPLACE = re.compile(r" ?\(born in (?P<place>[A-Z][\w ]+)\)")
KNOWN = re.compile(
    r"\b(?P<how>noted|known|famous|remembered|honored|celebrated) (?:especially |chiefly |best )?(?:for|as) "
)
PLACES = "city|town|village|lake|river|mountain|peak|range|port|province|capital|county|country|state|island|park|site"
ARTICLE = re.compile(r"(?:an?|the) ")
PARTS = (  # what may be asked of a definition: where the answer begins, and the question of the thing
    (re.compile(r" used (?:to|for|in|as|by) "), "What {is} {thing} used for?"),
    (re.compile(r" of the genus (?=[A-Z])"), "To what genus does {thing} belong?"),
    (re.compile(r" (?:native to|native of) "), "Where does {thing} come from?"),
    (re.compile(r" made (?:of|from|with) "), "What is {thing} made of?"),
    (re.compile(r" (?:located|found|situated|living|growing) in "), "Where is {thing} found?"),
    (re.compile(rf"\b(?:{PLACES})\b in (?=[a-z -]*[A-Z])"), "Where is {thing}?"),
    (re.compile(r" that flows (?=[a-z]* ?(?:into|to|through|from) )"), "Where does {thing} flow?"),
    (
        re.compile(r"(?<! (?:in|of|by|to|on)) (?:that|which) (?=(?!is|are|was|were|has|have|had|can|may)[a-z]+s )"),
        "What does {thing} do?",
    ),
)
CLAUSE = re.compile(r", | (?:that|which|who|found|and used|used|(?:long |best )?noted|known) ")
WH = r"(?:What|Which)"
IS = r"(?:is|was|are|were)"
TURNED = (  # trivia: the form of a question and the statement it is made into
    (re.compile(r"Who (?!is|was|are|were|did|does|do|has|had|can|would|could)(?P<rest>[a-z]+ .+)"),
     "{answer} {rest}."),
    (re.compile(rf"(?:What|Who) (?P<is>{IS}) (?P<rest>(?:the|a|an) .+)"), "{answer} {is} {rest}."),
    (re.compile(rf"{WH} (?P<noun>(?:[\w-]+ ){{0,3}}[\w-]+) (?!{IS} (?:the|an?|[A-Z]))(?P<rest>(?:{IS}|has|had|won|"
                r"wrote|starred|played|plays|directed|sang|became) .+)"), "{answer} is the {noun} that {rest}."),
    (re.compile(r"Where was (?P<rest>.+) (?P<done>born|built|held|filmed|set|founded|buried|raised|located|killed)"),
     "{rest} was {done} in {answer}."),
    (re.compile(r"(?:When|In what year|What year) was (?P<rest>.+) (?P<done>born|built|founded|released|published|"
                r"killed|established|invented|assassinated|elected|made)"), "{rest} was {done} in {answer}."),
    (re.compile(r"How many (?P<noun>[\w -]+?) are (?:there )?(?P<rest>in .+)"), "There are {answer} {noun} {rest}."),
)  # fmt: skip
UNFIT = re.compile(
    r"of these|of the following|which of|\bthis\b|\bthese\b|complete the|according to|following|lyrics|[\"_;:?!]", re.I
)


@dataclass(frozen=True)
class Asked:
    """A question and where its answer stands in the statement."""

    question: str
    start: int
    end: int


@dataclass(frozen=True)
class Statement:
    kind: str
    text: str
    asked: tuple[Asked, ...]


def statement(kind: str, text: str, pairs: Sequence[tuple[str, str]]) -> Statement | None:
    """Return ``text`` with those of the (question, answer) ``pairs`` whose answer stands in it once; None if it is too
    long or nothing can be asked."""
    text = text[:1].upper() + text[1:]
    asked = []
    for question, answer in pairs:
        places = [match.start() for match in re.finditer(rf"(?<!\w){re.escape(answer)}(?!\w)", text, re.IGNORECASE)]
        if len(places) == 1 and len(answer.split()) <= ANSWER_WORDS:
            asked.append(Asked(question, places[0], places[0] + len(answer)))
    return Statement(kind, text, tuple(asked)) if asked and len(text.split()) <= MOST_WORDS else None


def lives_and_definitions(glosses: Sequence[str]) -> Iterator[Statement | None]:
    for gloss in glosses:
        term, _, meaning = gloss.partition(": ")
        meaning = re.split(r'; "', meaning)[0].strip()
        if life := LIFE.search(meaning):
            yield of_life(term, meaning[: life.start()].strip(), life)
        elif ARTICLE.match(meaning) and re.fullmatch(r"[A-Za-z][A-Za-z -]+", term) and not term.startswith("genus "):
            yield of_definition(term, meaning)


def of_life(name: str, who: str, life: re.Match[str]) -> Statement | None:
    """Return a statement on a person: who that was, and when it was born and died."""
    place = BIRTHPLACE.search(who)
    who = BIRTHPLACE.sub("", who).partition(";")[0]
    if "(" in who or not who:
        return None
    verb = "is" if life["alive"] else "was"
    article = "" if ARTICLE.match(who) else with_article(who).partition(" ")[0] + " "
    born = life["born"] or life["alive"]
    there = f"{place['place']} in " if place else ""
    text = f"{name} {verb} {article}{who}. {name} was born in {there}{born}"
    text += f" and died in {life['died']}." if life["died"] else "."
    pairs = [(f"Who {verb} {name}?", f"{article}{who}"), (f"When was {name} born?", born)]
    pairs += [(f"When did {name} die?", life["died"])] if life["died"] else []
    pairs += [(f"Where was {name} born?", place["place"])] if place else []
    if known := KNOWN.search(who):
        pairs.append((f"What {verb} {name} {known['how']} for?", who[known.end() :]))
    elif (deed := re.search(r" who (?=[a-z]+ed )", who)) and life["died"]:
        pairs.append((f"What did {name} do?", who[deed.end() :]))
    found = statement("life", text, pairs)
    if found is None:
        return None
    return replace(found, asked=(Asked(f"Who {verb} {article}{who}?", 0, len(name)), *found.asked))


def of_definition(term: str, meaning: str) -> Statement | None:
    """Return a statement on what something is."""
    meaning = re.sub(r"\([^)]*\) ?", "", meaning.partition(";")[0]).strip().rstrip(".:")
    if '"' in meaning or ":" in meaning or not 3 <= len(meaning.split()) <= 20:
        return None
    thing = term if term[0].isupper() or meaning.startswith("the ") else with_article(term)
    text = f"{thing} is {meaning}."
    pairs = [(f"What is {thing}?", meaning)]
    for part, question in PARTS:
        if part_found := part.search(meaning):
            rest = CLAUSE.split(meaning[part_found.end() :])[0]
            pairs.append((question.format(**{"is": "is", "thing": thing}), rest))
    found = statement("definition" if len(pairs) == 1 else "detailed definition", text, pairs)
    if found is None:
        return None
    return replace(found, asked=(Asked(f"What is {meaning} called?", 0, len(thing)), *found.asked))


def trivia(lines: Sequence[str]) -> Iterator[Statement | None]:
    for line in lines:
        question, _, answer = line.partition("\t")
        question, answer = " ".join(question.split()), " ".join(answer.split()).rstrip(".")
        if not question.endswith("?") or UNFIT.search(question[:-1]) or not 4 <= len(question.split()) <= 22:
            continue
        if (
            not re.fullmatch(r"[A-Z0-9][\w ,.'-]*", answer)
            or len(answer.split()) > 5
            or answer.lower() in question.lower()
        ):
            continue
        for form, made in TURNED:
            if match := form.fullmatch(question[:-1]):
                yield statement("trivia", made.format(answer=answer, **match.groupdict()), [(question, answer)])
                break


def with_article(noun: str) -> str:
    return f"{'an' if noun[0].lower() in 'aeio' else 'a'} {noun}"


def contexts(statements: Sequence[Statement], rng: random.Random) -> Iterator[list[Statement]]:
    """Yield groups of different statements without end, of each kind as many."""
    kinds: dict[str, list[Statement]] = {}
    for one in statements:
        kinds.setdefault(one.kind, []).append(one)
    while True:
        drawn = [rng.choice(kinds[rng.choice(list(kinds))]) for _ in range(rng.choice(SIZES))]
        if len(set(drawn)) == len(drawn):
            yield drawn


def records(group: Sequence[Statement], name: str) -> Iterator[dict[str, Any]]:
    """Yield a record for each answer in a context, all with the place of their statement."""
    context, number = " ".join(one.text for one in group), 0
    start = 0
    for one in group:
        for asked in one.asked:
            place = {"field": "context", "start": start + asked.start, "end": start + asked.end}
            yield {
                "id": f"{name}/{number}",
                "context": context,
                "focus": place,
                "answer": context[place["start"] : place["end"]],
                "statement": one.text,
                "reference": asked.question,
            }
            number += 1
        start += len(one.text) + 1


def examples(statements: Sequence[Statement], split: str, rng: random.Random) -> list[dict[str, Any]]:
    """Return the records of a split: one answer of each context, drawn statement first, but all of them in test."""
    found: list[dict[str, Any]] = []
    for number, group in enumerate(contexts(statements, rng)):
        own = list(records(group, f"{split}/{number}"))
        if split != "test":
            chosen = rng.choice(group).text
            own = [rng.choice([one for one in own if one["statement"] == chosen])]
        found += own
        if len(found) >= EXAMPLES[split]:
            return found
    raise AssertionError("contexts never end")


def on_statement(record: dict[str, Any]) -> dict[str, Any]:
    start = record["context"].index(record["statement"])
    return record | {"focus": {"field": "context", "start": start, "end": start + len(record["statement"])}}


def around(record: dict[str, Any]) -> dict[str, Any]:
    """Return ``record`` with a focus on its statement before and behind the answer."""
    whole, answer = on_statement(record)["focus"], record["focus"]
    parts = [(whole["start"], answer["start"]), (answer["end"], whole["end"])]
    told = [(start, end) for start, end in parts if record["context"][start:end].strip()]
    return record | {"focus": [{"field": "context", "start": start, "end": end} for start, end in told]}


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def main(data: Path, out: Path) -> None:
    rng = random.Random(0)
    glosses = list(read_documents(data / "text/wordnet_glosses.txt.xz"))
    lines = list(read_documents(data / "text/trivia.txt.xz"))
    made = [*lives_and_definitions(glosses), *trivia(lines)]
    statements = list({one.text: one for one in made if one is not None}.values())
    rng.shuffle(statements)
    out.mkdir(parents=True, exist_ok=True)
    for split, share in (*SHARES.items(), ("train", 1.0)):
        own, statements = statements[: round(share * len(made))], statements[round(share * len(made)) :]
        rows = examples(own, split, rng)
        write(out / f"{split}.jsonl", rows)
        if split == "test":
            write(out / "test_statement.jsonl", [on_statement(row) for row in rows])
            write(out / "test_around.jsonl", [around(row) for row in rows])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
