"""Make a corpus of sentences in two registers: python scripts/register_corpus.py DATA OUT

DATA holds self_dialogue/ and topical_chat/ (valid_* only). OUT gets train.jsonl, heldout.jsonl and test.jsonl: records
whose ``source`` is a sentence of mixed register ("I do not think he's gonna bring the children.") and whose
``reference`` is the same sentence in one register, formal ("I do not think he is going to bring the children.") or
informal ("I don't think he's gonna bring the kids."). The more of a source is formal, the likelier its reference is:
of N phrases that differ K are formal, and the reference is with a chance of (K + 1) / (N + 2). In test.jsonl half of
the phrases of a source are formal, and half of the references.

Test files hold both references as ``formal`` and ``informal`` too, and as ``formal_annotated`` and
``informal_annotated`` with [F]...[/F] around what differs, as CoCoA-MT does. test_formal.jsonl and test_informal.jsonl
have the sources of test.jsonl, the reference of that register and, as ``focus``, the phrases of that register in the
source. phrases_formal.txt and phrases_informal.txt are the same held-out sentences in either register, for ctx_aug.
"""

import json
import lzma
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zsc.data.text import split_sentences

HELDOUT, TEST = 1_000, 500  # sentences; the others train
CONTROL = 30  # sentences of each file of control phrases
REGISTERS = ("formal", "informal")
DRAWS = 3  # sources made of a sentence to train on
WORDS = (5, 22)
LEAST_PHRASES = 2  # of a sentence that differ between the registers
LEAST_COUNT = 5  # of a word in lower case, in all turns: rarer ones are mostly misspelt
WORD = re.compile(r"(?<![\w'])[a-z']+")

SUBJECTS = "I|you|he|she|it|we|they"
NEXT = "(?= [a-z])"
GONE = "been|seen|heard|never|always|ever|read|watched|tried|played|become|made|met|listened|lost|won|gone|done|had|got"
GOOD = "good|cool|bad|sure|well|hard|close|old|amazing|nice|easy|clear|new|popular|famous|interesting"
VERBS = (
    "be|do|go|get|see|watch|say|make|have|take|give|come|look|know|think|try|find|keep|play|win|buy|tell|ask|read|listen|"
    "hear|start|stop|let|put|need|like|love|miss|happen|work|talk|eat|sleep|leave|call|check|wait|show|sing|write|use|die"
)
NEGATED = ("do", "does", "did", "is", "are", "was", "were", "could", "would", "should", "have", "has", "had")
PAIRS = (  # formal, informal (spellings after the first one count as it), what must follow
    ("going to", "gonna", f"(?= (?:{VERBS})\\b)"),
    ("want to", "wanna", ""),
    ("let me", "lemme", ""),
    ("children", "kids", ""),
    ("child", "kid", ""),
    ("mother", "mom", ""),
    ("father", "dad", ""),
    ("the man", "the guy|the dude", ""),
    ("a man", "a guy|a dude", ""),
    ("that man", "that guy|that dude", ""),
    ("you all", "you guys", ""),
    ("film", "movie|flick", ""),
    ("films", "movies|flicks", ""),
    ("television", "TV|tv", ""),
    ("a great deal of", "a lot of|lots of|a ton of|tons of", ""),
    ("very much", "a lot", "(?=[.,!])"),
    ("a number of", "a bunch of", ""),
    ("two or three", "a couple of", ""),
    ("slightly", "a bit|a little bit", NEXT),
    ("somewhat", "kinda|sorta", NEXT),
    ("excellent", "awesome", ""),
    ("very large", "huge", ""),
    ("large", "big", "(?! (?:fan|deal|time))"),
    ("strange", "weird", ""),
    ("frightening", "scary", ""),
    ("amusing", "funny", ""),
    ("dislike", "hate", ""),
    ("because", "cuz", ""),
    ("perhaps", "maybe", ""),
    ("in any case", "anyway|anyways", ""),
    ("until", "till|til", ""),
    ("truly", "really", NEXT),
    ("at present", "right now", ""),
    ("at that time", "back then", ""),
    ("discover", "find out", ""),
    ("determine", "figure out", ""),
    ("purchase", "buy", ""),
    ("purchased", "bought", ""),
    ("assist", "help", "(?= (?:me|you|him|her|us|them)\\b)"),
    ("I believe", "I think", ""),
    ("I suppose", "I guess", ""),
    ("thank you", "thanks", "(?! to)"),
    ("rather", "pretty", f"(?= (?:{GOOD})\\b)"),
    *((f"{subject} have to", f"{subject} gotta|{subject} got to", "") for subject in ("I", "you", "we", "they")),
    *((f"{subject} am", f"{subject}'m", NEXT) for subject in ("I",)),
    *((f"{subject} are", f"{subject}'re", f"(?! like){NEXT}") for subject in ("you", "we", "they")),
    *((f"{subject} has", f"{subject}'s", f"(?= (?:{GONE})\\b)") for subject in ("he", "she", "it")),
    *((f"{subject} is", f"{subject}'s", f"(?! (?:like|{GONE})\\b){NEXT}")
      for subject in ("he", "she", "it", "that", "there", "what", "who")),
    *((f"{subject} have", f"{subject}'ve", f"(?= (?:{GONE})\\b)") for subject in ("I", "you", "we", "they")),
    *((f"{subject} will", f"{subject}'ll", f"(?! not){NEXT}") for subject in SUBJECTS.split("|")),
    *((f"{verb} {subject} not", f"{verb}n't {subject}", "")
      for verb in NEGATED for subject in SUBJECTS.split("|")),
    *((f"{verb} not", f"{verb}n't|{verb}nt", "") for verb in NEGATED),
    ("cannot", "can't|cant", ""),
    ("will not", "won't|wont", ""),
)  # fmt: skip
OPENINGS = (  # of sentences
    ("yes,", "yeah,|yep,|yea,|yup,", ""),
    ("no,", "nah,|nope,", ""),
    ("certainly,", "sure,", ""),
    ("very well,", "okay,|ok,|alright,", ""),
    ("hello,", "hey,|hi,", ""),
    ("however,", "but", NEXT),
    ("therefore,", "so", f"(?= (?:{SUBJECTS})\\b)"),
    ("let us", "let's|lets", ""),
)
UNFIT = re.compile(
    r"[^A-Za-z0-9 ,.!?'$-]|\.\.|\b(?:\w+'d|ain't|fuck\w*|shit\w*|bitch\w*|ass|damn|sex\w*|of course not)\b"
)


