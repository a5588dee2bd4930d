"""Whether knobs do at steps with a cache what they do without one [D]."""

from collections.abc import Sequence

import torch
import transformers
from transformers import GenerationConfig, LogitsProcessorList

from zsc.knobs.apply import apply
from zsc.knobs.base import Knob
from zsc.knobs.masks import precision
from zsc.knobs.reading import Reading
from zsc.knobs.stack import under

FINE = (torch.float32, torch.float64)
# Measured on six families and the trained model that ships, under weak and strong knobs: up to 2.1 times the unmodified
# model's difference; in units of the precision of the largest log-probability up to 2.1, in half precision .54.
TIMES = 4
FLOOR, HALF_FLOOR = 16, 1
SHARE = 0.01  # of what knobs change: where they are strong, rounding grows with them, and one that is lost loses more


class LostAtCachedSteps(ValueError):
    """A model gives otherwise with a cache, once knobs are on."""


def stepwise(
    reading: Reading, knobs: Sequence[Knob], config: GenerationConfig, target_ids: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tokens (rows, 1 + steps) and the logits (rows, steps, vocabulary) of ``generate`` with a cache.

    The tokens are those of ``target_ids``, the start token among them, or chosen by ``config``.
    """

    step = 0

    def forced(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        nonlocal step
        step += 1
        if target_ids is None:
            return scores
        ruled_out = torch.full_like(scores, torch.finfo(scores.dtype).min)
        return ruled_out.scatter(1, target_ids[:, step, None], 0.0)

    with apply(reading.model, knobs, reading.source):
        output = under(reading, knobs).generate(
            generation_config=config,
            logits_processor=LogitsProcessorList([forced]),
            use_cache=True,
            output_logits=True,
            return_dict_in_generate=True,
        )
    return output.sequences, torch.stack(output.logits, dim=1)


def log_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Return the logarithms of the next-token distributions, 0 for tokens that are ruled out altogether."""
    logs = logits.to(precision(logits.dtype)).log_softmax(dim=-1)
    return logs.masked_fill(logs == -torch.inf, 0.0)


def apart(cached: torch.Tensor, once: torch.Tensor, kept: torch.Tensor) -> float:
    """Return the largest mean difference of log-probabilities (rows, steps, vocabulary) of a step that is ``kept``."""
    return float((cached - once).abs().mean(dim=-1)[kept].max())


def check_cached(
    what: str, difference: float, of_the_model: float, changed: float, largest: float, dtype: torch.dtype
) -> None:
    """Raise LostAtCachedSteps if a cache makes more of a ``difference`` (see :func:`apart`) under the knobs ``what``
    than rounding does.

    Rounding makes what it makes ``of_the_model`` without knobs, a few times over, a small share of what the knobs have
    ``changed``, and a few units of the precision of the ``largest`` log-probability. In half precision this may be as
    much as a weak knob does, which is then let pass.
    """
    floor = FLOOR if dtype in FINE else HALF_FLOOR
    if difference > max(TIMES * of_the_model, SHARE * changed, floor * torch.finfo(dtype).eps * largest):
        raise LostAtCachedSteps(
            f"{what} acts otherwise at steps with a cache: log-probabilities are {difference:.2g} off those without one"
            f" (the unmodified model's: {of_the_model:.2g}). This model loses the knob at cached steps with"
            f" transformers {transformers.__version__}: set decoding.use_cache=false."
        )
