"""`zsc table`: a table of the paper from stored responses."""

from pathlib import Path

from omegaconf import DictConfig

from zsc.cli.compose import command_line, options_of, resolved
from zsc.cli.knobs import of_trainings, table_choices, table_name
from zsc.cli.launch import launched
from zsc.cli.work import work_table
from zsc.study.crew import rank
from zsc.study.options import TableOptions
from zsc.study.paper import check_spec, make, save
from zsc.study.watch import Terminal
from zsc.tables.paper import render_paper


def table(cfg: DictConfig) -> None:
    """Print the table that ``cfg`` (configs/table.yaml) names, unless workers go on by themselves."""
    name = table_name()
    check_spec(resolved(cfg)["table"], name)
    options, watch = options_of(TableOptions, cfg), Terminal()
    if rank() == 0 and launched(cfg):
        return
    if rank():
        work_table(cfg)
        return
    if of_trainings(options):
        from zsc.study.trainings import compare

        paper_table, folders = compare(options, name, watch, command_line())
    else:
        paper_table, folders = make(options, name, table_choices(options), watch, command_line())
    print(render_paper(paper_table, options.format))
    if options.save is not None:
        save(paper_table, Path(options.save))
    for folder in folders:
        watch.say(f"run: {folder.path}")
