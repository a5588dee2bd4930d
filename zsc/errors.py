"""The one exception that means: the user's input or surroundings, not the program, are at fault."""

import difflib
from collections.abc import Iterable

INTERRUPTED = 130  # exit status


class ZscError(Exception):
    """A problem the user can mend. The text says what was wrong and what to do next; ``code`` is the exit status."""

    def __init__(self, text: str, code: int = 2):
        super().__init__(text)
        self.code = code


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type where it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def suggestion(name: str, choices: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the choice closest to ``name``, or an empty string."""
    close = difflib.get_close_matches(name, list(choices), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
