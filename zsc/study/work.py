"""Make what a run or a table lacks, beside any number of others that do the same: a worker."""

from collections.abc import Sequence
from pathlib import Path

from zsc.study.crew import at_work
from zsc.study.options import KnobChoice, RunOptions
from zsc.study.watch import Watch, say_remarks


def work(options: RunOptions, choices: Sequence[Sequence[KnobChoice]], watch: Watch) -> None:
    """Fill the cells of the settings that each of ``choices`` of knobs makes, as far as nobody else does.

    Leaves when there is nothing to take. Raises ZscError beside workers that make other cells of the same options.
    """
    from zsc.study.experiment import prepare, union
    from zsc.study.filling import fill

    with at_work(Path(options.cells)):
        records = options.dataset.load()
        experiment = union([prepare(options, one, records) for one in choices])
        say_remarks(experiment.remarks, watch)
        fill(experiment, watch, waits=False)
