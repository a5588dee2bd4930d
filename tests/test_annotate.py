"""Blind pairs out, judgements back: worked by hand."""

import csv
import io
import json
import re

import numpy as np
import pytest
from scipy.stats import binomtest

from zsc.cli.main import main
from zsc.data.record import Record, Turn
from zsc.errors import ZscError
from zsc.generation.folder import RunFolder
from zsc.study.preference import LeftOut, agreement, merged, preference_rows, read_votes
from zsc.tables.annotation import QUESTIONS, draw_pairs, form, sheet

NASTY = 'He said "</script><b>&amp;", ok;\u2028 fine'
TURNS = (Turn("secret-a", "Hi."), Turn("secret-b", "Yes?"), Turn("secret-a", "Go on."))
RECORDS = [Record(f"r{i}", TURNS, None, f"fact {i}") for i in range(12)]
OFF = {record.id: f"plain {record.id}" for record in RECORDS} | {"r3": "same", "r5": NASTY}
ON = {record.id: f"steered {record.id}" for record in RECORDS} | {"r3": "same"}


LONG = "r4"  # whose response with the knob did not end by itself
LEFT = [record for record in RECORDS if record.id != "r3"]  # whose two responses differ


def made(path, off=OFF, on=ON):
    folder, settings = RunFolder(path), ["off", "my_knob(5)"]
    manifest = {"identity": "abc", "settings": settings, "seeds": [0, 7]}
    folder.create("x: 1", manifest, RECORDS)
    folder.write_rows(
        {"setting": setting, "seed": seed, "id": i, "response": text, "ended": said is off or i != LONG}
        for setting, said in zip(settings, (off, on), strict=True)
        for seed in (0, 7)
        for i, text in said.items()
    )
    return folder.path


@pytest.fixture
def run(tmp_path):
    return made(tmp_path / "run")


def exported(run, *arguments):
    assert main(["annotate", str(run), *arguments]) == 0
    (folder,) = run.glob("annotation-*")
    return folder


def rows_of(folder):
    return list(csv.DictReader((folder / "pairs.csv").open(encoding="utf-8", newline="")))


def test_pairs_are_blind_shuffled_and_all_that_differ(run, capsys):
    folder = exported(run, "count=12")
    out, err = capsys.readouterr()
    assert out.startswith("11 pairs in ")
    assert err.splitlines() == [
        "left out: 1 of 12 examples, whose two responses are the same text; they count as ties",
        "count=12: only 11 examples have two responses that differ; all are taken",
    ]
    key, rows = json.loads((folder / "key.json").read_text()), rows_of(folder)
    assert set(key["ids"].values()) == set(OFF) - {"r3"} and sorted(key["ids"].values()) != list(key["ids"].values())
    assert key["left_out"] == {"identical": 1, "examples": 12}
    assert 2 <= sum(side == "A" for side in key["on_side"].values()) <= 9
    for row in rows:
        i, on = key["ids"][row["pair"]], key["on_side"][row["pair"]]
        assert row[on] == ON[i] + "…" * (i == LONG) and row["AB".replace(on, "")] == OFF[i]
        assert row["context"] == "1: Hi.\n2: Yes?\n1: Go on." and row["knowledge"] == f"fact {i[1:]}"
        assert row["fluent"] == row["annotator"] == ""
    for file in ("pairs.csv", "form.html"):
        text = (folder / file).read_text()
        assert not any(word in text for word in ("my_knob", "secret", "on_side"))


def test_nothing_is_said_of_what_is_not_left_out_and_nothing_drawn_where_all_is(tmp_path, capsys):
    different = made(tmp_path / "different", on=ON | {"r3": "other"})
    exported(different, "count=12")
    assert capsys.readouterr().err == ""
    same = made(tmp_path / "same", on=OFF)
    assert main(["annotate", str(same)]) == 2
    assert "my_knob(5) and off say the same to all 12 examples (seed=0)" in capsys.readouterr().err
    assert not [*same.glob("annotation-*")]


