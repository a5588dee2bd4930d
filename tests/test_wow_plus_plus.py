"""The WoW++ loader on small files in the official layout, and on the real ones where they are at hand."""

import json

import pytest

from tests.data import altered, real_data
from zsc.data import load_records
from zsc.data.record import Record, Turn
from zsc.errors import ZscError

TEA = "Tea is a drink made from leaves."
SHIP = "A clipper is a fast ship with three masts."
KITE = "A kite flies on a line."


def note(sentence, confidence, article="Tea"):
    label = f"{article} <knowledge_separator> {sentence}"
    relevance = "relevant" if confidence >= 0.6 else "notRelevant"
    return {"label": label, "confidence": confidence, "relevance": relevance, "article": article}


def topic_dialogue(key, turns, gold, notes, start="Human"):
    return {
        "turns": turns,
        "topic": "Tea",
        "start_speaker": start,
        "id": key,
        "knowledges": [{"Tea": [TEA]}],
        "gold_sentence": gold,
        "annotated_sentences": notes,
    }


TOPIC = {
    "t1": topic_dialogue("t1", ["Do you like tea?", "Yes,  hot.\n", "Why?"], {"chosen_Tea_0": TEA}, [note(SHIP, 1.0)]),
    "t2": topic_dialogue("t2", ["I like tea.", "Me too."], {"no_passages_used": "no_passages_used"}, [note(SHIP, 0.2)]),
    "t3": topic_dialogue("t3", ["Tea!"], {}, [note(TEA, 0.5), note(SHIP, 0.7, "Clipper"), note(KITE, 0.7)]),
}
RANDOM = {
    "r1": {"turns": ["A kite!", "So?"], "topic": "Kite", "annotated_sentences": [note(TEA, 0.0), note(KITE, 1.0)]}
}
TOPIC_RECORDS = [
    Record(
        "topic/t1",
        (Turn("Human", "Do you like tea?"), Turn("Assistant", "Yes, hot."), Turn("Human", "Why?")),
        None,
        TEA,
        "Tea",
    ),
    Record("topic/t2", (Turn("Assistant", "I like tea."), Turn("Human", "Me too.")), None, SHIP, "Tea"),
    Record("topic/t3", (Turn("Human", "Tea!"),), None, SHIP, "Tea"),
]
RANDOM_RECORDS = [Record("random/r1", (Turn("Assistant", "A kite!"), Turn("Human", "So?")), None, KITE, "Kite")]


def write(folder, topic=TOPIC, random=RANDOM):
    folder.mkdir(parents=True, exist_ok=True)
    for part, value in (("topic", topic), ("random", random)):
        (folder / f"full_test_{part}_augmented_wow.json").write_text(json.dumps(value), encoding="utf-8")
    return folder


def load(folder, split="all"):
    return load_records("wow_plus_plus", path=str(folder), split=split)


def test_one_record_per_dialogue_with_the_gold_or_the_surest_sentence(tmp_path):
    assert load(write(tmp_path), "topic") == TOPIC_RECORDS
    assert load(tmp_path, "random") == RANDOM_RECORDS
    assert load(tmp_path) == TOPIC_RECORDS + RANDOM_RECORDS


def test_ids_tell_the_same_key_of_both_splits_apart(tmp_path):
    records = load(write(tmp_path, random={"t1": RANDOM["r1"]}))
    assert [record.id for record in records] == ["topic/t1", "topic/t2", "topic/t3", "random/t1"]


@pytest.mark.parametrize("name", ["wow_plus_plus", "wow-plus-plus/wow++"])
def test_the_environment_variable_and_a_clone(tmp_path, monkeypatch, name):
    write(tmp_path / name)
    monkeypatch.setenv("ZSC_DATA", str(tmp_path))
    assert load_records("wow_plus_plus", path=None, split="all") == TOPIC_RECORDS + RANDOM_RECORDS


def test_missing_files_say_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.delenv("ZSC_DATA", raising=False)
    with pytest.raises(ZscError, match=r"wow_plus_plus: no data folder given. Clone https://github.com/alexa/wow-plus"):
        load_records("wow_plus_plus", path=None, split="all")
    with pytest.raises(ZscError, match=r"missing file .*full_test_topic_augmented_wow.json. Clone"):
        load(tmp_path)
    with pytest.raises(ZscError, match=r"dataset.split=topics is not one of topic, random, all. Did you mean 'topic'"):
        load(tmp_path, "topics")


def test_broken_files_are_named(tmp_path):
    file = write(tmp_path) / "full_test_random_augmented_wow.json"
    file.write_text(file.read_text()[:50])
    with pytest.raises(ZscError, match=r"full_test_random_augmented_wow.json, line 1: not valid JSON"):
        load(tmp_path)
    with pytest.raises(
        ZscError, match=r"full_test_random_augmented_wow.json: must be an object of dialogues, got \[3\]"
    ):
        load(write(tmp_path, random=[3]))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("r1",), None, "r1: must be an object with field 'turns', got None"),
        (("r1", "turns"), ..., "r1: field 'turns' must be a list, got nothing"),
        (("r1", "turns"), [], "r1: field 'turns' must be a list of one or more non-empty strings, got []"),
        (
            ("r1", "turns"),
            ["So?", 3],
            "r1: field 'turns' must be a list of one or more non-empty strings, got ['So?', 3]",
        ),
        (("r1", "topic"), ..., "r1: field 'topic' must be a string, got nothing"),
        (("r1", "gold_sentence"), KITE, "r1: field 'gold_sentence' must be an object, got 'A kite"),
        (("r1", "annotated_sentences"), ..., "r1: field 'annotated_sentences' must be a list, got nothing"),
        (("r1", "annotated_sentences"), [], "r1: field 'annotated_sentences' is empty, and there is no gold sentence"),
        (("r1", "annotated_sentences", 1, "label"), ..., "r1, annotated sentence 1: field 'label' must be a string"),
        (
            ("r1", "annotated_sentences", 1, "confidence"),
            "x",
            "sentence 1: field 'confidence' must be a number, got 'x'",
        ),
    ],
)
def test_a_field_at_fault_is_named(tmp_path, place, value, message):
    dialogues = altered(RANDOM, place, value)
    with pytest.raises(ZscError) as raised:
        load(write(tmp_path, random=dialogues))
    assert "full_test_random_augmented_wow.json, dialogue r1" in str(raised.value) and message in str(raised.value)
    assert str(raised.value).endswith("Fetch the file again.")


def test_real_data_has_398_dialogues():
    folder = real_data("wow_plus_plus")
    records = load(folder)
    assert len(records) == 398 and len({record.id for record in records}) == 398
    assert all(record.knowledge and record.history and record.topic for record in records)
    assert not any("knowledge_separator" in r.knowledge or "no_passages" in r.knowledge for r in records)
    assert records == load(folder, "topic") + load(folder, "random")
    assert len(load(folder, "topic")) == 200
