"""The Topical-Chat loader on small files in the official layout, and on the real ones where they are at hand."""

import json

import pytest

from tests.data import real_data
from zsc.data import load_records
from zsc.errors import ZscError

WIKI = {
    "shortened_wiki_lead_section": {"Tea is a drink made from leaves. It came to Europe by ship.": 11},
    "summarized_wiki_lead_section": {"A kite flies on a line.\nKites were used to measure weather.": 22},
}
PRE = {
    "c1": {
        "config": "A",
        "agent_1": {"FS1": {"entity": "Tea", "shortened_wiki_lead_section": 11, "fun_facts": ["t3_x"]}},
        "agent_2": {"FS1": {"entity": "Kite", "summarized_wiki_lead_section": 22, "fun_facts": ["t3_y"]}},
    }
}
POST = {
    "c1": {
        "config": "A",
        "agent_1": {
            "FS1": {
                "entity": "Tea",
                "shortened_wiki_lead_section": "Tea is a drink made from leaves. It came to Europe by ship.",
                "fun_facts": ["A camel once carried bricks of pressed tea."],
            }
        },
        "agent_2": {
            "FS1": {
                "entity": "Kite",
                "summarized_wiki_lead_section": "A kite flies on a line.\nKites were used to measure weather.",
                "fun_facts": ["Some kites fight."],
            }
        },
        "article": {"url": "u", "headline": "Storm news", "AS1": "The harbour was closed on Friday.", "AS2": ""},
    }
}  # fmt: skip
MESSAGES = [
    ("agent_1", "Do you like tea?"),
    ("agent_2", "I measured the weather with kites once."),
    ("agent_1", "Fine. They say it came by ship to Europe."),
    ("agent_2", "A drink of leaves, the harbour was closed."),
]


def write(folder, split="test_freq", post=False, enriched=None, messages=MESSAGES):
    content = [{"agent": agent, "message": message, "sentiment": "Neutral"} for agent, message in messages]
    files = {
        f"conversations/{split}.json": {"c1": {"config": "A", "content": content}},
        f"reading_sets/pre-build/{split}.json": PRE,
        "src/wiki/wiki.json": WIKI,
    }
    if post:
        files[f"reading_sets/post-build/{split}.json"] = POST
    if enriched is not None:
        files[f"TopicalChatEnriched/{split}.json"] = {"c1": {"config": "A", "content": enriched}}
    for name, value in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return folder


def load(folder, min_history=1, min_similarity=0.0, split="test_freq"):
    return load_records(
        "topical_chat", path=str(folder), split=split, min_history=min_history, min_similarity=min_similarity
    )


def test_pre_build_selects_from_the_speakers_own_reading_set(tmp_path):
    records = load(write(tmp_path))
    assert [r.id for r in records] == ["c1/1", "c1/2", "c1/3"]
    assert records[0].knowledge == "Kites were used to measure weather." and records[0].topic == "Kite"
    assert records[1].knowledge == "It came to Europe by ship." and records[1].topic == "Tea"
    # the last turn speaks of tea, but its speaker only read about kites
    assert records[2].knowledge in ("A kite flies on a line.", "Kites were used to measure weather.")
    assert [turn.text for turn in records[1].history] == [MESSAGES[0][1], MESSAGES[1][1]]
    assert records[1].reference == MESSAGES[2][1]


def test_post_build_adds_articles_and_fun_facts(tmp_path):
    messages = [*MESSAGES, ("agent_1", "A camel carried bricks.")]
    records = load(write(tmp_path, post=True, messages=messages))
    assert records[2].knowledge == "The harbour was closed on Friday." and records[2].topic == "Storm news"
    assert records[3].knowledge == "A camel once carried bricks of pressed tea."


def test_min_history_and_min_similarity(tmp_path):
    folder = write(tmp_path)
    assert [r.id for r in load(folder, min_history=2)] == ["c1/2", "c1/3"]
    assert [r.id for r in load(folder, min_similarity=0.1)] == ["c1/1", "c1/2"]


def test_enriched_annotations_win(tmp_path):
    wiki = {"score": 0.9, "ds": "wiki", "section": "FS1", "start_index": 0, "end_index": 32}
    fact = {"score": 0.8, "ds": "fun_facts", "section": "FS1", "index": 0}
    article = {"score": 0.7, "ds": "article", "section": "AS1", "start_index": 0, "end_index": 33}
    notes = [None, fact, wiki, article]
    enriched = [
        {"agent": agent, "message": message.split(" "), "gt_turn_ks": note}
        for (agent, message), note in zip(MESSAGES, notes, strict=True)
    ]
    records = load(write(tmp_path, post=True, enriched=enriched))
    assert [r.knowledge for r in records] == [
        "Some kites fight.",
        "Tea is a drink made from leaves.",
        "The harbour was closed on Friday.",
    ]
    assert records[0].reference == MESSAGES[1][1]


def test_missing_files_say_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.delenv("ZSC_DATA", raising=False)
    with pytest.raises(ZscError, match=r"no data folder given.*github.com/alexa/Topical-Chat.*ZSC_DATA"):
        load_records("topical_chat", path=None, split="test_freq", min_history=5, min_similarity=0.0)
    with pytest.raises(ZscError, match=r"missing file .*wiki.json. Clone"):
        load(tmp_path)
    with pytest.raises(ZscError, match="Did you mean 'test_freq'"):
        load(tmp_path, split="test_frec")


def test_the_environment_variable(tmp_path, monkeypatch):
    write(tmp_path / "topical_chat")
    monkeypatch.setenv("ZSC_DATA", str(tmp_path))
    assert len(load_records("topical_chat", path=None, split="test_freq", min_history=1, min_similarity=0.0)) == 3


def test_broken_files_are_named(tmp_path):
    write(tmp_path)
    broken = tmp_path / "conversations" / "test_freq.json"
    content = broken.read_text()
    broken.write_text(content[: len(content) // 2])
    with pytest.raises(ZscError, match=r"test_freq.json, line 1: not valid JSON"):
        load(tmp_path)
    broken.write_text(content.replace('"message"', '"massage"'))
    with pytest.raises(ZscError, match=r"conversation c1: not in the official layout: field 'message' is missing"):
        load(tmp_path)


def test_real_test_freq_has_the_published_number_of_examples():
    folder = real_data("topical_chat")
    records = load(folder, min_history=5)
    assert len(records) == 9065  # N of Kew & Sennrich (2023)
    assert all(record.knowledge and len(record.history) >= 5 for record in records)
