"""What knobs do to a model on one batch, before anything is generated with them [D]."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import GenerationConfig, PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.apply import apply
from zsc.knobs.base import Knob
from zsc.knobs.cached import FINE, apart, check_cached, log_probabilities, stepwise
from zsc.knobs.components import encoders
from zsc.knobs.finite import check_finite
from zsc.knobs.read import read
from zsc.knobs.reading import Decoded, Reading
from zsc.knobs.stack import under
from zsc.knobs.steering import changed_alone

PROBED_TOKENS = 12
ROUNDING = 16  # in units of the precision of the largest log-probability


class NoEffect(ValueError):
    """Knobs that are not neutral change nothing."""


@dataclass(frozen=True)
class Effect:
    """``kl``: Kullback-Leibler divergence, in nats, of the next-token distribution with the knobs from that without.

    ``cross_moved``, ``self_moved``: the share of the decoder's cross- and self-attention mass that lies elsewhere with
    the knobs (total variation); of a decoder alone, what moved on the source and on its past of the one mass it has for
    both. All are means over rows and steps, the latter also over layers and heads.
    """

    kl: float
    cross_moved: float
    self_moved: float

    def __str__(self) -> str:
        return (
            f"next-token KL {self.kl:.3g} nats, attention to the source moved {self.cross_moved:.1%},"
            f" to the past {self.self_moved:.1%}"
        )


@dataclass(frozen=True, eq=False)
class Unmodified:
    """What a model does without knobs on what it has read: the tokens ``target_ids`` (rows, 1 + steps) that it says
    greedily, which of their positions are ``kept``, up to the end, and what it gives for them, step by step and at
    once."""

    reading: Reading
    target_ids: torch.Tensor
    kept: torch.Tensor
    by_step: torch.Tensor
    at_once: torch.Tensor
    attention: Decoded

    def alike(self, knobs: Sequence[Knob]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log-probabilities step by step and at once, the source read as it is while ``knobs`` are on."""
        if (reading := under(self.reading, knobs)) is self.reading:
            return self.by_step, self.at_once[:, :-1]
        with apply(reading.model, []):
            _, by_step = stepwise(reading, [], _greedy(reading.model), self.target_ids)
            return log_probabilities(by_step), log_probabilities(reading.decode(self.target_ids).logits)[:, :-1]


@torch.inference_mode()
def unmodified(model: PreTrainedModel, source: Source) -> Unmodified:
    """Return what effects of knobs on ``source`` are measured from. Raises NotFinite for logits that are not finite."""
    reading = read(model, source)
    target_ids, by_step = stepwise(reading, [], _greedy(model))
    check_finite(by_step, "without knobs")
    kept = torch.ones_like(target_ids, dtype=torch.bool)
    if (end := model.generation_config.eos_token_id) is not None:
        ends = torch.isin(target_ids[:, 1:], torch.tensor(end, device=target_ids.device)).cumsum(dim=1)
        kept[:, 1:] = ends == 0
    at_once = reading.decode(target_ids).logits
    check_finite(at_once, "without knobs")
    with eager(model):
        attention = reading.decode(target_ids, attentions=True)
    return Unmodified(reading, target_ids, kept, log_probabilities(by_step), log_probabilities(at_once), attention)


@torch.inference_mode()
def probe(
    model: PreTrainedModel,
    knobs: Sequence[Knob],
    source: Source,
    cached: bool = True,
    plain: Unmodified | None = None,
) -> Effect:
    """Measure the effect of ``knobs`` along ``PROBED_TOKENS`` tokens that the unmodified model says greedily.

    ``plain`` is what :func:`unmodified` gives for the model and ``source``, if that is known. Raises NoEffect if one of
    the knobs, alone and not neutral, changes log-probabilities by no more than rounding does; NotFinite for logits that
    are not finite; and, where ``cached`` and they are more than other weights, LostAtCachedSteps if they do otherwise
    step by step with a cache than all at once without one, by more than the unmodified model does.
    """
    names = " and ".join(map(str, knobs))
    with apply(model, []):
        off = unmodified(model, source) if plain is None else plain

    def run(active: Sequence[Knob], attentions: bool = False) -> Decoded:
        with apply(model, active, source):
            return under(off.reading, active).decode(off.target_ids, attentions)

    def once(active: Sequence[Knob]) -> torch.Tensor:
        logits = run(active).logits
        check_finite(logits, f"with {' and '.join(map(str, active))}")
        return log_probabilities(logits)

    on = once(knobs)
    for knob in knobs:
        alone = on if len(knobs) == 1 else once([knob])
        if not knob.neutral and (alone - off.at_once).abs().max() <= rounding(model.dtype) * off.at_once.abs().max():
            raise NoEffect(f"{knob} changes nothing on this batch.")
    if cached and not all(knob.neutral or knob.weights_alone for knob in knobs):
        _, on_cached = stepwise(off.reading, knobs, _greedy(model), off.target_ids)
        check_finite(on_cached, f"with {names}")
        own = apart(*off.alike(knobs), off.kept[:, :-1])
        theirs = apart(log_probabilities(on_cached), on[:, :-1], off.kept[:, :-1])
        changed = apart(on[:, :-1], off.at_once[:, :-1], off.kept[:, :-1])
        check_cached(names, theirs, own, changed, float(on.abs().max()), model.dtype)
    divergence = (on.exp() * (on - off.at_once)).sum(dim=-1)[off.kept].mean()
    with eager(model):
        attention = run(knobs, attentions=True)
    return Effect(
        float(divergence),
        moved(off.attention.source, attention.source, off.kept),
        moved(off.attention.past, attention.past, off.kept),
    )


def rounding(dtype: torch.dtype) -> float:
    """Return up to what share of a log-probability a difference means nothing.

    In half precision rounding is as large as weak effects are, so there only what is no difference means nothing.
    """
    return ROUNDING * torch.finfo(dtype).eps if dtype in FINE else 0.0


def moved(off: torch.Tensor | None, on: torch.Tensor | None, kept: torch.Tensor) -> float:
    """Return the mean total variation of attention (layers, rows, heads, queries, positions) at the queries ``kept``.

    Where ``on`` has more positions, the first ones are new: nothing lay there before.
    """
    assert off is not None and on is not None
    before = torch.nn.functional.pad(off.float(), (on.shape[-1] - off.shape[-1], 0))
    distance = (on.float() - before).abs().sum(dim=-1) / 2
    return float(distance.mean(dim=(0, 2))[kept].mean())


@contextmanager
def eager(model: PreTrainedModel) -> Iterator[None]:
    """While the context is open, ``model`` computes attention eagerly, which alone returns its probabilities."""
    stacks = (*encoders(model), model.get_decoder())
    parts = [model, *(stack for stack in stacks if isinstance(stack, PreTrainedModel))]
    backends = [part.config._attn_implementation for part in parts]
    with changed_alone(model):
        for part in parts:  # the stacks of some models have configurations of their own
            part.set_attn_implementation("eager")
        try:
            yield
        finally:
            for part, backend in zip(parts, backends, strict=True):
                part.set_attn_implementation(backend)


def _greedy(model: PreTrainedModel) -> GenerationConfig:
    own = model.generation_config
    return GenerationConfig(
        max_new_tokens=PROBED_TOKENS,
        num_beams=1,
        do_sample=False,
        decoder_start_token_id=own.decoder_start_token_id,
        bos_token_id=own.bos_token_id,
        eos_token_id=own.eos_token_id,
        pad_token_id=own.pad_token_id,
    )
