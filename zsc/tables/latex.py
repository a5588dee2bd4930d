"""Tables for LaTeX that fit the text of an article: what has no room on a page stands in further tables [D].

Sizes are in points. A font of a given size is set whatever that of the document, so that what was measured here is what
LaTeX sets. Intervals stand below their values, and long names of settings run on beside them.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from zsc.terminal import one_line

TEXT_WIDTH, TEXT_HEIGHT = 345.0, 530.0  # of an article at 10 points on A4 or letter; few texts are narrower
SIZE, SMALL = 8.0, 7.0  # of values and names; of intervals and headings
LEADING, BETWEEN = 9.6, 2.0  # of a line; between settings
SEPARATION = 2.3  # half of what parts two columns
NAMES, WORDS = 97.0, 60.0  # the widest that names of settings, and words of headings, may be without a break
INDENT = 5.0  # of the lines of a name but the first
CAPTION, RULES = (12.0, 10.0), 14.0  # a line of the caption, and the space below it; all rules
ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
)
EMS = {  # widths of Computer Modern Roman in thousandths of its size, at 10 points
    167: "\u2009", 278: ".,:;!'`|ijl[]", 306: "f", 333: " -", 361: "I", 390: "()rst", 444: "cez",
    500: "0123456789agoq*/\"?", 514: "J", 528: "kvxy", 556: "bdhnpuS", 625: "L", 653: "F", 681: "EP", 708: "BC",
    722: "wTR", 750: "AHNUVX_", 764: "D", 778: "+=<>OQK&#@", 785: "G", 833: "m%", 917: "M", 1028: "W",
}  # fmt: skip
WIDTHS = {character: width / 1000 for width, characters in EMS.items() for character in characters}
ENDS = (r"[^\s+]*[\s+]+|[^\s+]+$", r"[^\s+(,_/]*[\s+(,_/]+|[^\s+(,_/]+$", r".")  # of words, of parts, of characters
WIDER = {SIZE: 1.075, SMALL: 1.15}  # than at 10 points, relative to their size


@dataclass(frozen=True)
class Entry:
    """A value, perhaps with its interval and a mark."""

    value: str
    interval: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Group:
    """A line of entries for each setting, the first of which is what the others are compared with; under a ``label``
    that may be empty."""

    label: str
    lines: Mapping[str, Sequence[Entry]]


@dataclass(frozen=True)
class Content:
    """A table called ``name``, as :class:`Group` has its lines; ``notes`` stand below it, the first below every part,
    and ``comments`` before it."""

    name: str
    caption: str
    columns: Sequence[str]
    groups: Sequence[Group]
    notes: Sequence[str]
    comments: Sequence[str]


@dataclass(frozen=True)
class Line:
    """A setting as it is set: its name in lines, ``label`` where it is the first of its group in a table."""

    names: Sequence[str]
    entries: Sequence[Entry]
    label: str = ""

    @property
    def height(self) -> float:
        lines = max(len(self.names), 2 if any(one.interval for one in self.entries) else 1)
        return LEADING * (lines + bool(self.label)) + BETWEEN


def latex(content: Content) -> str:
    """Return ``content`` as floats that span the text, in the order of rows and then of columns."""
    head = [
        r"% needs \usepackage{booktabs} and \usepackage[T1]{fontenc}; every table fits a text of "
        f"{TEXT_WIDTH:g} by {TEXT_HEIGHT:g} points,",
        r"% in one column or, as table* spans them, in two",
        *(f"% {one_line(line)}" for line in content.comments),
    ]
    widths = column_widths(content)
    places = in_columns(widths, name_width(content))
    heads = [broken(heading(name), width, SMALL) for name, width in zip(content.columns, widths, strict=True)]
    rows = in_rows(content, TEXT_HEIGHT - around(content, max(map(len, heads))))
    parts = [(lines, columns) for lines in rows for columns in places]
    tables = [
        one_table(content, lines, [heads[i] for i in columns], columns, (number, len(parts)))
        for number, (lines, columns) in enumerate(parts, start=1)
    ]
    return "\n\n".join(["\n".join(head), *tables])


def one_table(
    content: Content,
    lines: Sequence[Line],
    heads: Sequence[Sequence[str]],
    columns: Sequence[int],
    part: tuple[int, int],
) -> str:
    """Return one of the parts of a table, the first of two numbers of so many: ``columns`` under ``heads``."""
    number, count = part
    body = [
        r"\begin{table*}", r"\centering", r"\fontsize{8}{9.6}\selectfont",
        rf"\def\interval#1{{{{\fontsize{{{SMALL:g}}}{{{LEADING:g}}}\selectfont[#1]}}}}",
        rf"\def\heading#1{{{{\fontsize{{{SMALL:g}}}{{{LEADING:g}}}\selectfont #1}}}}",
        rf"\setlength{{\tabcolsep}}{{{SEPARATION:g}pt}}",
        rf"\caption{{{latex_text(content.caption)}{f', {number} of {count}' if count > 1 else ''}}}",
        rf"\label{{tab:{content.name}{f'-{number}' if number > 1 else ''}}}",
        rf"\begin{{tabular}}{{@{{}}l{'c' * len(columns)}@{{}}}}", r"\toprule",
    ]  # fmt: skip
    for level in range(depth := max(map(len, heads))):
        shown = [own[level - depth + len(own)] if level >= depth - len(own) else "" for own in heads]
        cells = ["setting" if level == depth - 1 else "", *shown]
        body.append(" & ".join(rf"\heading{{{latex_text(cell)}}}" if cell else "" for cell in cells) + r" \\")
    body.append(r"\midrule")
    for place, line in enumerate(lines):
        if line.label:
            body.append(rf"\multicolumn{{{len(columns) + 1}}}{{@{{}}l}}{{\itshape {latex_text(line.label)}}} \\")
        body += [*set_line(line, columns), *([rf"\addlinespace[{BETWEEN:g}pt]"] if place + 1 < len(lines) else [])]
    first, *further = content.notes
    notes = content.notes if number == count or not further else [first, f"Further notes: see part {count}."]
    body += [r"\bottomrule", r"\end{tabular}", r"\par\smallskip", r"\begin{minipage}{\textwidth}\raggedright"]
    return "\n".join([*body, *(rf"{latex_text(note)}\par" for note in notes), r"\end{minipage}", r"\end{table*}"])


def set_line(line: Line, columns: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a setting: values, and below them intervals, beside the lines of its name."""
    own = [line.entries[i] for i in columns]
    values = [_number(one.value) + (rf"\rlap{{{one.mark}}}" if one.mark else "") for one in own]
    rows = [values]
    if any(one.interval for one in own):
        rows.append([rf"\interval{{{_number(thin(one.interval))}}}" if one.interval else "" for one in own])
    for i in range(max(len(rows), len(line.names))):
        name = latex_text(line.names[i]) if i < len(line.names) else ""
        indent = rf"\hspace*{{{INDENT:g}pt}}" if i and name else ""
        guard = "{}" * (not indent and name.startswith(("[", "*")))  # else an argument of the line before
        yield " & ".join([indent + guard + name, *(rows[i] if i < len(rows) else [""] * len(own))]) + r" \\"


