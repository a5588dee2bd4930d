"""Wizard of Wikipedia (Dinan et al., 2019) in its official layout, that of ParlAI.

    FOLDER/train.json
    FOLDER/valid_random_split.json and FOLDER/test_random_split.json   topics that train.json has too: seen
    FOLDER/valid_topic_split.json and FOLDER/test_topic_split.json     topics that it has not: unseen

Each file is a list of dialogues between a wizard, who reads Wikipedia passages, and an apprentice. A turn of the wizard
names the sentence it was written from in ``checked_sentence`` and the title of its passage in ``checked_passage``: each
an object of one entry, which is empty or says ``no_passages_used`` where there was none.
"""

import math
import reprlib
from collections.abc import Iterator
from typing import Any, TypeVar

from zsc.data.files import FETCH_AGAIN, dataset_folder, read_json
from zsc.data.record import Record, Turn
from zsc.errors import ZscError, suggestion

SPLITS = {
    "train": "train.json",
    "valid_seen": "valid_random_split.json",
    "valid_unseen": "valid_topic_split.json",
    "test_seen": "test_random_split.json",
    "test_unseen": "test_topic_split.json",
}
FETCH = "Download and unpack http://parl.ai/downloads/wizard_of_wikipedia/wizard_of_wikipedia.tgz."
LARGEST = 10**300  # what a float surely holds
UNUSED = "no_passages_used"
KINDS: dict[type, str] = {str: "a string", float: "a number", list: "a list", dict: "an object"}

T = TypeVar("T")


def load(path: str | None = None, split: str = "test_seen", min_history: int = 1) -> list[Record]:
    """Return one record per turn of the wizard with a checked sentence that follows at least ``min_history`` turns.

    Its knowledge is that sentence; its topic is the title of the passage, or the topic of the dialogue without one.
    """
    if split not in SPLITS:
        raise ZscError(f"dataset.split={split} is not one of {', '.join(SPLITS)}.{suggestion(split, SPLITS)}")
    check_min_history(min_history)
    file = dataset_folder("wizard", path, FETCH) / SPLITS[split]
    dialogues = read_json(file, FETCH)
    if not isinstance(dialogues, list):
        raise ZscError(f"{file}: must be a list of dialogues, got {reprlib.repr(dialogues)}. {FETCH_AGAIN}")
    return [
        record
        for number, dialogue in enumerate(dialogues)
        for record in _records(f"{split}/{number}", dialogue, min_history, f"{file}, dialogue {number}")
    ]


def check_min_history(value: Any) -> None:
    """Raise ZscError unless ``value`` is a whole number of at least 1."""
    if type(value) is not int or value < 1:
        raise ZscError(f"dataset.min_history={value} must be a whole number of at least 1.")


def field(value: Any, name: str, kind: type[T], where: str) -> T:
    """Return a field of a JSON object. Raises ZscError naming ``where`` and the field unless it holds a ``kind``."""
    if not isinstance(value, dict):
        raise ZscError(f"{where}: must be an object with field '{name}', got {reprlib.repr(value)}. {FETCH_AGAIN}")
    found = value.get(name)
    if kind is float and type(found) is int:
        found = found if abs(found) > LARGEST else float(found)
    if not isinstance(found, kind) or (isinstance(found, float) and not math.isfinite(found)):
        got = reprlib.repr(found) if name in value else "nothing"
        raise ZscError(f"{where}: field '{name}' must be {KINDS[kind]}, got {got}. {FETCH_AGAIN}")
    return found


def only_entry(value: Any, name: str, where: str) -> str | None:
    """Return the text of a field that is an object of one entry, or None if it is empty or says none was used."""
    entries = field(value, name, dict, where)
    texts = [" ".join(field(entries, key, str, f"{where}, field '{name}'").split()) for key in entries]
    return texts[0] if texts and texts[0] not in ("", UNUSED) else None


def _records(key: str, dialogue: Any, min_history: int, where: str) -> Iterator[Record]:
    chosen_topic = field(dialogue, "chosen_topic", str, where)
    history: list[Turn] = []
    for number, entry in enumerate(field(dialogue, "dialog", list, where)):
        here = f"{where}, turn {number}"
        turn = Turn(field(entry, "speaker", str, here), " ".join(field(entry, "text", str, here).split()))
        if not turn.text:
            continue
        if "Wizard" in turn.speaker and len(history) >= min_history:
            knowledge = only_entry(entry, "checked_sentence", here)
            if knowledge:
                topic = only_entry(entry, "checked_passage", here) or chosen_topic
                yield Record(f"{key}/{number}", tuple(history), turn.text, knowledge, topic)
        history.append(turn)
