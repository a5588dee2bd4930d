"""`zsc plan`: the cells of a run or a table, what is there, who makes what, and how long the rest will take."""

from omegaconf import DictConfig

from zsc.cli.compose import options_of
from zsc.cli.knobs import of_trainings, table_choices, table_name
from zsc.study.experiment import Experiment, prepare, union
from zsc.study.options import Format, PaperFormat, RunOptions, TableOptions
from zsc.study.plan import cell_rows, estimate
from zsc.study.watch import Terminal
from zsc.tables.render import render
from zsc.terminal import say


def plan(cfg: DictConfig) -> None:
    """Print the cells of ``cfg`` (configs/plan.yaml) on stdout, and an estimate of time on stderr."""
    options = options_of(RunOptions, cfg)
    show(prepare(options), options.format)


def plan_table(cfg: DictConfig) -> None:
    """As :func:`plan`, of the table that ``cfg`` (configs/table.yaml) names."""
    options = options_of(TableOptions, cfg)
    if of_trainings(options):
        from zsc.study.trainings import plan

        rows, estimates = plan(options, table_name(), Terminal())
        print(render(rows, options.format))
        say("\n".join(estimates))
        return
    records = options.dataset.load()
    show(union([prepare(options, choices, records) for choices in table_choices(options)]), options.format)


def show(experiment: Experiment, style: Format | PaperFormat) -> None:
    print(render(cell_rows(experiment), style))
    say(estimate(experiment))
