"""Plain text for denoising pre-training: documents and their sentences."""

import lzma
import re
from collections.abc import Iterator
from pathlib import Path

from zsc.data.files import guarded
from zsc.errors import ZscError

SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9<])|(?<=\S)\s+(?=<speaker\d>)")


def check_text(path: Path) -> Path:
    """Return ``path``. Raises ZscError unless it is a file."""
    if not path.is_file():
        raise ZscError(f"text file not found: {path}. Give a plain text file, one document per line.")
    return path


def read_documents(path: Path) -> Iterator[str]:
    """Yield one document per non-empty line of a UTF-8 text file (``.xz`` is read as it is).

    Raises ZscError for what is no such file.
    """
    opened = lzma.open if path.suffix == ".xz" else open
    with (
        guarded(str(path), "Give UTF-8 text, one document per line.", also=(lzma.LZMAError, EOFError)),
        opened(path, "rt", encoding="utf-8") as lines,
    ):
        for line in lines:
            if document := line.strip():
                yield document


def split_sentences(text: str) -> list[str]:
    """Split at sentence punctuation followed by a capital, and before speaker tokens."""
    sentences, start = [], 0
    for match in SENTENCE_END.finditer(text):
        end = match.start() + len(match.group().rstrip())
        sentences.append(text[start:end])
        start = match.end()
    sentences.append(text[start:])
    return [sentence for sentence in sentences if sentence]
