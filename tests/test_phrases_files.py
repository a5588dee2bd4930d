"""The control phrases that come with the package keep the rules of their data card."""

from collections import Counter
from pathlib import Path

import pytest

import zsc

FOLDER = Path(zsc.__file__).parent / "data" / "phrases"
TOPICS = {"books", "fashion", "film", "food", "music", "nature", "sport", "technology"}
QUESTIONS = {"questions": (4, 10), "questions_short": (1, 4), "questions_long": (13, 20)}
WORDS = QUESTIONS | {"positive": (4, 10), "negative": (4, 10), "formal": (5, 12), "informal": (5, 12)}
WORDS |= {f"topic_{topic}": (6, 12) for topic in TOPICS}


@pytest.fixture(params=sorted(FOLDER.glob("*.txt")), ids=lambda file: file.stem)
def file(request):
    return request.param


@pytest.fixture
def phrases(file):
    return file.read_text(encoding="utf-8").splitlines()


def test_every_set_is_there():
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(WORDS)


def test_thirty_different_phrases_stripped_and_in_ascii(file, phrases):
    assert len(phrases) == 30 and file.read_text(encoding="utf-8").endswith("\n")
    assert len({phrase.casefold() for phrase in phrases}) == 30
    assert all(phrase and phrase == phrase.strip() and phrase.isascii() for phrase in phrases)


def test_only_questions_ask(file, phrases):
    if file.stem in QUESTIONS:
        assert [phrase for phrase in phrases if not phrase.endswith("?")] == []
    else:
        assert [phrase for phrase in phrases if phrase.endswith("?")] == []


def test_lengths(file, phrases):
    low, high = WORDS.get(file.stem, (3, 14))
    assert [phrase for phrase in phrases if not low <= len(phrase.split()) <= high] == []


def test_openings_vary(phrases):
    openings = Counter(" ".join(phrase.casefold().split()[:2]) for phrase in phrases)
    assert {opening: count for opening, count in openings.items() if count > 3} == {}
