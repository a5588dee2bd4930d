"""Datasets of the hub in the layouts of their pages, on folders by hand."""

import json

import pytest

from zsc.data import load_records
from zsc.data.record import Record
from zsc.errors import ZscError


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Return a function that loads rows as the dataset of a name."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))

    def load(loader, *rows, **options):
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
        named = {} if loader == "samsum" else {"name": None}
        return load_records(loader, path=str(folder), **named, **options)

    return load


TRANSLATION = {"translation": {"de": "Guten  Morgen.", "en": "Good morning."}}


def test_wmt_in_both_directions(hub):
    assert hub("wmt", TRANSLATION) == [Record("1", (), "Guten Morgen.", fields={"source": "Good morning."})]
    assert hub("wmt", TRANSLATION, source_language="de", target_language="en") == [
        Record("1", (), "Good morning.", fields={"source": "Guten Morgen."})
    ]


def test_articles_and_chats_to_summarise(hub):
    article = {"article": "A ship\nsailed.", "highlights": "Ship sails .\nIt did .", "id": "f00"}
    assert hub("cnn_dailymail", article) == [
        Record("f00", (), "Ship sails . It did .", fields={"document": "A ship sailed."})
    ]
    chat = {"id": "13", "dialogue": "Ann: Tea?\r\nBob: Yes.", "summary": "Bob wants tea."}
    assert hub("samsum", chat) == [Record("13", (), "Bob wants tea.", fields={"document": "Ann: Tea? Bob: Yes."})]


@pytest.mark.parametrize(
    ("loader", "row", "options", "message"),
    [
        ("wmt", TRANSLATION, {"target_language": "fr"}, r"target_language=fr is no language of .* It has: de, en"),
        ("wmt", {"translation": "x"}, {}, r"source_language=en is no language of .*, split test"),
        ("wmt", {"source": "x"}, {}, r"split test: no column translation. There are: source. For another layout use"),
        ("cnn_dailymail", {"id": "1", "article": "x"}, {}, r"no column highlights. There are: id, article"),
        ("samsum", {"id": "1", "dialogue": "x"}, {}, r"no column summary"),
        ("samsum", {"id": "1", "dialogue": "x", "summary": "y"}, {"split": "tset"}, r"no split 'tset'. Did you mean"),
    ],
)
def test_another_layout(hub, loader, row, options, message):
    with pytest.raises(ZscError, match=message):
        hub(loader, row, **options)
