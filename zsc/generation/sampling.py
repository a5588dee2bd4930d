"""What ``generate`` is told of decoding options, and sampling that does not depend on the batch."""

from dataclasses import asdict

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    PreTrainedModel,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
)

from zsc.generation.decoding import Decoding
from zsc.generation.noise import gumbel
from zsc.generation.top_p import TopP
from zsc.models.load import PROTOCOL_FIELDS

DRAWING = ("sample", "temperature", "top_p", "top_k")
FORCED = ("forced_first", "forced_last")
SUPPRESSED = ("suppress_tokens", "begin_suppress_tokens")


def generation_config(decoding: Decoding, model: PreTrainedModel) -> GenerationConfig:
    """Return the full configuration for ``generate``: these options, whose forced tokens are numbers, and the token
    ids of ``model``.

    Sampling is greedy search over perturbed scores (see :class:`GumbelSampling`), so ``do_sample`` stays off.
    """
    protocol = {field: getattr(model.generation_config, field) for field in PROTOCOL_FIELDS}
    if decoding.forced_first is not None:
        protocol["forced_bos_token_id"] = decoding.forced_first
    suppressed = {name: list(getattr(decoding, name)) or None for name in SUPPRESSED}
    return GenerationConfig(
        **protocol,
        **{name: value for name, value in asdict(decoding).items() if name not in (*DRAWING, *FORCED, *SUPPRESSED)},
        **suppressed,
        forced_eos_token_id=decoding.forced_last,
        do_sample=False,
        num_return_sequences=1,
        num_beam_groups=1,
    )


def logits_processors(decoding: Decoding, streams: torch.Tensor) -> list[LogitsProcessor]:
    """Return what turns greedy search into sampling with the noise of ``streams`` (rows,); nothing without sampling.

    :func:`zsc.generation.noise.stream_keys` makes streams.
    """
    if not decoding.sample:
        return []
    warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(float(decoding.temperature))]
    if decoding.top_k:
        warpers.append(TopKLogitsWarper(decoding.top_k))
    if decoding.top_p < 1:
        warpers.append(TopP(decoding.top_p))
    return [*warpers, GumbelSampling(streams)]


class GumbelSampling(LogitsProcessor):
    """Add Gumbel noise to the scores, so that their argmax is a sample of their softmax (the Gumbel-max trick) [D].

    The noise depends on seed, example, step and token alone (:mod:`zsc.generation.noise`). A response is therefore the
    same alone, in any batch and in any order, and runs that differ in a knob only share their noise, which makes their
    comparison a paired one. Tokens already ruled out need none.
    """

    def __init__(self, streams: torch.Tensor):
        self.keys = streams

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        rows, tokens = torch.nonzero(scores > -torch.inf, as_tuple=True)
        if scores.device.type == "mps":  # which has no float64
            noise = gumbel(self.keys[rows.cpu()], input_ids.shape[1], tokens.cpu()).float().to(scores.device)
        else:
            noise = gumbel(self.keys.to(scores.device)[rows], input_ids.shape[1], tokens).float()
        return scores.float().index_put((rows, tokens), noise, accumulate=True)