def test_the_form_holds_exactly_the_pairs_whatever_they_say(run):
    folder = exported(run, "count=12", "questions=[fits]")
    page = (folder / "form.html").read_text()
    (content,) = re.findall(r'<script id="content" type="application/json">(.*?)</script>', page, re.DOTALL)
    decoded = json.loads(content)
    assert decoded["questions"] == {"fits": QUESTIONS["fits"]} and page.count("<script") == 2
    columns = ("pair", "context", "knowledge", "A", "B")
    assert decoded["pairs"] == [{name: row[name] for name in columns} for row in rows_of(folder)]
    assert any(NASTY in (pair["A"], pair["B"]) for pair in decoded["pairs"])
    assert not re.search(r'(src|href)="', page) and "http" not in page


def test_exporting_again_changes_nothing_and_never_overwrites_answers(run, capsys):
    folder = exported(run, "count=5")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    exported(run, "count=5")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    filled = folder / "pairs.csv"
    filled.write_text(filled.read_text() + "\n")
    assert main(["annotate", str(run), "count=5"]) == 2
    assert "it may hold somebody's answers" in capsys.readouterr().err


def test_the_draw_depends_on_its_seed_alone():
    one, two = (draw_pairs(LEFT, OFF, ON, 11, shuffle) for shuffle in (0, 1))
    assert one == draw_pairs(LEFT, OFF, ON, 11, 0) != two
    assert sheet(one, ["fits"]) != sheet(two, ["fits"]) and form(one, ["fits"], "t") != form(two, ["fits"], "t")


def fill(folder, name, answers, delimiter=",", encoding="utf-8"):
    """Write a sheet in which ``answers`` by pair say on, off or tie."""
    key, rows = json.loads((folder / "key.json").read_text()), rows_of(folder)
    for row in rows:
        on = key["on_side"][row["pair"]]
        sides = {"on": on, "off": "AB".replace(on, ""), "tie": " Tie"}
        for question, by_pair in answers.items():
            row[question] = sides.get(by_pair.get(row["pair"]), "")
        row["annotator"] = name
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    file = folder / f"{name or 'nameless'}.csv"
    file.write_bytes(out.getvalue().encode(encoding))
    return file


def test_answers_become_rates_by_hand(run, capsys):
    folder = exported(run, "count=4", "questions=[fluent,fits]")
    ann = fill(folder, "ann", {"fluent": {"1": "on", "2": "on", "3": "tie", "4": "off"}, "fits": {"1": "on"}})
    bob = fill(folder, "", {"fluent": {"1": "on", "2": "tie", "3": "on"}}, delimiter=";", encoding="utf-8-sig")
    capsys.readouterr()
    assert main(["annotate", str(folder), f"answers=[{ann},{bob}]", "format=json"]) == 0
    fluent, fits = json.loads(capsys.readouterr().out)
    assert fluent["preferred"] == pytest.approx((1 + 1 + 0.5 + 0 + 1 + 0.5 + 1) / 7)
    assert (fluent["wins"], fluent["ties"], fluent["losses"]) == (4, 2, 1)
    assert (fluent["annotators"], fluent["unanswered"]) == (2, 1)
    assert fluent["p"] == pytest.approx(binomtest(3, 4).pvalue)  # pairs 1, 2 and 3 lean to the knob, 4 against it
    assert fluent["low"] <= fluent["preferred"] <= fluent["high"]
    # pairs 1, 2, 3 have two answers: (on on), (on tie), (tie on). Observed disagreement 4 of 6; expected, from 4 on and
    # 2 tie: 2 * 4 * 2 / (6 * 5)
    assert fluent["alpha"] == pytest.approx(1 - (4 / 6) / (16 / 30))
    assert fits["preferred"] == 1 and fits["alpha"] is None and fits["unanswered"] == 3
    # of 12 examples 1 is a tie by itself, the other 11 are taken to be as the pairs
    assert fluent["overall"] == pytest.approx((11 * fluent["preferred"] + 0.5) / 12)
    assert fits["overall"] == pytest.approx(11.5 / 12) and fits["overall_low"] < fits["overall"] < fits["overall_high"]
    assert main(["annotate", str(folder), f"answers={ann}"]) == 0
    assert "my_knob(5) preferred to off: of the 4 judged pairs" in (said := capsys.readouterr().out)
    assert "the 1 of 12 examples whose two responses are the same text as ties" in said


