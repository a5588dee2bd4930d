"""Data cards: complete, and true of the published files where they are at hand."""

import hashlib

import pytest

from tests.data import real_data
from zsc.data import DATASETS
from zsc.data.card import CARDS, load_card, verify
from zsc.data.embedded import PARLOR

OF_ONES_OWN = {"jsonl", "table", "hub", "parallel"}


@pytest.mark.parametrize("loader", sorted(set(DATASETS) - OF_ONES_OWN))
def test_every_dataset_has_a_card(loader):
    card = load_card(loader)
    assert all((card.title, card.licence, card.size, card.source, card.citation))
    assert f"zsc data {loader}" in card.fetch
    for checksum in card.files.values():
        algorithm, _, digits = checksum.partition(":")
        assert len(digits) == 2 * hashlib.new(algorithm).digest_size and int(digits, 16)


def test_there_is_no_card_without_a_dataset():
    assert {file.stem for file in CARDS.iterdir()} <= set(DATASETS)


def test_a_file_is_as_published_differs_or_is_not_there(tmp_path):
    card = load_card("parlor")
    assert verify(card, tmp_path) == {"parlor.jsonl": "not there"}
    (tmp_path / "parlor.jsonl").write_bytes(PARLOR.read_bytes())
    assert verify(card, tmp_path) == {"parlor.jsonl": "as published"}
    (tmp_path / "parlor.jsonl").write_bytes(PARLOR.read_bytes()[:-1])
    assert verify(card, tmp_path) == {"parlor.jsonl": "differs"}


@pytest.mark.parametrize("loader", ["topical_chat", "wow_plus_plus"])
def test_published_files_are_as_published(loader):
    states = verify(load_card(loader), real_data(loader))
    assert set(states.values()) <= {"as published", "not there"} and "as published" in states.values()
