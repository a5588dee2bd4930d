"""Where a decoder keeps its parts, across the families of transformers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedModel

COMPONENTS = {  # what their modules are called in the decoder layers of BART, T5, BERT, GPT-2 and Bloom
    "self_attention": ("self_attn", "SelfAttention", "attention", "attn", "self_attention"),
    "cross_attention": ("encoder_attn", "EncDecAttention", "crossattention", "cross_attention", "cross_attn"),
    "feed_forward": ("fc1", "fc2", "DenseReluDense", "intermediate", "output", "mlp", "ffn", "feed_forward"),
}
MERGED = ("t5gemma2",)
OF_DISTANCE = ("bloom", "mpt")
MASKED_IN_LAYERS = ("led", "nllb-moe", "t5gemma", *MERGED)


class UnsupportedModel(ValueError):
    """The model cannot take a knob; the text says why and what to do."""


@dataclass(frozen=True)
class Layer:
    """One decoder layer; ``path`` is its name inside the decoder."""

    path: str
    module: nn.Module

    def modules(self, name: str) -> list[tuple[str, nn.Module]]:
        """Return the modules of one of ``COMPONENTS``, with their names inside the decoder. Raises UnsupportedModel.

        What lies inside a module of another component is that one's.
        """
        found = [(path, module) for component, path, module in _parts(self.path, self.module) if component == name]
        if not found:
            raise UnsupportedModel(
                f"the decoder layer {self.path} has no {name.replace('_', '-')} module of its own known here."
            )
        return found

    def component(self, name: str) -> tuple[str, nn.Module]:
        """Return the first of :meth:`modules`, which is the only one of an attention. Raises UnsupportedModel."""
        return self.modules(name)[0]


def _parts(path: str, module: nn.Module) -> Iterator[tuple[str, str, nn.Module]]:
    """Yield component, path and module of the outermost modules in ``module`` that belong to a component."""
    for name, child in module.named_children():
        component = next((component for component, names in COMPONENTS.items() if name in names), None)
        if component:
            yield component, f"{path}.{name}", child
        else:
            yield from _parts(f"{path}.{name}", child)


def decoder_layers(model: PreTrainedModel) -> list[Layer]:
    """Return the layers of ``model``'s decoder, first to last. Raises UnsupportedModel if there are none."""
    path, layers = layer_list(model.get_decoder())
    return [Layer(f"{path}.{i}", layer) for i, layer in enumerate(layers)]


def layer_list(stack: nn.Module) -> tuple[str, nn.ModuleList]:
    """Return the list of layers of an encoder or decoder and its name inside it. Raises UnsupportedModel."""
    for path, module in stack.named_modules():
        if isinstance(module, nn.ModuleList) and len(module):
            return path, module
    raise UnsupportedModel(f"{type(stack).__name__} has no list of layers.")


def family(model: PreTrainedModel) -> str:
    """Return the model type, with that of the decoder for a model put together from two."""
    kind: str = model.config.model_type
    return f"{kind} {model.config.decoder.model_type}" if kind == "encoder-decoder" else kind


def is_causal(model: PreTrainedModel) -> bool:
    """Say whether ``model`` is a decoder alone, whose source is its prompt."""
    return not model.config.is_encoder_decoder


def biases_distance(model: PreTrainedModel) -> bool:
    """Say whether all that a decoder alone knows of positions is a bias by how far keys lie (ALiBi)."""
    return model.config.model_type in OF_DISTANCE or bool(getattr(model.config, "alibi", False))


def merges_attention(model: PreTrainedModel) -> bool:
    """Say whether the decoder of ``model`` attends to its past and to the source in one softmax."""
    return model.config.model_type in MERGED


def masked_in_layers(model: PreTrainedModel) -> bool:
    """Say whether the attention modules of ``model``'s decoder must be given their masks one by one.

    See :mod:`zsc.knobs.in_layers`.
    """
    return model.config.model_type in MASKED_IN_LAYERS


def check_indices(name: str, indices: Sequence[int] | None) -> None:
    """Raise ValueError unless ``indices`` is None or holds different whole numbers of at least 0."""
    if indices is None:
        return
    valid = isinstance(indices, Iterable) and all(type(index) is int and index >= 0 for index in indices)
    if not valid or not indices or len(set(indices)) < len(indices):
        raise ValueError(f"{name}={indices} must be different whole numbers from 0, such as [0, 1], or null for all.")


def check_within(name: str, indices: Sequence[int] | None, count: int) -> None:
    """Raise ValueError if one of ``indices`` is not below ``count``."""
    beyond = [index for index in indices or () if index >= count]
    if beyond:
        raise ValueError(f"{name} {beyond[0]} does not exist: this decoder has {count}, numbered from 0.")


def head_count(model: PreTrainedModel) -> int:
    """Return the number of attention heads of the decoder."""
    config = model.get_decoder().config
    for field in ("decoder_attention_heads", "num_attention_heads", "num_heads", "n_head"):
        if (count := getattr(config, field, None)) is not None:
            return count
    raise UnsupportedModel(f"{type(model).__name__} does not say how many heads its decoder has.")


def check_choice(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise ValueError unless ``value`` is one of ``allowed``."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} {value!r} is not one of {', '.join(allowed)}.")


def check_integer(name: str, value: Any, least: int) -> None:
    """Raise ValueError unless ``value`` is a whole number of at least ``least``."""
    if type(value) is not int or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number of at least {least}.")
