"""What must hold on any encoder-decoder if its attention takes weights, told without knowing the model [D].

A whole number b as the weight of a source position is what the model gives for encoder states in which that position
stands b times: in a'_i = a_i b_i / sum_j a_j b_j equal terms are counted b times over. A weight of 0 is what it gives
without the position. On the decoder's own past a weight of 0 is what its own mask makes of a token, and weights count
only relative to each other. In all cases a step with a cache gives what it gives without, and no logits depend on
later tokens.
"""

from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from zsc.knobs.additions import Additions
from zsc.knobs.anatomy import merges_attention
from zsc.knobs.cache import cache_name, returned_cache
from zsc.knobs.encoder import encoder_outputs
from zsc.knobs.masks import Bias, Weights
from zsc.knobs.steering import steered

TOLERANCE = 0.01  # of what weights change
HALF_TOLERANCE = 0.25  # of the same in half precision
ROUNDING = 2  # in units of the precision of the largest logit
HIDDEN = 2  # the token of the target that is hidden
ON_SOURCE = ((1, 5, 9, 1, 1, 4, 1), (9, 0, 1, 4, 0, 1, 1))
ON_PAST = (1.0, 9.0, 0.1, 4.0, 0.5)


@torch.inference_mode()
def steps_fault(model: PreTrainedModel, states: torch.Tensor, mask: torch.Tensor, targets: torch.Tensor) -> str | None:
    """Say what is wrong with the steps of ``model``, knobs or none, or return None.

    ``states`` (rows, positions, width) are encoder states, ``mask`` (rows, positions) says which are attended to,
    ``targets`` (rows, steps) is what the decoder reads, special tokens aside.
    """
    full = _logits(model, states, mask, targets)
    other = _logits(model, states, mask, targets.roll(1, dims=1))
    for length in (1, targets.shape[1] - 1):
        fewer = _logits(model, states, mask, targets[:, :length])
        if (fault := differs(fewer, full[:, :length], other[:, :length], model.dtype)) is not None:
            return f"logits depend on later tokens ({fault})"
    if (fault := differs(_cached(model, states, mask, targets), full, other, model.dtype)) is not None:
        return f"steps with a cache do not give what they give without ({fault})"
    return None


@torch.inference_mode()
def source_fault(model: PreTrainedModel, states: torch.Tensor, mask: torch.Tensor, targets: torch.Tensor) -> str | None:
    """Say what is wrong with weights on the source under ``model``, or return None.

    The arguments are those of :func:`steps_fault`, at least three positions of each row attended to.
    """
    weights = integer_weights(*states.shape[:2]).to(states.device)
    plain = _logits(model, states, mask, targets)
    expected = _logits(model, *repeated_states(states, mask, weights), targets)
    shown = weights.masked_fill(mask == 0, 0)[:, None]
    with steered(model, Additions(cross=[Bias(lambda steps, positions: shown)])):
        actual = _logits(model, states, mask, targets)
        if (fault := differs(actual, expected, plain, model.dtype)) is not None:
            return f"weights on the source do not give what repeating its states gives ({fault})"
        return steps_fault(model, states, mask, targets)


@torch.inference_mode()
def past_fault(model: PreTrainedModel, states: torch.Tensor, mask: torch.Tensor, targets: torch.Tensor) -> str | None:
    """Say what is wrong with weights on the decoder's own past under ``model``, or return None.

    The arguments are those of :func:`steps_fault`, with at least four steps.
    """
    plain = _logits(model, states, mask, targets)
    shown = torch.ones_like(targets)
    shown[:, HIDDEN] = 0
    expected = _logits(model, states, mask, targets, decoder_attention_mask=shown)
    others = [step for step in range(targets.shape[1]) if step != HIDDEN]

    def past(*weights: float) -> Additions:
        return Additions(past=[Bias(_repeating(weights))])

    hidden = [float(step != HIDDEN) for step in range(targets.shape[1])]
    with steered(model, past(*hidden)):
        actual = _logits(model, states, mask, targets)
    if (fault := differs(actual[:, others], expected[:, others], plain[:, others], model.dtype)) is not None:
        return f"a weight of 0 on a token of the past does not give what hiding it gives ({fault})"
    with steered(model, past(*(3 * weight for weight in ON_PAST))):
        scaled = _logits(model, states, mask, targets)
    with steered(model, past(*ON_PAST)):
        actual = _logits(model, states, mask, targets)
        same = actual if merges_attention(model) else scaled  # where the source counts beside the past
        if (fault := differs(actual, same, plain, model.dtype)) is not None:
            return f"weights on the past do not count relative to each other ({fault})"
        return steps_fault(model, states, mask, targets)


