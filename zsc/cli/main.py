"""The `zsc` command: a thin dispatcher. Nothing heavy is imported before a command needs it."""

import sys

from zsc import __version__
from zsc.cli.flags import as_option, check_words, named
from zsc.cli.help import COMMANDS, help_of, overview
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
        print(overview())
        return
    if arguments[0] == "--version":
        print(f"zsc {__version__}")
        return
    command, words = arguments[0], arguments[1:]
    if command not in COMMANDS:
        raise ZscError(f"no command '{command}'.{instead(command)} Known: {', '.join(COMMANDS)}.")
    if any(flag in words for flag in HELP_FLAGS):
        print(help_of(command))
        return
    check_words(words)
    if command not in ("doctor", "ls"):  # the one says what is wrong with the versions, to the other it does not matter
        check_versions()
    if command == "ls":
        from zsc.cli.ls import ls

        ls(words)
    else:
        from zsc.cli.hydra import launch

        launch(command, named(command, words))


def instead(word: str) -> str:
    """Return what to write for ``word``, which is no command."""
    return suggestion(word, COMMANDS) or (f" Write zsc run {option}." if (option := as_option(word)) else "")
