"""What was meant by a word that is no option."""

import re
import shlex
from pathlib import Path

from zsc.cli.groups import RUN_GROUPS, group_options
from zsc.cli.words import exists


def hint(word: str) -> str:
    """Say how to write a bare ``word``; an empty text where nothing is known of it."""
    if form := as_option(word):
        return f" Write {form}."
    if exists(word):
        return f" {file_hint(word)}"
    return ""


def file_hint(word: str) -> str:
    """Say how a file or a folder of the user's is given."""
    if Path(word).is_dir():
        path, model = shlex.quote(f"dataset.path={word}"), shlex.quote(f"model={word}")
        return f"A folder of a dataset is given as dataset=NAME {path}, that of a model as {model}."
    path = shlex.quote(f"dataset.path={word}")
    return f"A file of your own is given as dataset=table {path}; zsc init {shlex.quote(word)} finds out its columns."


def unknown_dataset(value: str) -> str:
    """Return a hint for a ``dataset=`` that seems to be a path; an empty text for any other."""
    return file_hint(value) if exists(value) or re.search(r"[/\\]|\.\w{2,7}$", value) else ""


def as_option(word: str, flag_value: str = "") -> str:
    """Return how to write a bare ``word`` as an option, or an empty text."""
    key, equals, value = word.lstrip("-").partition("=")
    if equals or flag_value:
        return shlex.quote(f"{key}={value if equals else flag_value}")
    for group in (*RUN_GROUPS, "objective", "table"):
        if key in group_options(group):
            return f"{group}={key}"
    return ""
