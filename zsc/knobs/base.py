"""What a knob is: a frozen dataclass of its options that acts on a model, and says of itself what others need to know.

Whatever searches, tables, draws, checks or measures knobs asks these attributes; nothing knows a knob by its name.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

from transformers import PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.additions import Additions
from zsc.knobs.steering import steered

USE_OF_KNOWLEDGE = ("knowledge_precision", "knowledge_rouge1")  # metrics of it, the most telling first


@dataclass(frozen=True)
class Dose:
    """The option ``field`` of a knob that says how much it does: a number from ``least`` to ``most``.

    At ``neutral`` the knob changes nothing. A search goes from ``weakest`` to ``strongest``, in equal ratios where
    ``geometric``, else in equal steps.
    """

    field: str
    neutral: float
    weakest: float
    strongest: float
    geometric: bool
    least: float = 0.0
    most: float = inf

    def searchable(self, value: float) -> bool:
        """Say whether a search may begin or end at ``value``."""
        return self.least <= value <= self.most and (value > 0 or not self.geometric)

    @property
    def search_range(self) -> str:
        """Where a search may begin and end, in words."""
        least = "above 0" if self.geometric and self.least <= 0 else f"from {self.least:g}"
        return f"a number {least}" + ("" if self.most == inf else f" to {self.most:g}")


class Knob(ABC):
    """A knob. Subclasses are frozen dataclasses whose fields are its options; ``str(knob)`` names its setting in
    tables.

    A field called ``tokenizer`` is given the model's, ``phrases`` the lines of the set or file that a config names,
    with the set's name in ``label``, and ``other`` another model.
    """

    dose: ClassVar[Dose | None] = None
    lists: ClassVar[frozenset[str]] = frozenset()  # fields whose values are lists
    naming: ClassVar[tuple[str, ...]] = ()  # fields that name a curve over doses, even where all curves share them
    tried: ClassVar[tuple[Mapping[str, Any], ...]] = ()  # values that look at decoding steps in ways of their own
    precedence: ClassVar[int] = 0  # higher ones are applied first: for those that replace weights others read

    @classmethod
    def moves(cls, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the metrics that a knob with ``values`` is meant to move, the most telling first."""
        return ()

    @classmethod
    def needs_other(cls, values: Mapping[str, Any]) -> bool:
        """Say whether a knob whose fields have ``values`` needs another model, in its field ``other``."""
        return "other" in cls.__dataclass_fields__  # type: ignore[attr-defined]

    @property
    @abstractmethod
    def neutral(self) -> bool:
        """Whether its fields are meant to change nothing."""

    @property
    def weights_alone(self) -> bool:
        """Whether it changes weights of the model and nothing else, which no step with a cache can lose."""
        return False

    @classmethod
    def attention_note(cls, values: Mapping[str, Any]) -> str:
        """Return what a reader of the attention measured under a knob with ``values`` must know, if anything."""
        return ""

    @property
    def control_phrases(self) -> Mapping[str, Sequence[str]]:
        """The texts, if any, that it puts before the model, and that a response may copy, by the name of their set."""
        return {}

    @abstractmethod
    def check(self, model: PreTrainedModel, source: Source) -> None:
        """Raise ValueError if it cannot act on ``model`` or on ``source``."""

    @abstractmethod
    def apply(self, model: PreTrainedModel, source: Source) -> AbstractContextManager[Any]:
        """Return a context in which it acts on ``model``, which leaves the model as it was.

        Hooks of its own should act where ``zsc.knobs.steering.entered`` says that they are the thread's.
        """


def other_models(knobs: Iterable[Knob]) -> list[PreTrainedModel]:
    """Return the other models that ``knobs`` have."""
    found = [getattr(knob, "other", None) for knob in knobs]
    return [one for one in found if one is not None]


class AdditiveKnob(Knob):
    """A knob that only adds to the decoder, so that rows of one batch may be under different knobs of the kind."""

    @abstractmethod
    def additions(self, model: PreTrainedModel, source: Source) -> Additions:
        """Return what it adds to the decoder of ``model`` while that reads ``source``."""

    def apply(self, model: PreTrainedModel, source: Source) -> AbstractContextManager[Any]:
        """Return a context in which the decoder of ``model`` has what the knob adds."""
        return steered(model, self.additions(model, source))