def column_widths(content: Content) -> list[float]:
    """Return how wide each column is, without what parts it from others."""
    found = []
    for place, name in enumerate(content.columns):
        entries = [lines[place] for group in content.groups for lines in group.lines.values()]
        word = max((text_width(word, SMALL) for word in heading(name).split()), default=0.0)
        widest = max(max(text_width(one.value, SIZE), text_width(f"[{thin(one.interval)}]", SMALL)) for one in entries)
        found.append(max(widest, min(word, WORDS)))
    return found


def thin(interval: str) -> str:
    """Return ``interval`` with a thin space behind its comma."""
    return interval.replace(", ", ",\u2009")


def heading(column: str) -> str:
    """Return the name of a column as words."""
    return column.replace("_", " ")


def name_lines(setting: str) -> list[str]:
    """Return the name of a setting in lines."""
    first, *rest = broken(setting, NAMES, SIZE)
    return [first, *(broken(setting.removeprefix(first).strip(), NAMES - INDENT, SIZE) if rest else [])]


def name_width(content: Content) -> float:
    """Return how wide the names of the settings are."""
    names = [name_lines(setting) for group in content.groups for setting in group.lines]
    return max(text_width(line, SIZE) + INDENT * bool(i) for lines in names for i, line in enumerate(lines))


