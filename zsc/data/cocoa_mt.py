"""CoCoA-MT (Nadejde et al., 2022): sentences with a formal and an informal translation, and what makes them so marked.

    FOLDER/SPLIT/SOURCE-TARGET/formality-control.SPLIT.DOMAIN.SOURCE-TARGET[.SOURCE]
                                                                   ....REGISTER[.annotated][.TARGET]

The ending in brackets, the language, is there in some parts of the dataset alone, and the pair in a file's name may be
more exact than that of its folder (``en-ptpt`` in ``en-pt``). Lines belong together. Annotated translations have marks
around phrases of their register: ``[F]Sie[/F]``. There are also translations as a woman would be spoken to
(``feminine``), which are not read.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from zsc.data.aligned import read_aligned
from zsc.data.files import FETCH_AGAIN, dataset_folder
from zsc.data.record import Record
from zsc.errors import ZscError, suggestion

FETCH = "Clone https://github.com/amazon-science/contrastive-controlled-mt."
INNER = "CoCoA-MT"  # the folder of the dataset in that repository

Register = Literal["formal", "informal"]
REGISTERS = get_args(Register)


def load(
    path: str | None = None,
    split: str = "test",
    source_language: str = "en",
    target_language: str = "de",
    domains: tuple[str, ...] | None = None,
    register: Register = "formal",
) -> list[Record]:
    """Return one record per sentence of the ``domains``, of all where none are given.

    The sentence is the field ``source``, the domain the topic, and the translation in the ``register`` that is asked
    for the reference. Both translations are there with their marks: ``formal_annotated``, ``informal_annotated``.
    """
    if register not in REGISTERS:
        raise ZscError(
            f"dataset.register={register} is not one of {', '.join(REGISTERS)}.{suggestion(str(register), REGISTERS)}"
        )
    folder = dataset_folder("cocoa_mt", path, FETCH)
    folder = folder / INNER if (folder / INNER).is_dir() else folder
    pairs = _inner(folder, split, "split")
    pair = _inner(pairs, f"{source_language}-{target_language}", "target_language")
    found = sorted({match[1] for file in pair.iterdir() if (match := re.match(_beginning(split), file.name))})
    for domain in domains or ():
        if domain not in found:
            raise ZscError(f"dataset.domains: no {domain} in {pair}.{suggestion(domain, found)} It has: {_all(found)}.")
    return [
        record
        for domain in found
        if domains is None or domain in domains
        for record in _records(pair, split, domain, (source_language, target_language), register)
    ]


def _inner(folder: Path, name: str, option: str) -> Path:
    """Return a folder in ``folder``. Raises ZscError with those that are there."""
    if not (folder / name).is_dir():
        names = sorted(one.name for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
        raise ZscError(
            f"dataset.{option}: no folder {name} in {folder}.{suggestion(name, names)} It has: {_all(names)}. {FETCH}"
        )
    return folder / name


def _all(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _beginning(split: str, domain: str = r"[^.]+") -> str:
    """Return what matches how names of files begin, with the domain as the first group."""
    return rf"formality-control\.{re.escape(split)}\.({domain})\.[^.]+"


def _records(folder: Path, split: str, domain: str, languages: tuple[str, str], register: str) -> list[Record]:
    files = _files(folder, split, domain, languages)
    wanted = ((), (register,), *((one, "annotated") for one in REGISTERS))
    for kind in wanted:
        if kind not in files:
            raise ZscError(f"{folder}: no file of {'.'.join((split, domain, *kind))}. {FETCH_AGAIN}")
    texts = [tuple(" ".join(text.split()) for text in line) for line in read_aligned([files[kind] for kind in wanted])]
    return [
        Record(
            f"{domain}/{number}",
            (),
            reference or None,
            topic=domain.replace("_", " "),
            fields={"source": source, "formal_annotated": formal, "informal_annotated": informal},
        )
        for number, (source, reference, formal, informal) in enumerate(texts, start=1)
        if source
    ]


def _files(folder: Path, split: str, domain: str, languages: tuple[str, str]) -> dict[tuple[str, ...], Path]:
    """Return the files of a domain by what their names say beyond its pair, languages left out: nothing for the
    sentences, else the register and so on."""
    found = {}
    for file in sorted(folder.iterdir()):
        if match := re.match(_beginning(split, re.escape(domain)), file.name):
            parts = file.name[match.end() :].split(".")[1:]
            found[tuple(part for part in parts if part not in languages)] = file
    return found
