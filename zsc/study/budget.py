"""What a knob is to gain, and what it may cost: by how much metrics rise or fall [D]."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from zsc.errors import ZscError
from zsc.metrics import described

FORM = re.compile(r"(\w+):([+-])(\d+(?:\.\d*)?)(%?)")
GAIN = re.compile(r"([+-]?)(\d+(?:\.\d*)?)(%?)")
FLUENCY = "fluency"  # in a budget: the metric that stands for it


def change(off: float, on: float, relative: bool) -> float:
    """Return the change from ``off`` to ``on``, as a share of ``off`` if ``relative``; infinite in proportion to
    nothing."""
    moved = on - off
    if not relative or not moved or math.isnan(moved):
        return moved
    return moved / abs(off) if off else math.copysign(math.inf, moved)


def shown_change(amount: float, relative: bool) -> str:
    return f"{amount:+.1%}" if relative else f"{amount:+.3g}"


@dataclass(frozen=True)
class Budget:
    """``metric`` may rise by ``most``, or fall by it if ``falls``: a share of its value without knobs if ``relative``,
    else a plain number. One that nobody asked for says what it is ``lifted_by``."""

    metric: str
    falls: bool
    most: float
    relative: bool
    lifted_by: str = ""

    def cost(self, off: float, on: float) -> float:
        """Return the change from ``off`` to ``on`` in the units of the budget."""
        return change(off, on, self.relative)

    def allows(self, cost: float) -> bool:
        """Say whether ``cost`` stays inside; one that is not a number does not."""
        return -cost <= self.most if self.falls else cost <= self.most

    def show(self, cost: float) -> str:
        return shown_change(cost, self.relative)

    @property
    def limit(self) -> str:
        """The change that is allowed, in its units."""
        return self.show(-self.most if self.falls else self.most)

    def __str__(self) -> str:
        return f"{self.metric} {self.limit}"


@dataclass(frozen=True)
class Aim:
    """``metric`` is to rise, or to fall if ``falls``, by ``least`` or more, in units as of a :class:`Budget`."""

    metric: str
    falls: bool
    least: float
    relative: bool

    def gain(self, off: float, on: float) -> float:
        """Return the change from ``off`` to ``on`` in the units of the aim, above 0 in the direction aimed at."""
        moved = change(off, on, self.relative)
        return -moved if self.falls else moved

    def reached(self, gain: float) -> bool:
        """Say whether ``gain`` is as much as aimed at; none, and one that is not a number, is not."""
        return gain > 0 and gain >= self.least

    def show(self, gain: float) -> str:
        """Return the change of the metric that ``gain`` is."""
        return shown_change(-gain if self.falls else gain, self.relative)

    def __str__(self) -> str:
        if not self.least:
            return f"{'less' if self.falls else 'more'} {self.metric}"
        return f"{self.metric} {self.show(self.least)} or {'less' if self.falls else 'more'}"


def parse_budget(text: str, fluency: str, key: str = "budget") -> Budget:
    """Read METRIC:+10%, METRIC:-0.05 and the like, of the option ``key``; ``fluency`` as a metric stands for the metric
    of that name.

    Raises ZscError for text of another form.
    """
    found = FORM.fullmatch(str(text).strip())
    if not found:
        raise ZscError(f"{key}={text} must say how far a metric may rise or fall: fluency:+10% or distinct2:-0.05.")
    metric, sign, most, percent = found.groups()
    return Budget(
        fluency if metric == FLUENCY else metric, sign == "-", float(most) / (100 if percent else 1), bool(percent)
    )


def parse_gain(text: str, metric: str) -> Aim:
    """Read 5%, 0.02, -10% and the like; without a sign the direction is that in which ``metric`` is better.

    Raises ZscError for text of another form.
    """
    found = GAIN.fullmatch(str(text).strip())
    if not found:
        raise ZscError(f"gain={text} must say by how much the target is to change: 5%, 0.02 or, to fall, -5%.")
    sign, least, percent = found.groups()
    falls = sign == "-" if sign else described(metric).better == "lower"
    return Aim(metric, falls, float(least) / (100 if percent else 1), bool(percent))


def budgets_for(target: str, budgets: Sequence[str], copying: str | None, fluency: str) -> tuple[Budget, ...]:
    """Read ``budgets``, and for a ``target`` that is measured against knowledge the one on ``copying`` it beside them,
    unless that is None, or they or the target name its metric. Raises ZscError where none is given."""
    if not budgets:
        raise ZscError("budget=[] must name a metric and how far it may rise or fall: fluency:+10% or distinct2:-0.05.")
    given = tuple(parse_budget(one, fluency) for one in budgets)
    if copying is None or "knowledge" not in described(target).reads:
        return given
    beside = replace(parse_budget(copying, fluency, "copying"), lifted_by="copying=null")
    return given if beside.metric in {target, *(one.metric for one in given)} else (*given, beside)
