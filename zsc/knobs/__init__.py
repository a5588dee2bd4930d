"""Control knobs for encoder-decoders: a plain library, usable on any Hugging Face model without the runner.

A knob is a frozen dataclass of its settings with ``apply(model, source)``, a context manager that leaves the model
as it was; ``check(model, source)``, which raises if the knob cannot act on them; and ``str(knob)``, the name of its
setting in result tables.
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from transformers import PreTrainedModel

from zsc.data.layout import Source
from zsc.knobs.attn_bias import AttentionBias, NoSuchSpan
from zsc.knobs.bias import UnsupportedModel, biased_cross_attention

__all__ = ["KNOBS", "AttentionBias", "Knob", "NoSuchSpan", "UnsupportedModel", "biased_cross_attention"]


class Knob(Protocol):
    def check(self, model: PreTrainedModel, source: Source) -> None: ...

    def apply(self, model: PreTrainedModel, source: Source) -> AbstractContextManager[Any]: ...


KNOBS: dict[str, type] = {
    "attn_bias": AttentionBias,
}