def test_pairs_of_earlier_versions_are_read_as_they_were(run, capsys):
    folder = exported(run, "count=4", "questions=[fits]")
    key = json.loads((folder / "key.json").read_text())
    del key["left_out"]
    (folder / "key.json").write_text(json.dumps(key | {"identical": [2]}))
    ann = fill(folder, "ann", {"fits": {"1": "on", "2": "tie"}})
    capsys.readouterr()
    assert main(["annotate", str(folder), f"answers={ann}"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("my_knob(5) preferred to off, 4 pairs\n") and "overall" not in out and "0.750" in out


def test_the_overall_rate_of_a_simulated_study_lies_in_its_interval():
    # of examples 40% are ties by themselves; the knob wins 70% of the others, so 0.6 * 0.7 + 0.4 / 2 of all
    rng, truth, hits = np.random.default_rng(0), 0.62, 0
    for trial in range(200):
        identical = int(rng.binomial(150, 0.4))
        votes = {"fits": {("ann", str(pair)): "on" if rng.random() < 0.7 else "off" for pair in range(150 - identical)}}
        (row,) = preference_rows(votes, 150 - identical, LeftOut(identical, 150), resamples=400, seed=trial)
        hits += row["overall_low"] <= truth <= row["overall_high"]
    assert 0.9 <= hits / 200 <= 0.99


def test_agreement_is_that_of_a_published_example():
    # https://en.wikipedia.org/wiki/Krippendorff%27s_alpha, "A computational example": nominal 0.691
    coders = {"A": "*****34121133*3", "B": "1*213343*******", "C": "**21344*21133*4"}
    answers = {
        (coder, str(unit)): value
        for coder, values in coders.items()
        for unit, value in enumerate(values)
        if value != "*"
    }
    assert agreement(answers) == pytest.approx(0.691, abs=0.001)


def test_the_interval_keeps_the_answers_to_a_pair_together():
    votes = {
        "fluent": {(f"annotator {i}", pair): vote for i in range(50) for pair, vote in (("1", "on"), ("2", "off"))}
    }
    (row,) = preference_rows(votes, 2, resamples=2000)
    assert (row["low"], row["high"]) == (0, 1)  # two pairs, however many annotators


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(",tie,", ",both,"), "line 2: 'both' is no answer to 'fluent'"),
        (lambda text: text.replace("\n1,", "\n99,"), "pair '99' is none of this key's 2 pairs"),
        (lambda text: text.replace("fluent", "flowing"), "no column 'fluent'"),
        (lambda text: text + text.partition("\n")[2], "ann answers pair 1 twice"),
        (lambda text: text.replace("tie", "caf\xe9"), "not UTF-8"),
    ],
)
def test_bad_sheets(tmp_path, change, message):
    file = tmp_path / "a.csv"
    text = "pair,fluent,annotator\n1,tie,ann\n2,A,ann\n"
    file.write_bytes(change(text).encode("latin-1"))
    with pytest.raises(ZscError, match=message):
        read_votes(file, {"1": "A", "2": "B"}, ["fluent"])


def test_one_annotator_in_two_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("pair,fluent,annotator\n1,A,ann\n")
    sheets = {file: read_votes(file, {"1": "A"}, ["fluent"]) for file in sorted(tmp_path.iterdir())}
    with pytest.raises(ZscError, match=r"b.csv: ann has answered pair 1 in another file"):
        merged(sheets)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs the folder of a run"),
        (["{run}", "setting=other"], "setting=other must name one of: my_knob(5)"),
        (["{run}", "seed=3"], "seed=3 must be one of 0, 7"),
        (["{run}", "count=0"], "count=0 must be a whole number"),
        (["{run}", "questions=[nice]"], "questions=nice is not one of fluent, informative, fits"),
        (["{run}", "answer=[x]"], "Did you mean 'answers'"),
        (["{run}", "answers=[x.csv]"], "holds no key.json"),
        (["/nowhere"], "is not the folder of a run"),
    ],
)
def test_bad_input(run, arguments, message, capsys):
    assert main(["annotate", *(argument.format(run=run) for argument in arguments)]) == 2
    assert message in capsys.readouterr().err


def test_no_answer_at_all(run, capsys):
    folder = exported(run)
    for answers, message in [
        ("[]", "names no file"),
        (str(folder / "pairs.csv"), "no answer in"),
        ("no.csv", "cannot read no.csv"),
    ]:
        assert main(["annotate", str(folder), f"answers={answers}"]) == 2
        assert message in capsys.readouterr().err
