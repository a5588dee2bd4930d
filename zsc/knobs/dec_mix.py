"""Knob B, decoder mixing [I]: a task decoder mixed with another decoder over the same source.

Of decoders alone, such as a base model and its tuned version, each level mixes the whole models, and the prompt is read
by the mixture too [D]: with ``probs`` by each of the two by itself.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import Cache, PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.anatomy import check_choice, decoder_layers
from zsc.knobs.base import USE_OF_KNOWLEDGE, Dose, Knob
from zsc.knobs.cache import cache_name, given_cache, new_cache, returned_cache, with_cache
from zsc.knobs.contexts import hooked
from zsc.knobs.masks import precision
from zsc.knobs.pair import check_pair, differing_modules, follower, link
from zsc.knobs.parameters import replaced_parameters
from zsc.knobs.steering import changed_alone, entered, layer_hooks, steering_hook
from zsc.knobs.supported import check_model

Context = AbstractContextManager[object]


@dataclass(frozen=True)
class DecoderMixing(Knob):
    """Mix the decoder of ``other`` into a model's with ``weight`` m from 0 (none of it) to 1, at a ``level`` [D]:

    - ``weights``: one decoder whose parameters are (1 - m) of the model's and m of the other's;
    - ``hidden``: every layer (and every other decoder module with weights of its own) of both decoders runs on the
      mixed states before it, and what the two give is mixed;
    - ``cross_attention``: the same for the cross-attention modules only, the rest is the model's;
    - ``probs``: both decoders run on their own, and their next-token distributions are mixed.

    At 0 the model is untouched; at 1 it equals the other, or for ``cross_attention`` the model with the other's
    cross-attention. Other knobs on the model act on both decoders. ``weights`` changes the model itself, so that no
    other thread can use it then; the other levels are the thread's own. Raises ValueError for an unknown level or a
    weight outside [0, 1].
    """

    dose = Dose("weight", neutral=0.0, weakest=0.0, strongest=1.0, geometric=False, most=1.0)
    naming = ("level",)
    tried = ({"level": "hidden"}, {"level": "cross_attention"}, {"level": "probs"})
    precedence = 1

    other: PreTrainedModel = field(repr=False, compare=False)
    weight: float = 0.5
    level: str = "weights"

    def __post_init__(self) -> None:
        check_choice("level", self.level, LEVELS)
        number = isinstance(self.weight, (int, float)) and not isinstance(self.weight, bool)
        if not number or not 0 <= self.weight <= 1:
            raise ValueError(f"weight={self.weight!r} must be a number from 0 to 1.")

    def __str__(self) -> str:
        return f"dec_mix({self.level}, {self.weight:g})"

    @classmethod
    def moves(cls, values: Mapping[str, Any]) -> tuple[str, ...]:
        return USE_OF_KNOWLEDGE

    @classmethod
    def attention_note(cls, values: Mapping[str, Any]) -> str:
        if values["level"] == "weights":
            return ""
        return "Attention is that of the model's own decoder, not of the one that is mixed in."

    @property
    def neutral(self) -> bool:
        """Whether these fields are meant to change nothing."""
        return self.weight == 0

    @property
    def weights_alone(self) -> bool:
        return self.level == "weights"

    def check(self, model: PreTrainedModel, source: Source | None) -> None:
        """Raise ValueError if the two decoders do not share encoder, vocabulary, depth and width, UnsupportedModel if
        their steps cannot be told."""
        check_model(model)
        check_pair(model, self.other)
        if self.level == "cross_attention":
            decoder_layers(model)[0].component("cross_attention")
        if self.level != "weights":
            for one in (model, self.other):
                cache_name(one)
                cache_name(one.get_decoder())

    def apply(self, model: PreTrainedModel, source: Source | None) -> Context:
        """Return a context in which ``model`` decodes with the mixture."""
        if self.neutral:
            return entered(model)
        self.check(model, source)
        return LEVELS[self.level](model, self.other, float(self.weight))


@contextmanager
def mixed_weights(model: PreTrainedModel, other: PreTrainedModel, weight: float) -> Iterator[None]:
    """Interpolate the parameters of the decoder and of the output projection."""
    with changed_alone(model, other), replaced_parameters(model, mixed_parameters(model, other, weight)):
        yield


def mixed_parameters(model: PreTrainedModel, other: PreTrainedModel, weight: float) -> dict[str, torch.Tensor]:
    """Return, by name inside ``model``, the interpolated parameters that differ from its own."""
    mine, theirs = _decoder_parameters(model), _decoder_parameters(other)
    mixed = {name: torch.lerp(mine[name].data, theirs[name].data.to(mine[name]), weight) for name in mine}
    return {name: value for name, value in mixed.items() if not torch.equal(value, mine[name].data)}


def _decoder_parameters(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    wanted = {id(p) for part in (model.get_decoder(), model.get_output_embeddings()) for p in part.parameters()}
    return {name: p for name, p in model.named_parameters() if id(p) in wanted}


def mixed_hidden(model: PreTrainedModel, other: PreTrainedModel, weight: float) -> Context:
    """Interpolate the states after every layer, and what every other differing decoder module gives."""
    layers = [(a.module, b.module) for a, b in zip(decoder_layers(model), decoder_layers(other), strict=True)]
    return interpolated(model, other, [*layers, *differing_modules(model, other)], weight)


def mixed_cross_attention(model: PreTrainedModel, other: PreTrainedModel, weight: float) -> Context:
    """Interpolate what the cross-attention modules give."""
    mine, theirs = ([layer.component("cross_attention")[1] for layer in decoder_layers(m)] for m in (model, other))
    pairs = list(zip(mine, theirs, strict=True))
    return interpolated(model, other, pairs, weight)


@contextmanager
def interpolated(
    model: PreTrainedModel, other: PreTrainedModel, pairs: list[tuple[nn.Module, nn.Module]], weight: float
) -> Iterator[None]:
    """While the context is open, each pair's first module gives the mixture of what both give.

    The second module runs on the same arguments, with a cache of its own. Where modules of the decoder of ``model``
    give more than the states (T5 hands position biases from layer to layer), the second ones hand theirs to each other.
    """
    run, owner = Run(), object()

    def translate(value: Any) -> Any:
        if isinstance(value, Cache):
            return follower(value, owner)
        mine, theirs = run.handed.get(id(value), (None, None))
        return theirs if mine is value else value

    def register(here: Callable[[], bool]) -> list[Any]:
        def begin(module: nn.Module, args: Any, kwargs: dict[str, Any] | None = None) -> Any:
            if kwargs is None or not here():
                return None
            run.handed.clear()
            cache = given_cache(module, kwargs)
            if cache is None and kwargs.get("use_cache") is not False:
                cache = new_cache(model)
            follower(cache, owner)
            return args, with_cache(module, kwargs, cache)

        def mix(second: nn.Module) -> Callable[..., Any]:
            def hook(module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any = None) -> Any:
                if output is None or not here():
                    return None
                with run.following():
                    theirs = second(*map(translate, args), **{key: translate(value) for key, value in kwargs.items()})
                if not isinstance(output, tuple):
                    return torch.lerp(output, theirs, weight)
                handed = zip(output[1:], theirs[1:], strict=True)
                run.handed.update({id(a): (a, b) for a, b in handed if a is not None})
                return (torch.lerp(output[0], theirs[0], weight), *output[1:])

            return hook

        return [
            model.get_decoder().register_forward_pre_hook(begin, with_kwargs=True),
            *(first.register_forward_hook(mix(second), with_kwargs=True) for first, second in pairs),
            *layer_hooks(other, model.get_decoder(), run.follows),
        ]

    with entered(other), entered(model, acts=True) as opened, hooked(partial(register, opened.here)):
        yield


class Run(threading.local):
    """A forward of the first decoder in this thread: what its modules ``handed`` on beside the states, with what the
    second ones did, by id; and whether the second decoder is running for it."""

    def __init__(self) -> None:
        self.handed: dict[int, tuple[Any, Any]] = {}
        self.second = False

    def follows(self) -> bool:
        return self.second

    @contextmanager
    def following(self) -> Iterator[None]:
        self.second = True
        try:
            yield
        finally:
            self.second = False


@contextmanager
def mixed_probabilities(model: PreTrainedModel, other: PreTrainedModel, weight: float) -> Iterator[None]:
    """While the context is open, the logits of ``model`` are log((1 - m) p + m p') of the two decoders."""
    run, owner = Run(), object()

    def register(here: Callable[[], bool]) -> list[Any]:
        def begin(module: nn.Module, args: Any, kwargs: dict[str, Any] | None = None) -> None:
            if kwargs is None or not here():
                return
            if kwargs.get("labels") is not None or kwargs.get("return_dict") is False:
                raise ValueError("mixed probabilities come without a loss and as a model output: no labels, no tuples.")
            follower(given_cache(module, kwargs), owner)

        def mix(module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any = None) -> Any:
            if output is None or not here():
                return None
            cache = given_cache(module, kwargs)
            with run.following():
                theirs = other(*args, **with_cache(other, kwargs, follower(cache, owner)))
            begun, second = returned_cache(output), returned_cache(theirs)
            if cache is None and begun is not None and second is not None:
                link(begun, second, owner)
            output.logits = mixture(output.logits, theirs.logits, weight)
            return output

        return [
            model.register_forward_pre_hook(begin, with_kwargs=True),
            model.register_forward_hook(mix, with_kwargs=True),
            other.get_decoder().register_forward_pre_hook(steering_hook(model, run.follows), with_kwargs=True),
            *layer_hooks(other, model.get_decoder(), run.follows),
        ]

    with entered(other), entered(model, acts=True) as opened, hooked(partial(register, opened.here)):
        yield


def mixture(logits: torch.Tensor, others: torch.Tensor, weight: float) -> torch.Tensor:
    """Return log((1 - weight) softmax(logits) + weight softmax(others)); the others' own logits where weight is 1."""
    if weight == 1:
        return others
    mine = logits.to(precision(logits.dtype)).log_softmax(dim=-1) + math.log1p(-weight)
    theirs = others.to(mine).log_softmax(dim=-1) + math.log(weight)
    return torch.logaddexp(mine, theirs).to(logits.dtype)


LEVELS: dict[str, Callable[[PreTrainedModel, PreTrainedModel, float], Context]] = {
    "hidden": mixed_hidden,
    "cross_attention": mixed_cross_attention,
    "probs": mixed_probabilities,
    "weights": mixed_weights,
}
