"""What responses are scored by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from zsc.errors import ZscError
from zsc.metrics import DEFAULT
from zsc.options import Count, Seed, shown, value_of


def share(key: str, value: Any) -> float:
    """Return ``value``, of the option ``key``. Raises ZscError unless it lies between 0 and 1."""
    if not isinstance(value, float) or not 0 < value < 1:
        raise ZscError(f"{key}={shown(value)} must lie between 0 and 1.")
    return value


@dataclass(frozen=True)
class Resampling:
    """``resamples`` of intervals and of tests, the ``confidence`` of intervals, and the ``seed`` of both."""

    resamples: Count = 10_000
    confidence: Annotated[float, share] = 0.95
    seed: Seed = 0

    @property
    def signature(self) -> str:
        return f"resamples:{self.resamples}|confidence:{self.confidence}|rs:{self.seed}"


@dataclass(frozen=True)
class BleuOptions:
    tokenize: str = "auto"


@dataclass(frozen=True)
class JudgeOptions:
    """The model of each judge that is ``chosen``, by kind (:data:`zsc.metrics.judges.JUDGES`), and their ``device``."""

    chosen: Mapping[str, str | None] = field(default_factory=dict)
    device: str = "auto"

    @classmethod
    def from_mapping(cls, values: Any, at: str) -> "JudgeOptions":
        """Read a mapping of kinds to models. Raises ZscError for a model that is no name."""
        if not isinstance(values, Mapping):
            raise ZscError(f"{at}={values}: its options have names, such as {at}.device=cpu.")
        given = dict(values)
        device = value_of(str, given.pop("device", "auto"), f"{at}.device")
        for kind, name in given.items():
            if name is not None and (not isinstance(name, str) or not name):
                raise ZscError(f"{at}.{kind}={shown(name)} must be a name on the hub or a folder, or null.")
        return cls(given, device)

    def to_mapping(self) -> dict[str, Any]:
        return {**self.chosen, "device": self.device}


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """``metrics`` or groups of them; what ``topic`` metrics look for, a set of phrases or a file; models for metrics
    that need one; how BLEU splits words; and the resampling of intervals and tests."""

    metrics: tuple[str, ...] = DEFAULT
    topic: str | None = None
    judges: JudgeOptions = field(default_factory=JudgeOptions)
    bleu: BleuOptions = field(default_factory=BleuOptions)
    resampling: Resampling = field(default_factory=Resampling)
