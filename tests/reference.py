"""Independent re-computations that tests of knobs compare with: eager models, plain loops, no hooks of ours."""

import copy
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch

from zsc.data.source import Source
from zsc.knobs.encoder import encode, encoder_outputs

CROSS = ("encoder_attn", "EncDecAttention", "crossattention.self", "crossattention", "cross_attention",
         "cross_attn")  # fmt: skip
SELF = (
    "decoder.layers.{}.self_attn",
    "decoder.block.{}.layer.0.SelfAttention",
    "decoder.bert.encoder.layer.{}.attention.self",
    "decoder.roberta.encoder.layer.{}.attention.self",
    "decoder.transformer.h.{}.attn",
)


@contextmanager
def changed_attention(modules, change):
    """Let ``change`` make other attention probabilities, in the shape it is given, of those of eager ``modules``."""
    softmax = torch.nn.functional.softmax

    def wrapped(forward):
        def call(*args, **kwargs):
            changed = lambda scores, dim, **options: change(softmax(scores, dim=dim, **options))  # noqa: E731
            with mock.patch.object(torch.nn.functional, "softmax", changed):
                return forward(*args, **kwargs)

        return call

    with ExitStack() as stack:
        assert modules
        for module in modules:
            stack.enter_context(mock.patch.object(module, "forward", wrapped(module.forward)))
        yield


def reweighted(modules, weights):
    """Multiply attention probabilities of eager ``modules`` by ``weights`` and renormalise: the definition.

    ``weights`` (rows, heads or 1, queries or 1, keys); rows are repeated for beams.
    """

    def biased(probabilities):
        rows = weights.repeat_interleave(probabilities.shape[0] // weights.shape[0], dim=0)
        products = probabilities * (rows[:, 0] if probabilities.dim() == 3 else rows)  # rows and heads in one
        return products / products.sum(dim=-1, keepdim=True)

    return changed_attention(modules, biased)


def cross_attentions(model):
    """Return the modules that compute cross-attention, layer by layer."""
    found = [(name, module) for name, module in model.named_modules() if name.endswith(CROSS)]
    return [module for name, module in found if not any(other.startswith(f"{name}.") for other, _ in found)]


def self_attentions(model):
    """Return the modules that compute the decoder's self-attention, layer by layer."""
    modules = dict(model.named_modules())
    paths = [path for path in modules for form in SELF if path.endswith(form.format(path_layer(path)))]
    return [modules[path] for path in paths]


def path_layer(path):
    return next((part for part in path.split(".") if part.isdigit()), "-")


def interpolated_copy(model, other, weight):
    """Return a copy of ``model`` whose decoder tensors are interpolated, entry by entry of the state dict."""
    own, theirs = model.state_dict(), other.state_dict()
    values = {n: (1 - weight) * t + weight * theirs[n] if "decoder." in n else t for n, t in own.items()}
    mixed = copy.deepcopy(model)
    mixed.load_state_dict(values)
    return mixed


@dataclass(frozen=True)
class Plain:
    """An eager ``model``, and an ``other`` with the same encoder, that read ``source`` and ``targets`` without knobs.

    ``tokenizer`` is that of the knobs that are compared with it.
    """

    model: Any
    other: Any
    tokenizer: Any
    source: Source
    targets: torch.Tensor

    @property
    def states(self):
        return encode(self.model, self.source)

    def logits(self, model=None, states=None, mask=None):
        """Return the logits of a ``model``, or the first, after encoder ``states`` with their ``mask``, or its own."""
        outputs = encoder_outputs(self.states if states is None else states)
        mask = self.source.attention_mask if mask is None else mask
        with torch.no_grad():
            return (model or self.model)(
                encoder_outputs=outputs, attention_mask=mask, decoder_input_ids=self.targets
            ).logits

    def biased_source(self, chosen, strength, states=None, mask=None):
        """Return the logits with ``strength`` on the ``chosen`` (rows, positions) of the source."""
        weights = self._weights(chosen[:, None, None], strength)
        if self._one_softmax:
            weights = torch.nn.functional.pad(weights, (self.targets.shape[1], 0), value=1)
        modules = self_attentions(self.model) if self._one_softmax else cross_attentions(self.model)
        with reweighted(modules, weights):
            return self.logits(states=states, mask=mask)

    def biased_past(self, chosen, strength):
        """Return the logits with ``strength`` on the ``chosen`` (queries, keys) of the past."""
        weights = self._weights(chosen.expand(len(self.targets), 1, -1, -1), strength)
        if self._one_softmax:
            weights = torch.nn.functional.pad(weights, (0, self.states.shape[1]), value=1)
        with reweighted(self_attentions(self.model), weights):
            return self.logits()

    @property
    def _one_softmax(self):
        return self.model.config.model_type == "t5gemma2"  # over the past, then the source

    def _weights(self, chosen, strength):
        return torch.ones(chosen.shape, dtype=self.model.dtype).masked_fill(chosen, strength)
