"""Other values for some of a model's parameters, for a while."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn
from transformers import PreTrainedModel

from zsc.knobs.anatomy import decoder_layers


@contextmanager
def replaced_parameters(module: nn.Module, values: Mapping[str, torch.Tensor]) -> Iterator[nn.Module]:
    """While the context is open, the named parameters of ``module`` hold ``values``; then the very tensors from before.

    Contexts on the same parameters must close in the reverse of the order in which they opened, as ``with`` does.
    Raises ValueError for a name that is no parameter and for another shape.
    """
    parameters = dict(module.named_parameters())
    for name, value in values.items():
        if name not in parameters:
            raise ValueError(f"{type(module).__name__} has no parameter {name}.")
        if parameters[name].shape != value.shape:
            raise ValueError(f"{name}: shape {tuple(value.shape)} instead of {tuple(parameters[name].shape)}.")
    kept = {name: parameters[name].data for name in values}
    try:
        for name, value in values.items():
            parameters[name].data = value.to(kept[name])
        yield module
    finally:
        for name, tensor in kept.items():
            parameters[name].data = tensor


def component_parameters(
    model: PreTrainedModel, component: str, layers: set[int] | None = None
) -> dict[str, nn.Parameter]:
    """Return the parameters of a component (see :data:`zsc.knobs.anatomy.COMPONENTS`) by name inside the decoder."""
    modules = [
        part
        for number, layer in enumerate(decoder_layers(model))
        if layers is None or number in layers
        for part in layer.modules(component)
    ]
    return {f"{path}.{name}": parameter for path, module in modules for name, parameter in module.named_parameters()}
