"""What must hold on any decoder alone if its attention takes weights, told without knowing the model [D].

In the layer where weights b are put, and in no other, attention must be a'_i = a_i b_i / sum_j a_j b_j of the attention
a that eager attention returns without them: what the layer reads is the same. Attention that is computed otherwise must
give the logits of eager attention. In all cases steps with a cache give what they give without one, a prompt gives the
same in whatever company, and no logits depend on later tokens.
"""

from collections.abc import Callable

import torch
from torch.nn.functional import pad
from transformers import PreTrainedModel

from zsc.data.source import FIRST_TURN, PAD, Source
from zsc.knobs.additions import Additions
from zsc.knobs.anatomy import decoder_layers
from zsc.knobs.cache import cache_name
from zsc.knobs.masks import Bias, Code
from zsc.knobs.probe import eager
from zsc.knobs.prompt import PromptReading, accepted, cached, phrase_states, position_ids
from zsc.knobs.reading import Decoded
from zsc.knobs.repeated import differs, integer_weights
from zsc.knobs.steering import steered

PAST = (1.0, 9.0, 0.1, 4.0, 0.5)  # weights on the past, over and over
CLOSE = 64  # in units of the precision: what shares of attention may be off


@torch.inference_mode()
def steps_fault(model: PreTrainedModel, source: Source, targets: torch.Tensor) -> str | None:
    """Say what is wrong with the steps of ``model``, knobs or none, or return None.

    ``source`` is a prompt of several rows, some padded, ``targets`` (rows, steps) are tokens that follow its last one.
    """
    targets = from_start(source, targets)
    full, other = (_decode(model, source, one).logits for one in (targets, targets.roll(1, dims=1)))
    for length in (1, targets.shape[1] - 1):
        fewer = _decode(model, source, targets[:, :length]).logits
        if (fault := differs(fewer, full[:, :length], other[:, :length], model.dtype)) is not None:
            return f"logits depend on later tokens ({fault})"
    if (fault := differs(_by_step(model, source, targets), full, other, model.dtype)) is not None:
        return f"steps with a cache do not give what they give without ({fault})"
    return None


@torch.inference_mode()
def padding_fault(model: PreTrainedModel, source: Source, targets: torch.Tensor) -> str | None:
    """Say what is wrong with padded prompts of ``model``, or return None; the arguments are as before."""
    targets = from_start(source, targets)
    full, other = (_decode(model, source, one).logits for one in (targets, targets.roll(1, dims=1)))
    for row in range(len(targets)):
        own = slice(row, row + 1), source.attention_mask[row].bool()
        alone = Source(source.input_ids[own], source.attention_mask[own], source.segments[own])
        by_itself = _decode(model, alone, targets[row : row + 1]).logits
        if (fault := differs(full[row : row + 1], by_itself, other[row : row + 1], model.dtype)) is not None:
            return f"a padded prompt does not give what it gives alone ({fault})"
    return None


@torch.inference_mode()
def weights_fault(model: PreTrainedModel, source: Source, targets: torch.Tensor) -> str | None:
    """Say what is wrong with weights on the prompt or on the past under ``model``, or return None.

    The arguments are those of :func:`steps_fault`.
    """
    start = from_start(source, targets)
    positions = source.input_ids.shape[1]
    prompt = integer_weights(len(start), positions).to(start.device).masked_fill(source.attention_mask == 0, 0)
    weights = torch.ones(len(start), positions + targets.shape[1], device=start.device)
    weights[:, :positions] = prompt
    past = torch.tensor(PAST, device=start.device)[torch.arange(start.shape[1], device=start.device) % len(PAST)]
    weights[:, positions - 1 :] *= past

    def added(layers: list[int] | None, rows: slice = slice(None)) -> Additions:
        return Additions(
            cross=[Bias(lambda steps, count: prompt[rows, None], layers)],
            past=[Bias(lambda steps, count: past[None, None, :count], layers)],
            prompt=positions,
        )

    with eager(model):
        plain = _decode(model, source, start, True)
        for layer in range(len(decoder_layers(model))):
            with steered(model, added([layer])):
                actual = _shares(_decode(model, source, start, True))[layer]
            expected = _shares(plain)[layer] * weights[:, None, None]
            expected = expected / expected.sum(dim=-1, keepdim=True)
            if bool(((actual - expected).abs() > CLOSE * torch.finfo(model.dtype).eps).any()):
                return f"attention in layer {layer} is not that which the weights make of it"
        with steered(model, added(None)):
            reference = _decode(model, source, start).logits
    with steered(model, added(None)):
        logits = _decode(model, source, start).logits
        if (fault := differs(logits, reference, plain.logits, model.dtype)) is not None:
            return f"weights do not give what they give with eager attention ({fault})"
        if (fault := steps_fault(model, source, targets)) is not None:
            return fault
    for row in source.attention_mask.all(dim=1).nonzero().flatten().tolist():
        own = slice(row, row + 1)
        with steered(model, added(None, own)):  # without padding, models may make no mask
            logits = _decode(model, source.select([row]), start[own]).logits
        if (fault := differs(logits, reference[own], plain.logits[own], model.dtype)) is not None:
            return f"weights do not give the same where nothing is padded ({fault})"
    return None


