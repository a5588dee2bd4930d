"""The `zsc` command: a thin dispatcher. Nothing heavy is imported before a command needs it."""

import sys
from collections.abc import Callable
from functools import partial

from zsc import __version__
from zsc.cli.help import COMMANDS, OVERVIEW
from zsc.cli.words import as_setting, bare_word, check_no_flags, check_words
from zsc.errors import INTERRUPTED, ZscError, suggestion
from zsc.install import check_versions
from zsc.terminal import one_line, outlets, say

HELP_FLAGS = ("-h", "--help")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 2 bad input, 130 interrupted, 141 the reader of stdout has
    gone, 1 a fault of zsc."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with outlets() as out:
        return perform(arguments) or out.status()


def perform(arguments: list[str]) -> int:
    try:
        dispatch(arguments)
    except ZscError as error:
        say(f"zsc: {one_line(str(error))}")
        return error.code
    except KeyboardInterrupt as interrupt:
        say(f"zsc: {one_line(str(interrupt)) or 'interrupted.'}")
        return INTERRUPTED
    return 0


def dispatch(arguments: list[str]) -> None:
    if not arguments or arguments[0] in HELP_FLAGS:
        print(OVERVIEW)
        return
    if arguments[0] == "--version":
        print(f"zsc {__version__}")
        return
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        raise ZscError(f"no command '{command}'.{instead(command)} Known: {', '.join(COMMANDS)}.")
    if any(flag in rest for flag in HELP_FLAGS):
        print(COMMANDS[command])
        return
    check_words(rest)
    if command in ("score", "report", "annotate"):
        check_no_flags(rest)
    if command not in ("doctor", "ls"):  # the one says what is wrong with the versions, to the other it does not matter
        check_versions()
    RUNNERS[command](rest)


def instead(word: str) -> str:
    """Return what to write for ``word``, which is no command."""
    return suggestion(word, COMMANDS) or (f" Write zsc run {setting}." if (setting := as_setting(word)) else "")


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
    from zsc.cli.configs import config_folder, group_options, split_arguments

    words = named("table", arguments)
    flags, overrides = split_arguments(words)
    if not any(word.startswith("table=") for word in overrides):
        raise ZscError(f"zsc table needs the name of one: {', '.join(group_options('table', config_folder(flags)))}.")
    launch("table", words)


def named(group: str, arguments: list[str]) -> list[str]:
    """Return ``arguments`` with the first that is but a name as the choice of ``group``."""
    place = bare_word(arguments)
    if place is None:
        return arguments
    return [*arguments[:place], f"{group}={arguments[place]}", *arguments[place + 1 :]]


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
