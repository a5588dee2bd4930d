"""The words of a command line: what is a flag, what a setting, and values that Hydra would read otherwise than meant.

A setting that holds a path, a name or a free text takes its value as it stands, whatever characters are in it. Without
``-m`` a comma is one of them; with ``-m`` commas separate values, unless the whole names something that exists. Lists
of such values are lists for knobs and tasks alone. ``null``, ``${...}`` and values in quotes stay as in Hydra.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from zsc.cli.options import RUN_GROUPS, group_options
from zsc.errors import ZscError, suggestion

MULTIRUN = ("-m", "--multirun")
FLAGS = {*MULTIRUN, "-r", "--run", "--resolve", "--hydra-help", "--shell-completion", "-sc", "-h", "--help"}
VALUED = {"--cfg", "-c", "--package", "-p", "--info", "-i", "--config-dir", "-cd"}  # flags with a value after them
REPLACING = {"--config-path", "-cp", "--config-name", "-cn"}
FREE = re.compile(  # settings that hold a path, a name or a free text
    r"(model|other|task|knob(\.\w+)*\.other)\.(checkpoint|decoder)|dataset\.(path|name|split|revision|columns\.\w+)"
    r"|cells|output|topic|save|trained|judges\.\w+|task\.(text|heldout|language_model)"
    r"|knob(\.\w+)?\.(phrases|profile|start|end)"
)
LISTED = re.compile(r"(knob|task)\..*")  # those of them that may be lists
PLAIN = re.compile(r"(\.{0,2}/)*[A-Za-z_][\w./-]*|\.{1,2}/?", re.ASCII)
RESERVED = {"true", "false", "null", "nan", "inf"}
SWEEP = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag)\(.*\)", re.DOTALL)
QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
ITEM = re.compile(rf"\s*({QUOTED.pattern}|[^,]*?)\s*(?:,|$)", re.DOTALL)


def literal(override: str, multirun: bool) -> str:
    """Return ``override`` with the value quoted for Hydra where its setting takes it as it stands."""
    key, equals, value = override.partition("=")
    if not equals or not FREE.fullmatch(key.lstrip("+")):
        return override
    return f"{key}={_literal(value, multirun, bool(LISTED.match(key.lstrip('+'))))}"


def _literal(value: str, multirun: bool, may_be_list: bool) -> str:
    if not value or PLAIN.fullmatch(value) or value.lower() == "null" or "${" in value:
        return quoted(value) if value.lower() in RESERVED - {"null"} else value
    if exists(value):
        return quoted(value)
    if may_be_list and value.startswith("[") and value.endswith("]"):
        inner = value[1:-1]
        return value if re.search(r"[\[{]", inner) else f"[{','.join(map(_item, listed(inner)))}]"
    if multirun and SWEEP.fullmatch(value):
        return value
    return ",".join(map(_item, listed(value))) if multirun else _item(value)


def _item(value: str) -> str:
    """Return one value, quoted unless it is so already or needs no quotes."""
    plain = PLAIN.fullmatch(value) and value.lower() not in RESERVED
    return value if plain or value.lower() == "null" or QUOTED.fullmatch(value) else quoted(at_home(value))


def quoted(text: str) -> str:
    """Return ``text`` in the quotes of Hydra's grammar."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text, Quote.single).with_quotes()


