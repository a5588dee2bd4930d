"""Generate what is missing, and score it: a run. Nothing that a model needs is imported before one is needed."""

from collections.abc import Sequence
from pathlib import Path

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.generation.folder import RunFolder
from zsc.metrics.options import ScoringOptions
from zsc.study.folders import config_text, folder_of, written
from zsc.study.known import Known, recall
from zsc.study.options import KnobChoice, RunOptions
from zsc.study.result import Result
from zsc.study.scoring import Scoring, build_scoring, check_scoring, score_folder, warnings
from zsc.study.watch import Watch, say_remarks


def run(
    options: RunOptions,
    watch: Watch,
    choices: Sequence[KnobChoice] | None = None,
    records: Sequence[Record] | None = None,
    command: str | None = None,
) -> Result:
    """Run what ``options`` say and return its scored folder.

    ``choices`` of knobs, each of which makes settings, and ``records`` stand for those of the options, if given.
    """
    check_scoring(options)
    records = options.dataset.load() if records is None else records
    wanted = [options.knob] if choices is None else choices
    more = {} if choices is None else {"knobs": choices}
    name = options.knob.name if choices is None else "sweep"
    known = recall(options, wanted, records, command)
    if known is not None:
        return run_known(known, options, watch, records, name, **more)
    from zsc.study.crew import at_work
    from zsc.study.experiment import prepare
    from zsc.study.performed import performed

    with at_work(Path(options.cells)):
        experiment = prepare(options, wanted, records, command)
        scoring = build_scoring(options, experiment.built.made_from)
        say_remarks(experiment.remarks, watch)
        with performed(experiment, name, watch, **more) as folder:
            return result_of(folder, scoring, options.dialog_turns, watch)


def run_known(
    known: Known, options: RunOptions, watch: Watch, records: Sequence[Record], name: str, **more: object
) -> Result:
    """Score a run whose cells are all there."""
    scoring = build_scoring(options, known.manifest["made_from"])
    say_remarks(known.remarks, watch)
    watch.say(known.summary)
    folder = folder_of(options, name, known.manifest["identity"])
    with written(folder, known.manifest, config_text(options, **more), records, known.cells):
        return result_of(folder, scoring, options.dialog_turns, watch)


def score(folder: RunFolder, options: ScoringOptions, turns: int, watch: Watch) -> Result:
    """Score the run in ``folder`` again."""
    check_scoring(options)
    return result_of(folder, build_scoring(options, folder.manifest().get("made_from", {})), turns, watch)


def result_of(folder: RunFolder, scoring: Scoring, turns: int, watch: Watch) -> Result:
    """Score ``folder``. Raises ZscError if no response has a value of any metric."""
    rows, signatures = score_folder(folder, scoring, turns, watch)
    measures = [metric.measure for metric in scoring.metrics]
    if not rows:
        raise ZscError(
            f"no response in {folder.path} has a value of {', '.join(measures)}. They may need knowledge, references,"
            " control phrases or a judge."
        )
    for line in warnings(measures, rows, scoring.resampling):
        watch.say(line)
    return Result(folder, rows, signatures)
