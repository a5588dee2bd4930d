"""zsc.yaml, the defaults of a folder: its options are words that stand before those of the command line."""

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zsc.cli.check import check_overrides
from zsc.cli.compose import PROJECT, UNREAD
from zsc.cli.expand import contract, expand
from zsc.cli.groups import GROUPS, LAUNCHED
from zsc.cli.words import PLAIN, RESERVED, quoted
from zsc.data.files import read_text
from zsc.errors import ZscError, first_line
from zsc.terminal import say

KEY = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
SHORT = {"seed": "seeds"}


def defaults(command: str, overrides: Sequence[str], folder: Path | None) -> tuple[list[str], list[str]]:
    """Return the words of zsc.yaml that hold for ``command``, expanded, and its own ``overrides`` without UNREAD.

    A key of the command line goes before that of the file, and the choice of a group before all that the file says of
    the group. What is left is said on stderr. Raises ZscError, naming the file, for one that cannot be read.
    """
    own = [word for word in overrides if word != UNREAD]
    if "model" not in GROUPS.get(command, ()):
        return [], [*overrides]
    if wrong := [word for word in own if word.startswith("config=")]:
        raise ZscError(f"{wrong[0]}: only {UNREAD} is possible, which leaves {PROJECT} out.")
    if len(own) < len(overrides) or not PROJECT.exists():
        return [], own
    given = {_key(word) for word in own}
    given |= set() if command in LAUNCHED else {"launcher"}
    given |= {"knob"} if command == "table" else set()
    with naming():
        words = [word for word in words_of(read_text(PROJECT)) if not any(_within(word, key) for key in given)]
        words = expand(words, several=False, folder=folder)
    if words:
        say(f"{PROJECT}: {shlex.join(contract(words))}")
    return words, own


def _key(word: str) -> str:
    key = word.lstrip("+~").partition("=")[0]
    return SHORT.get(key, key)


def _within(word: str, key: str) -> bool:
    return f"{_key(word)}.".startswith(f"{key}.")


def words_of(text: str) -> list[str]:
    """Return the options in ``text``, YAML of keys as the command line has them, as its words. Raises ZscError for
    what is no such YAML."""
    import yaml

    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ZscError(f"not valid YAML{line} ({getattr(error, 'problem', None) or first_line(error)}).") from error
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        raise ZscError("must hold options, one a line, such as dataset: parlor.")
    words: dict[str, str] = {}
    for name, node in root.value:
        key = str(name.value)
        if not KEY.fullmatch(key):
            raise ZscError(f"no option can be called {key!r}. Write KEY: VALUE, such as dataset.limit: 100.")
        if key in words:
            raise ZscError(f"{key} is there twice. Remove one.")
        words[key] = f"{key}={_value(node, key)}"
    return [*words.values()]


def _value(node: Any, key: str, inner: bool = False) -> str:
    """Return a value as on a command line: as it stands, but what YAML has in quotes is a text whatever is in it."""
    import yaml

    if isinstance(node, yaml.MappingNode) or (inner and not isinstance(node, yaml.ScalarNode)):
        raise ZscError(f"{key}: options have no options inside. Write {key}.NAME: VALUE on a line by itself.")
    if isinstance(node, yaml.SequenceNode):
        return f"[{','.join(_value(one, key, inner=True) for one in node.value)}]"
    if node.tag == "tag:yaml.org,2002:null":
        return "null"
    text = str(node.value)
    if node.style is None or (PLAIN.fullmatch(text) and text.lower() not in RESERVED):
        return text
    return quoted(text)


def check_with(command: str, flags: Sequence[str], words: Sequence[str], overrides: Sequence[str]) -> None:
    """Check the ``words`` of zsc.yaml and ``overrides`` together; an error that is in the file alone names it."""
    try:
        check_overrides(command, flags, [*words, *overrides])
    except ZscError:
        if words:
            with naming():
                check_overrides(command, flags, [*words, *(one for one in overrides if one.startswith("table="))])
        raise


@contextmanager
def naming() -> Iterator[None]:
    """Return a context in which errors begin with the name of the file."""
    try:
        yield
    except ZscError as error:
        text = str(error)
        raise ZscError(text if text.startswith(str(PROJECT)) else f"{PROJECT}: {text}", error.code) from error


def blamed(error: Exception, words: Sequence[str]) -> Exception:
    """Return ``error``, naming zsc.yaml where it is about the value of one of its ``words``."""
    text = str(error)
    if isinstance(error, ZscError) and any(text.startswith(f"{_key(word)}=") for word in words):
        return ZscError(f"{PROJECT}: {text}", error.code)
    return error