def in_columns(widths: Sequence[float], names: float) -> list[range]:
    """Return which columns stand in one table, in as few parts of about as many columns as fit beside the names."""
    places: list[range] = []
    for count in range(1, len(widths) + 1):
        size = math.ceil(len(widths) / count)
        places = [range(start, min(start + size, len(widths))) for start in range(0, len(widths), size)]
        wanted = [names + sum(widths[i] + 2 * SEPARATION for i in part) for part in places]
        if max(wanted) <= TEXT_WIDTH:
            break
    return places


def around(content: Content, heads: int) -> float:
    """Return how high all of a table is but its settings."""
    caption = math.ceil(text_width(content.caption + ", 00 of 00 Table 00:", SIZE) * 1.2 / TEXT_WIDTH)
    notes = sum(math.ceil(text_width(note, SIZE) * 1.1 / TEXT_WIDTH) for note in (*content.notes, " "))
    return CAPTION[0] * caption + CAPTION[1] + RULES + LEADING * (heads + notes)


def in_rows(content: Content, room: float) -> list[list[Line]]:
    """Return the settings of each table: as many as have ``room``, the first of a group again where that goes on."""
    tables: list[list[Line]] = [[]]
    for group in content.groups:
        first, *others = [Line(name_lines(name), entries) for name, entries in group.lines.items()]
        first = Line(first.names, first.entries, group.label)
        pending = [first]
        for step in [[line] for line in others] or [[]]:
            wanted = [*pending, *step]
            if tables[-1] and sum(one.height for one in (*tables[-1], *wanted)) > room:
                tables.append([])
                wanted = [first, *step]
            tables[-1] += wanted
            pending = []
    return tables


def broken(text: str, width: float, size: float, ends: Sequence[str] = ENDS) -> list[str]:
    """Return ``text`` in lines of at most ``width``, broken behind the first of ``ends`` that suffice."""
    lines = [""]
    for piece in re.findall(ends[0], text):
        if text_width(piece.rstrip(), size) > width and len(ends) > 1:
            first, *rest = broken(lines[-1] + piece, width, size, ends[1:])
            lines[-1:] = [first, *rest]
        elif text_width((lines[-1] + piece).rstrip(), size) > width:
            lines.append(piece)
        else:
            lines[-1] += piece
    return [line.strip() for line in lines if line.strip()] or [""]


def text_width(text: str, size: float) -> float:
    """Return how wide ``text`` is in Computer Modern Roman of ``size``."""
    return size * WIDER[size] * sum(WIDTHS.get(character, 0.8) for character in text)


def latex_text(text: str) -> str:
    """Return ``text`` for LaTeX, on one line, without ligatures of signs."""
    escaped = one_line(text).translate(ESCAPES)
    return re.sub(r"([-<>,'`?!])(?=[-<>,'`])", r"\1{}", escaped)


def _number(text: str) -> str:
    """Return a number or two for LaTeX, with minus signs, a dash for none."""
    return "--" if text == "-" else re.sub(r"-(?=[\d.])", "$-$", latex_text(text)).replace("\u2009", r"\,")
