"""What the page shows as a command, and as a file that can be chosen as `knob=NAME`."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from zsc.configs import group_files
from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.files import write_atomic
from zsc.generation.cells import writing
from zsc.knobs import KNOBS
from zsc.options import dotted, shown
from zsc.study.options import KnobChoice, KnobOptions

OWN = ("knob", "seed", "seeds", "host", "port", "open", "examples", "output", "format")  # options a page decides itself
FOLDER_FLAG = "--config-dir"
NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
RECORDS = "records.jsonl"


def shared_words(words: Sequence[str]) -> list[str]:
    """Return those of the ``words`` that started the page that a run of what it shows needs as well."""
    return [word for word in words if re.split("[.=]", word, maxsplit=1)[0] not in OWN]


def command(
    words: Sequence[str],
    knobs: Sequence[KnobOptions],
    defaults: Mapping[str, KnobOptions],
    seed: int,
    edited: bool = False,
) -> str:
    """Return the command that runs ``knobs`` with ``seed``, beside shared ``words``.

    Of a knob its dose is said, and what differs from its ``defaults``. An ``edited`` record is in the file RECORDS.
    """
    own = [word for word in words if not (edited and re.match(r"dataset[.=]", word))]
    data = ["dataset=jsonl", f"dataset.path={RECORDS}"] if edited else []
    return shlex.join(["zsc", "run", *own, *data, *knob_words(knobs, defaults), f"seed={seed}"])


def knob_words(knobs: Sequence[KnobOptions], defaults: Mapping[str, KnobOptions]) -> list[str]:
    """Return the options that choose ``knobs``."""
    if not knobs:
        return []
    names = [one.name for one in knobs]
    words = [f"knob={names[0]}" if len(names) == 1 else f"knob=[{','.join(names)}]"]
    for one in knobs:
        prefix = "knob." if len(names) == 1 else f"knob.{one.name}."
        dose = KNOBS[one.name].dose
        before = dotted(defaults[one.name].values)
        for key, value in dotted(one.values).items():
            if (dose and key == dose.field) or key not in before or before[key] != value:
                words.append(f"{prefix}{key}={_written(value)}")
    return words


def _written(value: Any) -> str:
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return shown(value).replace(" ", "") if isinstance(value, list | tuple) else shown(value)


def record_line(record: Record) -> str:
    """Return ``record`` as a line of the file that a command reads it from."""
    return json.dumps(record.to_json(), ensure_ascii=False) + "\n"


def save_setting(
    name: str, knobs: Sequence[KnobOptions], setting: str, words: Sequence[str], seed: int, folder: Path
) -> tuple[Path, str]:
    """Write ``knobs``, called ``setting`` in tables, as an option NAME of the group knob in a ``folder`` of one's own.

    That is the one that shared ``words`` name, if they do. Return the file, and the command that uses it. Raises
    ZscError for a name that cannot be one or that comes with zsc, and where there is nothing to save.
    """
    if not knobs:
        raise ZscError("no knob is on: there is no setting to save.")
    if not NAME.fullmatch(name):
        raise ZscError(f"'{name}' cannot name a setting: use letters, digits and _, such as strong_knowledge.")
    if name in group_files("knob"):
        raise ZscError(f"'{name}' is the name of a knob that comes with zsc: choose another.")
    others = list(words)
    if FOLDER_FLAG in others:
        place = others.index(FOLDER_FLAG)
        folder = Path(others[place + 1])
        del others[place : place + 2]
    use = shlex.join(["zsc", "run", *others, f"knob={name}", f"seed={seed}", FOLDER_FLAG, str(folder)])
    head = f"# {' '.join(setting.split())}, saved by zsc play.\n# {use}\n"
    values = yaml.safe_dump(KnobChoice(tuple(knobs)).to_mapping(), sort_keys=False, allow_unicode=True, width=10**6)
    file = folder / "knob" / f"{name}.yaml"
    with writing(folder):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, head + values)
    return file, use
