"""Generate what is missing, and score it: a run."""

from collections.abc import Sequence

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.generation.folder import RunFolder
from zsc.metrics.options import ScoringOptions
from zsc.study.experiment import prepare
from zsc.study.filling import say_cut
from zsc.study.folders import performed
from zsc.study.options import RunOptions
from zsc.study.result import Result
from zsc.study.scoring import Scoring, build_scoring, check_scoring, score_folder, warnings
from zsc.study.watch import Watch


def run(
    options: RunOptions, watch: Watch, records: Sequence[Record] | None = None, command: str | None = None
) -> Result:
    """Run what ``options`` say, of ``records`` if they are given, and return its scored folder."""
    check_scoring(options)
    experiment = prepare(options, records=records, command=command)
    scoring = build_scoring(options, experiment.built.made_from)
    say_cut(experiment.cut, watch)
    with performed(experiment, options.knob.name, watch) as folder:
        return result_of(folder, scoring, options.layout.turns, watch)


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
