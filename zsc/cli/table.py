"""`zsc table`: a table of the paper from stored responses."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from zsc.cli.compose import PROJECT, UNREAD, command_line, options_of, resolved
from zsc.cli.knobs import table_choices
from zsc.cli.launch import launched
from zsc.cli.work import work_table
from zsc.errors import ZscError
from zsc.study.crew import rank
from zsc.study.options import TableOptions
from zsc.study.paper import check_spec, make, save
from zsc.study.watch import Terminal
from zsc.tables.paper import render_paper

TAKEN = ("seeds", "model", "model.checkpoint", "model.decoder", "knob", "topic")  # from trainings, or of no use


def table(cfg: DictConfig) -> None:
    """Print the table that ``cfg`` (configs/table.yaml) names, unless workers go on by themselves."""
    name = HydraConfig.get().runtime.choices["table"]
    check_spec(resolved(cfg)["table"], name)
    options, watch = options_of(TableOptions, cfg), Terminal()
    if rank() == 0 and launched(cfg):
        return
    if options.table.baseline is not None:
        from zsc.study.trainings import compare

        check_given(name)
        paper_table, folders = compare(options, name, watch, command_line())
    elif rank():
        work_table(cfg)
        return
    else:
        paper_table, folders = make(options, name, table_choices(options), watch, command_line())
    print(render_paper(paper_table, options.format))
    if options.save is not None:
        save(paper_table, Path(options.save))
    for folder in folders:
        watch.say(f"run: {folder.path}")


def check_given(name: str) -> None:
    """Raise ZscError for an option on the command line that trainings decide."""
    given = [word.partition("=")[0].lstrip("+~") for word in HydraConfig.get().overrides.task]
    if refused := [key for key in given if key in TAKEN or key.startswith("knob.")]:
        unread = f" {UNREAD} leaves {PROJECT} out." if PROJECT.exists() else ""
        what = f"its rows are trainings, which decide models and seeds: leave {refused[0]} out."
        raise ZscError(f"table {name}: {what}{unread}")
