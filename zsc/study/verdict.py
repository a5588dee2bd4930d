"""What a search of a dose has shown: whether a setting helps, what stops it, and where it ended [D]."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zsc.knobs.base import Dose
from zsc.metrics import described
from zsc.study.budget import Aim, Budget
from zsc.study.search import Cost, Trial, ordered
from zsc.tables.render import ALPHA, entry, number

WIDER = 10  # times the strongest dose is where a search that ended there is to go on


@dataclass(frozen=True)
class Tuned:
    """What a search of a knob's ``dose`` between ``weakest`` and ``strongest`` found: all its ``trials``, the ``best``
    one, if any dose is inside the ``budgets``, and how that does on the examples ``held_out``."""

    aim: Aim
    budgets: Sequence[Budget]
    dose: Dose
    weakest: float
    strongest: float
    trials: Sequence[Trial]
    best: Trial | None
    held_out: Trial | None

    @property
    def beyond(self) -> list[Trial]:
        """The trials with stronger doses than the best, from weak to strong."""
        trials = ordered(self.trials, self.weakest, self.strongest)
        return trials[trials.index(self.best) + 1 :] if self.best else trials

    @property
    def further(self) -> dict[str, float]:
        """What to set to search beyond the edge of the range, where the best dose lies at it; else nothing."""
        dose, best = self.dose, self.best
        if best is None or not best.ahead > 0:
            return {}
        if best.dose == self.strongest:
            down = self.strongest < self.weakest
            wider = self.strongest * (1 / WIDER if down else WIDER) if dose.geometric else 2 * self.strongest
            wider = min(max(wider, dose.least), dose.most)
            return {"strongest": wider} if wider != self.strongest and dose.searchable(wider) else {}
        skipped = (self.weakest - dose.weakest) * (self.strongest - self.weakest) > 0
        return {"weakest": dose.weakest} if skipped and len(self.beyond) + 1 == len(self.trials) else {}


@dataclass(frozen=True)
class Verdict:
    """What is said of a search, line by line, and whether the best dose is ``recommended``."""

    lines: list[str]
    recommended: bool


def verdict(tuned: Tuned) -> Verdict:
    """Judge what a search found. A dose is recommended if on the held-out examples the target gains what is aimed at,
    significantly, and no budget is exceeded by more than chance: not by all of its interval."""
    best, held_out, aim = tuned.best, tuned.held_out, tuned.aim
    if best is None or held_out is None:
        weakest = tuned.beyond[0]
        closer = "more rounds=N" if tuned.weakest == tuned.dose.weakest else "a smaller weakest=DOSE"
        line = (
            f"no setting helps within the budgets: not even the weakest dose tried, {weakest.dose:g}, stays inside"
            f" {listed(weakest.exceeded)}. Give {closer} or a larger budget."
        )
        return Verdict([line, *remarks(tuned)], False)
    told = (
        f"on {held_out.on.n} held-out examples {aim.metric} changes by {entry(vars(held_out.change), True)}, from"
        f" {number(held_out.off.value, '')} to {number(held_out.on.value, '')} ({aim.show(held_out.gain)},"
        f" {p_words(held_out.change.p)})"
    )
    exceeded = [cost for cost in held_out.costs if cost.surely_outside]
    gains = gained(held_out, aim)
    if not gains:
        asked = f"{aim}, at p < {ALPHA:g}, is asked for"
        line = f"no setting helps: {best.setting} gains the most inside the budgets, and {told}; {asked}."
        if gained(best, aim):
            searched = f"{aim.show(best.gain)} on the examples searched"
            line += f" It was {searched}, where it was chosen as the best: that did not hold."
    elif exceeded:
        line = (
            f"not confirmed: {best.setting} gains, {told}, but exceeds there {listed(exceeded)}."
            " Try a smaller budget, more examples or another split."
        )
    else:
        over = [cost.budget.metric for cost in held_out.exceeded]
        chance = f"; that of {' and '.join(over)} is more than allowed, though not significantly" if over else ""
        line = f"{best.setting} gains the most inside the budgets: {told}. It costs {listed(held_out.costs)}{chance}."
    return Verdict([line, *limits(tuned), *remarks(tuned)], gains and not exceeded)


def gained(trial: Trial, aim: Aim) -> bool:
    """Say whether a trial gains what is aimed at, significantly by the paired sign-flip test of its target alone."""
    return aim.reached(trial.gain) and trial.change.p is not None and trial.change.p < ALPHA


def limits(tuned: Tuned) -> list[str]:
    """Say what keeps the best dose from being stronger: a budget, the target, or the range that was searched."""
    best, beyond = tuned.best, tuned.beyond
    assert best is not None
    stopped = next((trial for trial in beyond if trial.exceeded), None)
    if stopped is not None:
        by = f"Stopped at {stopped.dose:g} by {listed(stopped.exceeded)}"
        return [f"{by}, where {tuned.aim.metric} changes by {entry(vars(stopped.change), True)}."]
    edge = ", ".join(f"{key}={getattr(tuned, key):g}" for key in tuned.further)
    if edge:
        return [f"{best.dose:g} lies at the edge of the range that was searched, {edge}: beyond it may lie a better."]
    return [f"No budget stops stronger doses, up to {beyond[-1].dose:g}, but they gain no more."] if beyond else []


def remarks(tuned: Tuned) -> list[str]:
    """Say what to know of the budgets that were exceeded and nobody asked for, and of those on perplexity."""
    over = {cost.budget for trial in tuned.trials for cost in trial.exceeded}
    unasked = [
        f"{budget} is a budget of targets measured against knowledge: {budget.lifted_by} lifts it."
        for budget in tuned.budgets
        if budget.lifted_by and budget in over
    ]
    own = [budget.metric for budget in tuned.budgets if described(budget.metric).predictions == "nll"]
    return unasked + [
        f"{metric} is under the model itself, to which text that it copies is likely: judges.language_model=MODEL takes"
        " another as the judge, for budget=fluency:+10%."
        for metric in dict.fromkeys(own)
    ]


def listed(costs: Sequence[Cost]) -> str:
    return " and ".join(map(str, costs)) or "nothing"


def p_words(p: float | None) -> str:
    if p is None:
        return "no p-value"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def trial_row(trial: Trial, half: str) -> dict[str, Any]:
    """Return the row of a trial in the printed table."""
    return {
        "examples": f"{trial.on.n} {half}",
        "setting": trial.setting,
        trial.on.metric: entry(vars(trial.on), False),
        "change": entry(vars(trial.change), True),
        "p": p_words(trial.change.p).removeprefix("p ").removeprefix("= "),
        **{f"cost: {cost.budget}": spent(cost) for cost in trial.costs},
        "inside": "no" if trial.exceeded else "yes",
    }


def spent(cost: Cost) -> str:
    """Return a metric with what it costs of a budget."""
    over = "" if cost.inside else ", over"
    return f"{number(cost.value.value, '')} ({cost.budget.show(cost.spent)}{over})"
