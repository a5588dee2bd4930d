"""`zsc tune`: the dose of a knob that gains the most within budgets, confirmed on examples not searched on."""

import re
import shlex
import sys

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from zsc.cli.compose import folder_words, job_words, options_of
from zsc.cli.expand import contract
from zsc.study.options import TuneOptions
from zsc.study.tune import tune as search
from zsc.study.verdict import Tuned, trial_row, verdict
from zsc.study.watch import Terminal
from zsc.tables.render import render

ALIKE = ("knob", "model", "dataset", "decoding", "layout", "task")  # what a run with the dose shares with its command


def tune(cfg: DictConfig) -> None:
    """Print every dose that was tried, whether the best one helps, and the commands that follow from it."""
    options = options_of(TuneOptions, cfg)
    tuned = search(options, Terminal())
    rows = [trial_row(trial, "searched") for trial in tuned.trials]
    rows += [trial_row(tuned.held_out, "held out")] if tuned.held_out else []
    print(render(rows, options.format))
    found = verdict(tuned)
    lines = [*found.lines, *([run_command(tuned)] if found.recommended else []), *further_command(tuned)]
    print("\n".join(lines), file=sys.stdout if options.format == "table" else sys.stderr)


def run_command(tuned: Tuned) -> str:
    """Return the command that runs with the dose that was found."""
    given, key = contract(HydraConfig.get().overrides.task), f"knob.{tuned.dose.field}"
    own = [word for word in given if re.split(r"[=.]", word)[0] in ALIKE and not word.startswith(f"{key}=")]
    found = f"{key}={tuned.best.dose:g}" if tuned.best else ""
    return f"to run it: {shlex.join(['zsc', 'run', *own, found, *folder_words()])}"


def further_command(tuned: Tuned) -> list[str]:
    """Return the command that searches beyond the edge of the range, where the best dose lies at it."""
    more = [f"{key}={value:g}" for key, value in tuned.further.items()]
    return [f"to search further: {shlex.join(['zsc', 'tune', *job_words(tuple(tuned.further)), *more])}"] * bool(more)
