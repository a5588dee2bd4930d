"""The command in processes of its own, started in milliseconds, so that they can be stopped at any moment."""

import contextlib
import multiprocessing
import os
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

PRELOADED = ["tests.warm", "tests.processes"]


@dataclass
class Started:
    process: ForkServerProcess
    out: Path
    err: Path

    def wait(self) -> int:
        """Wait for the end; return the exit status, negative for a signal."""
        self.process.join(timeout=300)
        assert self.process.exitcode is not None, "still running after five minutes"
        return self.process.exitcode

    @property
    def output(self) -> str:
        return self.out.read_text()

    @property
    def errors(self) -> str:
        return self.err.read_text()


def start(folder: Path, *arguments: str) -> Started:
    """Start ``zsc ARGUMENTS`` in ``folder``; what it prints goes to files beside it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.parent.glob(f"{folder.name}.*.err")))
    out, err = (folder.parent / f"{folder.name}.{number}.{kind}" for kind in ("out", "err"))
    err.touch()
    process = context.Process(target=work, args=(folder, arguments, out, err))
    process.start()
    return Started(process, out, err)


def finished(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``zsc ARGUMENTS`` in ``folder`` to its end: `subprocess.run` without the seconds of imports."""
    started = start(folder, *arguments)
    return subprocess.CompletedProcess(arguments, started.wait(), started.output, started.errors)


def work(folder: Path, arguments: tuple[str, ...], out: Path, err: Path) -> None:
    import torch

    from zsc.cli.main import main

    torch.set_num_threads(1)
    os.chdir(folder)
    with (
        out.open("w") as stdout,
        err.open("w") as stderr,
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            code = main(list(arguments))
        except SystemExit as stop:
            code = stop.code
    sys.exit(code)
