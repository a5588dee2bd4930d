"""Control knobs for encoder-decoders: a plain library, usable on any Hugging Face model without the runner.

    with apply(model, [AttentionBias("knowledge", 5.0)], source):
        model.generate(input_ids=source.input_ids, attention_mask=source.attention_mask)

A knob is a frozen dataclass of its settings (see :class:`Knob`); ``apply`` puts any number of them on a model and
leaves it as it was.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

from transformers import PreTrainedModel

from zsc.data.layout import Source
from zsc.knobs.anatomy import UnsupportedModel
from zsc.knobs.attn_bias import AttentionBias
from zsc.knobs.bias import biased_cross_attention, scheduled_cross_attention
from zsc.knobs.contexts import ThreadConflict
from zsc.knobs.ctx_aug import ContextAugmentation
from zsc.knobs.dec_mix import DecoderMixing
from zsc.knobs.self_attn_bias import SelfAttentionBias
from zsc.knobs.spans import NoSuchSpan
from zsc.knobs.steering import entered
from zsc.knobs.swap import ComponentSwap

__all__ = [
    "KNOBS",
    "AttentionBias",
    "ComponentSwap",
    "ContextAugmentation",
    "DecoderMixing",
    "Knob",
    "NoSuchSpan",
    "SelfAttentionBias",
    "ThreadConflict",
    "UnsupportedModel",
    "apply",
    "biased_cross_attention",
    "scheduled_cross_attention",
]


class Knob(Protocol):
    """What a knob offers; ``str(knob)`` names its setting in result tables."""

    @property
    def neutral(self) -> bool:
        """Whether its settings are meant to change nothing."""

    def check(self, model: PreTrainedModel, source: Source) -> None:
        """Raise ValueError if it cannot act on ``model`` or on ``source``."""

    def apply(self, model: PreTrainedModel, source: Source) -> AbstractContextManager[Any]:
        """Return a context in which it acts on ``model``, which leaves the model as it was.

        Hooks of its own should act where ``zsc.knobs.steering.entered`` says that they are the thread's.
        """


# in the order in which they are applied, which decides only where one replaces the weights another reads
KNOBS: dict[str, type] = {
    "swap": ComponentSwap,
    "dec_mix": DecoderMixing,
    "attn_bias": AttentionBias,
    "ctx_aug": ContextAugmentation,
    "self_attn_bias": SelfAttentionBias,
}


@contextmanager
def apply(model: PreTrainedModel, knobs: Sequence[Knob], source: Source | None = None) -> Iterator[PreTrainedModel]:
    """While the context is open, every one of ``knobs`` acts on ``model``; the order of the list does not matter.

    ``source`` is the batch that will be generated from; attention biasing needs it, the other knobs do not. On exit,
    also by an exception, the model is bit-identical to what it was. Raises what the knobs' ``check`` raises.

    The knobs act in the thread, or asyncio task, that opened the context, and in those that it hands its context to
    (:func:`contextvars.copy_context`, asyncio.to_thread); other threads have what they opened themselves, on the same
    model at the same time. A thread that opened none, while another has knobs on the model, gets a ThreadConflict, a
    ValueError, from the model's decoder: ``apply(model, [])`` says that it wants the plain model. Knobs that change the
    model itself (``swap``, ``dec_mix`` with level ``weights``) exclude all other threads while they are on.
    """
    with ExitStack() as stack:
        stack.enter_context(entered(model))
        for knob in sorted(knobs, key=_place):
            stack.enter_context(knob.apply(model, source))  # type: ignore[arg-type]
        yield model


def _place(knob: Knob) -> tuple[int, str]:
    order = list(KNOBS.values())
    return order.index(type(knob)) if type(knob) in order else len(order), str(knob)
