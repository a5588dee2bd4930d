"""Knobs that are named by words other than the command line's."""

import shlex

from omegaconf import OmegaConf

from zsc.cli.check import check_overrides
from zsc.cli.compose import composed, own_folder, resolved, shipped_configs
from zsc.cli.expand import expand
from zsc.errors import ZscError, first_line
from zsc.options import plain
from zsc.study.options import KnobChoice, RunOptions, TableOptions


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
    """Return the choices of knobs of each group of a table. Raises ZscError for a table that compares trainings."""
    if options.table.baseline is not None:
        raise ZscError(
            "this table compares trainings, each with a model of its own: zsc table makes it, with make=true."
        )
    return [[compose_knob(run, options) for run in group.runs] for group in options.table.groups]
