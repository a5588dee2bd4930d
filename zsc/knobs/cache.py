"""What a model calls the cache of its decoder, the one thing here that differs between versions of transformers."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import transformers
from torch import nn
from transformers import Cache, DynamicCache, EncoderDecoderCache, PreTrainedModel

from zsc.knobs.anatomy import UnsupportedModel, is_causal

NAMES = ("cache", "past_key_values")  # from transformers 5.24 on, and before


def cache_name(module: nn.Module) -> str:
    """Return the argument under which the forward of ``module``, a model or decoder, takes its cache.

    Raises UnsupportedModel if there is none: what a knob does at a step, it could not know then.
    """
    forward: Callable[..., Any] = module.forward
    known = [name for name in NAMES if name in inspect.signature(forward).parameters]
    if not known:
        raise UnsupportedModel(
            f"{type(module).__name__} of transformers {transformers.__version__} takes no cache under a name known here"
            f" ({' or '.join(NAMES)}), so its decoding steps cannot be told: use transformers 5.16 to 5.24, or a newer"
            " zsc."
        )
    return known[0]


def given_cache(module: nn.Module, kwargs: Mapping[str, Any]) -> Cache | None:
    """Return the cache that a call of ``module`` passes, under its own name for it or the other one."""
    own = cache_name(module)
    return next((kwargs[name] for name in (own, *NAMES) if name in kwargs), None)


def with_cache(module: nn.Module, kwargs: Mapping[str, Any], cache: Cache | None) -> dict[str, Any]:
    """Return the arguments of a call of ``module`` with ``cache`` in place of the one they pass."""
    own = cache_name(module)
    return {name: value for name, value in kwargs.items() if name not in NAMES} | {own: cache}


def new_cache(model: PreTrainedModel) -> Cache:
    """Return a cache such as ``model`` begins itself."""
    if is_causal(model):
        return DynamicCache(config=model.config.get_text_config(decoder=True))
    return EncoderDecoderCache(DynamicCache(), DynamicCache())


def returned_cache(output: Mapping[str, Any]) -> Cache | None:
    """Return the cache in what a model returned, if there is one."""
    return next((output[name] for name in NAMES if name in output), None)
