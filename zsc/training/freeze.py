"""Freeze the parts of an encoder-decoder by component name."""

import re

from torch import nn
from transformers import PreTrainedModel

from zsc.errors import ZscError, suggestion

COMPONENTS = {
    "embeddings": r"(^|\.)(shared|embed_tokens|embed_positions|embeddings|wte|wpe|lm_head|final_logits_bias)(\.|$)",
    "encoder": r"^(\w+\.)?encoder\.(?!.*(embed_tokens|embed_positions|embeddings)\.)",
    "self_attention": r"^(\w+\.)?decoder\..*(self_attn|SelfAttention|(?<!cross)attention\.(self|output)|\.attn\.)",
    "cross_attention": r"^(\w+\.)?decoder\..*(encoder_attn|EncDecAttention|crossattention)",
    "feed_forward": r"^(\w+\.)?decoder\..*(fc1|fc2|\.mlp\.|DenseReluDense|intermediate|(?<!attention\.)output\.dense)",
}


def parameters_of(model: PreTrainedModel, component: str) -> dict[str, nn.Parameter]:
    """Return the named parameters of one of ``COMPONENTS``. Raises ZscError for an unknown or absent one."""
    if component not in COMPONENTS:
        raise ZscError(
            f"freeze names no component '{component}'.{suggestion(component, COMPONENTS)}"
            f" Allowed: {', '.join(COMPONENTS)}."
        )
    named = {name: p for name, p in model.named_parameters() if re.search(COMPONENTS[component], name)}
    if not named:
        raise ZscError(f"freeze={component}: {type(model).__name__} has no parameter of that component.")
    return named


def freeze(model: PreTrainedModel, components: list[str]) -> None:
    """Exclude every parameter of ``components`` from training (no gradient, no optimiser state)."""
    if not isinstance(components, list):
        raise ZscError(f"freeze={components} must be a list, such as freeze=[encoder,embeddings].")
    for component in components:
        for parameter in parameters_of(model, component).values():
            parameter.requires_grad_(False)


def describe(model: PreTrainedModel) -> str:
    """Say how many weights train, as a share of all and of all without the embeddings."""
    embeddings = {id(p) for p in parameters_of(model, "embeddings").values()}
    total = trained = total_bare = trained_bare = 0
    for parameter in model.parameters():
        count, trains, bare = parameter.numel(), parameter.requires_grad, id(parameter) not in embeddings
        total += count
        trained += count * trains
        total_bare += count * bare
        trained_bare += count * (trains and bare)
    return (
        f"training {trained:,} of {total:,} weights ({trained / total:.1%});"
        f" without embeddings {trained_bare:,} of {total_bare:,} ({trained_bare / total_bare:.1%})"
    )
