"""`zsc init`: zsc.yaml for a table of one's own."""

import sys
from collections.abc import Sequence

from zsc.cli.plain import plain_options
from zsc.study.init import FILE, InitOptions
from zsc.study.init import init as write
from zsc.study.watch import Terminal


def init(words: Sequence[str]) -> None:
    """Write zsc.yaml for the file that ``words`` name, and print what to type next."""
    asked = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    commands = write(plain_options(InitOptions, words), Terminal(), input if asked else None)
    print("\n".join([f"wrote {FILE}. Next:", *(f"  {command}" for command in commands)]))
