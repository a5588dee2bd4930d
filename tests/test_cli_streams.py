"""Readers that have gone, disks that are full, streams that are closed, and what must not reach a terminal."""

import csv
import io
import json
import multiprocessing
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.processes import PRELOADED
from zsc.cli.main import main
from zsc.data.record import Record, Turn
from zsc.generation.folder import RunFolder
from zsc.metrics.score import Row
from zsc.spreadsheets import csv_text, guarded, unguarded
from zsc.tables.annotation import Pair, form, sheet
from zsc.tables.paper import PaperTable, Published, Section, render_paper
from zsc.tables.render import code_span, markdown_text, render
from zsc.terminal import CONTROLS, GONE, one_line, visible

NASTY = "a\x1b[31mb\rc\x07d\x9be\u202ef\u2066g\u2028h\x00i\x7fj\udcffk"
FULL = Path("/dev/full")


def gone() -> int:
    """Return the end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full() -> int:
    if not FULL.exists():
        pytest.skip("there is no /dev/full here")
    return os.open(FULL, os.O_WRONLY)


LIGHT = [(["--help"], 0), (["run", "--help"], 0), (["run", "knob=attn_bias", "--cfg", "job"], 0), (["score"], 2)]


@pytest.mark.parametrize(("arguments", "code"), LIGHT, ids=[" ".join(arguments) for arguments, _ in LIGHT])
def test_a_stream_that_fails_ends_quietly_or_with_one_line(tmp_path, arguments, code):
    """In processes of their own, to their very end, where Python flushes what is left."""

    def start(**streams):
        return subprocess.Popen([sys.executable, "-m", "zsc", *arguments], cwd=tmp_path, **streams)

    pipe = subprocess.PIPE
    unread = start(stdout=gone(), stderr=pipe)
    on_full = start(stdout=full(), stderr=pipe)
    closed = start(preexec_fn=partial(os.close, 1), stderr=pipe)
    deaf = start(stdout=pipe, stderr=gone())
    mute = start(stdout=pipe, preexec_fn=partial(os.close, 2))
    ends = [process.communicate() for process in (unread, on_full, closed, deaf, mute)]
    complaint = b"zsc: zsc score needs the folder" if code else b""
    assert unread.returncode == (code or GONE) and ends[0][1][:20] == complaint[:20]
    assert closed.returncode == code and ends[2][1][:20] == complaint[:20]
    lines = ends[1][1].decode().splitlines()
    assert on_full.returncode == 2 and len(lines) == 1
    assert code or lines[0].startswith("zsc: cannot write to stdout: No space left on device")
    assert deaf.returncode == mute.returncode == code and ends[3][0] == ends[4][0] and bool(ends[3][0]) == (code == 0)


def work(folder: Path, arguments: list[str], kind: str, err: Path) -> None:
    os.chdir(folder)
    os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT), 2)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    if kind == "closed":
        os.close(1)
        sys.stdout = None
    else:
        os.dup2({"gone": gone, "full": full}[kind](), 1)
        sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.exit(main(arguments))


@pytest.mark.parametrize(("kind", "code"), [("gone", GONE), ("full", 2), ("closed", 0)])
@pytest.mark.parametrize("several", [False, True])
def test_a_run_whose_table_cannot_be_printed_is_whole(tmp_path_factory, checkpoint, kind, code, several):
    if kind == "full" and not FULL.exists():
        pytest.skip("there is no /dev/full here")
    folder = tmp_path_factory.mktemp("here")
    strengths = ["-m", "knob.strength=2,5"] if several else ["knob.strength=2"]
    arguments = ["run", "knob=attn_bias", f"model={checkpoint}", "model.device=cpu", "seeds=[0]", "dataset.limit=3",
                 "decoding.max_new_tokens=4", "resampling.resamples=20", *strengths]  # fmt: skip
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    err = folder.with_suffix(".err")
    process = context.Process(target=work, args=(folder, arguments, kind, err))
    process.start()
    process.join(timeout=300)
    printed = err.read_text()
    assert process.exitcode == code and "Traceback" not in printed and "Exception" not in printed, printed
    assert ("No space left on device" in printed) == (kind == "full") and "Broken pipe" not in printed
    runs = list(folder.glob("runs/attn_bias-*"))
    assert len(runs) == 1 + several
    for run in runs:
        assert json.loads((run / "scores.json").read_text())["table"] and len(RunFolder(run).rows()) == 6
        assert len((run / "items.csv").read_text().splitlines()) == 7


def test_control_characters_are_shown_and_not_sent():
    assert visible(NASTY) == r"a\x1b[31mb\rc\x07d\u009be\u202ef\u2066g\u2028h\x00i\u007fj\udcffk"
    assert json.loads(visible(json.dumps(NASTY, ensure_ascii=False))) == NASTY
    assert visible("höre\t中文 שלום\n🙂 a\u200db") == "höre\t中文 שלום\n🙂 a\u200db"
    assert one_line("a\nb") == r"a\nb"
    for style in ("table", "md"):
        shown = render([{"setting": NASTY + "\n[red]x[/red] :smile: [/]", "value": "1"}], style)
        assert not CONTROLS.search(shown) and "[red]x[/red] :smile: [/]" in shown.replace("\\\\", "\\")
        assert len(shown.splitlines()) == 3


def test_nothing_raw_from_an_argument_a_file_or_a_name(command, tmp_path):
    for arguments in (
        ["run", f"knob={NASTY[:-2]}"],
        ["run", "dataset=table", f"dataset.path={NASTY[:-2]}.csv"],
        ["score", f"{NASTY[:8]}\n/x"],
        [f"ls{NASTY[:8]}"],
        ["run", f"{NASTY[:8]}"],
    ):
        code, out, err = command(*(word.replace("\x00", "") for word in arguments))
        assert code == 2 and not CONTROLS.search(out + err) and len(err.strip().splitlines()) == 1, err
    for name in ("=off\x1b[2J", "\u202eon|<b>"):
        row = {"setting": name, "id": "1", "history": "hi", "response": "yes"}
        Path("systems.jsonl").write_text(json.dumps(row) + "\n")
        code, out, err = command("score", "systems.jsonl", "metrics=[length]")
        assert code == 2 and not CONTROLS.search(out + err) and "control characters" in err
    rows = [{"setting": name, "id": "1", "history": "hi", "response": "yes\x1b[2J"} for name in ("=off", "on|<b>")]
    Path("systems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for style in ("table", "md", "csv", "json"):
        code, out, err = command("score", "systems.jsonl", "metrics=[length]", f"format={style}")
        assert code == 0 and not CONTROLS.search(out + err), (style, out, err)
    (items,) = Path("runs").glob("outputs-*/items.csv")
    first = next(csv.DictReader(io.StringIO(items.read_text())))
    assert first["setting"] == "'=off" and float(first["length"]) == 1


FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "'=1", "''=1", '"=1"',
            "'-", "\uff1d1", "- hello", "-1-1", "'\t", "--", "+", "=", "-0.5x"]  # fmt: skip
HARMLESS = ["", "a=1", "'", "'a", "it's -5", "-0.5", "+0.198 [+0.173, +0.223]", "-", "-1e-5", "+10%", "-7,1",
            "0.5*", "-0.038 [-0.046, -0.029]*", "'quoted'"]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS + HARMLESS)
def test_a_formula_is_guarded_and_comes_back(text):
    assert guarded(text) == ("'" + text if text in FORMULAS else text)
    assert unguarded(guarded(text)) == text


def test_numbers_in_csv_stay_numbers():
    rows = [{"=name": "=x", "value": -0.5, "none": None, "count": -3}]
    assert csv_text(rows, list(rows[0])) == "'=name,value,none,count\n'=x,-0.5,,-3\n"
    assert render(rows, "csv") == "'=name,value,none,count\n'=x,-0.5,,-3"


def test_a_sheet_for_people_is_guarded():
    pair = Pair(1, Record("1", (Turn("a", "=1"),), "", "@know"), "=A()", "-0.5", "A")
    (row,) = csv.DictReader(io.StringIO(sheet([pair], ["fits"])))
    assert (row["pair"], row["context"], row["knowledge"]) == ("1", "1: =1", "'@know")
    assert (row["A"], row["B"], row["fits"]) == ("'=A()", "-0.5", "")
    assert not CONTROLS.search(
        form([Pair(1, Record("1", (Turn("a", NASTY),), "", None), "a", "b", "A")], ["fits"], "t")
    )


def test_a_sheet_is_scored_as_it_was_said(command):
    """A response is what it was before its guard; a table of somebody else's is read as it stands."""
    pair = Pair(1, Record("1", (Turn("a", "Hi."),), "", None), "=A()", "'tis", "A")
    Path("pairs.csv").write_text(sheet([pair], ["fits"]))
    Path("other.csv").write_text("history,response\nHi.,'=A()\n")
    words = ["columns.response=A", "columns.history=context"]
    assert command("score", "pairs.csv", *words, "metrics=[length]")[0] == 0
    assert command("score", "other.csv", "metrics=[length]")[0] == 0
    responses = {
        folder.name.split("-")[1]: RunFolder(folder).rows()[0]["response"] for folder in Path("runs").iterdir()
    }
    assert responses == {"pairs": "=A()", "other": "'=A()"}