def unquoted(text: str) -> str:
    """Return what a value in quotes stands for, and any other as it is."""
    if not QUOTED.fullmatch(text):
        return text
    return re.sub(rf"(\\+)(?={text[0]}|$)", lambda match: match[1][: len(match[1]) // 2], text[1:-1])


def listed(text: str) -> list[str]:
    """Return the parts of ``text`` between commas that stand outside of quotes."""
    items = [match[1] for match in ITEM.finditer(text)]
    return items if text.rstrip().endswith(",") or len(items) < 2 else items[:-1]  # an empty match ends every text


def at_home(value: str) -> str:
    """Return a path below ``~`` as one that can be opened, as the shell does for a word that begins so."""
    return str(Path(value).expanduser()) if value.startswith("~/") and not exists(value) else value


def exists(value: str) -> bool:
    """Say whether ``value`` names a file or folder."""
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # too long a name, or one that cannot be
        return False


def as_setting(word: str, flag_value: str = "") -> str:
    """Return how to write a bare ``word`` as a setting, or an empty text."""
    key, equals, value = word.lstrip("-").partition("=")
    if equals or flag_value:
        return shlex.quote(f"{key}={value if equals else flag_value}")
    for group in (*RUN_GROUPS, "task", "table"):
        if key in group_options(group):
            return f"{group}={key}"
    return ""


def is_path(word: str) -> bool:
    """Say whether ``word`` is a path rather than a setting, which a path that holds ``=`` can be if it is there."""
    return "=" not in word or exists(word)


def unknown_setting(command: str, word: str, known: Iterable[str]) -> str:
    """Return what is wrong with ``word``, which is no setting of ``command``, and what the ``known`` ones are."""
    key = word.partition("=")[0]
    return f"no setting '{key}' of zsc {command}.{suggestion(key, known)} Known: {', '.join(known)}."


def check_no_flags(words: Sequence[str]) -> None:
    """Raise ZscError, with the right form, for what looks like an option of a command that has none."""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word.startswith("-") and not exists(word):
            raise ZscError(_no_option(word, following))


def bare_word(words: Sequence[str]) -> int | None:
    """Return the place of the first word that is neither a setting nor a flag or its value."""
    for place, word in enumerate(words):
        after_flag = place > 0 and words[place - 1] in VALUED
        if not after_flag and "=" not in word and not word.startswith(("-", "~")):
            return place
    return None


def check_words(words: Sequence[str]) -> None:
    """Raise ZscError, with the right form, for a setting that spaces have split into several words."""
    for place, word in enumerate(words):
        key, equals, value = word.partition("=")
        after = list(words[place + 1 :])
        meant = ""
        if not equals and not word.startswith("-") and after and after[0].startswith("="):
            rest = after if after[0] != "=" else after[1:]
            meant = f"{word}={_whole((rest or [''])[0].lstrip('='), rest[1:])}"
        elif equals and key and not value and after and "=" not in after[0] and not after[0].startswith("-"):
            meant = f"{word}{_whole(after[0], after[1:])}"
        elif equals and key and value[:1] in ("[", "{") and _open(value) and (whole := _whole(value, after)) != value:
            meant = f"{key}={whole}"
        if meant:
            raise ZscError(f"{word} is split by a space. Write it as one word: {shlex.quote(meant)}")


def _whole(value: str, after: Sequence[str]) -> str:
    """Return ``value`` and as many of the words ``after`` it as its brackets need to close."""
    words = [value]
    for word in after:
        if not _open("".join(words)):
            break
        words.append(word)
    return "".join(words) if not _open("".join(words)) else value


def _open(text: str) -> bool:
    return text.count("[") + text.count("{") > text.count("]") + text.count("}")


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return Hydra's flags, each with the value after it, and the overrides.

    Raises ZscError, with the right form, for a word that is neither.
    """
    check_words(words)
    flags: list[str] = []
    overrides: list[str] = []
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else ""
        name = word.partition("=")[0]
        if flags and place > 0 and words[place - 1] == flags[-1] and flags[-1] in VALUED and not word.startswith("-"):
            flags.append(word)
        elif word.startswith("-"):
            _check_flag(name, word, following)
            flags.append(word)
        elif "=" in word or word.startswith("~"):
            overrides.append(word)
        else:
            raise ZscError(f"'{word}' is not of the form key=value.{_hint(word)}")
    return flags, overrides


def _check_flag(name: str, word: str, following: str) -> None:
    if name in FLAGS | VALUED:
        return
    if name in REPLACING:
        raise ZscError(f"{name} would replace all settings of zsc: --config-dir FOLDER adds yours to them.")
    raise ZscError(_no_option(word, following))


def _no_option(word: str, following: str) -> str:
    name = word.partition("=")[0]
    value = "" if "=" in following or following.startswith("-") else following
    form = as_setting(word, value) or f"{name.lstrip('-')}=VALUE"
    return f"no option '{name}'. Settings are written key=value: {form}"


def _hint(word: str) -> str:
    if form := as_setting(word):
        return f" Write {form}."
    if exists(word):
        return f" {file_hint(word)}"
    return ""


def file_hint(word: str) -> str:
    """Say how a file or a folder of the user's is given."""
    if Path(word).is_dir():
        path, model = shlex.quote(f"dataset.path={word}"), shlex.quote(f"model={word}")
        return f"A folder of a dataset is given as dataset=NAME {path}, that of a model as {model}."
    return f"A file of your own is given as dataset=table {shlex.quote(f'dataset.path={word}')}."


def unknown_dataset(value: str) -> str:
    """Return a hint for a ``dataset=`` that seems to be a path; an empty text for any other."""
    return file_hint(value) if exists(value) or re.search(r"[/\\]|\.\w{2,7}$", value) else ""
