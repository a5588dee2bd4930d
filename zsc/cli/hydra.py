"""Hand a command's arguments to Hydra, which composes the config and calls the command once per job."""

import sys
from collections.abc import Callable
from importlib import import_module

import hydra
from omegaconf import DictConfig

from zsc.cli.configs import CONFIGS, check_overrides, expand, split_arguments
from zsc.cli.interrupts import deferred_interrupts
from zsc.errors import ZscError

JOBS = {
    "run": "zsc.cli.run:run",
    "sweep": "zsc.cli.run:sweep",
    "plan": "zsc.cli.plan:plan",
    "table": "zsc.cli.table:table",
    "tune": "zsc.cli.tune:tune",
    "train": "zsc.cli.train:run",
    "bench": "zsc.cli.bench:bench",
    "data": "zsc.cli.data:data",
    "doctor": "zsc.cli.doctor:doctor",
}


def launch(command: str, arguments: list[str]) -> None:
    """Check ``arguments`` and run ``command`` (a key of JOBS) on every config they compose."""
    flags, overrides = split_arguments(arguments)
    if command != "train":  # whose seed is one number, and which has no model or knob
        overrides = expand(overrides)
    with deferred_interrupts():
        check_overrides(command, flags, overrides)
    sys.argv = [f"zsc {command}", *flags, *overrides]
    hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=command)(job(JOBS[command]))()


def job(path: str) -> Callable[[DictConfig], None]:
    """Return what imports and calls the function at ``path``, MODULE:NAME, when Hydra calls it."""

    def run(cfg: DictConfig) -> None:
        module, _, name = path.partition(":")
        with deferred_interrupts():
            function = getattr(import_module(module), name)
        try:
            function(cfg)
        except ZscError as error:  # must not reach Hydra, which would bury it in a trace
            print(f"zsc: {error}", file=sys.stderr)
            raise SystemExit(error.code) from None

    return run
