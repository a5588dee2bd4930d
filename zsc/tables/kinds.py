"""What the knobs of a stored run say of themselves; importing them takes seconds, so that only a report does it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zsc.knobs import Dose


def dose_of(name: str) -> "Dose | None":
    """Return the dose of the knob called ``name``, None for one without a dose or not known here."""
    from zsc.knobs import KNOBS

    return KNOBS[name].dose if name in KNOBS else None


def naming_of(name: str) -> tuple[str, ...]:
    """Return the fields that name the series of the knob called ``name``."""
    from zsc.knobs import KNOBS

    return KNOBS[name].naming if name in KNOBS else ()


def moved_by(values: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the metrics that the knob with ``values`` is meant to move, the most telling first.

    Those of the use of the knowledge stand for a knob that says nothing or is not known here, and for no knob.
    """
    from zsc.knobs import KNOBS
    from zsc.knobs.base import USE_OF_KNOWLEDGE

    known = KNOBS.get(values["knob"]) if values else None
    return (known.moves(values) if known and values else ()) or USE_OF_KNOWLEDGE
