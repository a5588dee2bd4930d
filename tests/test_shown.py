"""What a run prints at its end: which examples, how their words are marked, and all of it as a terminal gets it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from zsc.data.record import Record, Turn
from zsc.generation.folder import RunFolder
from zsc.metrics.options import ScoringOptions
from zsc.study.run import score
from zsc.study.shown import Said
from zsc.study.watch import Pace, Silent, Terminal
from zsc.tables.examples import Example, example_lines, heading, marks, near_median, split
from zsc.tables.lines import printed, widest, wrapped
from zsc.terminal import CONTROLS, Screen

ROOT = Path(__file__).parents[1]
NAN = np.nan


def test_the_examples_are_those_nearest_to_the_median_by_hand():
    # the median of 1, 2, 4, 5, 9 is 4; 5 lies 1 from it, 2 lies 2, 1 lies 3
    values = np.array([[1.0, NAN, 9.0], [5.0, 4.0, 2.0]])  # (seeds, examples)
    assert near_median(values, 2) == ([(1, 1), (1, 0)], 4.0)
    assert near_median(values, 9) == ([(1, 1), (1, 0), (1, 2)], 4.0)  # one of each example
    # the median of 0, 0, 0, 1 is 0: three are equally near, the first by example is taken, then the next
    assert near_median(np.array([[1.0, 0.0], [0.0, 0.0]]), 2) == ([(1, 0), (0, 1)], 0.0)
    assert near_median(np.full((2, 2), NAN), 2)[0] == []


def test_the_heading_says_how_they_were_chosen():
    assert heading(2, 1559, "on", "length", 0.1294, True) == (
        "2 of the 1,559 changed responses of on, those whose change in length is nearest to the median of them all,"
        " +0.129 (examples=N shows N):"
    )
    assert heading(1, 9, "off", "length", 3.0, False).startswith(
        "1 of the 9 responses of off, those whose length is nearest to the median of them all, 3.000"
    )


def plain(off, on):
    return [text.plain for text in marks(off, on, colour=False)]


def test_marked_words_by_hand():
    assert plain("I like the old cat.", "I like cats  a lot.") == ["I like *the old cat.*", "I like *cats  a lot.*"]
    assert plain("Yes, a b c", "Yes, a x c d") == ["Yes, a *b* c", "Yes, a *x* c *d*"]
    assert plain("same", "same") == ["same", "same"]
    assert plain("", "all new") == ["", "*all new*"]
    assert plain("我喜欢猫。", "我喜欢狗。") == ["我喜欢*猫*。", "我喜欢*狗*。"]
    assert split("a  b\nc") == ["a  ", "b\n", "c"]
    off, on = marks("a b c", "a x c", colour=True)
    assert (off.plain, on.plain) == ("a b c", "a x c")
    assert [(span.start, span.end, str(span.style)) for span in on.spans] == [(2, 3, "bold green")]


LONG = "one two three four five six seven eight nine ten eleven twelve thirteen"


def test_an_example_at_a_width():
    record = Record("r1", (Turn("a", "First."), Turn("b", "Last one?")), "Human.", LONG)
    both = Example(record, 3, ["He said no.", "He said two."], [0.0, 1 / 3])
    shown = printed(example_lines(both, "length", 40, colour=False), colour=False)
    assert shown.splitlines() == [
        "r1, seed 3: length 0.000 to 0.333",
        "  turn       Last one?",
        "  knowledge  one two three four five six",
        "             seven eight nine ten eleve…",
        "  off        He said *no.*",
        "  on         He said *two.*",
    ]
    one = Example(record, 3, ["He said no."], [0.5])
    alone = printed(example_lines(one, "length", 40, colour=False), colour=False)
    assert alone.splitlines()[0] == "r1, seed 3: length 0.500" and alone.splitlines()[-1] == "  response   He said no."


def test_an_ellipsis_ends_what_was_cut_and_is_no_changed_word():
    record = Record("r1", (Turn("a", "First."),))
    shown = example_lines(Example(record, 3, ["He said no", "He said"], [0, 1], [True, False]), "length", 40, False)
    assert [line.plain for line in shown[-2:]] == ["  off   He said *no*…", "  on    He said"]
    shown = example_lines(Example(record, 3, ["He said no", "He said no"], [0, 1], [False, True]), "length", 40, True)
    assert [line.plain for line in shown[-2:]] == ["  off   He said no", "  on    He said no…"]


def test_fields_of_a_task_stand_before_the_responses_and_controls_are_escaped():
    record = Record("r1", (), fields={"source": "A\x1b[31m b"})
    texts = ["x\x1b[2J\ny", "x\x07\u202ey"]
    for colour in (False, True):
        shown = printed(example_lines(Example(record, 0, texts, [1.0, 1.0]), "length", 60, colour), colour)
        bare = re.sub(r"\x1b\[[\d;]*m", "", shown) if colour else shown
        assert not CONTROLS.search(bare.replace("\n", "")) and len(bare.splitlines()) == 4
        assert r"  source  A\x1b[31m b" in bare and r"x\x1b[2J\ny" in bare and r"x\x07\u202ey" in bare


def test_lines_are_measured_as_a_terminal_does():
    lines = [line.plain for line in wrapped("猫" * 30 + " " + "word " * 10, 24, "  ", "> ")]
    assert lines[0] == "> " + "猫" * 11 and max(widest(line) for line in lines) == 24
    assert lines[3].startswith("  word")


@pytest.fixture
def scored(tmp_path):
    """The scored folder of a run of two settings, two seeds and three records, whose lengths are worked by hand."""
    records = [Record(f"r{i}", (Turn("a", "Hi."),), "Yes.", "It is so.") for i in range(3)]
    said = {
        ("off", 0): ["a", "a b", "a b c"],
        ("on", 0): ["a", "a b c d", "a b c d e"],  # unchanged, +2, +2
        ("off", 1): ["a", "b", "c"],
        ("on", 1): ["a b", "b", "=c d e f g"],  # +1, unchanged, +4
    }
    folder = RunFolder(tmp_path / "run")
    manifest = {"identity": "x", "settings": ["off", "on"], "seeds": [0, 1], "moves": {"on": ["length"]}}
    folder.create("{}", manifest, records)
    folder.write_rows(
        {"setting": setting, "seed": seed, "id": record.id, "response": text, "ended": len(text) < 9}
        for (setting, seed), texts in said.items()
        for record, text in zip(records, texts, strict=True)
    )
    return score(folder, ScoringOptions(metrics=("knowledge_precision", "length")), 1, Silent())


def test_what_changed_is_counted_and_the_median_shown_by_hand(scored):
    said = Said(scored.folder, [0, 1], ["r0", "r1", "r2"])
    assert said.changed(["off", "on"])["on"].tolist() == [[False, True, True], [True, False, True]]
    assert said.values(["off", "on"], "length").tolist() == [
        [[1, 2, 3], [1, 1, 1]],
        [[1, 4, 5], [2, 1, 5]],
    ]
    found = said.rows(["on", "off"], [(1, 2), (0, 0)])
    assert [[row["response"] for row in rows] for rows in found] == [["=c d e f g", "c"], ["a", "a"]]
    page = scored.page(2, Screen(80, True))
    assert page.startswith("4 of 6 responses changed.")
    # changes of length where the response changed: 2, 2, 1, 4; their median is 2
    assert "2 of the 4 changed responses of on, those whose change in length is nearest" in page
    assert re.findall(r"^r\d, seed .*$", page, re.MULTILINE) == [
        "r1, seed 0: length 2.000 to 4.000",
        "r2, seed 0: length 3.000 to 5.000",
    ]
    assert "(examples=N shows N; … ends what was cut at the most tokens it may have)" in " ".join(page.split())
    assert "  on         a b c *d e*…" in page and "  off        a b c\n" in page
    assert "  on         a b *c d*\n" in page and page.index("  on  ") < page.index("metric ")
    assert "seed" not in scored.page(0, Screen(80, True))


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_without_a_terminal_there_is_a_line_a_minute(capsys):
    clock = Clock()
    with Terminal(clock).progress("responses", 7200) as advance:
        for seconds, count in [(0, 1000), (0.5, 200), (30, 600), (29, 600), (1, 600), (59, 0), (1, 30), (600, 3570)]:
            clock.now += seconds
            advance(count)
    # what is ready within a second was there before: 1,800 in 60.5 s; 30 in a minute; 3,570 in ten
    assert capsys.readouterr().err.splitlines() == [
        "responses: 3,000 of 7,200, 29.8/s, 2 min left",
        "responses: 3,030 of 7,200, 0.5/s, 2 h 19 min left",
        "responses: 6,600 of 7,200, 6.0/s, 2 min left",
    ]


def test_nothing_ready_since_the_last_line_leaves_the_end_open():
    clock, lines = Clock(), []
    pace = Pace("x", 10, lines.append, clock)
    clock.now += 60
    pace.advance(0)
    assert lines == ["x: 0 of 10, 0.0/s"]


@pytest.fixture(scope="module")
def here(tmp_path_factory, checkpoint):
    """A folder with a run whose responses are all there, and the words that made it."""
    from zsc.cli.main import main

    folder = tmp_path_factory.mktemp("here")
    words = ["run", "knob=attn_bias", f"model={checkpoint}", "dataset.limit=6", "seeds=[0,1]", "model.device=cpu"]
    words += ["resampling.resamples=50", "decoding.max_new_tokens=6"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*words, "format=json"]) == 0
    return folder, words


def command(here, stdout, *more, **environment):
    folder, words = here
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "zsc", *words, *more], cwd=folder, stdout=stdout, stderr=subprocess.PIPE,
        env=kept | {"PYTHONPATH": paths, "TERM": "xterm"} | environment,
    )  # fmt: skip


def on_terminal(here, width, *more, **environment):
    """Return what the command sends to a terminal of so many columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    process = command(here, its, *more, **environment)
    os.close(its)
    sent = b""
    try:
        while part := os.read(ours, 1 << 16):
            sent += part
    except OSError:  # the end, on Linux
        pass
    os.close(ours)
    assert process.wait() == 0, process.stderr.read()
    return sent.decode().replace("\r\n", "\n")


