"""LaTeX tables: no wider and higher than a page by measures of another source, and by LaTeX where that is installed."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import matplotlib
import pytest
from matplotlib.ft2font import FT2Font

from tests.stored_tables import RESULTS, stored_table, stored_tables
from zsc.tables.latex import SIZE, SMALL, TEXT_WIDTH, Content, Entry, Group, broken, latex, text_width
from zsc.tables.paper import render_paper

NASTY = r"a_b & 50% #1 ~ \w^{2} $x$ <<a>> --no-- ?`"


@cache
def font():
    """Return Computer Modern Roman as matplotlib carries it, 100 points high."""
    found = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts/ttf/cmr10.ttf"))
    found.set_size(100, 72)
    return found


def measured(text, size):
    """Return the width of ``text`` without escapes, by that font; the sizes below 10 points are somewhat wider."""
    plain = re.sub(r"\\rlap\{\*\}|\{\}", "", text).replace(r"\,", "").replace("$-$", "-").replace("--", "-")
    plain = re.sub(r"\\([_%#&$])", r"\1", plain)
    underscores = plain.count("_")  # which the font lacks: three quarters of its size in T1
    font().set_text(plain.replace("_", ""))
    wider = {8: 1.0625, 7: 1.1385}[size]
    return (font().get_width_height()[0] / 64 / 100 + 0.75 * underscores) * size * wider


def tables_of(tex):
    """Return the cells of each tabular, row by row, with the size of each."""
    for body in re.findall(r"\\begin\{tabular\}\{.*?\}\n(.*?)\\end\{tabular\}", tex, re.DOTALL):
        rows = [line.removesuffix(r" \\").split(" & ") for line in body.splitlines() if line.endswith(r"\\")]
        yield [[sized(cell) for cell in row] for row in rows if not row[0].startswith(r"\multicolumn")]


def sized(cell):
    """Return a cell as (text, size, indent)."""
    if small := re.fullmatch(r"\\(heading|interval)\{(.*)\}", cell):
        return (f"[{small[2]}]" if small[1] == "interval" else small[2]), SMALL, 0.0
    indented = cell.startswith(r"\hspace*{5pt}")
    return cell.removeprefix(r"\hspace*{5pt}"), SIZE, 5.0 * indented


@pytest.mark.parametrize("file", stored_tables(), ids=lambda file: str(file.relative_to(RESULTS)))
def test_the_shipped_tables_are_what_the_code_makes_of_their_numbers_and_fit_the_page(file):
    table = stored_table(file)
    assert render_paper(table, "md") + "\n" == file.with_suffix(".md").read_text()
    tex = file.with_suffix(".tex").read_text()
    assert render_paper(table, "latex") + "\n" == tex
    shown = re.findall(r"\\fontsize\{([\d.]+)\}", tex)
    assert {float(size) for size in shown} == {SIZE, SMALL} and min(SIZE, SMALL) >= 6
    settings = {(one.label, setting) for one in table.sections for setting in one.settings}
    values = 0
    for rows in tables_of(tex):
        assert len({len(row) for row in rows}) == 1
        columns = [*zip(*rows, strict=True)]
        widths = [max(measured(text, size) + indent for text, size, indent in column) for column in columns]
        assert sum(widths) + 2 * 2.3 * (len(columns) - 1) <= TEXT_WIDTH
        assert 9.6 * len(rows) <= 530 - 60
        values += sum(size == SIZE and bool(text) for column in columns[1:] for text, size, _ in column)
    assert values >= len(settings) * len(table.shown)  # the first of a group may stand in several parts


def test_widths_are_never_below_those_of_the_font():
    texts = ["attn_bias(knowledge, 5)", "The quick brown fox jumps over the lazy dog", "0.350 0.404", "ABCDEFG+=?!"]
    for text in texts:
        for size in (8, 7):
            assert measured(text, size) <= text_width(text, size) <= 1.06 * measured(text, size), text


def test_names_break_between_words_then_parts_then_characters():
    assert broken("one two", 1000, 8) == ["one two"]
    assert broken("one two", text_width("one two", 8) - 1, 8) == ["one", "two"]
    assert broken("a_bc", text_width("a_b", 8), 8) == ["a_", "bc"]
    assert broken("mmmm", text_width("mm", 8) + 0.1, 8) == ["mm", "mm"]


def wild():
    """Return a table of 14 columns and 70 settings in two groups, with names that LaTeX would read otherwise."""
    names = [f"[{i}] {NASTY} and_a_very_long_name_without_any_space_{i}" for i in range(35)]
    columns = [*(f"metric_number_{i}" for i in range(12)), "onelongwordthatnothingseparates" * 2, "n"]
    line = [Entry("-0.123", "-0.456, 0.789", "*")] * 12 + [Entry("-"), Entry("1,234,567")]
    groups = [Group(label, dict.fromkeys([first, *names], line)) for label, first in (("", "off"), ("x_1", "* on"))]
    return Content("wild", NASTY, columns, groups, [NASTY, NASTY * 9], ["made\nby"])


def test_every_setting_and_column_stands_somewhere_and_each_part_has_what_it_is_compared_with():
    tex = latex(wild())
    parts = tex.count(r"\begin{table*}")
    assert parts > 8 and f", {parts} of {parts}}}" in tex and len(set(re.findall(r"\\label\{.*\}", tex))) == parts
    shown = [[row[0][0] for row in rows] for rows in tables_of(tex)]
    assert all("off" in names or "{}* on" in names for names in shown)
    assert tex.count("1,234,567") >= 72 and tex.count(r"$-$0.123\rlap{*}") >= 12 * 72
    assert r"\interval{$-$0.456,\,0.789}" in tex and "% made\\nby" in tex


@pytest.mark.parametrize("options", ["10pt,letterpaper", "12pt,a4paper", "10pt,a4paper,twocolumn"])
def test_latex_sets_them_all_within_the_page(tmp_path, options):
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex on this machine: the tables are not compiled")
    (tmp_path / "wild.tex").write_text(latex(wild()))
    files = [tmp_path / "wild.tex", *(file.with_suffix(".tex") for file in stored_tables())]
    inputs = "\n".join(rf"\input{{{file}}}\clearpage" for file in files)
    (tmp_path / "all.tex").write_text(
        rf"\documentclass[{options}]{{article}}\usepackage[T1]{{fontenc}}\usepackage{{booktabs}}"
        r"\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}"
        f"\n\\begin{{document}}\n{inputs}\n\\end{{document}}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=300)
    log = (tmp_path / "all.log").read_text(errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert "Overfull" not in log and "Float too large" not in log
