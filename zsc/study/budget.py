"""What a knob may cost: a limit on how far a metric may rise or fall, and the doses a search tries within it [D]."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from zsc.errors import ZscError

FORM = re.compile(r"(\w+):([+-])(\d+(?:\.\d*)?)(%?)")


@dataclass(frozen=True)
class Budget:
    """``metric`` may rise by ``most``, or fall by it if ``falls``: a share of its value without knobs if ``relative``,
    else a plain number."""

    metric: str
    falls: bool
    most: float
    relative: bool

    def cost(self, off: float, on: float) -> float:
        """Return the change from ``off`` to ``on`` in the units of the budget; infinite in proportion to nothing."""
        change = on - off
        if not self.relative or not change:
            return change
        return change / abs(off) if off else math.copysign(math.inf, change)

    def allows(self, cost: float) -> bool:
        """Say whether ``cost`` stays inside; one that is not a number does not."""
        return -cost <= self.most if self.falls else cost <= self.most

    def show(self, cost: float) -> str:
        return f"{cost:+.1%}" if self.relative else f"{cost:+.3g}"

    def __str__(self) -> str:
        return f"{self.metric} {self.show(-self.most if self.falls else self.most)}"


def parse_budget(text: str, fluency: str) -> Budget:
    """Read METRIC:+10%, METRIC:-0.05 and the like; ``fluency`` as a metric stands for the metric of that name.

    Raises ZscError for text of another form.
    """
    found = FORM.fullmatch(str(text).strip())
    if not found:
        raise ZscError(f"budget={text} must say how far a metric may rise or fall: fluency:+10% or distinct2:-0.05.")
    metric, sign, most, percent = found.groups()
    return Budget(
        fluency if metric == "fluency" else metric, sign == "-", float(most) / (100 if percent else 1), bool(percent)
    )


def between(weakest: float, strongest: float, points: int, last: bool, geometric: bool) -> list[float]:
    """Return ``points`` doses after ``weakest``, evenly apart, or in ratio if ``geometric``, to three digits.

    The last is ``strongest`` if ``last``, else the one before it. Doses that three digits do not tell apart are one.
    """
    steps = points if last else points + 1
    shares = [i / steps for i in range(1, points + 1)]
    doses = [
        weakest * (strongest / weakest) ** share if geometric else weakest + (strongest - weakest) * share
        for share in shares
    ]
    rounded = dict.fromkeys(float(f"{dose:.3g}") for dose in doses)
    return [dose for dose in rounded if dose != weakest and (last or dose != strongest)]


def strongest_allowed(costs: Sequence[float], budget: Budget) -> int:
    """Return how many of the first ``costs``, of doses from weak to strong, ``budget`` allows before it is exceeded."""
    return next((i for i, cost in enumerate(costs) if not budget.allows(cost)), len(costs))
