"""WoW++ (Eric et al., 2021): Wizard of Wikipedia test dialogues with annotated knowledge sentences.

    FOLDER/wow++/full_test_SPLIT_augmented_wow.json   or FOLDER/full_test_SPLIT_augmented_wow.json

A file maps dialogue ids to objects. ``turns`` are texts without speakers. ``gold_sentence`` is what the wizard chose to
write from, an object of one entry as in :mod:`zsc.data.wizard`; the random split lacks it. Each of
``annotated_sentences`` has a ``label``, which is an article, SEPARATOR and a sentence, and as its ``confidence`` the
share of annotators who picked it.

The dialogues are cut before the wizard's answer, for which the sentences were chosen and which the files do not hold:
records have no reference.
"""

import reprlib
from typing import Any

from zsc.data.files import FETCH_AGAIN, dataset_folder, read_json
from zsc.data.record import Record, Turn
from zsc.data.wizard import field, only_entry
from zsc.errors import ZscError, suggestion

SPLITS = {"topic": ("topic",), "random": ("random",), "all": ("topic", "random")}
FETCH = "Clone https://github.com/alexa/wow-plus-plus."
SEPARATOR = "<knowledge_separator>"
SPEAKERS = ("Human", "Assistant")  # of the last turn and the one before, as far as the files say who started


def load(path: str | None = None, split: str = "all") -> list[Record]:
    """Return one record per dialogue, with all of its turns as history.

    The knowledge is the gold sentence. Dialogues without one (all of the random split, and those where the wizard used
    none) take the annotated sentence of highest confidence, the first one among equals [D].
    """
    if split not in SPLITS:
        raise ZscError(f"dataset.split={split} is not one of {', '.join(SPLITS)}.{suggestion(split, SPLITS)}")
    folder = dataset_folder("wow_plus_plus", path, FETCH)
    folder = folder / "wow++" if (folder / "wow++").is_dir() else folder
    records = []
    for part in SPLITS[split]:
        file = folder / f"full_test_{part}_augmented_wow.json"
        dialogues = read_json(file, FETCH)
        if not isinstance(dialogues, dict):
            raise ZscError(f"{file}: must be an object of dialogues, got {reprlib.repr(dialogues)}. {FETCH_AGAIN}")
        records += [_record(f"{part}/{key}", value, f"{file}, dialogue {key}") for key, value in dialogues.items()]
    return records


def _record(key: str, dialogue: Any, where: str) -> Record:
    texts = field(dialogue, "turns", list, where)
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ZscError(
            f"{where}: field 'turns' must be a list of one or more non-empty strings, got {reprlib.repr(texts)}."
            f" {FETCH_AGAIN}"
        )
    turns = [Turn(SPEAKERS[(len(texts) - 1 - i) % 2], " ".join(text.split())) for i, text in enumerate(texts)]
    return Record(key, tuple(turns), None, _knowledge(dialogue, where), field(dialogue, "topic", str, where))


def _knowledge(dialogue: dict[str, Any], where: str) -> str:
    gold = only_entry(dialogue, "gold_sentence", where) if "gold_sentence" in dialogue else None
    if gold:
        return gold
    sentences = []
    for number, note in enumerate(field(dialogue, "annotated_sentences", list, where)):
        here = f"{where}, annotated sentence {number}"
        sentence = field(note, "label", str, here).rpartition(SEPARATOR)[2]
        sentences.append((field(note, "confidence", float, here), " ".join(sentence.split())))
    if not sentences:
        raise ZscError(f"{where}: field 'annotated_sentences' is empty, and there is no gold sentence. {FETCH_AGAIN}")
    return max(sentences, key=lambda sentence: sentence[0])[1]
