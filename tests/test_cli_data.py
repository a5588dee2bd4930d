"""What `zsc data` says of a dataset, against counts by hand."""

import json

import pytest

from tests.data import real_data
from zsc.cli.main import main
from zsc.data.layouts import BucketLayout
from zsc.data.record import Focus, Record, Turn
from zsc.study.contents import counts, example, lengths

RECORDS = [
    Record("1", (Turn("a", "one"), Turn("b", "two")), "Why?", "a fact", "x"),
    Record("2", (Turn("a", "three"),), None, None, "y"),
    Record("3", (Turn("a", "one"),) * 4, "No.", "another", "x"),
]


def test_counts_by_hand():
    assert {row["what"]: row["count"] for row in counts(RECORDS)} == {
        "records": 3,
        "with knowledge": 2,
        "with a reference": 2,
        "references with a question mark": 1,
        "topics": 2,
        "turns of history, median": 2,
        "turns of history, most": 4,
    }


def test_fields_focus_and_references_are_counted():
    records = [
        Record(
            "1", (), "a", fields={"question": "Q?", "context": "C"}, focus=(Focus("C"),), references=("a", "b", "c")
        ),
        Record("2", (), "a", fields={"context": "C"}, references=("a", "b")),
        Record("3", (), None, fields={"context": "C"}, focus=(Focus("C"), Focus("x"))),
        Record("4", (), "a"),
    ]
    rows = {row["what"]: row["count"] for row in counts(records)}
    assert {name: rows[name] for name in list(rows)[:8]} == {
        "records": 4, "with question": 1, "with context": 3, "with a focus": 2, "with knowledge": 0,
        "with a reference": 3, "with several references": 2, "references, most": 3,
    }  # fmt: skip


def test_the_median_of_an_even_number_of_histories_is_one_of_them():
    assert {row["what"]: row["count"] for row in counts(RECORDS[:2])}["turns of history, median"] == 1


def test_lengths_by_hand(tokenizer):
    size = {text: len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in ("a a a a a", "b", "c c")}
    records = [Record(str(i), (Turn("a", "old"), Turn("b", text))) for i, text in enumerate(["a a a a a", "b", "c c"])]
    turn, history = lengths(records, BucketLayout(turns=1, turn_tokens=size["c c"]), tokenizer, 40)
    assert turn == {
        "text": "turn", "n": 3, "median": size["c c"], "90%": size["a a a a a"], "99%": size["a a a a a"],
        "longest": size["a a a a a"], "bucket": size["c c"], "cut": "33.3%",
    }  # fmt: skip
    assert history["text"] == "history, in turns" and history["cut"] == "100.0%"


def test_an_example_shows_what_is_cut_and_what_is_empty(tokenizer):
    words = "the film was about a sea and a ship"
    ids = tokenizer(words, add_special_tokens=False)["input_ids"]
    record = Record("1", (Turn("a", "Hi."), Turn("b", words)), None, None)
    shown = dict(example(record, BucketLayout(turns=3, turn_tokens=5), tokenizer))
    assert list(shown) == ["begin", "knowledge", "turn -2", "turn -1", "padding", "reference"]
    kept, _, cut = shown["turn -1"].partition(" … | ")
    assert kept == tokenizer.decode([tokenizer.convert_tokens_to_ids("<speaker1>"), *ids[:5]])
    assert cut == tokenizer.decode(ids[5:]).strip() + "  [5 of 5 tokens]"
    assert shown["knowledge"] == "(empty)" and shown["reference"] == "(none)"
    used = 1 + 1 + len(tokenizer("Hi.", add_special_tokens=False)["input_ids"]) + 1 + 5
    padding = f"{1 + 32 + 3 * 6 - used} of {1 + 32 + 3 * 6} positions, "
    assert shown["padding"] == padding + "not attended"
    literal = dict(example(record, BucketLayout(turns=3, turn_tokens=5, attend_padding=True), tokenizer))
    assert literal == shown | {"padding": padding + "attended"}


def test_a_dataset_with_a_card(capsys):
    assert main(["data", "parlor", "examples=1"]) == 0
    out = capsys.readouterr().out
    for part in ("Apache-2.0", "as published", "references with a question mark   59", "knowledge", "padding"):
        assert part in out