@dataclass(frozen=True)
class Phrase:
    """A part of a sentence in either register."""

    formal: str
    informal: str


Sentence = tuple[str | Phrase, ...]


@dataclass(frozen=True)
class Rule:
    """A phrase, what must follow it, and whether it must open the sentence."""

    phrase: Phrase
    after: re.Pattern[str]
    opening: bool


def rules() -> dict[str, Rule]:
    """Return the rule of each spelling, in lower case; of the last phrase where several are spelt alike."""
    known = {}
    for pairs, opening in ((PAIRS, False), (OPENINGS, True)):
        for formal, informal, after in pairs:
            spellings = informal.split("|")
            rule = Rule(Phrase(formal, spellings[0]), re.compile(after), opening)
            known |= {spelling.lower(): rule for spelling in (formal, *spellings)}
    return known


RULES = rules()
SPELLINGS = "|".join(map(re.escape, sorted(RULES, key=len, reverse=True)))
FOUND = re.compile(rf"(?<![\w'-])(?P<article>an? )?(?P<spelling>{SPELLINGS})(?!['\w-])", re.IGNORECASE)


def parsed(text: str) -> Sentence:
    """Return a sentence as its parts: texts, and what there is of phrases that differ between the registers."""
    parts: list[str | Phrase] = []
    end = 0
    for match in FOUND.finditer(text):
        spelling, first = match["spelling"], match.start() == 0
        rule = RULES[spelling.lower()]
        forms = [rule.phrase.formal, rule.phrase.informal]
        named = not first and spelling[0] not in {form[0] for form in forms}  # a capital within a sentence
        if named or (rule.opening and not first) or not rule.after.match(text, match.end()):
            continue
        if match["article"]:
            forms = [f"{'an' if form[0] in 'aeiou' else 'a'} {form}" for form in forms]
        if first:
            forms = [form[0].upper() + form[1:] for form in forms]
        parts += [text[end : match.start()], Phrase(*forms)]
        end = match.end()
    return tuple(part for part in (*parts, text[end:]) if part)


def phrases(sentence: Sentence) -> list[Phrase]:
    return [part for part in sentence if isinstance(part, Phrase)]


