"""`parlor`, the evaluation set that ships with the package (see zsc/data/parlor/README.md)."""

from pathlib import Path

from zsc.data import jsonl
from zsc.data.record import Record

PARLOR = Path(__file__).parent / "parlor" / "parlor.jsonl"


def load_parlor() -> list[Record]:
    """Return the 240 examples of `parlor`, 30 for each of Topical-Chat's eight topics."""
    return jsonl.load(str(PARLOR))
