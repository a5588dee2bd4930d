"""`zsc work`: make what a run, a sweep or a table lacks, beside other workers on any machines."""

from omegaconf import DictConfig

from zsc.cli.compose import options_of
from zsc.cli.knobs import of_trainings, table_choices, table_name
from zsc.study.options import RunOptions, TableOptions
from zsc.study.watch import Terminal
from zsc.study.work import work as perform


def work(cfg: DictConfig) -> None:
    """Fill cells of what ``cfg`` (configs/work.yaml) says."""
    options = options_of(RunOptions, cfg)
    perform(options, [[options.knob]], Terminal())


def work_table(cfg: DictConfig) -> None:
    """Fill cells of the table that ``cfg`` (configs/table.yaml) names."""
    options = options_of(TableOptions, cfg)
    if of_trainings(options):
        from zsc.study.trainings import work

        work(options, table_name(), Terminal())
    else:
        perform(options, table_choices(options), Terminal())
