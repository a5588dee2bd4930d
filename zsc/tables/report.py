"""A page about finished runs: curves, trade-offs, tables, examples and how it was made."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from zsc.data.record import Record, Turn
from zsc.data.source import BEGIN, FIRST_FIELD, FIRST_TURN, KNOWLEDGE
from zsc.generation.attention import Attended, Token
from zsc.tables.compared import Group, Run
from zsc.tables.curves import Series
from zsc.tables.figures import STYLES
from zsc.tables.paper import PaperTable, Published, Section, wide_rows
from zsc.tables.plots import Curves, Plane, curve_files, curve_svg, limits_of, plane_files, plane_svg
from zsc.tables.render import number
from zsc.tables.templates import environment
from zsc.tables.trade_off import verdict
from zsc.terminal import visible

TEMPLATE = "report.html"
LEVELS = 5  # of shade in each direction
ROUNDING = 1e-6  # a change of attention that means nothing
SHAPES = {  # of matplotlib's markers, as SVG
    "o": '<circle r="4"/>',
    "s": '<path d="M-4-4H4V4H-4z"/>',
    "^": '<path d="M0-5L5 4H-5z"/>',
    "D": '<path d="M0-5L5 0L0 5L-5 0z"/>',
    "v": '<path d="M0 5L5-4H-5z"/>',
    "P": '<path d="M-2-5H2V-2H5V2H2V5H-2V2H-5V-2H-2z"/>',
}


@dataclass(frozen=True)
class Plot:
    """A figure: ``panels`` for the page (SVG, whether it is small), its ``legend`` (style, label) of the ``kind`` of
    knob, and ``files`` by their endings."""

    name: str
    kind: str
    panels: Sequence[tuple[str, bool]]
    legend: Sequence[tuple[int, str]]
    caption: str
    files: Mapping[str, str | bytes]


def curve_plots(group: Group, prefix: str) -> list[Plot]:
    """Draw the dose-response curves of ``group``, a figure for each knob and for as many series as there are styles."""
    scores, plots = group.scores, []
    for knob in dict.fromkeys(one.knob for one in group.series):
        every = [one for one in group.series if one.knob == knob]
        limits = {metric: limits_of(every, scores, metric) for metric in group.metrics}
        drawn = {metric: limit for metric, limit in limits.items() if limit is not None}
        small = small_panels(list(drawn))
        parts = in_parts(every, len(STYLES)) if drawn else []
        for part, series in enumerate(parts, start=1):
            curves = Curves(series, scores, drawn)
            name = f"{prefix}{knob}" + f"-{part}" * (len(parts) > 1)
            panels = [
                (curve_svg(curves, metric, metric in small, f"{name}-{metric}"), metric in small) for metric in drawn
            ]
            legend = [(i, one.label) for i, one in enumerate(curves.series)]
            plots.append(Plot(name, knob, panels, legend, curve_caption(group, curves), curve_files(curves)))
    return plots


def in_parts(series: Sequence[Series], most: int) -> list[Sequence[Series]]:
    """Return ``series`` in parts of about the same length, each of at most so many."""
    size = math.ceil(len(series) / math.ceil(len(series) / most))
    return [series[start : start + size] for start in range(0, len(series), size)]


def small_panels(metrics: Sequence[str]) -> Sequence[str]:
    """Return those of ``metrics``, control and fluency first, that stand three in a row; the others stand in pairs."""
    return {3: metrics, 5: metrics[2:]}.get(len(metrics), [])


def curve_caption(group: Group, curves: Curves) -> str:
    dose, neutral = curves.dose.field, curves.dose.neutral
    lone = any(len(one.tested) < 2 for one in curves.series)
    return (
        f"{curves.knob} by {dose}. Bands{' and bars' * lone} are {intervals(group)}. The dashed line is"
        f" {group.settings[0]}, the model without knobs, which is what the knob gives at {dose} {neutral:g}."
    )


def intervals(group: Group) -> str:
    """Say what the intervals are."""
    counts = sorted({row.n for place, row in group.scores.items() if place[1] == group.control})
    examples = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    seeds = len(group.runs[0].manifest["seeds"])
    confidence = group.runs[0].resampling["confidence"]
    return f"{confidence:.0%} bootstrap intervals over {examples} examples, {seeds} response{'s' * (seeds > 1)} to each"


def plane_plot(group: Group, name: str) -> Plot | None:
    """Draw the frontier of ``group``; None where nothing but the model without knobs has values."""
    found = group.frontier
    if found.nearest is None:
        return None
    labels = labels_of(group)
    order = list(dict.fromkeys(labels.values()))
    styles = {setting: (order.index(label), label) for setting, label in labels.items()}
    plane = Plane(found, group.control, group.fluency, styles)
    legend = list(dict.fromkeys(styles[spot.setting] for spot in found.spots if spot.setting != found.off))
    files = plane_files(plane)
    return Plot(name, "", [(plane_svg(plane, name), False)], legend, plane_caption(group), files)


def labels_of(group: Group) -> dict[str, str]:
    """Return what settings are labelled by on the frontier: their series, if there is but one knob, or else their
    knobs, or, if these are more than there are styles, how many knobs they have."""
    knobs, others = group.knobs, group.settings[1:]
    by_knobs = {setting: " + ".join(one["knob"] for one in knobs.get(setting, [])) or setting for setting in others}
    by_series = {setting: one.label for one in group.series for _, setting in one.tested}
    by_count = {setting: "several knobs" if len(knobs.get(setting, [])) > 1 else "settings" for setting in others}
    series = by_knobs | by_series if len(set(by_knobs.values())) == 1 else by_knobs
    return next(labels for labels in (series, by_knobs, by_count) if len(set(labels.values())) <= len(STYLES))


def plane_caption(group: Group) -> str:
    found = group.frontier
    lacking = f" Without a value, and left out: {', '.join(found.lacking)}." if found.lacking else ""
    return (
        f"Crosses are {intervals(group)}; ✕ is {found.off}; hollow settings are dominated: another is at least as good"
        " in both metrics and better in one. The line joins the others. The best trade-off is chosen by our own"
        " definition: both metrics are scaled to [0, 1] over the non-dominated settings together with"
        f" {found.off}, and the non-dominated setting nearest to the ideal corner, (1, 1), is the best; it is ringed."
        f" Distances are those to that corner. Intervals play no part in the choice.{lacking}"
    )


@dataclass(frozen=True)
class Example:
    """A record with its responses as they are shown, and where attention lay, if that was measured."""

    record: Record
    off: str
    on: str
    attended: Attended | None


@dataclass(frozen=True)
class Examples:
    """``items`` of the responses of ``setting`` and of the model without knobs drawn with ``seed``; ``note`` says what
    a reader must know of them and of their attention."""

    setting: str
    seed: int
    items: Sequence[Example]
    note: str


def table_of(run: Run, metrics: Sequence[str]) -> PaperTable:
    return PaperTable(run.name, run.name, [Section("", run.rows)], metrics, Published(), run.signatures)


def shaded(attended: Attended, strongest: float) -> list[dict[str, Any]]:
    """Return the buckets of a source with the attention to each, and their tokens with a shade.

    A shade runs from -LEVELS, less attention, to LEVELS, more, for a change by ``strongest`` and beyond.
    """
    segments = sorted({token.segment for token in attended.tokens})
    turns = max((segment for segment in segments if segment < FIRST_FIELD), default=FIRST_TURN) + 1
    names = {BEGIN: "begin", KNOWLEDGE: "knowledge"}
    names |= {FIRST_FIELD + i: field for i, field in enumerate(attended.fields)}
    buckets = []
    for segment in segments:
        own = [token for token in attended.tokens if token.segment == segment]
        buckets.append(
            {
                "name": names.get(segment, f"turn {segment - turns}"),
                "share": _moved(sum(token.off for token in own), sum(token.on for token in own)),
                "tokens": [_token(token, strongest) for token in own],
            }
        )
    return buckets


def _token(token: Token, strongest: float) -> dict[str, Any]:
    text = token.text.lstrip()
    level = round(LEVELS * (token.on - token.off) / strongest) if strongest else 0
    return {
        "space": token.text[: len(token.text) - len(text)],
        "text": text,
        "special": token.special,
        "shade": max(-LEVELS, min(LEVELS, level)),
        "title": f"{text or '␣'}: {_moved(token.off, token.on)}",
    }


def _moved(off: float, on: float) -> str:
    return f"{off:.1%} → {on:.1%} ({100 * (on - off):+.1f})".replace("-", "\N{MINUS SIGN}")


def strong_change(examples: Examples) -> float:
    """Return the change of attention to a token that is darkest: only 1 in 20 of the ordinary tokens changes more.

    It is 0 where no change is more than rounding.
    """
    changes = [
        abs(token.on - token.off)
        for item in examples.items
        if item.attended
        for token in item.attended.tokens
        if not token.special
    ]
    strong = float(np.percentile(changes, 95)) if changes else 0.0
    return strong if strong > ROUNDING else 0.0


def page(
    title: str,
    groups: Sequence[Group],
    curves: Sequence[Sequence[Plot]],
    planes: Sequence[Plot | None],
    examples: Sequence[Examples | None],
) -> str:
    """Return the page, whose lists have an item for each of ``groups``. It needs nothing but itself."""
    pages = environment()
    pages.filters |= {
        "svg": Markup, "number": lambda value: number(value, ""), "percent": "{:.1%}".format,
        "breakable": breakable,
    }  # fmt: skip
    pages.globals |= {
        "shaded": shaded, "strong_change": strong_change, "wide_rows": wide_rows, "moved": _moved,
        "summary": summary, "speaker": speaker, "styles": STYLES, "shapes": [SHAPES[marker] for *_, marker in STYLES],
    }  # fmt: skip
    parts = [
        {"group": group, "curves": own, "plane": plane, "examples": shown, "frontier": group.frontier,
         "verdict": verdict(group), "chosen": chosen(group, shown)}
        for group, own, plane, shown in zip(groups, curves, planes, examples, strict=True)
    ]  # fmt: skip
    runs = [(run, table_of(run, group.metrics), group.frontier.best) for group in groups for run in group.runs]
    return visible(pages.get_template(TEMPLATE).render(title=title, parts=parts, runs=runs))


def breakable(text: str, after: str) -> Markup:
    """Return ``text``, escaped, with a place to break a line after each character of ``after``."""
    return Markup("").join(escape(one) + Markup("<wbr>" * (one in after)) for one in text)


def summary(run: Run) -> str:
    """Say in a sentence what a run is of."""
    seeds = run.manifest["seeds"]
    kinds = [" + ".join(one["knob"] for one in run.knobs.get(setting, [])) or setting for setting in run.settings[1:]]
    settings = [f"{kinds.count(kind)} of {kind}" for kind in dict.fromkeys(kinds)]
    return (
        f"{run.model} on {run.dataset}, {run.records} examples, seed{'s' * (len(seeds) > 1)}"
        f" {', '.join(map(str, seeds))}{decoded_by(run)}; settings: {', '.join([run.settings[0], *settings])}."
    )


def decoded_by(run: Run) -> str:
    decoding = run.config.get("decoding")
    if not decoding:
        return ""
    if decoding["sample"]:
        return f", sampled (temperature {decoding['temperature']:g}, top-p {decoding['top_p']:g})"
    return f", {decoding['num_beams']} beams" if decoding["num_beams"] > 1 else ", greedy search"


def chosen(group: Group, examples: Examples | None) -> str:
    """Say why these examples are of this setting."""
    setting, found = examples.setting if examples else None, group.frontier
    if setting is not None and setting == found.best:
        return "the best trade-off"
    return "no setting is a better trade-off than off; this one is the nearest" if setting == found.nearest else ""


def speaker(record: Record, turn: Turn) -> int:
    """Return the number of a turn's speaker, in the order of appearance."""
    return list(dict.fromkeys(one.speaker for one in record.history)).index(turn.speaker) + 1
