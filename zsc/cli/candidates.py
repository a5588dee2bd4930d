"""What a word of a command line may become, by the configs: nothing heavy is imported."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from zsc.cli.flags import FLAGS, NAMELESS, VALUED
from zsc.cli.groups import FOLDER_FLAGS, GROUPS, group_options
from zsc.cli.help import ALIASES, COMMANDS, Option, options_in, options_of
from zsc.configs import CONFIGS, PACKAGE

SHELLS = ("bash", "zsh", "fish")
FILES = re.compile(  # options whose value is a path
    r"(dataset\.(path|source|target)|objective\.(text|heldout)|(model|other|objective)\.checkpoint|model|output|cells"
    r"|save|trained|answers|file|folder|runs?|topic|(knob\.(\w+\.)?)phrases|--config-dir|-cd)=.*"
)
BY_OTHERS = {"knob=several", "model=checkpoint"}  # what other words stand for
INNER = ("loader", "form", "knob.name", "launcher.name", "log.name", "task.name", "fits")  # no options of a user's


def candidates(words: Sequence[str]) -> Iterator[str]:
    """Yield what the last of ``words``, those behind `zsc`, may become."""
    *before, word = words or [""]
    offered: Iterable[str]
    if not before or before == ["help"]:
        offered = [*COMMANDS, *([] if before else ALIASES)]
    elif before[-1] in VALUED and not word.startswith("-"):
        offered = [path for path in files(word) if path.endswith("/")] if before[-1] in FOLDER_FLAGS else []
    elif word.startswith("-"):
        offered = ["--help"] if before[0] not in GROUPS else sorted(FLAGS | VALUED)
    elif "=" in word:
        offered = values(before[0], before[1:], word)
    else:
        offered = [*nameless(before[0], before[1:], word), *keys(before[0], before[1:], word)]
    return (one for one in offered if one.startswith(word))


def nameless(command: str, before: Sequence[str], word: str) -> list[str]:
    """Return what may stand without the name of an option."""
    key = NAMELESS.get(command)
    if key is None or (key != "runs" and any("=" not in one and not one.startswith("-") for one in before)):
        return []
    if key in ("dataset", "table"):
        return group_options(key)
    if key == "shell":
        return [*SHELLS]
    runs = [path.parent for path in Path("runs").glob("*/manifest.json")] if key in ("run", "runs") else []
    if command == "show" and "/" not in word:
        return ["last", *(path.name for path in runs)]
    found = ["last"] * bool(runs) + [*map(str, runs)]
    others = files(word) if word or key in ("file", "folder") or not runs else []
    return [*found, *(path for path in others if path.rstrip("/") not in found)]


def keys(command: str, before: Sequence[str], word: str) -> Iterator[str]:
    """Yield the options that a command takes, up to the next dot, without those that are given."""
    names = [option.name for option in known(command, before)]
    above = {name.rpartition(".")[0] for name in names} - {*GROUPS.get(command, ())}
    given = {one.partition("=")[0] for one in before} | above
    for name in names:
        if name not in given:
            more = name.find(".", len(word))
            yield f"{name}=" if more < 0 else name[: more + 1]


def values(command: str, before: Sequence[str], word: str) -> Iterator[str]:
    """Yield ``word``, an option with a value that was begun, as it may go on."""
    key, _, value = word.partition("=")
    head = word[: len(word) - len(re.split(r"[\[,]", value)[-1])]
    if key in GROUPS.get(command, ()) or (command in ("work", "plan") and key == "table"):
        listed = {*re.split(r"[\[\],=]", head)} | ({"none"} if "[" in head else set())
        own = [name for name in group_options(key) if f"{key}={name}" not in BY_OTHERS and name not in listed]
        yield from (f"{head}{name}" for name in own)
    for option in known(command, before):
        if option.name == key:
            yield from (f"{head}{name}" for name in choices(option))
    if key.endswith("phrases") or key == "topic":
        yield from (f"{head}{path.stem}" for path in sorted((PACKAGE / "data" / "phrases").glob("*.txt")))
    if FILES.fullmatch(word):
        yield from (f"{head}{path}" for path in files(word.removeprefix(head)))


def choices(option: Option) -> list[str]:
    """Return the values that an option is said to take."""
    if option.value in ("true", "false"):
        return ["true", "false"]
    parts = option.says.partition(";")[0].split(" | ")
    return [part.partition(":")[0] for part in parts if len(parts) > 1 and re.fullmatch(r"[a-z_\d]+(:.*)?", part)]


def known(command: str, before: Sequence[str]) -> Iterator[Option]:
    """Yield the options of a command, those of what is chosen ``before`` in each group among them."""
    if command not in COMMANDS:
        return
    text = (CONFIGS / f"{command}.yaml").read_text(encoding="utf-8")
    bases = re.findall(r"^  - (run)$", text, re.MULTILINE)
    for option in [one for name in [command, *bases] for one in options_of(name)]:
        yield option
        if option.name in GROUPS.get(command, ()):
            chosen = [one.partition("=")[2] for one in before if one.startswith(f"{option.name}=")]
            yield from of_group(option.name, re.split(r"[\[\],]+", chosen[-1] if chosen else option.value))


def of_group(group: str, names: Sequence[str]) -> Iterator[Option]:
    """Yield the options of the configs ``names`` in a group, of all where those are none of its options."""
    there = group_options(group)
    wanted = [name for name in names if name in there and name not in ("none", "auto", "several")]
    for name in wanted or there:
        text = (CONFIGS / group / f"{name}.yaml").read_text(encoding="utf-8")
        inside = f"{group}.{name}" if group == "knob" and len(wanted) > 1 else group
        for base in re.findall(r"^  - (\w+)$", text, re.MULTILINE):
            yield from of_group(group, [base]) if base in there else ()
        for option in options_in(text):
            full = option.name if group == "task" else f"{inside}.{option.name}"
            if full.startswith(f"{group}.") and not {option.name.partition(".")[0], full} & {*INNER}:
                yield option._replace(name=full)


def files(begun: str) -> list[str]:
    """Return the paths that begin so, folders with a slash."""
    folder = Path(begun[: begun.rfind("/") + 1] or ".").expanduser()
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith(".") or "/." in f"/{begun}")
    except OSError:
        return []
    return [f"{begun[: begun.rfind('/') + 1]}{path.name}{'/' if path.is_dir() else ''}" for path in found]
