"""Control knobs for language models of encoder and decoder or a decoder alone, applied at generation time."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zsc.data.record import Record, Turn
    from zsc.errors import ZscError
    from zsc.knobs import apply
    from zsc.study.api import dataset, export, knob, run, score, sweep
    from zsc.study.result import Result
    from zsc.study.setting import Setting, load

__version__ = "0.1.0"
__all__ = [
    "Record", "Result", "Setting", "Turn", "ZscError", "apply", "dataset", "export", "knob", "load", "run", "score",
    "sweep",
]  # fmt: skip

PLACES = {
    "zsc.data.record": ("Record", "Turn"),
    "zsc.errors": ("ZscError",),
    "zsc.knobs": ("apply",),
    "zsc.study.api": ("dataset", "export", "knob", "run", "score", "sweep"),
    "zsc.study.result": ("Result",),
    "zsc.study.setting": ("Setting", "load"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: torch takes seconds, and much needs none."""
    for place, names in PLACES.items():
        if name in names:
            return globals().setdefault(name, getattr(import_module(place), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