FAULTS: dict[str, Callable[[PreTrainedModel, torch.Tensor, torch.Tensor, torch.Tensor], str | None]] = {
    "steps": steps_fault,
    "source": source_fault,
    "past": past_fault,
}


def integer_weights(rows: int, positions: int) -> torch.Tensor:
    """Return weights (rows, positions) that are whole numbers, in every other row some 0 among them."""
    numbers = torch.tensor(ON_SOURCE, dtype=torch.float32)
    down, across = (-(-size // have) for size, have in zip((rows, positions), numbers.shape, strict=True))
    return numbers.repeat(down, across)[:rows, :positions]


def repeated_states(
    states: torch.Tensor, mask: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return states (rows, longest, width) in which attended ones stand as often as ``weights`` (rows, positions) say,
    and their mask."""
    counts = (weights * mask).long()
    rows = [row.repeat_interleave(count, dim=0) for row, count in zip(states, counts, strict=True)]
    longer = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return longer, (torch.arange(longer.shape[1], device=states.device) < counts.sum(dim=1)[:, None]).long()


def differs(actual: torch.Tensor, expected: torch.Tensor, plain: torch.Tensor, dtype: torch.dtype) -> str | None:
    """Say how far logits are from those ``expected``, if that is more than a small part of how far ``plain`` ones are.

    Raises ValueError if the latter is too little for that to be told.
    """
    if not bool(torch.isfinite(actual).all()):
        return "logits that are not finite"
    error, effect = (float((one - expected).abs().max()) for one in (actual, plain))
    noise = ROUNDING * torch.finfo(dtype).eps * float(expected.abs().max())
    share = TOLERANCE if torch.finfo(dtype).bits >= 32 else HALF_TOLERANCE
    if error > share * effect + noise:
        return f"off by {error:.2g} in logits, where what is compared changes {effect:.2g}"
    if effect <= 2 * noise:
        raise ValueError(
            f"what is compared changes {effect:.2g} in logits, which rounding ({noise:.2g}) may hide: use float32"
        )
    return None


def _repeating(weights: tuple[float, ...]) -> Weights:
    """Return ``weights`` of the tokens of the past, over and over."""

    def at(steps: torch.Tensor, positions: int) -> torch.Tensor:
        chosen = torch.arange(positions, device=steps.device) % len(weights)
        return torch.tensor(weights, device=steps.device)[chosen][None, None]

    return at


def _logits(
    model: PreTrainedModel, states: torch.Tensor, mask: torch.Tensor, targets: torch.Tensor, **more: torch.Tensor
) -> torch.Tensor:
    return model(
        encoder_outputs=encoder_outputs(states),
        attention_mask=mask,
        decoder_input_ids=targets,
        use_cache=False,
        **more,
    ).logits.float()


def _cached(model: PreTrainedModel, states: torch.Tensor, mask: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the logits (rows, steps, vocabulary) of ``targets`` read one by one, with a cache."""
    steps, cache = [], None
    for step in range(targets.shape[1]):
        output = model(
            encoder_outputs=encoder_outputs(states),
            attention_mask=mask,
            decoder_input_ids=targets[:, step : step + 1],
            use_cache=True,
            **{cache_name(model): cache},
        )
        cache = returned_cache(output)
        steps.append(output.logits.float())
    return torch.cat(steps, dim=1)
