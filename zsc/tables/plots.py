"""Draw dose-response curves and frontiers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from zsc.metrics import described
from zsc.tables.curves import Frontier, Point, Scores, Series, Spot, points, with_direction
from zsc.tables.figures import DIM, INK, PAPER, STYLES, Files, drawing, files_of, for_page, svg_of

if TYPE_CHECKING:
    from zsc.knobs import Dose

PANEL, SMALL_PANEL, PLANE = (4.7, 3.2), (3.8, 2.8), (4.8, 4.2)  # inches
APART = 0.07  # of the axis, between labels
DODGE = 0.022  # of the axis, between series with the same single dose
WIDE_RANGE = 5  # what spans more than this factor is drawn on a logarithmic scale, if the metric is one for that

Limits = tuple[float, float]


@dataclass(frozen=True)
class Curves:
    """Series of one knob, at most as many as there are STYLES, and the ``metrics`` to draw with the range of each."""

    series: Sequence[Series]
    scores: Scores
    metrics: Mapping[str, Limits]

    @property
    def knob(self) -> str:
        return self.series[0].knob

    @property
    def dose(self) -> "Dose":
        return self.series[0].dose

    def shown(self, series: Series, metric: str) -> list[Point]:
        """Return the points of one of the series; of a series with a single dose, that alone."""
        found = points(series, self.scores, metric)
        return found if len(series.tested) > 1 else [point for point in found if point.dose != self.dose.neutral]

    def off(self, metric: str) -> Point | None:
        found = [point for series in self.series for point in points(series, self.scores, metric)]
        return next((point for point in found if point.dose == self.dose.neutral), None)


@dataclass(frozen=True)
class Plane:
    """A frontier with the ``styles`` (a number, a label) of its settings; the setting off needs none."""

    frontier: Frontier
    control: str
    fluency: str
    styles: Mapping[str, tuple[int, str]]


def curve_svg(curves: Curves, metric: str, small: bool, name: str) -> str:
    """Return one panel as SVG for the page; ``name`` makes its ids unique."""
    with drawing():
        figure = Figure(figsize=SMALL_PANEL if small else PANEL, layout="constrained")
        draw_curves(figure.add_subplot(), curves, metric)
        return for_page(svg_of(figure), name, describe_curves(curves, metric))


def curve_files(curves: Curves) -> Files:
    """Return the panels of all metrics as one figure with a legend."""
    with drawing():
        columns = min(len(curves.metrics), 2)
        rows = math.ceil(len(curves.metrics) / columns)
        figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.5), layout="constrained", facecolor=PAPER)
        for number, metric in enumerate(curves.metrics, start=1):
            draw_curves(figure.add_subplot(rows, columns, number), curves, metric)
        handles = [_handle(i, f"{one.knob} {one.label}") for i, one in enumerate(curves.series)]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 3))
        return files_of(figure)


def plane_svg(plane: Plane, name: str) -> str:
    """Return the frontier as SVG for the page; ``name`` makes its ids unique."""
    with drawing():
        figure = Figure(figsize=PLANE, layout="constrained")
        draw_plane(figure.add_subplot(), plane)
        return for_page(svg_of(figure), name, describe_plane(plane))


def plane_files(plane: Plane) -> Files:
    """Return the frontier with a legend and the names of its numbers."""
    with drawing():
        named = [f"{number}  {spot.setting}" for number, spot in enumerate(plane.frontier.front, start=1)]
        handles = [_handle(i, label) for i, label in dict.fromkeys(plane.styles.values())]
        rows = max(len(handles), len(named))
        blank = [_text(" ")] * rows
        columns = [*(handles + blank)[:rows], *([_text(label) for label in named] + blank)[:rows]]
        height = PLANE[1] + 0.3 + 0.2 * rows
        figure = Figure(figsize=(PLANE[0] + 1.4, height), layout="constrained", facecolor=PAPER)
        draw_plane(figure.add_subplot(), plane)
        figure.legend(handles=columns, loc="outside lower left", ncols=2)
        return files_of(figure)


def limits_of(series: Sequence[Series], scores: Scores, metric: str) -> Limits | None:
    """Return a range that holds the intervals of all ``series``, None where there is no value."""
    found = [point.metric for one in series for point in points(one, scores, metric)]
    if not found:
        return None
    low, high = min(one.low for one in found), max(one.high for one in found)
    if _wide(metric, (low, high)):
        return low / 1.15, high * 1.15
    margin = 0.06 * (high - low) or max(abs(high), 1) * 0.06
    return low - margin, high + margin


def draw_curves(axes: Axes, curves: Curves, metric: str) -> None:
    """Draw ``metric`` against the dose: lines in bands, a bar for a series with a single dose, off as a dashed line."""
    neutral, geometric = curves.dose.neutral, curves.dose.geometric
    doses = sorted({dose for one in curves.series for dose, _ in one.doses} | {neutral})
    place = dose_places(doses) if geometric else {dose: dose for dose in doses}
    off = curves.off(metric)
    if off is not None:
        axes.axhline(off.metric.value, color=DIM, linewidth=1, linestyle=(0, (4, 3)), zorder=1.5)
        axes.annotate(off.setting, (1, off.metric.value), (4, 0), xycoords=("axes fraction", "data"),
                      textcoords="offset points", va="center", color=DIM, fontsize=9)  # fmt: skip
    shifts = dodged(curves.series, (max(place.values()) - min(place.values())) or 1)
    for i, (series, shift) in enumerate(zip(curves.series, shifts, strict=True)):
        shown = curves.shown(series, metric)
        _draw_series(axes, i, [place[point.dose] + shift for point in shown], shown, neutral)
    if off is not None:
        at = ([place[neutral]], [off.metric.value])
        axes.plot(*at, "o", color=INK, markerfacecolor=PAPER, markersize=6.5, zorder=5)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    limits = curves.metrics[metric]
    if _wide(metric, limits):
        log_scale(axes, "y", limits)
    axes.set_ylim(limits)
    labelled = spread(doses, place, {neutral})
    axes.set_xticks([place[dose] for dose in labelled], [f"{dose:g}" for dose in labelled])
    axes.grid(axis="x", visible=False)
    if geometric and doses[0] == 0 and len(doses) > 1:
        _break_mark(axes, (place[doses[0]] + place[doses[1]]) / 2)
    axes.set_title(with_direction(metric))
    axes.set_xlabel(curves.dose.field)


def _draw_series(axes: Axes, number: int, x: Sequence[float], shown: Sequence[Point], neutral: float) -> None:
    colour, _, marker = STYLES[number]
    y, low, high = ([point.metric[k] for point in shown] for k in range(3))
    if len(shown) > 1:
        axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.plot(x, y, color=colour, linewidth=1.8, zorder=3)
    else:
        axes.vlines(x, low, high, color=colour, linewidth=1.2, zorder=3)
    marked = [k for k, point in enumerate(shown) if point.dose != neutral]
    axes.plot([x[k] for k in marked], [y[k] for k in marked], marker, color=colour, markersize=5.5, zorder=4)


def dodged(series: Sequence[Series], span: float) -> list[float]:
    """Return how far each of ``series`` is moved sideways on an axis of length ``span``: those with the same single
    dose stand side by side."""
    single = [one.tested[0][0] if len(one.tested) == 1 else None for one in series]
    taken = {dose for one in series if len(one.tested) > 1 for dose, _ in one.tested}
    shifts = []
    for i, dose in enumerate(single):
        count, before = single.count(dose), single[:i].count(dose)
        place = before - (count - 1) / 2 if dose not in taken else (before // 2 + 1) * (-1) ** (before + 1)
        shifts.append(0.0 if dose is None else DODGE * span * place)
    return shifts


def dose_places(doses: Sequence[float]) -> dict[float, float]:
    """Return where ascending ``doses`` lie on a logarithmic axis; 0 lies apart, a step to the left of the others."""
    positive = [dose for dose in doses if dose > 0]
    places = {dose: math.log10(dose) for dose in positive}
    if 0 in doses:
        span = places[positive[-1]] - places[positive[0]] if positive else 0
        places[0.0] = (places[positive[0]] if positive else 0) - max(0.2 * span, 0.2)
    return places


def spread(doses: Sequence[float], place: Mapping[float, float], always: set[float]) -> list[float]:
    """Return those of ``doses`` whose labels find room, and those of ``always``."""
    span = (max(place.values()) - min(place.values())) or 1
    chosen = [dose for dose in doses if dose in always]
    for dose in doses:
        if all(abs(place[dose] - place[other]) >= APART * span for other in chosen):
            chosen.append(dose)
    return sorted(chosen)


def draw_plane(axes: Axes, plane: Plane) -> None:
    """Draw control against fluency: crosses are intervals, the line joins the non-dominated settings, by number."""
    found, front = plane.frontier, plane.frontier.front
    for spot in found.spots:
        _draw_spot(axes, plane, spot)
    axes.plot([s.fluency.value for s in front], [s.control.value for s in front], color=INK, linewidth=1, zorder=2)
    best = found.find(found.best)
    if best is not None:
        at = ([best.fluency.value], [best.control.value])
        axes.plot(*at, "o", color=INK, markerfacecolor="none", markersize=14, markeredgewidth=1.5, zorder=6)
    axes.set_title(f"no setting is a better trade-off than {found.off}" if best is None else f"◯ {best.setting}")
    axes.margins(0.1)
    for axis, metric in (("x", plane.fluency), ("y", plane.control)):
        shown = [spot.fluency if axis == "x" else spot.control for spot in found.spots]
        limits = (min(one.low for one in shown), max(one.high for one in shown))
        if _wide(metric, limits):
            log_scale(axes, axis, limits)
        axes.set(**{f"{axis}label": with_direction(metric)})
    left, up = described(plane.fluency).better == "lower", described(plane.control).better != "lower"
    sides: dict[str, Any] = {"ha": "left" if left else "right", "va": "top" if up else "bottom"}
    text = f"{'↖' if up else '↙'} ideal" if left else f"ideal {'↗' if up else '↘'}"
    corner = (0.015 if left else 0.985, 0.985 if up else 0.015)
    axes.annotate(text, corner, xycoords="axes fraction", color=DIM, fontstyle="italic", **sides)
    aside = (-5 if left else 5, 4 if up else -4)
    sides = {"ha": "right" if left else "left", "va": "bottom" if up else "top"}
    for number, spot in enumerate(front, start=1):
        at_spot = (spot.fluency.value, spot.control.value)
        axes.annotate(str(number), at_spot, aside, textcoords="offset points", fontweight="bold", zorder=7, **sides)
    if (off := found.find(found.off)) is not None:
        at_spot = (off.fluency.value, off.control.value)
        axes.annotate(found.off, at_spot, (6, -5), textcoords="offset points", color=DIM, va="top", zorder=7)


def _draw_spot(axes: Axes, plane: Plane, spot: Spot) -> None:
    x, y, off = spot.fluency, spot.control, spot.setting == plane.frontier.off
    colour, _, marker = (INK, INK, "X") if off else STYLES[plane.styles[spot.setting][0]]
    faint = 0.35 if spot.dominated else 0.8
    axes.hlines([y.value], x.low, x.high, color=colour, linewidth=1, alpha=faint, zorder=3)
    axes.vlines([x.value], y.low, y.high, color=colour, linewidth=1, alpha=faint, zorder=3)
    inside = PAPER if spot.dominated else colour
    axes.plot([x.value], [y.value], marker, color=colour, markerfacecolor=inside, markersize=6.5, zorder=5)


def describe_curves(curves: Curves, metric: str) -> str:
    """Say in words what a panel shows."""
    texts = []
    for one in curves.series:
        values = ", ".join(f"{point.metric.value:.3g} at {point.dose:g}" for point in curves.shown(one, metric))
        texts.append(f"{one.label}: {values or 'no value'}")
    return f"{metric} against {curves.dose.field} of {curves.knob}. {'; '.join(texts)}."


def describe_plane(plane: Plane) -> str:
    """Say in words what a frontier shows."""
    texts = [f"{s.setting}: {s.control.value:.3g} and {s.fluency.value:.3g}" for s in plane.frontier.front]
    return f"{plane.control} against {plane.fluency}. Non-dominated settings: {'; '.join(texts)}."


def _handle(number: int, label: str) -> Line2D:
    colour, _, marker = STYLES[number]
    return Line2D([], [], color=colour, marker=marker, linewidth=1.8, markersize=5.5, label=label)


def _text(label: str) -> Line2D:
    return Line2D([], [], linestyle="none", label=label)


def _wide(metric: str, limits: Limits) -> bool:
    low, high = limits
    return described(metric).logarithmic and low > 0 and high / low > WIDE_RANGE


def log_scale(axes: Axes, axis: str, limits: Limits) -> None:
    """Make an axis, ``x`` or ``y``, logarithmic, with ticks at 1, 2, 5, 10 and so on."""
    axes.set(**{f"{axis}scale": "log"})
    ticks = [base * 10**power for power in range(-3, 9) for base in (1, 2, 5)]
    shown = [tick for tick in ticks if limits[0] / 1.3 <= tick <= limits[1] * 1.3]
    one = axes.xaxis if axis == "x" else axes.yaxis
    one.set_ticks(shown, [f"{tick:g}" for tick in shown])
    one.set_ticks([], minor=True)


def _break_mark(axes: Axes, x: float) -> None:
    """Mark the axis at ``x`` as broken."""
    for shift in (-2.2, 2.2):
        axes.annotate("/", (x, 0), (shift, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
                      ha="center", va="center", color=DIM, fontsize=9)  # fmt: skip
