"""How tests make every knob, and what its logits must be: the one place that a new knob adds to."""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from tests.reference import Plain
from zsc.knobs import (
    KNOBS,
    AdditiveKnob,
    AttentionBias,
    ComponentSwap,
    ContextAugmentation,
    DecoderMixing,
    Knob,
    SelfAttentionBias,
)

STRENGTH, WEIGHT = 6.3, 0.4  # which single precision does not hold exactly
PHRASES = ["What do you think?", "Why?"]


@dataclass(frozen=True)
class Given:
    """What a knob may be made with: the ``tokenizer`` of a model of two layers and four heads, and an ``other`` model
    that differs from it in the decoder alone."""

    tokenizer: Any
    other: Any


@dataclass(frozen=True)
class KnobCase:
    """Ways in which a knob acts, by name, and the logits of the first, recomputed from a Plain without hooks of ours.

    ``stepped`` ways tell decoding steps apart, and go wrong where a cached step is taken for the first; ``alone`` ones
    change the model itself, which no other thread may use meanwhile.
    """

    acting: Mapping[str, Callable[[Given], Knob]]
    expected: Callable[[Plain], torch.Tensor]
    stepped: Sequence[str] = ()
    alone: Sequence[str] = ()


def with_code(plain: Plain) -> torch.Tensor:
    encoder, options = plain.model.get_encoder(), dict(padding=True, padding_side="right", return_tensors="pt")
    with torch.no_grad():
        encoded = [encoder(**plain.tokenizer([phrase], **options))[0][0] for phrase in PHRASES]
    length, states = max(map(len, encoded)), plain.states
    code = torch.stack([torch.stack([one[i] for one in encoded if i < len(one)]).mean(dim=0) for i in range(length)])
    rows = len(states)
    chosen = torch.arange(length + states.shape[1]).expand(rows, -1) < length
    mask = torch.cat([torch.ones(rows, length, dtype=torch.long), plain.source.attention_mask], dim=1)
    return plain.biased_source(chosen, STRENGTH, torch.cat([code.expand(rows, -1, -1), states], dim=1), mask)


def mixed(plain: Plain) -> torch.Tensor:
    mine, theirs = (plain.logits(model).softmax(-1) for model in (plain.model, plain.other))
    return ((1 - WEIGHT) * mine + WEIGHT * theirs).log()


def with_the_others_self_attention(plain: Plain) -> torch.Tensor:
    swapped = copy.deepcopy(plain.model)
    kinds = r"decoder\..*(self_attn\.|SelfAttention|\.attention\.|\.attn\.)"
    theirs = {name: tensor for name, tensor in plain.other.state_dict().items() if re.search(kinds, name)}
    assert theirs
    swapped.load_state_dict(theirs, strict=False)
    return plain.logits(swapped)


CASES: dict[str, KnobCase] = {
    "attn_bias": KnobCase(
        {
            "knowledge": lambda given: AttentionBias("knowledge", STRENGTH),
            "gradual": lambda given: AttentionBias("gradual", 20.0, steps=4),
            "one_layer": lambda given: AttentionBias("dialog", 30.0, layers=[1], heads=[0, 2]),
        },
        lambda plain: plain.biased_source(plain.source.segments == 1, STRENGTH),
        stepped=["gradual"],
    ),
    "self_attn_bias": KnobCase(
        {
            "uniform": lambda given: SelfAttentionBias("uniform", STRENGTH),
            "recent": lambda given: SelfAttentionBias("recent", 9.0, size=2),
            "one_layer": lambda given: SelfAttentionBias("recent", 30.0, size=2, layers=[0]),
        },
        lambda plain: plain.biased_past(torch.ones(2 * [plain.targets.shape[1]]).tril(-1).bool(), STRENGTH),
        stepped=["recent"],
    ),
    "ctx_aug": KnobCase(
        {"mean": lambda given: ContextAugmentation(PHRASES, given.tokenizer, strength=STRENGTH, count=2)},
        with_code,
    ),
    "dec_mix": KnobCase(
        {
            "probs": lambda given: DecoderMixing(given.other, WEIGHT, "probs"),
            "hidden": lambda given: DecoderMixing(given.other, WEIGHT, "hidden"),
            "cross_attention": lambda given: DecoderMixing(given.other, WEIGHT, "cross_attention"),
            "weights": lambda given: DecoderMixing(given.other, WEIGHT, "weights"),
        },
        mixed,
        stepped=["probs", "hidden"],
        alone=["weights"],
    ),
    "swap": KnobCase(
        {
            "other": lambda given: ComponentSwap(other=given.other),
            "shuffled": lambda given: ComponentSwap(by="shuffled", layers=[1]),
        },
        with_the_others_self_attention,
        alone=["other", "shuffled"],
    ),
}


def ways(which: Callable[[str, KnobCase, str], bool] = lambda name, case, way: True) -> list[str]:
    """Return the ways in which knobs act, as ``knob-way``, that ``which`` chooses."""
    return [f"{name}-{way}" for name, case in CASES.items() for way in case.acting if which(name, case, way)]


def additive_ways() -> list[str]:
    return ways(lambda name, case, way: issubclass(KNOBS[name], AdditiveKnob))


def stepped_ways() -> list[str]:
    return ways(lambda name, case, way: way in case.stepped)


def lone_ways() -> list[str]:
    return ways(lambda name, case, way: way in case.alone)


def shared_ways() -> list[str]:
    return ways(lambda name, case, way: way not in case.alone)


def made_knob(way: str, given: Given) -> Knob:
    """Return the knob of a way, such as ``attn_bias-gradual``."""
    name, _, of_case = way.partition("-")
    return CASES[name].acting[of_case](given)


def first(name: str, given: Given) -> Knob:
    """Return the knob that :attr:`KnobCase.expected` is of."""
    return next(iter(CASES[name].acting.values()))(given)


def neutral(name: str, given: Given) -> Knob:
    """Return a knob that has a dose at the dose that is to change nothing."""
    dose = KNOBS[name].dose
    return replace(first(name, given), **{dose.field: dose.neutral})


def dosed() -> list[str]:
    """Return the names of the knobs that have a dose."""
    return [name for name in CASES if KNOBS[name].dose]


def mixtures() -> range:
    """Return numbers such that every way of every knob is in the :func:`mixture` of one of them."""
    return range(max(len(case.acting) for case in CASES.values()))


def mixture(number: int, given: Given) -> list[Knob]:
    """Return every knob in one of its ways, those that only add in two."""
    found = []
    for name, case in CASES.items():
        every = list(case.acting.values())
        count = min(len(every), 2 if issubclass(KNOBS[name], AdditiveKnob) else 1)
        found += [every[(number + i) % len(every)](given) for i in range(count)]
    return found
