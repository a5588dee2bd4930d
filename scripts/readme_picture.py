"""Draw docs/img/attn_bias.png, the picture of the README: what attention biasing does on parlor, by its strength.

    python scripts/readme_picture.py

Curves are those of results/parlor/informativeness.json; the two examples are what `make demo` prints, in
docs/quickstart.md.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "img" / "attn_bias.png"
PANELS = {
    "knowledge_precision": "Share of words from the knowledge",
    "knowledge_copied_run": "Share copied in one run",
    "perplexity_median": "Median perplexity",
}
GROUND, INK, DIM, LINE, OFF, ON = "#ffffff", "#1d2127", "#5b636e", "#d6d9de", "#9a4a00", "#1f5fa8"
WIDTH = 74  # letters of a line of text
NEUTRAL = 1.0  # the strength of no knob


class Example(NamedTuple):
    """A record with two responses; asterisks stand around the words that differ."""

    name: str
    knowledge: str
    off: str
    on: str


def curve(metric: str) -> list[tuple[float, float, float, float]]:
    """Return strength, value, low and high of each strength of a bias to the knowledge, that of no knob among them."""
    rows = json.loads((ROOT / "results/parlor/informativeness.json").read_text(encoding="utf-8"))
    points = []
    for row in rows:
        strength = re.fullmatch(r"attn_bias\(knowledge, ([\d.]+)\)", row["setting"])
        if row["metric"] == metric and (strength or row["setting"] == "off"):
            dose = float(strength[1]) if strength else NEUTRAL
            points.append((dose, row["value"], row["low"], row["high"]))
    return sorted(points)


def examples() -> list[Example]:
    """Return the examples that the page of the quickstart shows."""
    page = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8")
    found = re.findall(
        r"^(\S+), seed \d: [^\n]*\n  turn .*?\n  knowledge +(.*?)\n  off  +(.*?)\n  on  +(.*?)\n\n", page, re.M | re.S
    )
    return [Example(name, *(" ".join(text.split()) for text in texts)) for name, *texts in found]


def draw() -> Figure:
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10, "text.color": INK, "axes.edgecolor": DIM})
    figure = plt.figure(figsize=(9.6, 6.7), facecolor=GROUND)
    places = figure.add_gridspec(1, len(PANELS), left=0.055, right=0.985, top=0.865, bottom=0.555, wspace=0.24)
    figure.text(0.055, 0.95, "zsc run knob=attn_bias", family="DejaVu Sans Mono", size=12, weight="bold")
    figure.text(0.985, 0.95, "strength of the bias to the knowledge, 1 is off", size=10, color=DIM, ha="right")
    for number, (metric, title) in enumerate(PANELS.items()):
        panel(figure.add_subplot(places[number]), metric, title)
    height = 0.475
    for example in examples():
        height = write(figure, example, height)
    return figure


def panel(axes: Axes, metric: str, title: str) -> None:
    """Draw a metric over strengths, with its interval, and the value without a knob as a line."""
    doses, values, lows, highs = zip(*curve(metric), strict=True)
    axes.set_facecolor(GROUND)
    axes.fill_between(doses, lows, highs, color=ON, alpha=0.18, linewidth=0)
    axes.plot(doses, values, color=ON, marker="o", markersize=4.5, linewidth=1.8)
    axes.plot(NEUTRAL, values[doses.index(NEUTRAL)], color=OFF, marker="o", markersize=7)
    axes.axhline(values[doses.index(NEUTRAL)], color=OFF, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xscale("log")
    axes.set_xticks(doses, [f"{dose:g}" for dose in doses])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_title(title, size=10.5, loc="left", color=INK)
    axes.tick_params(colors=DIM, labelsize=9)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def write(figure: Figure, example: Example, height: float) -> float:
    """Write an example below ``height``; return the height below it."""
    figure.add_artist(plt.Line2D([0.055, 0.985], [height, height], color=LINE, linewidth=1))
    height -= 0.035
    for label, text, color in (
        ("knowledge", example.knowledge, DIM),
        ("off", example.off.replace("*", ""), OFF),
        ("strength 5", example.on.replace("*", ""), ON),
    ):
        figure.text(0.055, height, label, color=color, weight="bold", size=10, va="top")
        lines: Sequence[str] = wrap(text, WIDTH + 22)
        figure.text(0.175, height, "\n".join(lines), color=DIM if color == DIM else INK, size=10, va="top")
        height -= 0.032 * len(lines) + 0.012
    return height - 0.008


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    draw().savefig(PICTURE, dpi=118, metadata={"Software": None})
