"""The `zsc` command: a thin dispatcher. Nothing heavy is imported before a command needs it."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from zsc import __version__
from zsc.cli.flags import PLAIN, check_words, named
from zsc.cli.help import ALIASES, COMMANDS, help_of, overview
from zsc.cli.hints import as_option
from zsc.cli.words import exists
from zsc.errors import INTERRUPTED, ZscError, suggestion
from zsc.install import check_versions
from zsc.terminal import one_line, outlets, say

HELP_FLAGS = ("-h", "--help")
OLD = 100  # collections of middle-aged objects before one of all, instead of 10


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 2 bad input, 130 interrupted, 141 the reader of stdout has
    gone, 1 a fault of zsc."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with seldom_collected(), outlets() as out:
        return perform(arguments) or out.status()


@contextmanager
def seldom_collected() -> Iterator[None]:
    """While the context is open, look for garbage among old objects more seldom.

    What libraries make as they are imported stays, and to look through it takes a fifth of the time of importing them.
    """
    before = gc.get_threshold()
    gc.set_threshold(*before[:2], OLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)


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
    if arguments[:2] == ["completion", "--words"]:
        from zsc.cli.completion import complete

        complete(arguments[2:])
        return
    command, words = ALIASES.get(arguments[0], arguments[0]) if arguments else "--help", arguments[1:]
    if command == "--version":
        print(f"zsc {__version__}")
        return
    if command == "--help" and words and not words[0].startswith("-"):
        command, words = words[0], ["--help"]
    if command == "--help":
        print(overview())
        return
    if command not in COMMANDS:
        raise ZscError(f"no command '{command}'.{instead(command)} Known: {', '.join(COMMANDS)}.")
    if any(flag in words for flag in HELP_FLAGS) or (words[:1] == ["help"] and not exists("help")):
        print(help_of(command))
        return
    check_words(words)
    if command in PLAIN:
        getattr(import_module(f"zsc.cli.{command}"), command)(named(command, words))
        return
    if command != "doctor":  # which says what is wrong with the versions
        check_versions()
    from zsc.cli.hydra import launch

    launch(command, named(command, words))


def instead(word: str) -> str:
    """Return what to write for ``word``, which is no command."""
    close = suggestion(word, [*COMMANDS, "help", "version"])
    return close or (f" Write zsc run {option}." if (option := as_option(word)) else "")
