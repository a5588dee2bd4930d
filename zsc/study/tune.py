"""The strongest dose of a knob whose cost stays inside a budget, confirmed on examples not searched on [D]."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.knobs import KNOBS, Dose
from zsc.metrics import build_metrics, described, fluency_metrics
from zsc.metrics.score import Row, difference, settings_of
from zsc.options import shown
from zsc.study.budget import Budget, between, parse_budget, strongest_allowed
from zsc.study.experiment import prepare
from zsc.study.formats import format_of
from zsc.study.knobs import count_settings, load_once
from zsc.study.options import KnobChoice, TuneOptions
from zsc.study.performed import performed
from zsc.study.scoring import build_scoring, check_scoring, score_folder
from zsc.study.watch import Watch, say_remarks
from zsc.tables.render import entry

LEAST = 4  # examples


@dataclass(frozen=True)
class Trial:
    """One dose as scored: rows of the ``target`` metric and its ``gain``, and of the metric of the budget and its
    ``rise``; ``cost`` is the latter in units of the budget."""

    dose: float
    setting: str
    target: Row
    gain: Row
    spent: Row
    rise: Row
    cost: float


@dataclass
class Search:
    """A search from ``weakest`` to ``strongest`` with ``points`` doses a round. ``score`` makes trials of doses."""

    budget: Budget
    weakest: float
    strongest: float
    geometric: bool
    score: Callable[[list[float]], list[Trial]]
    trials: list[Trial] = field(default_factory=list)

    def run(self, points: int, rounds: int) -> Trial | None:
        """Return the strongest trial inside the budget such that none of the weaker ones exceeds it, if there is one.

        The first round spans the range; each later one the gap between that trial and the first one outside.
        """
        best, low, high, last = None, self.weakest, self.strongest, True
        for _ in range(rounds):
            doses = between(low, high, points, last, self.geometric)
            if not doses:
                break
            found = self.score(doses)
            self.trials += found
            inside = strongest_allowed([trial.cost for trial in found], self.budget)
            if inside:
                best, low = found[inside - 1], found[inside - 1].dose
            if inside < len(found):
                high = found[inside].dose
            elif last:
                break
            last = False
        return best


@dataclass(frozen=True)
class Tuned:
    """What a search found: all its ``trials``, the ``best`` one, if any dose is inside the ``budget``, and how that
    does on the examples ``held_out``. ``dose`` is that of the knob, and ``strongest`` where the search ended."""

    budget: Budget
    dose: Dose
    strongest: float
    trials: Sequence[Trial]
    best: Trial | None
    held_out: Trial | None


def tune(options: TuneOptions, watch: Watch) -> Tuned:
    """Search the dose of a knob on one half of the examples, and try the best one on the other.

    Raises ZscError for a knob without a dose, and an ill-formed budget.
    """
    check_scoring(options)
    dose = dose_of(options.knob)
    chosen = options.judges.chosen
    fluency = next(one for one in fluency_metrics() if not one.judge or chosen.get(one.judge) is not None)
    budget = parse_budget(options.budget, fluency.measure)
    build_metrics([options.target, budget.metric])
    records = options.dataset.load()
    say_remarks(remarks_on(options, records), watch)
    search_on, confirm_on = halves(records, options.split)

    def scorer(half: list[Record]) -> Callable[[list[float]], list[Trial]]:
        return lambda doses: trials(options, dose.field, doses, budget, half, watch)

    weakest, strongest = bounds(options, dose)
    search = Search(budget, weakest, strongest, dose.geometric, scorer(search_on))
    best = search.run(options.points, options.rounds)
    held_out = scorer(confirm_on)([best.dose])[0] if best else None
    return Tuned(budget, dose, strongest, search.trials, best, held_out)


def remarks_on(options: TuneOptions, records: Sequence[Record]) -> str:
    """Return what there is to say of how ``records`` are laid out, line by line."""
    loaded = load_once(options.model)
    format = format_of(options, loaded)
    return "\n".join(filter(None, [*format.remarks, str(format.lay_out(records, loaded)[1])]))


def dose_of(choice: KnobChoice) -> Dose:
    """Return the dose of the knob chosen. Raises ZscError unless that is one knob with a dose."""
    doses = {name: kind.dose for name, kind in KNOBS.items() if kind.dose is not None}
    if choice.name not in doses:
        raise ZscError(f"zsc tune searches the dose of one knob: knob={', knob='.join(doses)}.")
    dose = doses[choice.name]
    if count_settings(choice) != 1:
        raise ZscError(f"zsc tune finds knob.{dose.field} by itself: give no lists of values.")
    return dose


def bounds(options: TuneOptions, dose: Dose) -> tuple[float, float]:
    """Return the weakest and the strongest dose. Raises ZscError unless they are different and can be searched."""
    weakest = dose.weakest if options.weakest is None else options.weakest
    strongest = dose.strongest if options.strongest is None else options.strongest
    for key, value in (("weakest", weakest), ("strongest", strongest)):
        if not dose.searchable(value):
            raise ZscError(f"{key}={shown(value)} must be {dose.search_range}.")
    if weakest == strongest:
        raise ZscError(f"weakest and strongest are both {weakest:g}: there is nothing between them.")
    return float(weakest), float(strongest)


def halves(records: Sequence[Record], seed: int) -> tuple[list[Record], list[Record]]:
    """Return two halves of ``records``, drawn with ``seed``, each in the order of ``records``."""
    if len(records) < LEAST:
        raise ZscError(f"{len(records)} examples are too few for two halves: give {LEAST} or more.")
    chosen = set(random.Random(seed).sample(range(len(records)), len(records) // 2))
    return (
        [record for i, record in enumerate(records) if i in chosen],
        [record for i, record in enumerate(records) if i not in chosen],
    )


def trials(
    options: TuneOptions, field: str, doses: list[float], budget: Budget, records: Sequence[Record], watch: Watch
) -> list[Trial]:
    """Generate and score ``doses``, values of the knob's ``field``, on ``records``, as a run of their own."""
    metrics = tuple(dict.fromkeys([options.target, budget.metric]))
    knob = KnobChoice((options.knob.parts[0].replace(**{field: doses}),))
    options = replace(options, knob=knob, metrics=metrics, output=None)
    experiment = prepare(options, records=records)
    scoring = build_scoring(options, experiment.built.made_from)
    with performed(experiment, f"tune-{knob.name}", watch) as folder:
        rows, _ = score_folder(folder, scoring, options.dialog_turns, watch)
    found = {(row.setting, row.metric): row for row in rows}
    off, *settings = settings_of(rows) or [""]
    for metric in metrics:
        if (off, metric) not in found or found[off, metric].value is None:
            raise ZscError(f"{metric} has no value on these examples: it needs {described(metric).requirements}.")
    base = number_of(found[off, budget.metric])
    results = []
    for dose, setting in zip(doses, settings, strict=True):
        (target, gain), (spent, rise) = (
            (found[setting, metric], found[difference(setting, [off, *settings]), metric])
            for metric in (options.target, budget.metric)
        )
        results.append(Trial(dose, setting, target, gain, spent, rise, budget.cost(base, number_of(spent))))
    return results


