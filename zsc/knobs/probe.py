"""What knobs do to a model on one batch, before anything is generated with them [D]."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.apply import apply
from zsc.knobs.base import Knob
from zsc.knobs.cached import FINE, apart, check_cached, log_probabilities, stepwise
from zsc.knobs.encoder import encode, encoder_outputs
from zsc.knobs.finite import check_finite
from zsc.knobs.steering import changed_alone

PROBED_TOKENS = 12
ROUNDING = 16  # in units of the precision of the largest log-probability


class NoEffect(ValueError):
    """Knobs that are not neutral change nothing."""


@dataclass(frozen=True)
class Effect:
    """``kl``: Kullback-Leibler divergence, in nats, of the next-token distribution with the knobs from that without.

    ``cross_moved``, ``self_moved``: the share of the decoder's cross- and self-attention mass that lies elsewhere with
    the knobs (total variation). All are means over rows and steps, the latter also over layers and heads.
    """

    kl: float
    cross_moved: float
    self_moved: float

    def __str__(self) -> str:
        return (
            f"next-token KL {self.kl:.3g} nats, cross-attention moved {self.cross_moved:.1%},"
            f" self-attention moved {self.self_moved:.1%}"
        )


@torch.inference_mode()
def probe(model: PreTrainedModel, knobs: Sequence[Knob], source: Source, cached: bool = True) -> Effect:
    """Measure the effect of ``knobs`` along ``PROBED_TOKENS`` tokens that the unmodified model says greedily.

    Raises NoEffect if one of them, alone and not neutral, changes log-probabilities by no more than rounding does;
    NotFinite for logits that are not finite; and, where ``cached``, LostAtCachedSteps if they do otherwise step by step
    with a cache than all at once without one, by more than the unmodified model does.
    """
    names = " and ".join(map(str, knobs))
    states = encode(model, source)
    target_ids, off_cached = stepwise(model, [], source, states, _greedy(model))
    check_finite(off_cached, "without knobs")
    kept = torch.ones_like(target_ids, dtype=torch.bool)
    if (end := model.generation_config.eos_token_id) is not None:
        ends = torch.isin(target_ids[:, 1:], torch.tensor(end, device=target_ids.device)).cumsum(dim=1)
        kept[:, 1:] = ends == 0

    def run(active: Sequence[Knob], attentions: bool = False) -> Any:
        with apply(model, active, source):
            return model(
                encoder_outputs=encoder_outputs(states),
                attention_mask=source.attention_mask,
                decoder_input_ids=target_ids,
                use_cache=False,
                output_attentions=attentions,
            )

    def once(active: Sequence[Knob]) -> torch.Tensor:
        logits = run(active).logits
        check_finite(logits, f"with {' and '.join(map(str, active))}" if active else "without knobs")
        return log_probabilities(logits)

    off, on = once([]), once(knobs)
    for knob in knobs:
        alone = on if len(knobs) == 1 else once([knob])
        if not knob.neutral and (alone - off).abs().max() <= rounding(model.dtype) * off.abs().max():
            raise NoEffect(f"{knob} changes nothing on this batch.")
    if cached and not all(knob.neutral for knob in knobs):
        _, on_cached = stepwise(model, knobs, source, states, _greedy(model), target_ids)
        check_finite(on_cached, f"with {names}")
        own, theirs = (
            apart(log_probabilities(by_step), at_once[:, :-1], kept[:, :-1])
            for by_step, at_once in ((off_cached, off), (on_cached, on))
        )
        check_cached(names, theirs, own, float(on.abs().max()), model.dtype)
    divergence = (on.exp() * (on - off)).sum(dim=-1)[kept].mean()
    with eager(model):
        before, after = run([], attentions=True), run(knobs, attentions=True)
    cross, past = (
        moved(torch.stack(before[part]), torch.stack(after[part]), kept)
        for part in ("cross_attentions", "decoder_attentions")
    )
    return Effect(float(divergence), cross, past)


def rounding(dtype: torch.dtype) -> float:
    """Return up to what share of a log-probability a difference means nothing.

    In half precision rounding is as large as weak effects are, so there only what is no difference means nothing.
    """
    return ROUNDING * torch.finfo(dtype).eps if dtype in FINE else 0.0


def moved(off: torch.Tensor, on: torch.Tensor, kept: torch.Tensor) -> float:
    """Return the mean total variation of attention (layers, rows, heads, queries, positions) at the queries ``kept``.

    Where ``on`` has more positions, the first ones are new: nothing lay there before.
    """
    before = torch.nn.functional.pad(off.float(), (on.shape[-1] - off.shape[-1], 0))
    distance = (on.float() - before).abs().sum(dim=-1) / 2
    return float(distance.mean(dim=(0, 2))[kept].mean())


@contextmanager
def eager(model: PreTrainedModel) -> Iterator[None]:
    """While the context is open, ``model`` computes attention eagerly, which alone returns its probabilities."""
    stacks = (model.get_encoder(), model.get_decoder())
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
