"""The search of a dose: what doses were found to do, and which of them gains the most within budgets [D]."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from zsc.errors import ZscError
from zsc.metrics import described
from zsc.metrics.score import Row, difference, settings_of
from zsc.study.budget import Aim, Budget


@dataclass(frozen=True)
class Cost:
    """What a dose costs of a ``budget``: its ``value`` and the ``rise`` from that without knobs, and in units of the
    budget what is ``spent``, and what is ``at_least``, by the end of the interval of the rise that favours the dose."""

    budget: Budget
    value: Row
    rise: Row
    spent: float
    at_least: float

    @property
    def inside(self) -> bool:
        return self.budget.allows(self.spent)

    @property
    def surely_outside(self) -> bool:
        """Whether all of the interval is outside."""
        return not self.inside and not self.budget.allows(self.at_least)

    def __str__(self) -> str:
        return f"{self.budget.metric} {self.budget.show(self.spent)} (allowed: {self.budget.limit})"


@dataclass(frozen=True)
class Trial:
    """One dose as scored: the target without knobs (``off``) and with the dose (``on``), and their ``change``; in the
    direction aimed at, what it is ``ahead``, and in units of the aim the ``gain``; what it costs of each budget."""

    dose: float
    setting: str
    off: Row
    on: Row
    change: Row
    ahead: float
    gain: float
    costs: tuple[Cost, ...]

    @property
    def exceeded(self) -> list[Cost]:
        return [cost for cost in self.costs if not cost.inside]


def trials_of(rows: Sequence[Row], doses: Sequence[float], aim: Aim, budgets: Sequence[Budget]) -> list[Trial]:
    """Return the trials of ``doses``, whose settings stand in this order in the score table ``rows``, after the one
    without knobs.

    Raises ZscError for a metric without a value.
    """
    found = {(row.setting, row.metric): row for row in rows}
    off, *settings = settings_of(rows) or [""]
    for metric in (aim.metric, *(budget.metric for budget in budgets)):
        if (off, metric) not in found or found[off, metric].value is None:
            raise ZscError(f"{metric} has no value on these examples: it needs {described(metric).requirements}.")

    def cost(budget: Budget, setting: str) -> Cost:
        base, own = number_of(found[off, budget.metric].value), found[setting, budget.metric]
        rise = found[difference(setting, [off, *settings]), budget.metric]
        spent = budget.cost(base, number_of(own.value))
        end = number_of(rise.high if budget.falls else rise.low)
        return Cost(budget, own, rise, spent, spent if math.isnan(end) else budget.cost(base, base + end))

    def trial(dose: float, setting: str) -> Trial:
        base, own = found[off, aim.metric], found[setting, aim.metric]
        moved = found[difference(setting, [off, *settings]), aim.metric]
        values = number_of(base.value), number_of(own.value)
        ahead, gain = replace(aim, relative=False).gain(*values), aim.gain(*values)
        return Trial(dose, setting, base, own, moved, ahead, gain, tuple(cost(one, setting) for one in budgets))

    return [trial(dose, setting) for dose, setting in zip(doses, settings, strict=True)]


def number_of(value: float | None) -> float:
    return math.nan if value is None else value


@dataclass
class Search:
    """A search from ``weakest`` to ``strongest`` with ``points`` doses a round. ``score`` makes trials of doses."""

    weakest: float
    strongest: float
    geometric: bool
    score: Callable[[list[float]], list[Trial]]
    trials: list[Trial] = field(default_factory=list)

    def run(self, points: int, rounds: int) -> Trial | None:
        """Return the trial that gains the most of those that, with every weaker one, keep within the budgets, if there
        is one; the weaker of equal ones.

        The first round spans the range. Each later one looks between the doses tried beside that trial or, if it is the
        strongest inside, between it and the first one outside.
        """
        low, high, last = self.weakest, self.strongest, True
        for _ in range(rounds):
            tried = {trial.dose for trial in self.trials}
            doses = [dose for dose in between(low, high, points, last, self.geometric) if dose not in tried]
            if not doses:
                break
            self.trials += self.score(doses)
            if (gap := self.gap()) is None:
                break
            (low, high), last = gap, False
        return self.best()

    def ordered(self) -> list[Trial]:
        """Return the trials from weak to strong."""
        return ordered(self.trials, self.weakest, self.strongest)

    def best(self) -> Trial | None:
        inside = allowed(self.ordered())
        return max(inside, key=lambda trial: trial.ahead if trial.ahead == trial.ahead else -math.inf, default=None)

    def gap(self) -> tuple[float, float] | None:
        """Return between which doses to look closer, None where there is nothing more to be found."""
        trials, best = self.ordered(), self.best()
        if best is None:
            return self.weakest, trials[0].dose
        place, inside = trials.index(best), len(allowed(trials))
        if inside == len(trials) and (place + 1 == inside or not best.ahead > 0):
            return None
        if place + 1 == inside:
            return best.dose, trials[inside].dose
        return trials[place - 1].dose if place else self.weakest, trials[place + 1].dose


def ordered(trials: Sequence[Trial], weakest: float, strongest: float) -> list[Trial]:
    """Return ``trials`` from weak to strong: down, where the strongest dose is the least."""
    return sorted(trials, key=lambda trial: trial.dose, reverse=strongest < weakest)


def allowed(trials: Sequence[Trial]) -> Sequence[Trial]:
    """Return the first of ``trials``, from weak to strong, before one exceeds a budget."""
    return trials[: next((i for i, trial in enumerate(trials) if trial.exceeded), len(trials))]


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
