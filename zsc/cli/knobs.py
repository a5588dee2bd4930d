"""Knobs that are named by words other than the command line's."""

import shlex

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from zsc.cli.check import check_overrides
from zsc.cli.compose import PROJECT, UNREAD, composed, own_folder, resolved, shipped_configs
from zsc.cli.expand import expand
from zsc.errors import ZscError, first_line
from zsc.options import plain
from zsc.study.options import KnobChoice, RunOptions, TableOptions

TAKEN = ("seeds", "model", "model.checkpoint", "model.decoder", "knob", "topic")  # from trainings, or of no use


def compose_knob(text: str, options: RunOptions) -> KnobChoice:
    """Return the choice of knobs that ``text``, such as ``knob=attn_bias knob.strength=[2,5]``, stands for beside other
    ``options``. Raises ZscError as for the same words on the command line."""
    folder = own_folder()
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ZscError(f"cannot read '{text}' in a table's runs: {first_line(error)}.") from error
    overrides = expand(words, several=False, folder=folder)
    for override in overrides:
        if not override.startswith(("knob=", "knob.", "+knob@")):
            raise ZscError(f"'{override}' in a table's runs: only knobs and their options can stand there.")
    check_overrides("run", [], overrides)
    with shipped_configs():
        knob = OmegaConf.to_container(composed("run", overrides, folder).knob)
    values = resolved(OmegaConf.create({**plain(options), "knob": knob}))
    return KnobChoice.from_mapping(values["knob"])


def table_choices(options: TableOptions) -> list[list[KnobChoice]]:
    """Return the choices of knobs of each group of a table."""
    return [[compose_knob(run, options) for run in group.runs] for group in options.table.groups]


def of_trainings(options: TableOptions) -> bool:
    """Say whether the table of the command line compares trainings. Raises ZscError if it does, for an option that
    these decide."""
    if options.table.baseline is None:
        return False
    given = [word.partition("=")[0].lstrip("+~") for word in HydraConfig.get().overrides.task]
    if refused := [key for key in given if key in TAKEN or key.startswith("knob.")]:
        unread = f" {UNREAD} leaves {PROJECT} out." if PROJECT.exists() else ""
        what = f"its rows are trainings, which decide models and seeds: leave {refused[0]} out."
        raise ZscError(f"table {table_name()}: {what}{unread}")
    return True


def table_name() -> str:
    """Return the name of the table of the command line."""
    return str(HydraConfig.get().runtime.choices["table"])
