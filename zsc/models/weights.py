"""Whether a checkpoint's tensors are those of the model: none missing, none of another architecture, all finite."""

import math
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from transformers import PreTrainedModel

from zsc.errors import ZscError

# what older versions of the library saved and newer ones compute, and heads of pre-training that nothing reads
IDLE = re.compile(
    r"(^|\.)(version|position_ids|masked_bias|inv_freq|num_batches_tracked|_float_tensor|attn\.bias)$"
    r"|(^|\.)(pooler|seq_relationship)\."
)
STORED = ("F64", "F32", "F16", "BF16")
WRAPPERS = {
    "_orig_mod.": "torch.compile: save model._orig_mod",
    "module.": "DataParallel: save model.module",
    "_fsdp_wrapped_module.": "FSDP: save the unwrapped model",
    "base_model.model.": "PEFT: merge the adapter and save the model",
}


def check_keys(
    what: str, model: PreTrainedModel, loading: dict[str, Any], unread: tuple[str, ...] = (), heads: bool = False
) -> None:
    """Raise ZscError if transformers' ``loading`` info says that the checkpoint of ``model`` is not the model's own.

    The library would draw missing weights at random and leave others out. ``unread`` begin the names of parts that
    nothing reads, or that are to be trained, and that may be missing; with ``heads`` the checkpoint may hold more than
    the model.
    """
    order = {name: place for place, name in enumerate(model.state_dict())}
    missing = sorted(loading["missing_keys"], key=lambda name: order.get(name, len(order)))
    missing = [name for name in missing if not name.startswith(unread) and not _computed(model, name)]
    unexpected = sorted(name for name in loading["unexpected_keys"] if not _idle(name, model))
    kind = type(model).__name__
    if mismatched := sorted(loading["mismatched_keys"]):
        name, stored, own = mismatched[0]
        raise ZscError(
            f"{what}: {name} has the shape {_shape(stored)}, but {_shape(own)} in the {kind} of its config.json"
            f" ({len(mismatched)} such): one of the two is of another model."
        )
    if missing:
        raise ZscError(
            f"{what}: its checkpoint lacks {len(missing)} of the weights of a {kind}, the first of them {missing[0]}."
            f"{_hint(missing, unexpected)}"
        )
    if unexpected and not heads:
        named = (getattr(model.config, "architectures", None) or ["another architecture"])[0]
        saved = f"a {named}" if named not in (kind, "another architecture") else "another architecture"
        raise ZscError(
            f"{what}: its weights hold {unexpected[0]} ({len(unexpected)} such), which a {kind} does not have: they"
            f" were saved from {saved}, or config.json is not theirs."
        )


def check_stored_types(what: str, model: nn.Module, files: Iterable[Path]) -> None:
    """Raise ZscError if safetensors ``files`` hold whole numbers, or the eight bits of a quantised model, where
    ``model`` has other ones: without their scales they would be read as if they were the weights."""
    floating = {name for name, parameter in model.named_parameters() if parameter.is_floating_point()}
    for file in files:
        with safe_open(file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118
                if (kind := stored.get_slice(name).get_dtype()) not in STORED and name in floating:
                    raise ZscError(
                        f"{what}: {name} is stored as {kind}, and config.json names no quantization. Take weights in"
                        f" {', '.join(STORED)}."
                    )


def check_finite_weights(what: str, model: nn.Module) -> None:
    """Raise ZscError, naming the first, if a tensor of ``model`` holds NaN or an infinite value.

    A buffer may hold minus infinity, which rules out what it is added to.
    """
    buffers = {name for name, _ in model.named_buffers()}
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        least, most = map(float, torch.aminmax(tensor))
        if not math.isfinite(most) or (least == -math.inf and name not in buffers):
            half = tensor.dtype == torch.float16
            raise ZscError(
                f"{what}: {name} holds values that are not finite"
                + (" in float16. Set dtype to bfloat16 or float32, unless the file's own are not." if half else ".")
            )


def _computed(model: nn.Module, name: str) -> bool:
    """Say whether the weight of this name is made by a formula, as sinusoidal positions are, and is there: published
    checkpoints of Pegasus lack them."""
    module: Any = model.get_submodule(name.rpartition(".")[0])
    formula = getattr(module, "create_weight", None)
    return formula is not None and torch.equal(module.weight, formula().to(module.weight))


def _idle(name: str, model: nn.Module) -> bool:
    buffers = (buffer for buffer, _ in model.named_buffers())
    return bool(IDLE.search(name)) or any(name.endswith(f".{one}") or one.endswith(name) for one in buffers)


def _hint(missing: Collection[str], unexpected: Iterable[str]) -> str:
    """Say how the names in the file differ from the model's, if it is by what they begin with."""
    names = list(unexpected)
    if not names:
        return " They would be drawn at random."
    ends = {name: next((one for one in missing if name.endswith(one) or one.endswith(name)), None) for name in names}
    found = {name[: -len(own)] for name, own in ends.items() if own is not None and len(name) > len(own)}
    if len(found) == 1 and len([own for own in ends.values() if own]) * 2 > len(names):
        prefix = found.pop()
        why = WRAPPERS.get(prefix)
        return (
            f" The names in the file begin with '{prefix}'"
            + (f" ({why})." if why else ".")
            + f" Save it again without, or rename its tensors: name.removeprefix('{prefix}')."
        )
    return f" It holds others instead, such as {names[0]}: config.json is that of another model."


def _shape(sizes: Iterable[int]) -> str:
    return "x".join(map(str, sizes))
