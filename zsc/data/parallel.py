"""Sentences and their translations: two text files line by line, a TSV file of two columns, or a translation memory."""

from collections.abc import Sequence
from pathlib import Path

from zsc.data import tmx
from zsc.data.aligned import read_aligned, read_lines
from zsc.data.files import PACKED
from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.terminal import say

HOW = (
    "dataset parallel needs dataset.source=FILE, and dataset.target=FILE where there are translations, or both in"
    " dataset.path=FILE: .tsv or .tmx."
)

Pair = tuple[str, Sequence[str]]  # a source and its translations


def load(
    path: str | None = None,
    source: str | None = None,
    target: str | None = None,
    source_language: str | None = None,
    target_language: str | None = None,
) -> list[Record]:
    """Return one record per pair, with the sentence to translate as the field ``source``; ids are the numbers of lines,
    or of units.

    The languages choose in a translation memory; other files have one pair. Pairs without a source are left out, which
    is said on stderr; an empty translation is none.
    """
    if (path is None) == (source is None) or (path is not None and target is not None):
        raise ZscError(HOW)
    file = Path(str(path if source is None else source))
    kind = Path(file.stem).suffix.lower() if file.suffix.lower() in PACKED else file.suffix.lower()
    memory = path is not None and kind == ".tmx"
    if not memory and (source_language or target_language):
        raise ZscError(f"dataset.source_language and target_language choose in a .tmx file; {file} has one pair.")
    if memory:
        pairs: list[Pair] = [*tmx.read_pairs(file, source_language, target_language)]
    elif source is not None:
        files = [file] if target is None else [file, Path(str(target))]
        pairs = [(line[0], line[1:]) for line in read_aligned(files)]
    elif kind == ".tsv":
        pairs = _tabbed(file)
    else:
        raise ZscError(f"{file}: cannot read {kind or 'a file without suffix'}. {HOW}")
    return _records(pairs, file)


def _tabbed(file: Path) -> list[Pair]:
    pairs: list[Pair] = []
    for number, line in enumerate(read_lines(file), start=1):
        first, *others = line.split("\t")
        if line.strip() and len(others) != 1:
            raise ZscError(
                f"{file}, line {number}: must be a sentence, a tab and its translation, got {len(others) + 1} fields."
                " A file with other columns and a header is read by dataset=table."
            )
        pairs.append((first, others))
    return pairs


def _records(pairs: Sequence[Pair], file: Path) -> list[Record]:
    records = []
    for number, (source, translations) in enumerate(pairs, start=1):
        text = " ".join(source.split())
        accepted = tuple(dict.fromkeys(one for one in (" ".join(other.split()) for other in translations) if one))
        if text:
            reference = accepted[0] if accepted else None
            several = accepted if len(accepted) > 1 else ()
            records.append(Record(str(number), (), reference, fields={"source": text}, references=several))
    if lacking := len(pairs) - len(records):
        say(f"{file}: {lacking:,} of {len(pairs):,} pairs have no source, and are left out.")
    return records
