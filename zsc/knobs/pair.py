"""Two decoders that run side by side over the same source: do they fit, and the second one's cache."""

import copy
from typing import Any

import torch
from torch import nn
from transformers import Cache, DynamicCache, EncoderDecoderCache, PreTrainedModel

from zsc.knobs.anatomy import decoder_layers
from zsc.knobs.components import encoders
from zsc.knobs.kinds import check_cache

FOLLOWERS = "_zsc_followers"


def check_pair(model: PreTrainedModel, other: PreTrainedModel) -> None:
    """Raise ValueError, saying what differs, unless the two share encoder, vocabulary, decoder depth and width."""
    if model is other:
        raise ValueError("the other decoder is the model's own: load its checkpoint a second time.")
    if type(model) is not type(other):
        raise ValueError(f"the decoders are of different kinds, {type(model).__name__} and {type(other).__name__}.")
    mine, theirs = len(decoder_layers(model)), len(decoder_layers(other))
    if mine != theirs:
        raise ValueError(f"the decoders differ in depth: {mine} and {theirs} layers.")
    own, foreign = model.get_output_embeddings().weight.shape, other.get_output_embeddings().weight.shape
    for what, a, b in (("vocabulary", own[0], foreign[0]), ("width", own[1], foreign[1])):
        if a != b:
            raise ValueError(f"the decoders differ in {what}: {a} and {b}.")
    mine, theirs = model.get_decoder().state_dict(), other.get_decoder().state_dict()
    for name, tensor in mine.items():
        if name not in theirs or theirs[name].shape != tensor.shape:
            raise ValueError(f"the other decoder has no {name} of shape {tuple(tensor.shape)}.")
    shared: list[tuple[nn.Module, Any]] = list(zip(encoders(model), encoders(other), strict=True))
    if (projection := getattr(model, "enc_to_dec_proj", None)) is not None:
        shared.append((projection, other.enc_to_dec_proj))
    for part, counterpart in shared:
        foreign_tensors = counterpart.state_dict()
        for name, tensor in part.state_dict().items():
            if name not in foreign_tensors or not torch.equal(tensor, foreign_tensors[name].to(tensor.device)):
                raise ValueError(
                    f"the encoders are not the same ({name} differs): mixed decoders must read the same encoder states."
                    " Fine-tune with freeze=[encoder,embeddings]."
                )
    for name, tensor in model.named_buffers():
        if name == "final_logits_bias" and not torch.equal(tensor, dict(other.named_buffers())[name].to(tensor.device)):
            raise ValueError(f"the models differ in {name}.")


def differing_modules(model: PreTrainedModel, other: PreTrainedModel) -> list[tuple[nn.Module, nn.Module]]:
    """Return the pairs of modules outside the layers (embeddings, norms, output projection) whose weights differ."""
    inside = tuple(f"{layer.path}." for layer in decoder_layers(model))
    theirs = dict(other.get_decoder().named_modules())
    pairs = [
        (module, theirs[path])
        for path, module in model.get_decoder().named_modules()
        if not path.startswith(inside) and not list(module.children()) and list(module.parameters())
    ]
    outputs = model.get_output_embeddings(), other.get_output_embeddings()
    if not any(module is outputs[0] for module, _ in pairs):
        pairs.append(outputs)
    return [(a, b) for a, b in pairs if not _equal(a, b)]


def _equal(a: nn.Module, b: nn.Module) -> bool:
    other = dict(b.named_parameters(recurse=False))
    return all(torch.equal(p, other[name].to(p)) for name, p in a.named_parameters(recurse=False))


def follower(cache: Cache | None, owner: object) -> Cache | None:
    """Return the second decoder's cache that belongs to ``cache`` for ``owner``, made when first asked for.

    What generation does to ``cache`` (the reordering by beams, for one) it then does to both. Raises ValueError for a
    cache that holds steps the second decoder did not see, or one of fixed size.
    """
    if cache is None:
        return None
    if (known := cache.__dict__.get(FOLLOWERS, {}).get(owner)) is not None:
        return known
    check_cache(cache)
    if cache.get_seq_length():
        raise ValueError("this cache was begun without the second decoder: begin generation inside the context.")
    second = empty_copy(cache)
    link(cache, second, owner)
    return second


def empty_copy(cache: Cache) -> Cache:
    """Return a cache with the kinds of layers that ``cache``, which holds no steps yet, has (some keep a window)."""
    if isinstance(cache, EncoderDecoderCache):
        return EncoderDecoderCache(empty_copy(cache.self_attention_cache), empty_copy(cache.cross_attention_cache))
    second = DynamicCache()
    second.layers = copy.deepcopy(cache.layers)
    return second


def link(cache: Cache, second: Cache, owner: object) -> None:
    """Make ``second`` the follower of ``cache`` for ``owner``."""
    cache.__dict__.setdefault(FOLLOWERS, {})[owner] = second
    for name in ("reorder_cache", "crop", "batch_repeat_interleave", "batch_select_indices", "reset"):
        setattr(cache, name, _both(getattr(cache, name), getattr(second, name)))


def _both(first: Any, second: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> None:
        first(*args, **kwargs)
        second(*args, **kwargs)

    return call
