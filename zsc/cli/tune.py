"""`zsc tune`: the strongest dose of a knob whose cost stays inside a budget, confirmed on examples not searched on."""

import math
import random
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from zsc.cli.build import build_layout, check_count, count_settings, knob_parts, load_once
from zsc.cli.configs import contract, resolved
from zsc.cli.experiment import folder_words, performed, prepare, tell
from zsc.cli.score import build_scoring, check_scoring, scored
from zsc.data import load_records
from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.metrics import build_metrics, described, fluency_metrics
from zsc.metrics.budget import Budget, between, parse_budget, strongest_allowed
from zsc.metrics.score import Row, difference, settings_of
from zsc.tables.render import cell, check_format, render

DOSES = ("strength", "weight")
WEAKEST = {"attn_bias": 1.0, "self_attn_bias": 1.0, "ctx_aug": 0.1, "dec_mix": 0.0}
STRONGEST = {"strength": 100.0, "weight": 1.0}
LEAST = 4  # examples
ALIKE = ("knob", "model", "dataset", "decoding", "layout")  # what a run with the dose shares with its command


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


def tune(cfg: DictConfig) -> None:
    """Print every dose that was tried, and the strongest inside the budget with its confirmation.

    Raises ZscError for a knob without a dose, an ill-formed budget, or where no dose is inside.
    """
    config = resolved(cfg)
    check_format(config["format"])
    check_scoring(config)
    for key in ("points", "rounds"):
        check_count(key, config[key])
    axis = dose_axis(config["knob"])
    fluency = next(m for m in fluency_metrics() if not m.judge or config["judges"].get(m.judge) is not None)
    budget = parse_budget(config["budget"], fluency.measure)
    build_metrics([config["target"], budget.metric])
    records = load_records(**config["dataset"])
    tell(build_layout(config["layout"]).lay_out(records, load_once(config["model"]).tokenizer)[1])
    search_on, confirm_on = halves(records, config["split"])

    def score(records: list[Record]) -> Callable[[list[float]], list[Trial]]:
        return lambda doses: trials(config, axis, doses, budget, records)

    weakest, strongest = bounds(config, axis)
    search = Search(budget, weakest, strongest, axis == "strength", score(search_on))
    best = search.run(config["points"], config["rounds"])
    confirmed = score(confirm_on)([best.dose]) if best else []
    rows = [shown(trial, budget, "searched") for trial in search.trials]
    rows += [shown(trial, budget, "held out") for trial in confirmed]
    print(render(rows, config["format"]))
    if best is None:
        raise ZscError(
            f"not even the weakest dose tried, {search.trials[0].dose:g}, stays inside {budget}."
            " Give a smaller weakest=DOSE or a larger budget."
        )
    verdict = say(best, confirmed[0], budget, axis, strongest)
    print(verdict, file=sys.stdout if config["format"] == "table" else sys.stderr)


def dose_axis(knob: dict[str, Any]) -> str:
    """Return the name of the setting that is the dose of ``knob``. Raises ZscError unless there is one of one knob."""
    axes = [name for name in DOSES if name in knob]
    if len(knob_parts(knob)) != 1 or not axes or knob["name"] not in WEAKEST:
        raise ZscError(f"zsc tune searches the dose of one knob: knob={', knob='.join(WEAKEST)}.")
    if count_settings(knob) != 1:
        raise ZscError(f"zsc tune finds knob.{axes[0]} by itself: give no lists of settings.")
    return axes[0]


def bounds(config: dict[str, Any], axis: str) -> tuple[float, float]:
    """Return the weakest and the strongest dose. Raises ZscError unless they are different and can be searched."""
    defaults = {"weakest": WEAKEST[config["knob"]["name"]], "strongest": STRONGEST[axis]}
    given = {key: default if config[key] is None else config[key] for key, default in defaults.items()}
    for key, value in given.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or (value <= 0 if axis == "strength" else not 0 <= value <= 1):
            allowed = "a number above 0" if axis == "strength" else "a number from 0 to 1"
            raise ZscError(f"{key}={value} must be {allowed}.")
    if given["weakest"] == given["strongest"]:
        raise ZscError(f"weakest and strongest are both {given['weakest']:g}: there is nothing between them.")
    return float(given["weakest"]), float(given["strongest"])


def halves(records: list[Record], seed: Any) -> tuple[list[Record], list[Record]]:
    """Return two halves of ``records``, drawn with ``seed``, each in the order of ``records``."""
    if type(seed) is not int:
        raise ZscError(f"split={seed} must be a whole number.")
    if len(records) < LEAST:
        raise ZscError(f"{len(records)} examples are too few for two halves: give {LEAST} or more.")
    chosen = set(random.Random(seed).sample(range(len(records)), len(records) // 2))
    return (
        [record for i, record in enumerate(records) if i in chosen],
        [record for i, record in enumerate(records) if i not in chosen],
    )


def trials(config: dict[str, Any], axis: str, doses: list[float], budget: Budget, records: list[Record]) -> list[Trial]:
    """Generate and score ``doses`` on ``records``, as a run of their own."""
    knob = config["knob"] | {axis: doses}
    metrics = list(dict.fromkeys([config["target"], budget.metric]))
    experiment = prepare({**config, "knob": knob, "metrics": metrics, "output": None}, [knob], records)
    scoring = build_scoring(experiment.config, experiment.built.made_from)
    with performed(experiment, f"tune-{knob['name']}") as folder:
        rows, _ = scored(folder, scoring, experiment.layout.turns)
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
            for metric in (config["target"], budget.metric)
        )
        cost = budget.cost(base, number_of(spent))
        results.append(Trial(dose, setting, target, gain, spent, rise, cost))
    return results


def number_of(row: Row) -> float:
    return math.nan if row.value is None else row.value


def shown(trial: Trial, budget: Budget, half: str) -> dict[str, Any]:
    """Return the row of a trial in the printed table."""
    return {
        "examples": f"{trial.target.n} {half}",
        "setting": trial.setting,
        trial.target.metric: cell(vars(trial.target), signed=False),
        "change": cell(vars(trial.gain), signed=True),
        f"cost: {budget.metric}": cell(vars(trial.spent), signed=False),
        "spent": budget.show(trial.cost),
        "inside": "yes" if budget.allows(trial.cost) else "no",
    }


def say(best: Trial, held_out: Trial, budget: Budget, axis: str, strongest: float) -> str:
    """Return what was found, whether the held-out examples confirm it, and the command that uses it."""
    inside = budget.allows(held_out.cost)
    verdict = "confirmed" if inside else "NOT confirmed: try another split, more examples or a smaller budget"
    lines = [
        f"{best.setting} is the strongest found inside {budget}. On {held_out.target.n} held-out examples"
        f" {held_out.target.metric} changes by {cell(vars(held_out.gain), True)}, {budget.metric} by"
        f" {cell(vars(held_out.rise), True)}, which is {budget.show(held_out.cost)}: {verdict}."
    ]
    if best.dose == strongest and axis == "strength":
        lines.append(f"The budget is not used up at strongest={strongest:g}: a stronger one may fit too.")
    given = contract(HydraConfig.get().overrides.task)
    own = [word for word in given if re.split(r"[=.]", word)[0] in ALIKE and not word.startswith(f"knob.{axis}=")]
    lines.append(shlex.join(["zsc", "run", *own, f"knob.{axis}={best.dose:g}", *folder_words()]))
    return "\n".join(lines)
