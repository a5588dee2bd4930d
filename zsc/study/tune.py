"""The dose of a knob that gains the most within budgets, confirmed on examples not searched on [D]."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.knobs import KNOBS, Dose
from zsc.metrics import build_metrics, fluency_metrics
from zsc.options import shown
from zsc.study.budget import Aim, Budget, budgets_for, parse_gain
from zsc.study.experiment import prepare
from zsc.study.formats import format_of
from zsc.study.knobs import count_settings, load_once
from zsc.study.options import KnobChoice, TuneOptions
from zsc.study.performed import performed
from zsc.study.scoring import build_scoring, check_scoring, score_folder
from zsc.study.search import Search, Trial, trials_of
from zsc.study.verdict import Tuned
from zsc.study.watch import Watch, say_remarks

LEAST = 12  # examples; of fewer than six in a half no sign-flip test can tell a difference at p < .05


def tune(options: TuneOptions, watch: Watch) -> Tuned:
    """Search the dose of a knob on one half of the examples, and try the best one on the other.

    Raises ZscError for a knob without a dose, and an ill-formed gain or budget.
    """
    check_scoring(options)
    dose = dose_of(options.knob)
    chosen = options.judges.chosen
    fluency = next(one for one in fluency_metrics() if not one.judge or chosen.get(one.judge) is not None)
    build_metrics([options.target])
    budgets = budgets_for(options.target, options.budget, options.copying, fluency.measure)
    build_metrics([budget.metric for budget in budgets])
    aim = parse_gain(options.gain, options.target)
    weakest, strongest = bounds(options, dose)
    records = options.dataset.load()
    search_on, confirm_on = halves(records, options.split)
    say_remarks(remarks_on(options, records), watch)

    def scorer(half: list[Record]) -> Callable[[list[float]], list[Trial]]:
        return lambda doses: trials(options, dose.field, doses, aim, budgets, half, watch)

    search = Search(weakest, strongest, dose.geometric, scorer(search_on))
    best = search.run(options.points, options.rounds)
    held_out = scorer(confirm_on)([best.dose])[0] if best else None
    return Tuned(aim, budgets, dose, weakest, strongest, search.trials, best, held_out)


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
    options: TuneOptions,
    field: str,
    doses: list[float],
    aim: Aim,
    budgets: Sequence[Budget],
    records: Sequence[Record],
    watch: Watch,
) -> list[Trial]:
    """Generate and score ``doses``, values of the knob's ``field``, on ``records``, as a run of their own."""
    metrics = tuple(dict.fromkeys([aim.metric, *(budget.metric for budget in budgets)]))
    knob = KnobChoice((options.knob.parts[0].replace(**{field: doses}),))
    options = replace(options, knob=knob, metrics=metrics, output=None)
    experiment = prepare(options, records=records)
    scoring = build_scoring(options, experiment.built.made_from)
    with performed(experiment, f"tune-{knob.name}", watch) as folder:
        rows, _ = score_folder(folder, scoring, options.dialog_turns, watch)
    return trials_of(rows, doses, aim, budgets)
