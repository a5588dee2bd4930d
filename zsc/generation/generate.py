"""Generate responses for one batch, with and without knobs, from what the model has read of it once."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedTokenizerBase

from zsc.generation.decoding import Decoding
from zsc.generation.finite import check_likelihoods, check_reading, finite_logits
from zsc.generation.noise import stream_keys
from zsc.generation.sampling import generation_config, logits_processors
from zsc.generation.stop import stopping, stops
from zsc.knobs.apply import apply
from zsc.knobs.base import Knob
from zsc.knobs.reading import Reading
from zsc.knobs.stack import additive, stacked, under

ALIKE = 8  # responses


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
    reading: Reading,
    ids: Sequence[str],
    jobs: Sequence[Job],
    decoding: Decoding,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> torch.Tensor:
    """Return token ids (jobs * batch, length), job by job, the token that decoding starts from first.

    All jobs, which must fit together, go on as one batch from what the model has read. ``ids`` name the rows of
    ``reading`` for the sampling noise; a text to stop at needs the ``tokenizer`` of responses. Raises ZscError, naming
    the record, where states or logits are not finite.
    """
    check_reading(reading, ids)
    model = reading.model
    first, *others = jobs
    repeated = under(reading, first.knobs).repeat(len(jobs))
    context: AbstractContextManager[Any] = (
        apply(model, first.knobs, repeated.source)
        if all(job.knobs is first.knobs for job in others)
        else stacked(model, [job.knobs for job in jobs], reading.source)  # type: ignore[misc]
    )
    streams = torch.cat([stream_keys(ids, job.seed) for job in jobs])
    with context, finite_logits(model, ids, ["+".join(map(str, job.knobs)) for job in jobs]):
        return repeated.generate(
            generation_config=generation_config(decoding, model),
            logits_processor=LogitsProcessorList(logits_processors(decoding, streams, repeated)),
            **stopping(decoding, tokenizer),
        )


@torch.inference_mode()
def generate(
    reading: Reading,
    tokenizer: PreTrainedTokenizerBase,
    ids: Sequence[str],
    jobs: Sequence[Job],
    decoding: Decoding,
) -> list[list[Response]]:
    """Return one response per row of ``reading`` for each of ``jobs``, as :func:`decode` makes them.

    Likelihoods are computed job by job, so that what is decoded together does not touch their last digits.
    """
    sequences = decode(reading, ids, jobs, decoding, tokenizer)
    return [responses(reading, tokenizer, decoding, ids, own) for own in sequences.chunk(len(jobs))]


@torch.inference_mode()
def responses(
    reading: Reading,
    tokenizer: PreTrainedTokenizerBase,
    decoding: Decoding,
    ids: Sequence[str],
    sequences: torch.Tensor,
) -> list[Response]:
    """Return what ``sequences`` (rows, 1 + length) of token ids say, with its likelihood under the model as it is."""
    kept = response_mask(sequences, generation_config(decoding, reading.model))
    texts, kept = stops(sequences, kept, decoding, tokenizer)
    length = int(kept.any(dim=0).nonzero().max()) + 1
    sequences, kept = sequences[:, : 1 + length], kept[:, :length]
    nll = negative_log_likelihood(reading, sequences, kept)
    check_likelihoods(nll, ids)
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


def negative_log_likelihood(reading: Reading, sequences: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Return the summed negative log-likelihood (rows,) of the ``kept`` tokens of ``sequences[:, 1:]``, in nats.

    Responses of like length are read together, ``ALIKE`` at a time.
    """
    lengths = (kept * torch.arange(1, kept.shape[1] + 1, device=kept.device)).amax(dim=1)
    order = lengths.argsort(descending=True, stable=True)
    found = torch.zeros(len(sequences), device=sequences.device)
    for rows in order.split(ALIKE):
        length = int(lengths[rows[0]])
        logits = reading.select(rows.tolist()).decode(sequences[rows, :length]).logits
        targets = sequences[rows, 1 : 1 + length]
        losses = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
        found[rows] = (losses.view(targets.shape) * kept[rows, :length]).sum(dim=1)
    return found