def number_of(row: Row) -> float:
    return math.nan if row.value is None else row.value


def trial_row(trial: Trial, budget: Budget, half: str) -> dict[str, Any]:
    """Return the row of a trial in the printed table."""
    return {
        "examples": f"{trial.target.n} {half}",
        "setting": trial.setting,
        trial.target.metric: entry(vars(trial.target), signed=False),
        "change": entry(vars(trial.gain), signed=True),
        f"cost: {budget.metric}": entry(vars(trial.spent), signed=False),
        "spent": budget.show(trial.cost),
        "inside": "yes" if budget.allows(trial.cost) else "no",
    }


def verdict(tuned: Tuned) -> list[str]:
    """Say what was found, and whether the held-out examples confirm it. Raises ZscError where no dose is inside."""
    best, held_out, budget = tuned.best, tuned.held_out, tuned.budget
    if best is None or held_out is None:
        raise ZscError(
            f"not even the weakest dose tried, {tuned.trials[0].dose:g}, stays inside {budget}."
            " Give a smaller weakest=DOSE or a larger budget."
        )
    inside = budget.allows(held_out.cost)
    judgement = "confirmed" if inside else "NOT confirmed: try another split, more examples or a smaller budget"
    lines = [
        f"{best.setting} is the strongest found inside {budget}. On {held_out.target.n} held-out examples"
        f" {held_out.target.metric} changes by {entry(vars(held_out.gain), True)}, {budget.metric} by"
        f" {entry(vars(held_out.rise), True)}, which is {budget.show(held_out.cost)}: {judgement}."
    ]
    if best.dose == tuned.strongest < tuned.dose.most:
        lines.append(f"The budget is not used up at strongest={tuned.strongest:g}: a stronger one may fit too.")
    return lines
