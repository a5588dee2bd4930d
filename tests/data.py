"""Texts, files and records that several test modules use."""

import copy
from pathlib import Path

import pytest

SPEAKERS = ["<speaker1>", "<speaker2>"]
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
RESPONSES = ["the cat sat", "the the dog", "", "Did you know? Cats sit."]
TEXTS = ["the cat sat on the mat", "a dog ran", "cats", "you know cats"]  # what the responses are compared with


def real_data(*parts: str) -> Path:
    """Return a path in the developers' data folder, or skip the test, saying so."""
    path = SHARED_DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs the real data in {path.parent.name}/{path.name}, which does not come with the project")
    return path


def altered(document, place, value):
    """Return a copy of decoded JSON with the field at ``place`` set to ``value``, or without it if that is ``...``."""
    changed = inner = copy.deepcopy(document)
    for step in place[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return changed