def test_json_holds_everything(capsys):
    assert main(["data", "parlor", "examples=2", "format=json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert set(described) == {"card", "files", "counts", "lengths", "examples", "remark"}
    assert described["files"] == [{"file": "parlor.jsonl", "checksum": "as published"}]
    assert len(described["examples"]) == 2 and described["counts"][0] == {"what": "records", "count": 240}


def test_markdown_holds_the_tables(capsys):
    assert main(["data", "parlor", "format=md"]) == 0
    tables = capsys.readouterr().out.strip().split("\n\n")
    assert [table.splitlines()[0].split(" | ")[0] for table in tables] == ["| file", "| what", "| text"]
    assert all(line.startswith("| ") for table in tables for line in table.splitlines())


def test_a_file_that_differs_is_reported_and_read(tmp_path, capsys):
    dialogue = {"turns": ["Hi."], "topic": "x", "gold_sentence": {"a": "A fact."}, "annotated_sentences": []}
    file = tmp_path / "wow++" / "full_test_topic_augmented_wow.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"1": dialogue}))
    assert main(["data", "wow_plus_plus", f"dataset.path={tmp_path}", "dataset.split=topic"]) == 0
    out = capsys.readouterr().out
    assert f"{file.name}   differs" in out and "A file that differs was changed" in out and "A fact." in out


def test_a_dataset_of_ones_own_has_no_card(tmp_path, capsys):
    file = tmp_path / "mine.csv"
    file.write_text("history,reference\nHi.,Hello.\n")
    assert main(["data", "table", f"dataset.path={file}", "format=csv"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "text,n,median,90%,99%,longest,bucket,cut"


@pytest.mark.parametrize("style", ["table", "json"])
def test_what_to_fetch_is_said_where_the_data_is_not_there(style, capsys, monkeypatch):
    monkeypatch.delenv("ZSC_DATA", raising=False)
    code = main(["data", "wow_plus_plus", f"format={style}"])
    out = capsys.readouterr()
    clone = "git clone https://github.com/alexa/wow-plus-plus"
    assert code == 2 and (f"\n  {clone}\n" in out.out if style == "table" else not out.out)
    assert out.err.startswith(f"zsc: wow_plus_plus: no data folder given. Run `{clone} && zsc data wow_plus_plus ")


def test_topical_chat_is_counted_as_published(capsys):
    folder = real_data("topical_chat")
    assert main(["data", "topical_chat", f"dataset.path={folder}", "examples=0", "format=json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["counts"][0]["count"] == 9065  # Kew & Sennrich (2023)
    assert all(row["checksum"] == "as published" for row in described["files"]) and described["files"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "parlour"], "Did you mean 'parlor'"),
        (["data", "parlor", "examples=-1"], "examples=-1 must be a whole number of at least 0"),
        (["data", "parlor", "format=xml"], "format=xml is not one of"),
        (["data", "parlor", "model=/no/model"], "neither a folder nor in the cache"),
    ],
)
def test_bad_settings(arguments, message, capsys):
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2 and message in capsys.readouterr().err


def test_text_of_ten_megabytes_and_controls_are_shown_in_short(tokenizer):
    long, size = "so it is " * 1_100_000, BucketLayout().knowledge_tokens
    shown = dict(example(Record("1", (), None, long), BucketLayout(), tokenizer))
    kept, _, cut = shown["knowledge"].partition(" … | ")
    assert (
        kept.split() == ["so", "it", "is"] * (size // 3) + ["so", "it"] and len(cut) < 2000 and " …  [32 of 32" in cut
    )


def test_records_without_a_history_are_counted(tmp_path, command):
    (tmp_path / "mine.jsonl").write_text('{"id": "1", "knowledge": "A fact."}\n{"id": "2"}\n')
    code, out, _ = command("data", "jsonl", "dataset.path=mine.jsonl", "format=json")
    described = json.loads(out)
    assert code == 0 and {"what": "without a history", "count": 2} in described["counts"]
    assert {row["text"] for row in described["lengths"]} == {"knowledge", "history, in turns"}


RUN = ("decoding.max_new_tokens=4", "seeds=[0]", "resampling.resamples=20", "metrics=[knowledge_precision,length]")


def test_what_is_cut_is_said_once_and_a_history_is_asked_for_where_it_is_needed(tmp_path, command, checkpoint):
    own = (f"model={checkpoint}", "model.device=cpu", "dataset=jsonl", "dataset.path=mine.jsonl", *RUN)
    known = [{"id": str(i), "knowledge": "A fact about the sea. " * (5 + 400_000 * i)} for i in range(2)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, known)))
    code, _, err = command("run", "knob=attn_bias", *own)
    expected = "the layout cuts off knowledge in 2 of 2 examples (100.0%), the longest of 8,800,109 characters for 32. "
    assert code == 0 and err.count("the layout cuts off") == 1 and expected in err
    for profile in ("dialog", "turn:-1"):
        code, _, err = command("run", "knob=attn_bias", f"knob.profile={profile}", *own)
        assert code == 2 and f"record 0 has no {profile}, which attn_bias({profile}, 5) is to bias towards" in err
    (tmp_path / "mine.jsonl").write_text('{"id": "1", "knowledge": "A fact."}\n{"id": "2"}\n')
    code, _, err = command("run", *own)
    assert code == 2 and err.endswith(
        "zsc: record 2 has neither knowledge nor history that the model could read. Leave such records out.\n"
    )
