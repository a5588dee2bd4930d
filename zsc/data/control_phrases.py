"""Control phrases, one per line: sets that come with the package, or a file of one's own."""

from pathlib import Path

from zsc.data.files import read_text
from zsc.errors import ZscError, suggestion

FOLDER = Path(__file__).parent / "phrases"


def phrase_sets() -> list[str]:
    """Return the names of the sets that come with the package, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.txt"))


def load_phrases(name: str) -> list[str]:
    """Return the phrases of a set or of a text file, without empty lines. Raises ZscError if there are none."""
    file = FOLDER / f"{name}.txt" if name in phrase_sets() else Path(name)
    try:
        lines = [line.strip() for line in read_text(file).splitlines()]
    except ZscError as error:
        raise ZscError(
            f"phrases '{name}' are neither a set nor a text file that can be read: {error}"
            f"{suggestion(name, phrase_sets())} Sets: {', '.join(phrase_sets())}."
        ) from error
    if not (phrases := [line for line in lines if line]):
        raise ZscError(f"{file} holds no phrase: write one per line.")
    return phrases
