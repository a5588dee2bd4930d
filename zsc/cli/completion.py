"""`zsc completion`: scripts that complete a command line, which ask this command for what a word may become."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zsc.cli.candidates import candidates

UNSAFE = re.compile(r"([^\w@%+=:,./~\[\]{}-])", re.ASCII)


@dataclass(frozen=True)
class CompletionOptions:
    """configs/completion.yaml: for which ``shell``."""

    shell: Literal["bash", "zsh", "fish"]


def completion(words: Sequence[str]) -> None:
    """Print the script for the shell that ``words`` name."""
    from zsc.cli.plain import plain_options

    shell = plain_options(CompletionOptions, words).shell
    print((Path(__file__).with_name("shells") / f"zsc.{shell}").read_text(encoding="utf-8").rstrip())


def complete(words: Sequence[str]) -> None:
    """Print what may stand at the end, one a line: of ``bash BREAKS LINE`` the rest behind the last of BREAKS, which
    the shell takes for the word; of ``zsh WORD ...`` and ``fish WORD ...`` whole words."""
    shell, *given = words
    cut, escaped = 0, False
    if shell == "bash":
        breaks, line = given
        given, escaped = split_line(line)
        cut = max((given[-1].rfind(one) + 1 for one in "=:" if one in breaks and escaped), default=0)
    for found in dict.fromkeys(candidates(given[1:])):
        print(UNSAFE.sub(r"\\\1", found[cut:]) if escaped else found[cut:])


def split_line(line: str) -> tuple[list[str], bool]:
    """Return the words of a command line that ends at the cursor, and whether the last is outside of quotes."""
    for close in ("", "'", '"'):
        try:
            words = shlex.split(line + close)
        except ValueError:
            continue
        return [*words, *([""] if not close and line[-1:].isspace() else [])], not close
    return ["zsc", ""], True
