"""Control knobs for language models: a plain library, usable on any Hugging Face model without the runner.

    with apply(model, [AttentionBias("knowledge", 5.0)], source):
        model.generate(input_ids=source.input_ids, attention_mask=source.attention_mask)

A knob is a frozen dataclass of its options (see :class:`Knob`); ``apply`` puts any number of them on a model and
leaves it as it was.
"""

from zsc.knobs.anatomy import UnsupportedModel
from zsc.knobs.apply import apply
from zsc.knobs.attn_bias import AttentionBias
from zsc.knobs.base import AdditiveKnob, Dose, Knob
from zsc.knobs.bias import biased_cross_attention, scheduled_cross_attention
from zsc.knobs.contexts import ThreadConflict
from zsc.knobs.ctx_aug import ContextAugmentation
from zsc.knobs.dec_mix import DecoderMixing
from zsc.knobs.self_attn_bias import SelfAttentionBias
from zsc.knobs.spans import NoSuchSpan
from zsc.knobs.swap import ComponentSwap

__all__ = [
    "KNOBS",
    "AdditiveKnob",
    "AttentionBias",
    "ComponentSwap",
    "ContextAugmentation",
    "DecoderMixing",
    "Dose",
    "Knob",
    "NoSuchSpan",
    "SelfAttentionBias",
    "ThreadConflict",
    "UnsupportedModel",
    "apply",
    "biased_cross_attention",
    "scheduled_cross_attention",
]


KNOBS: dict[str, type[Knob]] = {
    "swap": ComponentSwap,
    "dec_mix": DecoderMixing,
    "attn_bias": AttentionBias,
    "ctx_aug": ContextAugmentation,
    "self_attn_bias": SelfAttentionBias,
}
