"""Freeze the parts of an encoder-decoder by component name.

Dropout stays on in frozen parts [D]: it regularises whatever reads their output and trains, and since it draws the same
numbers whether or not weights train, trainings with the same seed and other frozen parts differ in which weights move
and in nothing else.
"""

from collections.abc import Iterable

from torch import nn
from transformers import PreTrainedModel

from zsc.errors import ZscError, suggestion
from zsc.knobs.anatomy import UnsupportedModel
from zsc.knobs.components import ALL_COMPONENTS, components


def freeze(model: PreTrainedModel, names: list[str]) -> None:
    """Exclude every parameter of the components ``names`` from training (no gradient, no optimiser state).

    Raises ZscError, and freezes nothing, for a name that is none of this model's components, and if no weight would
    be left to train.
    """
    if not isinstance(names, list):
        raise ZscError(f"freeze={names} must be a list, such as freeze=[encoder,embeddings].")
    try:
        parts = components(model)
    except UnsupportedModel as error:
        raise ZscError(f"freeze={names}: {error}") from error
    for name in names:
        if name not in parts:
            raise ZscError(f"freeze={name}: {_reason(model, name)} Allowed here: {', '.join(parts)}.")
    if not set(parts) - set(names):
        raise ZscError(f"freeze=[{','.join(names)}] leaves no weight of {type(model).__name__} to train.")
    for name in names:
        for parameter in parts[name].values():
            parameter.requires_grad_(False)


def holding(model: PreTrainedModel, parameters: Iterable[nn.Parameter]) -> list[str]:
    """Return the components of ``model`` that any of ``parameters`` belong to."""
    sought = {id(parameter) for parameter in parameters}
    parts = components(model) if sought else {}
    return [name for name, own in parts.items() if sought & {id(parameter) for parameter in own.values()}]


def _reason(model: PreTrainedModel, name: str) -> str:
    if name not in ALL_COMPONENTS:
        return f"there is no such component.{suggestion(str(name), ALL_COMPONENTS)}"
    tied = " It is tied to the embeddings: name those." if name == "output" else ""
    return f"{type(model).__name__} has no parameter of that component.{tied}"
