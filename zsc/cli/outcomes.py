"""How the jobs of a multirun ended, one file each.

Launchers differ in what they do with an exception and with what a job returns, and sweepers in whom they tell; a file
in a folder that the jobs share with the command is the same for all of them. It is beside what Hydra writes of the
multirun, in a folder of its own for each.
"""

import json
import shlex
import traceback
from dataclasses import dataclass
from pathlib import Path
from time import strftime
from typing import Any
from uuid import uuid4

from zsc.cli.expand import contract
from zsc.errors import ZscError
from zsc.files import write_atomic
from zsc.terminal import one_line, say

FAULT = 1  # exit status


def new_folder() -> Path:
    """Return a name for the folder of a multirun that no other has."""
    return Path("runs", ".multirun", f"{strftime('%Y%m%d-%H%M%S')}-{uuid4().hex[:8]}")


@dataclass(frozen=True)
class Outcomes:
    """The outcomes in ``folder``: ``N.json`` of job N."""

    folder: Path

    def note(self, error: Exception | None) -> None:
        """Write how this job ended, and print the trace of what is a fault of zsc."""
        from hydra.core.hydra_config import HydraConfig

        cfg = HydraConfig.get()
        fault = error is not None and not isinstance(error, ZscError)
        if error is not None and fault:
            say("".join(traceback.format_exception(error)).rstrip())
        outcome = {
            "job": cfg.job.num,
            "settings": shlex.join(contract(cfg.overrides.task)),
            "error": f"{type(error).__name__}: {error}" if fault else None if error is None else str(error),
            "code": error.code if isinstance(error, ZscError) else FAULT if fault else 0,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / f"{cfg.job.num}.json", json.dumps(outcome) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """Return the outcomes in the order of the jobs; one that is missing before another has failed."""
        found = {int(file.stem): json.loads(file.read_bytes()) for file in self.folder.glob("[0-9]*.json")}
        lost = {"settings": "", "error": "it ended without a word: see what is printed above.", "code": FAULT}
        return [found.get(number, {"job": number, **lost}) for number in range(max(found, default=-1) + 1)]

    def print_failed(self) -> None:
        """Print a line for each job that failed."""
        for outcome in self.read():
            if outcome["code"]:
                say(f"job {outcome['job']} failed: {one_line(outcome['settings'])}: {one_line(outcome['error'])}")

    def check(self) -> None:
        """Raise ZscError if a job failed, with the status of a fault if there was one."""
        outcomes = self.read()
        if failed := [outcome for outcome in outcomes if outcome["code"]]:
            code = FAULT if any(outcome["code"] == FAULT for outcome in failed) else 2
            raise ZscError(
                f"{len(failed)} of {len(outcomes)} jobs failed, as listed above; what the others made is kept."
                " Repeat the command to make the rest.",
                code,
            )