@torch.inference_mode()
def codes_fault(model: PreTrainedModel, source: Source, targets: torch.Tensor) -> str | None:
    """Say what is wrong with keys and values in front of the prompt under ``model``, or return None.

    The arguments are those of :func:`steps_fault`. A code of weight 2 is what two such codes side by side are.
    """
    start = from_start(source, targets)
    texts = targets[:1]
    states = phrase_states(model, texts, torch.ones_like(texts))
    positions = source.input_ids.shape[1]
    plain = _decode(model, source, start).logits
    with steered(model, Additions(codes=[Code(torch.cat([states, states], dim=1), 1.0)], prompt=positions)):
        twice = _decode(model, source, start).logits
    with steered(model, Additions(codes=[Code(states, 2.0)], prompt=positions)):
        actual = _decode(model, source, start).logits
        if (fault := differs(actual, twice, plain, model.dtype)) is not None:
            return f"keys in front of the prompt do not count by their weight ({fault})"
        return steps_fault(model, source, targets)


CAUSAL_FAULTS: dict[str, Callable[[PreTrainedModel, Source, torch.Tensor], str | None]] = {
    "steps": steps_fault,
    "padding": padding_fault,
    "weights": weights_fault,
    "codes": codes_fault,
}


def from_start(source: Source, targets: torch.Tensor) -> torch.Tensor:
    """Return ``targets`` (rows, steps) behind the token that decoding starts from, the last one of the prompt."""
    return torch.cat([source.input_ids[:, -1:], targets], dim=1)


def _decode(model: PreTrainedModel, source: Source, targets: torch.Tensor, attentions: bool = False) -> Decoded:
    """Return what ``model`` gives for prompt and ``targets``, read at once."""
    decoded = PromptReading(model, source, None).decode(targets, attentions)
    return decoded._replace(logits=decoded.logits.float())


def _shares(decoded: Decoded) -> torch.Tensor:
    """Return shares of attention (layers, rows, heads, steps, positions) to prompt and past."""
    assert decoded.source is not None and decoded.past is not None
    return torch.cat([decoded.source, decoded.past], dim=-1)


def _by_step(model: PreTrainedModel, source: Source, targets: torch.Tensor) -> torch.Tensor:
    """Return the logits (rows, steps, vocabulary) of ``targets`` read one by one behind the prompt, with a cache."""
    mask = source.attention_mask
    cache = cached(model, source.input_ids[:, :-1], mask[:, :-1], position_ids(mask[:, :-1]), None)
    steps = []
    for step in range(targets.shape[1]):
        if step:
            mask = pad(mask, (0, 1), value=1)
        output = model(
            input_ids=targets[:, step : step + 1],
            attention_mask=mask,
            use_cache=True,
            **accepted(model, position_ids=position_ids(mask)[:, -1:]),
            **{cache_name(model): cache},
        )
        steps.append(output.logits.float())
    return torch.cat(steps, dim=1)


def prompt_of(ids: torch.Tensor, lengths: list[int]) -> Source:
    """Return a source of the last ``lengths`` of the tokens ``ids`` (rows, positions)."""
    places = torch.arange(ids.shape[1], device=ids.device)
    mask = (places >= ids.shape[1] - torch.tensor(lengths, device=ids.device)[:, None]).long()
    return Source(ids, mask, torch.where(mask.bool(), FIRST_TURN, PAD))
