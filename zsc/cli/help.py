"""Help, made of the configs: what a command does from the comment at the head of its file, options from their own."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

from zsc.cli.groups import group_options
from zsc.configs import CONFIGS

COMMANDS = ("init", "run", "sweep", "work", "plan", "tune", "table", "report", "runs", "show", "score", "annotate",
            "play", "export", "ls", "data", "doctor", "train", "bench", "completion")  # fmt: skip
ALIASES = {"help": "--help", "version": "--version", "-V": "--version", "-h": "--help"}
ENTRY = re.compile(r"(?P<indent> *)(?:- )?(?P<key>[\w ]+):(?: (?P<value>[^#]*?))?(?: *# *(?P<says>.*))?")
GOES_ON = re.compile(r" {4,}# *(.*)")  # a comment that goes on in the next line
NAME, WIDTH = 22, 120


class Option(NamedTuple):
    """An option as its config has it: its full ``name``, its ``value``, and what the comment beside it ``says``."""

    name: str
    value: str
    says: str


def overview() -> str:
    """Return the help of all commands together."""
    lines = head(CONFIGS / "zsc.yaml")
    commands = [f"  {command:<10}  {headline(command)}" for command in COMMANDS]
    return "\n".join([*lines[:3], "", *commands, *lines[3:]])


def headline(command: str) -> str:
    """Return what a command does in a line."""
    return head(CONFIGS / f"{command}.yaml")[0].partition(": ")[2]


def help_of(command: str) -> str:
    """Return the help of a command."""
    _, _, *text = head(CONFIGS / f"{command}.yaml")
    lines = [line for option in options_of(command) for line in _shown(option)]
    return "\n".join([*text, "", *lines]).rstrip()


def head(file: Path) -> list[str]:
    """Return the lines of the comment at the head of a config."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return lines


def options_of(command: str) -> list[Option]:
    """Return the options of a command, those of its groups among them, that stand in its own config."""
    return list(options_in((CONFIGS / f"{command}.yaml").read_text(encoding="utf-8")))


def options_in(text: str) -> Iterator[Option]:
    """Yield the options in the ``text`` of a config."""
    path: list[tuple[int, str]] = []
    found: Option | None = None
    for line in text.splitlines():
        if found and (more := GOES_ON.fullmatch(line)):
            found = found._replace(says=f"{found.says} {more[1]}")
            continue
        if found:
            yield found
        found = None
        entry = ENTRY.fullmatch(line)
        if line.startswith("#") or entry is None:
            continue
        indent, key = len(entry["indent"]), entry["key"].removeprefix("override ")
        path = [*(one for one in path if one[0] < indent), (indent, key)]
        names = [name for _, name in path if name != "defaults"]
        if key != "defaults" and names[0] != "hydra":
            found = Option(".".join(names), entry["value"] or "", entry["says"] or "")
    if found:
        yield found


def _shown(option: Option) -> list[str]:
    """Return an option with what its comment says beside it, and the choices of a group."""
    name = f"{option.name}={option.value}" if option.value else option.name
    says = option.says
    if choices := group_options(option.name):
        says = f"{says}; " * bool(says) + f"one of {', '.join(choices)}"
    first, *others = wrap(says, WIDTH - NAME) or [""]
    lines = [f"  {name:<{NAME - 4}}  {first}"] if len(name) <= NAME - 4 else [f"  {name}", " " * NAME + first]
    return [line.rstrip() for line in lines + [" " * NAME + other for other in others] if line.strip()]
