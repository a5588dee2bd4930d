"""The `zsc` command: a thin dispatcher. Nothing heavy is imported before a command needs it."""

import os
import sys
from collections.abc import Callable
from functools import partial

from zsc import __version__
from zsc.cli.help import COMMANDS, OVERVIEW
from zsc.errors import INTERRUPTED, ZscError, suggestion

HELP_FLAGS = ("-h", "--help")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 2 bad input, 130 interrupted, 1 a fault of zsc."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return dispatch(arguments)
    except ZscError as error:
        print(f"zsc: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("zsc: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of stdout, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in HELP_FLAGS:
        print(OVERVIEW)
        return 0
    if arguments[0] == "--version":
        print(f"zsc {__version__}")
        return 0
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        raise ZscError(f"no command '{command}'.{suggestion(command, COMMANDS)} Known: {', '.join(COMMANDS)}.")
    if any(flag in rest for flag in HELP_FLAGS):
        print(COMMANDS[command])
        return 0
    RUNNERS[command](rest)
    return 0


def launch(command: str, arguments: list[str]) -> None:
    from zsc.cli.hydra import launch

    launch(command, arguments)


def score(arguments: list[str]) -> None:
    from zsc.cli.score import score

    score(arguments)


def ls(arguments: list[str]) -> None:
    from zsc.cli.ls import ls

    ls(arguments)


def data(arguments: list[str]) -> None:
    """Take ``zsc data NAME`` for ``zsc data dataset=NAME``."""
    launch("data", named("dataset", arguments))


def table(arguments: list[str]) -> None:
    """Take ``zsc table NAME`` for ``zsc table table=NAME``."""
    from zsc.cli.configs import group_options

    words = named("table", arguments)
    if not any(word.startswith(("table=", "--")) for word in words):
        raise ZscError(f"zsc table needs the name of one: {', '.join(group_options('table'))}.")
    launch("table", words)


def named(group: str, arguments: list[str]) -> list[str]:
    """Return ``arguments`` with the first, if it is but a name, as the choice of ``group``."""
    if arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        return [f"{group}={arguments[0]}", *arguments[1:]]
    return arguments


def report(arguments: list[str]) -> None:
    from zsc.cli.report import report

    report(arguments)


def annotate(arguments: list[str]) -> None:
    from zsc.cli.annotate import annotate

    annotate(arguments)


RUNNERS: dict[str, Callable[[list[str]], None]] = {
    "run": partial(launch, "run"),
    "sweep": partial(launch, "sweep"),
    "plan": partial(launch, "plan"),
    "tune": partial(launch, "tune"),
    "table": table,
    "report": report,
    "score": score,
    "ls": ls,
    "data": data,
    "doctor": partial(launch, "doctor"),
    "annotate": annotate,
    "train": partial(launch, "train"),
    "bench": partial(launch, "bench"),
}
