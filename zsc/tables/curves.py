"""From scores to what is drawn: dose-response series, and the frontier of control against fluency."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from zsc.generation.cells import canonical
from zsc.metrics import described
from zsc.metrics.score import Row
from zsc.tables.kinds import dose_of, naming_of

if TYPE_CHECKING:
    from zsc.knobs import Dose

Scores = Mapping[tuple[str, str], Row]  # by setting and metric
KnobsOf = Mapping[str, Sequence[Mapping[str, Any]]]  # of each setting: name and settings of its knobs


@dataclass(frozen=True)
class Series:
    """Settings of one ``knob`` that are equal in everything but its ``dose``: ``doses`` are (dose, setting), ascending,
    the model without knobs at the dose that changes nothing."""

    knob: str
    dose: "Dose"
    label: str
    doses: tuple[tuple[float, str], ...]

    @property
    def tested(self) -> list[tuple[float, str]]:
        """The doses that change something."""
        return [(dose, setting) for dose, setting in self.doses if dose != self.dose.neutral]


class Interval(NamedTuple):
    """The ``value`` of a metric, between ``low`` and ``high``."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """A metric at a dose."""

    dose: float
    setting: str
    metric: Interval


def dose_series(knobs: KnobsOf) -> list[Series]:
    """Return the series among the settings with exactly one knob that has a dose, in the order of the settings."""
    off = next((setting for setting, setting_knobs in knobs.items() if not setting_knobs), None)
    alike: dict[str, tuple[dict[str, Any], Dose, dict[float, str]]] = {}
    for setting, setting_knobs in knobs.items():
        if len(setting_knobs) != 1 or (dose := dose_of(setting_knobs[0]["knob"])) is None:
            continue
        rest = {key: value for key, value in setting_knobs[0].items() if key != dose.field}
        _, _, doses = alike.setdefault(canonical(rest), (rest, dose, {}))
        doses[float(setting_knobs[0][dose.field])] = setting
    found = []
    for rest, dose, doses in alike.values():
        if off is not None:
            doses.setdefault(dose.neutral, off)
        siblings = [other for other, *_ in alike.values() if other["knob"] == rest["knob"]]
        found.append(Series(rest["knob"], dose, _label(rest, siblings), tuple(sorted(doses.items()))))
    return found


def _label(rest: Mapping[str, Any], siblings: Sequence[Mapping[str, Any]]) -> str:
    """Name a series by what names its knob's settings, and by what else it does not share with all ``siblings``."""
    naming, parts = naming_of(rest["knob"]), list[str]()
    for key, value in rest.items():
        differs = len({canonical(other.get(key)) for other in siblings}) > 1
        if key in naming:
            parts.insert(0, str(value))
        elif differs and key != "knob":
            parts.append(f"{key} {'all' if value is None else canonical(value)}")
    return ", ".join(parts)


def with_direction(metric: str) -> str:
    """Return the name of ``metric`` with the way in which it is better, where that is known."""
    better = described(metric).better
    return metric if better is None else f"{metric} ({better} is better)"


def known(row: Row | None) -> Interval | None:
    """Return the value of ``row`` with its interval, None where there is none."""
    if row is None or row.value is None or row.low is None or row.high is None:
        return None
    return Interval(row.value, row.low, row.high)


def points(series: Series, scores: Scores, metric: str) -> list[Point]:
    """Return the points of ``series`` that have a value."""
    found = [(dose, setting, known(scores.get((setting, metric)))) for dose, setting in series.doses]
    return [Point(dose, setting, one) for dose, setting, one in found if one is not None]


@dataclass(frozen=True)
class Spot:
    """A setting on the plane of control and fluency. ``distance`` is that to the ideal corner; a ``dominated`` one is
    beaten by another in one of the two and not better in the other."""

    setting: str
    control: Interval
    fluency: Interval
    dominated: bool
    distance: float


@dataclass(frozen=True)
class Frontier:
    """``spots`` of all settings with values, ``front`` the non-dominated ones by rising control, and ``lacking``, the
    settings without a value. ``best`` is the best trade-off, None where no setting is better than the first, ``off``;
    ``nearest`` is the best other setting, whether or not it is better than that and, if all are, dominated."""

    off: str
    spots: tuple[Spot, ...]
    front: tuple[Spot, ...]
    lacking: tuple[str, ...]
    best: str | None
    nearest: str | None

    def find(self, setting: str | None) -> Spot | None:
        return next((spot for spot in self.spots if spot.setting == setting), None)


def frontier(settings: Sequence[str], scores: Scores, control: str, fluency: str) -> Frontier:
    """Return the trade-offs of ``settings``, the first of them the model without knobs.

    The best one [D]: both metrics are scaled to [0, 1] over the non-dominated settings together with the first; the
    non-dominated setting at the smallest distance from (1, 1), the ideal corner, is the best. A tie with the first
    goes to the first.
    """
    pairs = {name: (known(scores.get((name, control))), known(scores.get((name, fluency)))) for name in settings}
    rows = {name: (one, two) for name, (one, two) in pairs.items() if one is not None and two is not None}
    gains = {name: (_gain(one, control), _gain(two, fluency)) for name, (one, two) in rows.items()}
    front = [name for name, own in gains.items() if not any(_dominates(other, own) for other in gains.values())]
    others = [name for name in front if name != settings[0]]
    scale = [gains[name] for name in gains if name in front or name == settings[0] or not others]
    distances = {name: _distance(own, scale) for name, own in gains.items()}
    spots = {name: Spot(name, *rows[name], name not in front, distances[name]) for name in rows}
    nearest = min(others or set(rows) - {settings[0]}, key=lambda name: (distances[name], name), default=None)
    off_distance = distances.get(settings[0], math.inf)
    return Frontier(
        settings[0],
        tuple(spots.values()),
        tuple(spots[name] for name in sorted(front, key=gains.__getitem__)),
        tuple(name for name in settings if name not in rows),
        nearest if nearest is not None and distances[nearest] < off_distance else None,
        nearest,
    )


def _gain(one: Interval, metric: str) -> float:
    """Return the value, turned round where lower is better."""
    return -one.value if described(metric).better == "lower" else one.value


def _dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] >= other[0] and one[1] >= other[1]


def _distance(own: tuple[float, float], scale: Sequence[tuple[float, float]]) -> float:
    """Return the distance of ``own`` from the best of ``scale`` in both, each in units of its range there."""
    missing = []
    for value, over in zip(own, zip(*scale, strict=True), strict=True):
        best, worst = max(over), min(over)
        missing.append((best - value) / (best - worst) if best > worst else 0.0)
    return math.hypot(*missing)
