"""What ``generate`` is told of decoding options, and sampling that does not depend on the batch."""

from dataclasses import asdict

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    PreTrainedModel,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
)

from zsc.errors import ZscError
from zsc.generation.decoding import Decoding
from zsc.generation.noise import gumbel, gumbel_rows
from zsc.generation.top_p import TopP, nuclei
from zsc.knobs.anatomy import is_causal
from zsc.knobs.reading import Reading
from zsc.models.load import PROTOCOL_FIELDS

DRAWING = ("sample", "temperature", "top_p", "top_k")
OWN = (*DRAWING, "stop")  # options that the library is not told
OF_PROMPT = ("repetition_penalty", "no_repeat_ngram_size")  # which count a prompt's tokens in
NOT_OF_PROMPT = {"encoder_no_repeat_ngram_size": 0, "forced_first": None}  # which a decoder alone cannot have
FORCED = ("forced_first", "forced_last")
SUPPRESSED = ("suppress_tokens", "begin_suppress_tokens")


def generation_config(decoding: Decoding, model: PreTrainedModel) -> GenerationConfig:
    """Return the full configuration for ``generate``: these options, whose forced tokens are numbers, and the token
    ids of ``model``.

    Sampling is greedy search over perturbed scores (see :class:`GumbelSampling`), so ``do_sample`` stays off. What
    counts the tokens of a prompt is left to :func:`logits_processors`. Raises ZscError for options that a decoder alone
    cannot have.
    """
    protocol = {field: getattr(model.generation_config, field) for field in PROTOCOL_FIELDS}
    if decoding.forced_first is not None:
        protocol["forced_bos_token_id"] = decoding.forced_first
    suppressed = {name: list(getattr(decoding, name)) or None for name in SUPPRESSED}
    other = (*OWN, *FORCED, *SUPPRESSED, *(OF_PROMPT if is_causal(model) else ()))
    if is_causal(model):
        check_of_prompt(decoding)
    return GenerationConfig(
        **protocol,
        **{name: value for name, value in asdict(decoding).items() if name not in other},
        **suppressed,
        forced_eos_token_id=decoding.forced_last,
        do_sample=False,
        num_return_sequences=1,
        num_beam_groups=1,
    )


def check_of_prompt(decoding: Decoding) -> None:
    """Raise ZscError for options that a decoder alone, which has no source of its own, cannot have."""
    for name, neutral in NOT_OF_PROMPT.items():
        if (value := getattr(decoding, name)) != neutral:
            raise ZscError(
                f"decoding.{name}={value}: a decoder-only model has neither encoder nor start token. Leave it at"
                f" {'null' if neutral is None else neutral}."
            )


def logits_processors(decoding: Decoding, streams: torch.Tensor, reading: Reading) -> list[LogitsProcessor]:
    """Return what turns greedy search into sampling with the noise of ``streams`` (rows,), nothing without sampling;
    before it, what counts the tokens of a prompt as well as those of responses.

    :func:`zsc.generation.noise.stream_keys` makes streams.
    """
    counting: list[LogitsProcessor] = []
    if reading.before:
        if decoding.repetition_penalty != 1:
            counting.append(OfText(RepetitionPenaltyLogitsProcessor(float(decoding.repetition_penalty)), reading))
        if decoding.no_repeat_ngram_size:
            counting.append(OfText(NoRepeatNGramLogitsProcessor(decoding.no_repeat_ngram_size), reading))
    return counting + drawing(decoding, streams, reading.before)


def drawing(decoding: Decoding, streams: torch.Tensor, before: int) -> list[LogitsProcessor]:
    """Return what draws tokens, if the options say so; ``before`` a target stand so many tokens of its prompt."""
    if not decoding.sample:
        return []
    nucleus = [TopP(decoding.top_p)] if decoding.top_p < 1 else []
    return [*warpers(decoding), *nucleus, GumbelSampling(streams, before)]


def warpers(decoding: Decoding) -> list[LogitsProcessor]:
    """Return what scores go through before a nucleus is looked for in them."""
    found: list[LogitsProcessor] = [TemperatureLogitsWarper(float(decoding.temperature))]
    if decoding.top_k:
        found.append(TopKLogitsWarper(decoding.top_k))
    return found


def drawn(decoding: Decoding, scores: torch.Tensor, streams: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return the tokens (rows,) that :func:`drawing` makes the best of ``scores`` (rows, vocabulary), which have been
    through :func:`warpers`, with the noise of ``streams`` (rows,) at ``steps`` (rows,); only those of nuclei are looked
    at."""
    if decoding.top_p == 1:
        return perturbed(scores, streams, steps).argmax(dim=-1)
    best = torch.empty(len(scores), dtype=torch.long, device=scores.device)
    for found in nuclei(scores, decoding.top_p):
        own = scores[found.rows[:, None], found.tokens].masked_fill(~found.kept, -torch.inf)
        rows = found.rows.to(streams.device)
        place = perturbed(own, streams[rows], steps[rows], found.tokens).argmax(dim=-1)
        best[found.rows] = found.tokens.gather(1, place[:, None])[:, 0]
    return best


class OfText(LogitsProcessor):
    """A ``processor`` of the library that looks at what stands there, row by row without the padding before it.

    So a response does not depend on the prompts beside it.
    """

    def __init__(self, processor: LogitsProcessor, reading: Reading):
        self.processor = processor
        self.mask = reading.source.attention_mask.bool()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        times = len(input_ids) // len(self.mask)  # beams
        kept = torch.ones_like(input_ids, dtype=torch.bool)
        kept[:, : self.mask.shape[1]] = self.mask.repeat_interleave(times, dim=0)
        rows = [
            self.processor(ids[own][None], row[None]) for ids, own, row in zip(input_ids, kept, scores, strict=True)
        ]
        return torch.cat(rows)


class GumbelSampling(LogitsProcessor):
    """Add Gumbel noise to the scores, so that their argmax is a sample of their softmax (the Gumbel-max trick) [D].

    The noise depends on seed, example, step and token alone (:mod:`zsc.generation.noise`). A response is therefore the
    same alone, in any batch and in any order, and runs that differ in a knob only share their noise, which makes their
    comparison a paired one. Tokens already ruled out need none.
    """

    def __init__(self, streams: torch.Tensor, before: int = 0):
        self.keys, self.before = streams, before

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return perturbed(scores, self.keys, torch.full(self.keys.shape, input_ids.shape[1] - self.before))


def perturbed(
    scores: torch.Tensor, streams: torch.Tensor, steps: torch.Tensor, tokens: torch.Tensor | None = None
) -> torch.Tensor:
    """Return ``scores`` (rows, columns) with the noise of ``streams`` (rows,) at ``steps`` (rows,).

    Columns are the vocabulary, or ``tokens`` (rows, columns).
    """
    where = torch.device("cpu") if scores.device.type == "mps" else scores.device  # which has no float64
    streams, steps, allowed = streams.to(where), steps.to(where), scores > -torch.inf
    if 2 * int(allowed.sum()) > allowed.numel():
        columns = torch.arange(scores.shape[1])[None] if tokens is None else tokens
        return scores.float() + gumbel_rows(streams, steps, columns.to(where).expand_as(scores)).to(scores.device)
    rows, columns = torch.nonzero(allowed, as_tuple=True)
    which = columns if tokens is None else tokens[rows, columns]
    own = rows.to(where)
    noise = gumbel(streams[own], steps[own], which.to(where)).float().to(scores.device)
    return scores.float().index_put((rows, columns), noise, accumulate=True)
