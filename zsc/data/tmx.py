"""Translation memories (TMX 1.4): translation units, each of one text in several languages.

Nothing beside the file is read, and entities that it declares are refused: a text of a few lines could otherwise grow
to gigabytes, or hold other files of the machine.
"""

from pathlib import Path
from xml.parsers import expat

from zsc.data.files import AGAIN, read_unpacked
from zsc.errors import ZscError, suggestion

CODES = {"bpt", "ept", "ph", "it", "ut"}  # elements in a text that hold codes of its layout, not words

Unit = list[tuple[str, str]]  # languages and texts


def read_pairs(file: Path, source: str | None, target: str | None) -> list[tuple[str, list[str]]]:
    """Return the text in the language ``source`` of each unit of ``file``, and its translations into ``target``.

    A language takes its regional ones too, as ``en`` does ``en-GB``. A unit that lacks one of the two has no text or no
    translations; of several texts in the source language the first is taken [D]. Raises ZscError for what is no TMX,
    and for a language that no unit has.
    """
    units = read_units(file)
    languages = dict.fromkeys(language for unit in units for language, _ in unit)
    for option, wanted in (("source_language", source), ("target_language", target)):
        if wanted is None or not any(is_of(language, wanted) for language in languages):
            named = f"dataset.{option}={'null' if wanted is None else wanted}"
            known = f"{suggestion(wanted or '', languages)} It has: {', '.join(languages) or 'none'}."
            raise ZscError(f"{named} names no language of {file}.{known}")
    return [(next(iter(_texts(unit, str(source))), ""), _texts(unit, str(target))) for unit in units]


def _texts(unit: Unit, wanted: str) -> list[str]:
    return [text for language, text in unit if text.strip() and is_of(language, wanted)]


def is_of(language: str, wanted: str) -> bool:
    """Say whether the language of a text is the ``wanted`` one, or a regional one of it."""
    own, other = (name.replace("_", "-").lower() for name in (language, wanted))
    return f"{own}-".startswith(f"{other}-")


def read_units(file: Path) -> list[Unit]:
    """Return the translation units of ``file``. Raises ZscError, naming the line, for what is no TMX."""
    reader = _Reader(file)
    try:
        reader.parser.Parse(read_unpacked(file), True)
    except expat.ExpatError as error:
        raise ZscError(
            f"{file}, line {error.lineno}: no whole XML ({expat.ErrorString(error.code)}). {AGAIN}"
        ) from None
    return reader.units


class _Reader:
    """Collects the units of a file while its parser goes through it."""

    def __init__(self, file: Path):
        self.file = file
        self.units: list[Unit] = []
        self.language = ""
        self.pieces: list[str] | None = None  # of the text that is being read
        self.codes = 0  # elements of CODES that are open
        self.started = False
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.EntityDeclHandler = self.entity
        self.parser.SkippedEntityHandler = self.entity

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self.started and name != "tmx":
            raise self.fault(f"no TMX, since it begins with <{name}>")
        self.started = True
        if name == "tu":
            self.units.append([])
        elif name == "tuv":
            self.language = attributes.get("xml:lang") or attributes.get("lang") or ""
            if not self.language or not self.units:
                raise self.fault("a <tuv> without xml:lang" if self.units else "a <tuv> outside of <tu>")
        elif name == "seg":
            self.pieces = []
        self.codes += name in CODES

    def end(self, name: str) -> None:
        if name == "seg" and self.units and self.pieces is not None:
            self.units[-1].append((self.language, "".join(self.pieces)))
            self.pieces = None
        self.codes -= name in CODES

    def text(self, text: str) -> None:
        if self.pieces is not None and not self.codes:
            self.pieces.append(text)

    def entity(self, name: str, *_: object) -> None:
        raise self.fault(f"it declares or uses an entity of its own, &{name};, which is not read")

    def fault(self, what: str) -> ZscError:
        return ZscError(f"{self.file}, line {self.parser.CurrentLineNumber}: {what}. {AGAIN}")
