"""What must hold on any encoder-decoder if its attention takes weights, found without knowing the model [D].

A weight b on a source position is, where b is a whole number, what the model gives for encoder states in which that
position stands b times: in a'_i = a_i b_i / sum_j a_j b_j equal terms are counted b times over. A weight of 0 is what
it gives without the position. On the decoder's own past a weight of 0 is what its own mask makes of the position. In
all cases a step with a cache gives what it gives without, and no logits depend on later tokens.
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from zsc.knobs.cache import cache_name, returned_cache
from zsc.knobs.encoder import encoder_outputs
from zsc.knobs.steering import Additions, Bias, steered

TOLERANCE = {torch.float64: 0.01, torch.float32: 0.01}  # as a share of what the weights change; in half precision:
HALF_TOLERANCE = 0.25
HIDDEN = 2  # the position of the target that is hidden


def whole_weights(positions: int) -> torch.Tensor:
    """Return weights (2, positions) that are whole numbers: some 2 and 3, and in the second row also some 0."""
    numbers = torch.tensor([[1, 2, 3, 1, 1, 2, 1], [3, 0, 1, 2, 0, 1, 1]], dtype=torch.float32)
    return numbers.repeat(1, positions // numbers.shape[1] + 1)[:, :positions]


def repeated_states(
    states: torch.Tensor, mask: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return states (rows, longest, width) in which attended ones stand as often as ``weights`` (rows, positions) say,
    and their mask."""
    counts = (weights * mask).long()
    rows = [row.repeat_interleave(count, dim=0) for row, count in zip(states, counts, strict=True)]
    lengths = counts.sum(dim=1)
    longer = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return longer, (torch.arange(longer.shape[1], device=states.device) < lengths[:, None]).long()


@torch.inference_mode()
def cross_fault(model: PreTrainedModel, states: torch.Tensor, mask: torch.Tensor, targets: torch.Tensor) -> str | None:
    """Say what is wrong with weights on the source under ``model``, or return None.

    ``states`` (2, positions, width) are encoder states, ``mask`` (2, positions) says which are attended to, ``targets``
    (2, steps) is what the decoder reads. No state that is attended to may be the last of its kind with a weight of 0.
    """
    weights = whole_weights(states.shape[1]).to(states.device)
    plain = _logits(model, states, mask, targets)
    longer, longer_mask = repeated_states(states, mask, weights)
    expected = _logits(model, longer, longer_mask, targets)
    hidden = weights.masked_fill(mask == 0, 0)[:, None]
    additions = Additions(cross=[Bias(lambda steps, positions: hidden)])
    with steered(model, additions):
        actual = _logits(model, states, mask, targets)
        if (fault := _differs(actual, expected, plain)) is not None:
            return f"weights on the source do not give what repeating its states gives ({fault})"
        return _step_fault(model, states, mask, targets, actual, plain)


@torch.inference_mode()
def past_fault(model: PreTrainedModel, states: torch.Tensor, mask: torch.Tensor, targets: torch.Tensor) -> str | None:
    """Say what is wrong with weights on the decoder's own past under ``model``, or return None.

    The arguments are those of :func:`cross_fault`.
    """
    plain = _logits(model, states, mask, targets)
    shown = torch.ones_like(targets)
    shown[:, HIDDEN] = 0
    expected = _logits(model, states, mask, targets, decoder_attention_mask=shown)
    others = [step for step in range(targets.shape[1]) if step != HIDDEN]  # whose own position is left to them

    def weights(steps: torch.Tensor, positions: int) -> torch.Tensor:
        return (torch.arange(positions, device=steps.device) != HIDDEN).float()[None, None]

    with steered(model, Additions(past=[Bias(weights)])):
        actual = _logits(model, states, mask, targets)
        if (fault := _differs(actual[:, others], expected[:, others], plain[:, others])) is not None:
            return f"a weight of 0 on a past token does not give what hiding it gives ({fault})"
        return _step_fault(model, states, mask, targets, actual, plain)


def _step_fault(
    model: PreTrainedModel,
    states: torch.Tensor,
    mask: torch.Tensor,
    targets: torch.Tensor,
    actual: torch.Tensor,
    plain: torch.Tensor,
) -> str | None:
    """Say whether steps with a cache differ from ``actual``, or logits depend on later tokens; knobs are on."""
    other = targets.clone()
    other[:, -1] = targets.roll(1, dims=1)[:, -1]
    earlier = _logits(model, states, mask, other)[:, :-1]
    if (fault := _differs(earlier, actual[:, :-1], plain[:, :-1])) is not None:
        return f"logits depend on later tokens ({fault})"
    if (fault := _differs(_cached(model, states, mask, targets), actual, plain)) is not None:
        return f"steps with a cache do not give what they give without ({fault})"
    return None


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


def _differs(actual: torch.Tensor, expected: torch.Tensor, plain: torch.Tensor) -> str | None:
    """Say how far ``actual`` is from ``expected``, if that is much of how far ``plain`` is."""
    error, effect = (float((one - expected).abs().max()) for one in (actual, plain))
    return None if error <= 0.01 * effect else f"off by {error:.2g}, where they change {effect:.2g}"