COLOUR = re.compile(r"\x1b\[[\d;]*m")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_of_any_width(here, width):
    sent = on_terminal(here, width)
    bare = COLOUR.sub("", sent)
    assert COLOUR.search(sent) and not CONTROLS.search(bare.replace("\n", ""))
    assert max(widest(line) for line in bare.splitlines()[:-1]) <= width  # below is the path of the folder
    order = ("responses changed.", "changed responses", "  off  ", "metric ", "run: runs/")
    places = [bare.index(part) for part in order]
    assert places == sorted(places)
    assert ("left out for want of room" in " ".join(bare.split())) == (width < 120)
    assert "\non: attn_bias(knowledge, 5)\n" in bare


def test_no_colour_where_it_is_not_wanted(here):
    sent = on_terminal(here, 80, NO_COLOR="1")
    assert "\x1b" not in sent and re.search(r"  on +.*\*\S", sent)
    assert "\x1b" not in on_terminal(here, 80, "examples=0", TERM="dumb")


def test_a_pipe_gets_the_whole_table_and_no_colour(here):
    process = command(here, subprocess.PIPE)
    out = process.communicate()[0].decode()
    assert process.returncode == 0 and "\x1b" not in out and "responses changed." in out
    head = next(line for line in out.splitlines() if line.split()[:1] == ["metric"])
    assert re.split(r"\s{2,}", head.strip()) == [
        "metric", "off", "attn_bias(knowledge, 5)", "difference", "p (Holm)", "effect", "n", "dropped",
    ]  # fmt: skip
    assert "left out" not in out and out.splitlines()[-1].startswith("run: runs/attn_bias-")
