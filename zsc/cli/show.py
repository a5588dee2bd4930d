"""`zsc show`: records of a run, and what its settings answered."""

from collections.abc import Sequence

from zsc.cli.plain import plain_options
from zsc.study.show import ShowOptions, answers
from zsc.terminal import screen
from zsc.terminal import show as send


def show(words: Sequence[str]) -> None:
    """Print the records and responses that ``words`` ask for."""
    options = plain_options(ShowOptions, words)
    found = answers(options)
    if options.format == "json":
        print(found.to_json())
    else:
        send(found.page(screen()))