def told(sentence: Sentence, formal: Sequence[bool], mark: str = "{}") -> str:
    """Return the text of a sentence, each phrase formal or not, and put into ``mark``."""
    choices = iter(formal)
    return "".join(
        part if isinstance(part, str) else mark.format(part.formal if next(choices) else part.informal)
        for part in sentence
    )


def places(sentence: Sentence, formal: Sequence[bool], wanted: bool) -> list[dict[str, Any]]:
    """Return where in the source the phrases of one register stand."""
    found, start, choices = [], 0, iter(formal)
    for part in sentence:
        choice = next(choices) if isinstance(part, Phrase) else None
        text = part if isinstance(part, str) else part.formal if choice else part.informal
        if choice is wanted:
            found.append({"field": "source", "start": start, "end": start + len(text)})
        start += len(text)
    return found


def turns(data: Path) -> Iterator[str]:
    with lzma.open(data / "self_dialogue/dialogues.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield from json.loads(line)["turns"]
    for split in ("valid_freq", "valid_rare"):
        conversations = json.loads((data / f"topical_chat/conversations/{split}.json").read_text(encoding="utf-8"))
        for conversation in conversations.values():
            yield from (turn["message"] for turn in conversation["content"])


def sentences(data: Path) -> list[Sentence]:
    """Return the different sentences, of words that are not rare, with phrases that differ between the registers."""
    least, most = WORDS
    texts = [text for turn in turns(data) for text in split_sentences(" ".join(turn.replace("\u2019", "'").split()))]
    counts = Counter(word for text in texts for word in WORD.findall(text))
    found: dict[str, Sentence] = {}
    for text in texts:
        whole = least <= len(text.split()) <= most and text[0].isupper() and text[-1] in ".!?"
        if whole and not UNFIT.search(text) and all(counts[word] >= LEAST_COUNT for word in WORD.findall(text)):
            sentence = parsed(text)
            if len(own := phrases(sentence)) >= LEAST_PHRASES:
                found.setdefault(told(sentence, [True] * len(own)).lower(), sentence)
    return list(found.values())


def example(sentence: Sentence, name: str, rng: random.Random) -> dict[str, Any]:
    """Return a record whose reference is the likelier formal, the more formal its source is."""
    formal = [rng.random() < 0.5 for _ in phrases(sentence)]
    chance = (sum(formal) + 1) / (len(formal) + 2)
    target = rng.random() < chance
    reference = told(sentence, [target] * len(formal))
    return {"id": name, "source": told(sentence, formal), "reference": reference}


def test_examples(sentence: Sentence, number: int, rng: random.Random) -> list[dict[str, Any]]:
    """Return the records of a sentence in test.jsonl, test_formal.jsonl and test_informal.jsonl."""
    count = len(phrases(sentence))
    formal = [place < (count + number % 2) // 2 for place in range(count)]
    rng.shuffle(formal)
    both = {name: told(sentence, [name == "formal"] * count) for name in REGISTERS}
    marked = {f"{name}_annotated": told(sentence, [name == "formal"] * count, "[F]{}[/F]") for name in both}
    own = {"id": f"test/{number}", "source": told(sentence, formal), **both, **marked}
    asked = {name: {"reference": both[name], "focus": places(sentence, formal, name == "formal")} for name in both}
    reference = both["formal" if rng.random() < 0.5 else "informal"]
    return [own | {"reference": reference}, own | asked["formal"], own | asked["informal"]]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def main(data: Path, out: Path) -> None:
    rng = random.Random(0)
    known = sentences(data)
    rng.shuffle(known)
    out.mkdir(parents=True, exist_ok=True)
    tests = [test_examples(sentence, number, rng) for number, sentence in enumerate(known[:TEST])]
    for name, rows in zip(("test", "test_formal", "test_informal"), zip(*tests, strict=True), strict=True):
        write(out / f"{name}.jsonl", rows)
    held, others = known[TEST : TEST + HELDOUT], known[TEST + HELDOUT :]
    write(out / "heldout.jsonl", [example(one, f"heldout/{i}", rng) for i, one in enumerate(held)])
    for name in REGISTERS:
        texts = [told(one, [name == "formal"] * len(phrases(one))) for one in held[:CONTROL]]
        (out / f"phrases_{name}.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    train = [example(one, f"train/{i}/{draw}", rng) for i, one in enumerate(others) for draw in range(DRAWS)]
    write(out / "train.jsonl", train)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
