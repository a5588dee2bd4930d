"""How figures look, and how they are written: for the page, as SVG that takes the page's colours, and as files."""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from xml.sax.saxutils import quoteattr

from matplotlib import style
from matplotlib.figure import Figure

from zsc.terminal import visible

INK, DIM, LINE, PAPER = "#1d2127", "#5b636e", "#d5d6d3", "#ffffff"
# a colour on white and one on black, told apart by the colour-blind, and the marker that goes with them
STYLES: tuple[tuple[str, str, str], ...] = (
    ("#0067a8", "#57b2ee", "o"),
    ("#c4500a", "#ff9055", "s"),
    ("#00805c", "#41cfa1", "^"),
    ("#a1428a", "#e79bcb", "D"),
    ("#8a6a00", "#dfb83c", "v"),
    ("#4a5260", "#b9c1cc", "P"),
)
ON_PAGE = {INK: "currentColor", DIM: "var(--dim)", LINE: "var(--line)", PAPER: "var(--card)"} | {
    light: f"var(--series-{i})" for i, (light, _, _) in enumerate(STYLES)
}
STYLE: list[Any] = [
    "default",
    {
        "svg.fonttype": "none", "svg.hashsalt": "zsc", "pdf.fonttype": 42, "font.size": 10, "axes.titlesize": 10.5,
        "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": DIM, "axes.labelcolor": DIM,
        "axes.titlecolor": INK, "text.color": INK, "xtick.color": DIM, "ytick.color": DIM, "axes.grid": True,
        "axes.axisbelow": True, "grid.color": LINE, "grid.linewidth": 0.6, "axes.titlelocation": "left",
        "axes.titlepad": 9, "figure.facecolor": "none", "axes.facecolor": "none", "legend.frameon": False,
        "legend.fontsize": 9.5, "text.parse_math": False,
    },
]  # fmt: skip

Files = Mapping[str, str | bytes]  # by ending


@contextmanager
def drawing() -> Iterator[None]:
    """While the context is open, figures look the same whatever the user's own configuration of matplotlib."""
    with style.context(STYLE):
        yield


def for_page(svg: str, name: str, label: str) -> str:
    """Return ``svg`` to stand inside of HTML: without prolog, size and style sheet, with ids that begin with ``name``,
    in the colours and the font of the page, and with ``label`` for those who do not see it."""
    body = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="[^"]*"', body)
    assert box is not None
    body = re.sub(r"<svg[^>]*>", f'<svg {box[0]} role="img" aria-label={quoteattr(label)}>', body, count=1)
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r' id="(?:figure|axes|patch|text|line2d|[xy]tick|matplotlib\.|[A-Z])[^"]*"', "", body)
    body = re.sub(r'(id="|xlink:href="#|url\(#)', rf"\g<1>{name}-", body).replace("xlink:href=", "href=")
    body = re.sub(r" ?font-family: [^;\"]*;?", "", body)
    for colour, own in ON_PAGE.items():
        body = body.replace(colour, own)
    return re.sub(r"\s*\n\s*", "\n", body).strip()


def svg_of(figure: Figure) -> str:
    """Return ``figure`` as SVG without a date, its texts as text."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return visible(out.getvalue())


def files_of(figure: Figure) -> Files:
    """Return ``figure`` as SVG, PNG and PDF, to stand on white by themselves, the same bytes whenever it is drawn."""
    return {
        "svg": svg_of(figure).replace("'DejaVu Sans'", "'DejaVu Sans', sans-serif"),
        "png": _saved(figure, format="png", dpi=200, metadata={"Software": None}),
        "pdf": _saved(figure, format="pdf", metadata=dict.fromkeys(("CreationDate", "Creator", "Producer"))),
    }


def _saved(figure: Figure, **how: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, **how)
    return out.getvalue()
