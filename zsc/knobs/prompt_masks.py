"""Masks of attention behind a prompt, where a decoder alone attends to code, prompt and response in one softmax."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad

from zsc.knobs.masks import Bias, Code, as_additive, biased, causal_mask, check_rows, log_weights, precision

Logs = Sequence[tuple[Bias, torch.Tensor]]


@dataclass(eq=False)
class PromptMask:
    """The mask of attention modules, and the codes in front of what they attend to, for queries at ``steps``.

    ``logs`` are log-weights (rows or 1, queries, keys), ``codes`` come with their log-weights (rows or 1, queries).
    """

    logs: Logs
    codes: Sequence[tuple[torch.Tensor, torch.Tensor]]
    steps: torch.Tensor
    base: Callable[[], torch.Tensor]
    dtype: torch.dtype
    made: tuple[torch.Tensor | None, torch.Tensor] | None = None

    def __call__(self, own: torch.Tensor | None) -> torch.Tensor:
        """Return the mask in place of ``own`` (rows, 1, queries, keys), which is the same for several modules, and may
        be one that was made here: each context that is open asks once."""
        if self.made is None or not any(own is one for one in self.made):
            base = self.base() if own is None else as_additive(own, self.dtype)
            mask = biased(base, [(bias, log[..., -base.shape[-1] :]) for bias, log in self.logs])
            if len(self.logs) > 1 or bool((self.steps == 0).any()):
                check_rows(mask[:, :, self.steps >= 0], "prompt")
            for states, log in self.codes:
                mask = torch.cat([self._columns(mask, states.shape[1], log), mask], dim=-1)
            self.made = (own, mask)
        return self.made[1]

    def _columns(self, mask: torch.Tensor, count: int, log: torch.Tensor) -> torch.Tensor:
        rows = log.repeat_interleave(mask.shape[0] // log.shape[0], dim=0).clamp(min=torch.finfo(mask.dtype).min)
        return rows.to(mask)[:, None, :, None].expand(-1, mask.shape[1], -1, count)

    def front(self, cache: Any, layer: int, depth: int) -> Any:
        """Return ``cache``, for the attention module of the ``layer``, with the codes in front of its keys, once."""
        if isinstance(cache, Fronted):
            return cache
        for states, _ in self.codes:
            cache = Fronted(cache, states.chunk(depth, dim=-1)[layer])
        return cache


@dataclass
class Fronted:
    """A cache, or none, whose keys and values have others in front: ``states`` (rows, length, keys and values)."""

    cache: Any
    states: torch.Tensor

    def update(self, keys: torch.Tensor, values: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Return all keys and values (rows, heads, positions, width), those in front first; only new ones are kept."""
        given = self.states.repeat_interleave(keys.shape[0] // self.states.shape[0], dim=0)
        front = keys_and_values(given, keys)
        if self.cache is not None:
            keys, values = self.cache.update(keys, values, *args, **kwargs)
        return tuple(torch.cat([a, b], dim=2) for a, b in zip(front, (keys, values), strict=True))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cache, name)


def keys_and_values(states: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``states`` (rows, length, keys and values) as (rows, heads, length, width) each, as keys ``like`` are."""
    size = like.shape[1] * like.shape[-1]
    keys, values = (
        part.to(like).unflatten(-1, (like.shape[1], -1)).transpose(1, 2)
        for part in (states[..., :size], states[..., size:])
    )
    return keys, values


def prompt_masks(
    cross: Sequence[Bias],
    past: Sequence[Bias],
    codes: Sequence[Code],
    positions: int,
    seen: int,
    inputs: torch.Tensor,
    mask: torch.Tensor | None,
    dtype: torch.dtype,
    depth: int,
) -> dict[int, PromptMask]:
    """Return the masks of the layers for queries behind ``seen`` keys, none where all are of the prompt.

    ``inputs`` (rows, queries, ...) are what is read, ``positions`` is the length of the prompt, ``mask`` (rows, keys)
    says which keys are attended to at all.
    """
    rows, queries = inputs.shape[:2]
    places = torch.arange(seen, seen + queries, device=inputs.device)
    steps = places - (positions - 1)
    if int(steps[-1]) < 0:
        return {}
    keys, begun = seen + queries, steps.clamp(min=0)
    base = torch.empty(0, dtype=dtype, device=inputs.device)

    def spread(bias: Bias, count: int, before: int) -> tuple[Bias, torch.Tensor]:
        log = log_weights(bias, begun, count, base).expand(-1, queries, -1)
        log = log.masked_fill((steps < 0)[None, :, None], 0.0)
        return bias, pad(log, (before, keys - before - count))

    logs = [spread(bias, positions, 0) for bias in cross]
    logs += [spread(bias, keys - (positions - 1), positions - 1) for bias in past]
    given = []
    for code in codes:
        strength = torch.as_tensor(code.strength, dtype=torch.float64, device=inputs.device).reshape(-1, 1).log()
        log = strength.expand(-1, queries).masked_fill((steps < 0)[None], -torch.inf).to(precision(dtype))
        given.append((code.states, log))
    groups: dict[frozenset[int], PromptMask] = {}
    masks = {}
    for layer in range(depth):
        own = frozenset(i for i, (bias, _) in enumerate(logs) if bias.layers is None or layer in bias.layers)
        if own not in groups:
            groups[own] = PromptMask(
                [logs[i] for i in sorted(own)], given, steps, lambda: causal_mask(mask, places, rows, dtype), dtype
            )
        masks[layer] = groups[own]
    return masks


def named_arguments(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call of ``module`` by name."""
    return dict(zip(parameters(type(module).forward)[1:], args, strict=False)) | kwargs


@cache
def parameters(forward: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the parameters of a forward, itself the first."""
    return tuple(inspect.signature(forward).parameters)
