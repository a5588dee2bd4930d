"""The words of a command line: flags, options and what stands without a name; a hint for every other."""

import shlex
from collections.abc import Sequence

from zsc.cli.groups import config_folder, group_options
from zsc.cli.hints import as_option, hint
from zsc.cli.words import exists, quoted
from zsc.errors import ZscError

MULTIRUN = ("-m", "--multirun")
FLAGS = {*MULTIRUN, "-r", "--run", "--resolve", "--hydra-help", "-h", "--help"}
VALUED = {"--cfg", "-c", "--package", "-p", "--info", "-i", "--config-dir", "-cd"}  # flags with a value after them
REPLACING = {"--config-path", "-cp", "--config-name", "-cn"}
COMPLETING = {"--shell-completion", "-sc"}  # which would complete what Hydra takes, not what zsc does
NAMELESS = {"data": "dataset", "table": "table", "score": "run", "annotate": "run", "report": "runs", "export": "run",
            "show": "run", "init": "file", "runs": "folder", "completion": "shell"}  # fmt: skip
PLAIN = ("ls", "init", "runs", "show", "completion")  # commands that compose no config, and load no model
PATHS = ("score", "annotate", "report", "export", "show", "init", "runs")  # commands that begin with paths
NEEDS = {  # what is said where a command lacks what it begins with
    "score": "needs the folder of a run or a file of responses: zsc score RUN [key=value ...]",
    "annotate": "needs the folder of a run, or one it made: zsc annotate FOLDER [key=value ...]",
    "export": "needs the folder of a finished run: zsc export RUN to=FOLDER [key=value ...]",
    "report": "needs the folders of finished runs: zsc report RUN [RUN ...] [key=value ...]",
    "show": "needs a run: zsc show RUN [key=value ...], or zsc show last",
    "init": "needs a table of your data: zsc init FILE [key=value ...]",
    "completion": "needs the name of a shell: zsc completion bash, zsh or fish",
    "table": "needs the name of one: {tables}",
}


def named(command: str, words: Sequence[str]) -> list[str]:
    """Return ``words`` with what stands without a name as the value of the option that it is of ``command``.

    Raises ZscError where a command lacks the path or the name that it begins with.
    """
    key = NAMELESS.get(command)
    places = [place for place in range(len(words)) if _is_bare(words, place, command in PATHS)]
    places = places if key == "runs" else places[:1]
    if key is None or not places:
        if command in NEEDS and not any(word.startswith(f"{key}=") for word in words):
            tables = ", ".join(group_options("table", config_folder(words)))
            raise ZscError(f"zsc {command} {NEEDS[command].format(tables=tables)}.")
        return list(words)
    values = [quoted(_run(words[place])) if command in {*PATHS} - {*PLAIN} else words[place] for place in places]
    value = f"[{','.join(values)}]" if key == "runs" else values[0]
    others = [word for place, word in enumerate(words) if place not in places]
    return [*others[: places[0]], f"{key}={value}", *others[places[0] :]]


def _run(word: str) -> str:
    """Return the newest run where ``word`` is ``last`` and no file or folder, and otherwise the word."""
    if word != "last" or exists(word):
        return word
    from zsc.study.runs import find_run

    return str(find_run(word))


def _is_bare(words: Sequence[str], place: int, path: bool) -> bool:
    """Say whether the word at ``place`` is neither an option nor a flag or its value; a ``path`` may hold ``=``."""
    word = words[place]
    flag = word.startswith("-") or _is_value(words, place)
    return not flag and ("=" not in word or (path and exists(word)))


def _is_value(words: Sequence[str], place: int) -> bool:
    """Say whether the word at ``place`` is the value of the flag before it."""
    return place > 0 and words[place - 1] in VALUED and not words[place].startswith("-")


def check_words(words: Sequence[str]) -> None:
    """Raise ZscError, with the right form, for a flag there is none of, and an option that spaces have split."""
    for place, word in enumerate(words):
        key, equals, value = word.partition("=")
        if word.startswith("-") and not _is_value(words, place):
            _check_flag(word, words[place + 1] if place + 1 < len(words) else "")
        after = list(words[place + 1 :])
        meant = ""
        if not equals and not word.startswith("-") and after and after[0].startswith("="):
            rest = after if after[0] != "=" else after[1:]
            meant = f"{word}={_joined((rest or [''])[0].lstrip('='), rest[1:])}"
        elif equals and key and not value and after and "=" not in after[0] and not after[0].startswith("-"):
            meant = f"{word}{_joined(after[0], after[1:])}"
        elif equals and key and value[:1] in ("[", "{") and _open(value) and (joined := _joined(value, after)) != value:
            meant = f"{key}={joined}"
        if meant:
            raise ZscError(f"{word} is split by a space. Write it as one word: {shlex.quote(meant)}")


def _joined(value: str, after: Sequence[str]) -> str:
    """Return ``value`` and as many of the words ``after`` it as its brackets need to close."""
    words = [value]
    for word in after:
        if not _open("".join(words)):
            break
        words.append(word)
    return "".join(words) if not _open("".join(words)) else value


def _open(text: str) -> bool:
    return text.count("[") + text.count("{") > text.count("]") + text.count("}")


def split_arguments(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return Hydra's flags, each with the value after it, and the overrides.

    Raises ZscError, with the right form, for a word that is neither.
    """
    check_words(words)
    flags: list[str] = []
    overrides: list[str] = []
    for place, word in enumerate(words):
        if word.startswith("-") or _is_value(words, place):
            flags.append(word)
        elif "=" in word or word.startswith("~"):
            overrides.append(word)
        else:
            raise ZscError(f"'{word}' is not of the form key=value.{hint(word)}")
    return flags, overrides


def _check_flag(word: str, following: str) -> None:
    name = word.partition("=")[0]
    if name in REPLACING:
        raise ZscError(f"{name} would replace all options of zsc: --config-dir FOLDER adds yours to them.")
    if name in COMPLETING:
        raise ZscError(f"no flag '{name}': zsc completion bash, zsh or fish prints what completes words.")
    if name not in FLAGS | VALUED:
        value = "" if "=" in following or following.startswith("-") else following
        form = as_option(word, value) or f"{name.lstrip('-')}=VALUE"
        raise ZscError(f"no flag '{name}'. Options are written key=value: {form}")