def test_markdown_and_latex_read_as_they_stand():
    assert markdown_text("a|b\\c $x$ `d` <b> </i> &amp; [e](f) 1 < 2 & 3 <0.001 _k_") == (
        r"a\|b\\c \$x\$ \`d\` &lt;b> &lt;/i> &amp;amp; [e]\(f) 1 < 2 & 3 <0.001 _k_"
    )
    assert code_span("a") == "`a`" and code_span("a`b\nc") == r"`` a`b\nc ``"
    names = ["off", "[red] 5% & $x_1$ \\ ~^#{}\nnew", "*"]
    rows = [Row(name, "length", 1.0, 1.0, 1.0, 2, 1, 0) for name in names]
    table = PaperTable("t", "A_b\n%", [Section("", rows)], ["length"], Published(), {"length": "length|a\nb"}, ["x\ny"])
    latex = render_paper(table, "latex")
    escaped = [
        r"{}[red] 5\% \& \$x\_1\$ \textbackslash{}",
        r"\textasciitilde{}\textasciicircum{}\#\{\}\textbackslash{}nnew",
    ]
    assert all(f"{line} & " in latex for line in escaped) and "\n{}* & " in latex  # as much of a name as a line holds
    assert (
        all(line.startswith("%") for line in latex.splitlines()[:3]) and r"\caption{A\_b\textbackslash{}n\%}" in latex
    )
    assert len(render_paper(table, "md").splitlines()) == 14
