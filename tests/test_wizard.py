"""The Wizard of Wikipedia loader on a small file in the official layout."""

import copy
import json

import pytest

from tests.data import altered
from zsc.data import load_records
from zsc.data.record import Record, Turn
from zsc.errors import ZscError

TEA = "Tea is a drink made from leaves."
SHIP = "A clipper is a fast ship with three masts."
NONE = {"no_passages_used": "no_passages_used"}
PASSAGES = {"retrieved_passages": [{"Clipper": [SHIP]}], "retrieved_topics": ["Clipper"]}


def wizard(number, text, sentence, passage):
    turn = {"speaker": f"{number}_Wizard", "text": text, "checked_sentence": sentence, "checked_passage": passage}
    return turn | {"candidate_responses": [text]} | PASSAGES


def apprentice(number, text):
    return {"speaker": f"{number}_Apprentice", "text": text} | PASSAGES


DIALOGUES = [
    {
        "chosen_topic": "Tea",
        "persona": "i drink tea.",
        "wizard_eval": 5,
        "chosen_topic_passage": [TEA],
        "dialog": [
            wizard(0, "I like tea, a drink of leaves.", {"chosen_Tea_0": TEA}, {"chosen_topic_0_Tea": "Tea"}),
            apprentice(1, "How did it  come here?\n"),
            wizard(0, "On a fast ship, I guess.", {"partner_Clipper_0": SHIP}, {"partner_0_Clipper": "Clipper"}),
            apprentice(1, "Really?"),
            wizard(0, "Yes, really.", NONE, NONE),
            apprentice(1, "Fine."),
            wizard(0, "It is made from leaves.", {"chosen_Tea_0": TEA}, {}),
        ],
    },
    {
        "chosen_topic": "Sailing",
        "persona": "i sail.",
        "wizard_eval": 4,
        "chosen_topic_passage": [SHIP],
        "dialog": [
            apprentice(0, "Do you sail?"),
            wizard(1, "On three masts!", {"self_Clipper_0": SHIP}, NONE),
            apprentice(0, "Wow."),
            wizard(1, "Bye.", {}, {}),
        ],
    },
]
FIRST = (Turn("0_Wizard", "I like tea, a drink of leaves."), Turn("1_Apprentice", "How did it come here?"))
RECORDS = [
    Record("test_seen/0/2", FIRST, "On a fast ship, I guess.", SHIP, "Clipper"),
    Record(
        "test_seen/0/6",
        (
            *FIRST,
            Turn("0_Wizard", "On a fast ship, I guess."),
            Turn("1_Apprentice", "Really?"),
            Turn("0_Wizard", "Yes, really."),
            Turn("1_Apprentice", "Fine."),
        ),
        "It is made from leaves.",
        TEA,
        "Tea",
    ),
    Record("test_seen/1/1", (Turn("0_Apprentice", "Do you sail?"),), "On three masts!", SHIP, "Sailing"),
]


def write(folder, dialogues=DIALOGUES, name="test_random_split"):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(dialogues), encoding="utf-8")
    return folder


def load(folder, split="test_seen", min_history=1):
    return load_records("wizard", path=str(folder), split=split, min_history=min_history)


def test_one_record_per_wizard_turn_with_a_checked_sentence(tmp_path):
    assert load(write(tmp_path)) == RECORDS


def test_min_history(tmp_path):
    folder = write(tmp_path)
    assert load(folder, min_history=2) == RECORDS[:2]
    assert load(folder, min_history=6) == RECORDS[1:2]
    for value in (0, 1.5, None, True):
        with pytest.raises(ZscError, match=rf"dataset.min_history={value} must be a whole number of at least 1"):
            load(folder, min_history=value)


def test_an_empty_turn_is_no_turn(tmp_path):
    dialogues = copy.deepcopy(DIALOGUES)
    dialogues[0]["dialog"][1]["text"] = dialogues[0]["dialog"][6]["text"] = " "
    records = load(write(tmp_path, dialogues))
    assert [record.id for record in records] == ["test_seen/0/2", "test_seen/1/1"]
    assert records[0].history == FIRST[:1]


@pytest.mark.parametrize(
    ("split", "name"),
    [
        ("train", "train"),
        ("valid_seen", "valid_random_split"),
        ("valid_unseen", "valid_topic_split"),
        ("test_seen", "test_random_split"),
        ("test_unseen", "test_topic_split"),
    ],
)
def test_each_split_is_a_file_of_its_own(tmp_path, split, name):
    records = load(write(tmp_path, name=name), split)
    assert [record.id for record in records] == [f"{split}/0/2", f"{split}/0/6", f"{split}/1/1"]


@pytest.mark.parametrize("name", ["wizard", "wizard_of_wikipedia"])
def test_the_environment_variable(tmp_path, monkeypatch, name):
    write(tmp_path / name)
    monkeypatch.setenv("ZSC_DATA", str(tmp_path))
    assert load_records("wizard", path=None, split="test_seen", min_history=1) == RECORDS


def test_missing_files_say_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.delenv("ZSC_DATA", raising=False)
    with pytest.raises(ZscError, match=r"wizard: no data folder given.*wizard_of_wikipedia.tgz.*ZSC_DATA"):
        load_records("wizard", path=None, split="train", min_history=1)
    with pytest.raises(ZscError, match=r"missing file .*train.json. Download"):
        load(tmp_path, "train")
    with pytest.raises(ZscError, match=r"dataset.split=test_sen is not one of train, .*Did you mean 'test_seen'"):
        load(tmp_path, "test_sen")


def test_broken_files_are_named(tmp_path):
    file = write(tmp_path) / "test_random_split.json"
    file.write_text(file.read_text()[:100])
    with pytest.raises(ZscError, match=r"test_random_split.json, line 1: not valid JSON"):
        load(tmp_path)
    with pytest.raises(ZscError, match=r"test_random_split.json: must be a list of dialogues, got \{'a': 1\}. Fetch"):
        load(write(tmp_path, {"a": 1}))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((0,), "tea", "dialogue 0: must be an object with field 'chosen_topic', got 'tea'"),
        ((1, "chosen_topic"), ..., "dialogue 1: field 'chosen_topic' must be a string, got nothing"),
        ((1, "dialog"), {}, "dialogue 1: field 'dialog' must be a list, got {}"),
        ((0, "dialog", 1), None, "dialogue 0, turn 1: must be an object with field 'speaker', got None"),
        ((0, "dialog", 1, "speaker"), ..., "dialogue 0, turn 1: field 'speaker' must be a string, got nothing"),
        ((0, "dialog", 1, "text"), None, "dialogue 0, turn 1: field 'text' must be a string, got None"),
        (
            (0, "dialog", 2, "checked_sentence"),
            ...,
            "dialogue 0, turn 2: field 'checked_sentence' must be an object, got nothing",
        ),
        (
            (0, "dialog", 2, "checked_sentence"),
            {"a": 3},
            "dialogue 0, turn 2, field 'checked_sentence': field 'a' must",
        ),
        (
            (0, "dialog", 2, "checked_passage"),
            ...,
            "dialogue 0, turn 2: field 'checked_passage' must be an object, got nothing",
        ),
    ],
)
def test_a_field_at_fault_is_named(tmp_path, place, value, message):
    dialogues = altered(DIALOGUES, place, value)
    with pytest.raises(ZscError) as raised:
        load(write(tmp_path, dialogues))
    assert f"test_random_split.json, {message}" in str(raised.value)
    assert str(raised.value).endswith("Fetch the file again.")
