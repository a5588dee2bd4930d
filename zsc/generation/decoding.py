"""Decoding options, every one explicit."""

from dataclasses import asdict, dataclass
from math import isfinite

from zsc.errors import ZscError


@dataclass(frozen=True)
class Decoding:
    """How responses are decoded. ``sample`` draws tokens; otherwise greedy, or beam search if ``num_beams`` > 1."""

    max_new_tokens: int = 40
    min_new_tokens: int = 1
    sample: bool = True
    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 0
    num_beams: int = 1
    early_stopping: bool = False
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    repetition_penalty: float = 1.0
    use_cache: bool = True

    def __post_init__(self) -> None:
        checks = {
            "max_new_tokens": self.max_new_tokens >= 1,
            "min_new_tokens": 0 <= self.min_new_tokens <= self.max_new_tokens,
            "temperature": self.temperature > 0,
            "top_p": 0 < self.top_p <= 1,
            "top_k": self.top_k >= 0,
            "num_beams": self.num_beams >= 1,
            "repetition_penalty": self.repetition_penalty > 0,
        }
        checks |= {name: checks.get(name, True) and isfinite(value) for name, value in asdict(self).items()}
        for field, ok in checks.items():
            if not ok:
                raise ZscError(f"decoding.{field}={getattr(self, field)} is out of range.")
        if self.sample and self.num_beams > 1:
            raise ZscError("decoding.sample=true goes with decoding.num_beams=1: use decoding=beam for beam search.")
