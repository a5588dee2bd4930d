"""Generate responses for one batch, with and without knobs, over encoder states computed once."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel, PreTrainedTokenizerBase

from zsc.data.source import Source
from zsc.generation.decoding import Decoding
from zsc.generation.finite import check_likelihoods, check_states, finite_logits
from zsc.generation.noise import stream_keys
from zsc.generation.sampling import generation_config, logits_processors
from zsc.knobs.apply import apply
from zsc.knobs.base import Knob
from zsc.knobs.encoder import encoder_outputs
from zsc.knobs.stack import additive, stacked


@dataclass(frozen=True)
class Response:
    """What the model said. ``nll``: negative log-likelihood in nats of its ``tokens`` tokens, end token included,
    under the unmodified model given the source."""

    text: str
    tokens: int
    nll: float

    def item(self, identity: str) -> dict[str, Any]:
        """Return what a cell holds of the response to the record ``identity``."""
        return {"id": identity, "response": self.text, "tokens": self.tokens, "nll": round(self.nll, 5)}


@dataclass(frozen=True)
class Job:
    """Responses under ``knobs``, drawn with ``seed``."""

    knobs: Sequence[Knob]
    seed: int


def fit_together(first: Job, second: Job) -> bool:
    """Say whether two jobs can be decoded in one batch: under the same knobs, or under such as only add to it."""
    same = first.knobs is second.knobs
    return same or (additive(first.knobs) and additive(second.knobs))


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    source: Source,
    states: torch.Tensor,
    ids: Sequence[str],
    jobs: Sequence[Job],
    decoding: Decoding,
) -> torch.Tensor:
    """Return token ids (jobs * batch, length), job by job, the start token first.

    All jobs, which must fit together, run as one batch over the encoder ``states`` (batch, positions, width) of
    ``source``. ``ids`` name its rows for the sampling noise. Raises ZscError, naming the record, where states or logits
    are not finite.
    """
    check_states(states, source, ids)
    generator: Any = model  # generate() comes with the concrete class
    first, *others = jobs
    repeated = source.repeat(len(jobs))
    context: AbstractContextManager[Any] = (
        apply(model, first.knobs, repeated)
        if all(job.knobs is first.knobs for job in others)
        else stacked(model, [job.knobs for job in jobs], source)  # type: ignore[misc]
    )
    streams = torch.cat([stream_keys(ids, job.seed) for job in jobs])
    read = {"input_ids": repeated.input_ids} if decoding.encoder_no_repeat_ngram_size else {}  # else of no use
    with context, finite_logits(model, ids, ["+".join(map(str, job.knobs)) for job in jobs]):
        return generator.generate(
            **read,
            encoder_outputs=encoder_outputs(states.repeat(len(jobs), 1, 1)),
            attention_mask=repeated.attention_mask,
            generation_config=generation_config(decoding, model),
            logits_processor=LogitsProcessorList(logits_processors(decoding, streams)),
        )


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    source: Source,
    states: torch.Tensor,
    ids: Sequence[str],
    jobs: Sequence[Job],
    decoding: Decoding,
) -> list[list[Response]]:
    """Return one response per row of ``source`` for each of ``jobs``, as :func:`decode` makes them.

    Likelihoods are computed job by job, so that what is decoded together does not touch their last digits.
    """
    sequences = decode(model, source, states, ids, jobs, decoding)
    config = generation_config(decoding, model)
    return [_responses(model, tokenizer, config, source, states, ids, own) for own in sequences.chunk(len(jobs))]


def _responses(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: GenerationConfig,
    source: Source,
    states: torch.Tensor,
    ids: Sequence[str],
    sequences: torch.Tensor,
) -> list[Response]:
    kept = response_mask(sequences, config)
    length = int(kept.any(dim=0).nonzero().max()) + 1
    sequences, kept = sequences[:, : 1 + length], kept[:, :length]
    nll = negative_log_likelihood(model, source, states, sequences, kept)
    check_likelihoods(nll, ids)
    texts = tokenizer.batch_decode(sequences, skip_special_tokens=True)
    counts = kept.sum(dim=1)
    return [
        Response(" ".join(text.split()), int(count), float(value))
        for text, count, value in zip(texts, counts, nll, strict=True)
    ]


def response_mask(sequences: torch.Tensor, config: GenerationConfig) -> torch.Tensor:
    """Return which of ``sequences[:, 1:]`` (batch, length - 1) the model chose: all up to the first end token, except
    a first token that it is forced to begin with."""
    end_ids = [] if config.eos_token_id is None else config.eos_token_id
    ends = torch.isin(sequences[:, 1:], torch.tensor(end_ids, device=sequences.device, dtype=sequences.dtype))
    kept = (ends.cumsum(dim=1) - ends.long()) == 0
    if config.forced_bos_token_id is not None:
        kept[:, 0] = False
    return kept


def negative_log_likelihood(
    model: PreTrainedModel, source: Source, states: torch.Tensor, sequences: torch.Tensor, kept: torch.Tensor
) -> torch.Tensor:
    """Return the summed negative log-likelihood (batch,) of the ``kept`` tokens of ``sequences[:, 1:]``, in nats."""
    logits = model(
        encoder_outputs=encoder_outputs(states),
        attention_mask=source.attention_mask,
        decoder_input_ids=sequences[:, :-1],
        use_cache=False,
    ).logits
    targets = sequences[:, 1:]
    losses = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    return (losses.view(targets.shape) * kept).sum(dim=1)
