"""`zsc tune`: the strongest dose of a knob whose cost stays inside a budget, confirmed on examples not searched on."""

import re
import shlex
import sys

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from zsc.cli.compose import folder_words, options_of
from zsc.cli.expand import contract
from zsc.study.options import TuneOptions
from zsc.study.tune import Tuned, trial_row, verdict
from zsc.study.tune import tune as search
from zsc.study.watch import Terminal
from zsc.tables.render import render

ALIKE = ("knob", "model", "dataset", "decoding", "layout", "task")  # what a run with the dose shares with its command


def tune(cfg: DictConfig) -> None:
    """Print every dose that was tried, and the strongest inside the budget with its confirmation."""
    options = options_of(TuneOptions, cfg)
    tuned = search(options, Terminal())
    rows = [trial_row(trial, tuned.budget, "searched") for trial in tuned.trials]
    rows += [trial_row(tuned.held_out, tuned.budget, "held out")] if tuned.held_out else []
    print(render(rows, options.format))
    lines = [*verdict(tuned), run_command(tuned)]
    print("\n".join(lines), file=sys.stdout if options.format == "table" else sys.stderr)


def run_command(tuned: Tuned) -> str:
    """Return the command that runs with the dose that was found."""
    given, field = contract(HydraConfig.get().overrides.task), tuned.dose.field
    own = [word for word in given if re.split(r"[=.]", word)[0] in ALIKE and not word.startswith(f"knob.{field}=")]
    found = f"knob.{field}={tuned.best.dose:g}" if tuned.best else ""
    return shlex.join(["zsc", "run", *own, found, *folder_words()])
