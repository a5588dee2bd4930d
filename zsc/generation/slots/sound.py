"""Whether rows at steps of their own give what they give alone: asked of each model before it is used so [D]."""

from weakref import WeakKeyDictionary

import torch
from transformers import PreTrainedModel

from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job
from zsc.generation.room import out_of_memory
from zsc.generation.slots.opened import Opened
from zsc.generation.slots.slots import slots_of
from zsc.generation.slots.weights import Weighted
from zsc.knobs.additions import Additions
from zsc.knobs.anatomy import is_causal
from zsc.knobs.base import AdditiveKnob
from zsc.knobs.encoder import EncoderReading
from zsc.knobs.masks import Bias
from zsc.knobs.packing import attended_first, packed
from zsc.knobs.prompt import PromptReading
from zsc.knobs.reading import Reading
from zsc.knobs.steering import steered

STEPS = 5
LATER = 2  # steps after which the second row begins
TOLERANCE, HALF_TOLERANCE = 2e-4, 0.1  # of the largest logit
EVERYWHERE = (None, None, 0)
_FAULTS: "WeakKeyDictionary[PreTrainedModel, dict[tuple[bool, bool], str | None]]" = WeakKeyDictionary()


def takes_slots(decoding: Decoding, job: Job, causal: bool) -> bool:
    """Say whether responses of ``job`` are such as rows at steps of their own can make: neither beams nor options that
    look at the source, and no knob that runs another decoder."""
    of_text = decoding.repetition_penalty != 1 or decoding.no_repeat_ngram_size > 0
    return (
        decoding.num_beams == 1
        and decoding.use_cache
        and not decoding.encoder_no_repeat_ngram_size
        and not (causal and of_text)
        and all(isinstance(knob, AdditiveKnob) or knob.weights_alone for knob in job.knobs)
    )


def slots_fault(reading: Reading, weights: bool) -> str | None:
    """Say what is wrong with rows of the model of ``reading`` at steps of their own, where ``weights`` under weights of
    attention too, or return None. Each model is asked once."""
    return _known(reading, False, False) or _known(reading, weights, False)


def sharing_fault(reading: Reading) -> str | None:
    """Say what is wrong with rows of the model of ``reading``, an encoder-decoder, that have the keys of a source in
    common, or return None. Each model is asked once."""
    return _known(reading, False, True) or _known(reading, True, True)


def _known(reading: Reading, weights: bool, shares: bool) -> str | None:
    known = _FAULTS.setdefault(reading.model, {})
    if (weights, shares) not in known:
        known[weights, shares] = _fault(reading, weights, shares)
    return known[weights, shares]


def _fault(reading: Reading, weights: bool, shares: bool) -> str | None:
    if isinstance(reading, PromptReading):
        if reading.cache is None:
            return "a prompt of one token has no keys"
        if any(getattr(layer, "is_sliding", False) for layer in reading.cache.layers):
            return "a layer keeps a sliding window of its past"
    two = reading.select([0, len(reading.source.input_ids) - 1])
    shown = packed(two) if isinstance(two, EncoderReading) else two
    try:
        expected, actual = _at_once(two, shown, weights), _in_slots(shown, weights, shares)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if out_of_memory(error):
            raise
        return f"{type(error).__name__}: {error}"
    largest = float(expected.abs().max())
    apart = max(float((own - expected[number]).abs().max()) for number, own in actual)
    tolerance = TOLERANCE if torch.finfo(reading.model.dtype).bits >= 32 else HALF_TOLERANCE
    return None if apart <= tolerance * largest else f"logits are {apart:.2g} off"


def _targets(reading: Reading) -> torch.Tensor:
    """Return what two rows say: the token that decoding starts from, and some of their sources."""
    ids = reading.source.input_ids
    some = ids[:, -1 - torch.arange(STEPS - 1, device=ids.device) % ids.shape[1]]  # where both have text
    said = some % reading.model.get_decoder().get_input_embeddings().num_embeddings  # which may be fewer than are read
    return torch.cat([reading.begins[:, None], said.flip(0)], dim=1)


def _weights(reading: Reading, positions: int, seed: int) -> torch.Tensor:
    """Return weights (2, steps, positions), others at each step."""
    generator = torch.Generator().manual_seed(seed)
    return (0.2 + 4 * torch.rand(2, STEPS, positions, generator=generator)).to(reading.source.input_ids.device)


@torch.inference_mode()
def _at_once(reading: Reading, shown: Reading, weights: bool) -> torch.Tensor:
    """Return logits (2, steps, vocabulary) of ``reading``, under the weights of the positions that are ``shown``."""
    source = reading.source.input_ids.shape[1]
    on_source, on_past = _weights(shown, shown.source.input_ids.shape[1], 0), _weights(reading, STEPS, 1)
    if shown is not reading:
        order = attended_first(reading.source.attention_mask)[:, None].expand(-1, STEPS, -1)
        on_source = on_source.new_ones(2, STEPS, source).scatter(2, order, on_source)
    added = Additions(
        cross=[Bias(lambda steps, positions: on_source)],
        past=[Bias(lambda steps, positions: on_past[..., :positions])],
        prompt=source if is_causal(reading.model) else None,
    )
    with steered(reading.model, added if weights else Additions()):
        return reading.decode(_targets(shown)).logits


@torch.inference_mode()
def _in_slots(reading: Reading, weights: bool, shares: bool) -> list[tuple[int, torch.Tensor]]:
    """Return numbers of rows and their logits (steps, vocabulary): the second row begins later, and where ``shares``
    the first one once more beside it. The last row takes the place of the first, so that those which shared a source
    then read one each, in another order than their own."""
    positions, targets = reading.source.input_ids.shape[1], _targets(reading)
    given = Weighted(
        {EVERYWHERE: _weights(reading, positions, 0)} if weights else {},
        {EVERYWHERE: _weights(reading, STEPS, 1)} if weights else {},
        [[]],
    )
    keys, codes = reading.keys([[]])
    slots = slots_of(reading.model, 3, STEPS, shares)
    opened = Opened(reading, keys, codes, given)
    found: list[tuple[int, list[torch.Tensor]]] = []
    places: list[tuple[int, list[torch.Tensor]]] = []
    begin = {0: [0], LATER: [0, 1] if shares else [1]}
    with slots.running():
        for step in range(STEPS + LATER):
            new: list[tuple[int, list[torch.Tensor]]] = [(number, []) for number in begin.get(step, ())]
            if new:
                slots.begin(opened, 0, [number for number, _ in new])
                found, places = found + new, places + new
            if step == STEPS:
                for source, target in slots.end([0]):
                    places[target] = places[source]
                del places[slots.rows :]
            for (_, own), row in zip(places, slots.decode(), strict=True):
                own.append(row)
            slots.say(torch.stack([targets[number, min(len(own), STEPS - 1)] for number, own in places]))
    return [(number, torch.stack(own)) for number, own in found]
