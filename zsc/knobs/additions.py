"""What knobs add to a decoder while it runs: weights on what it attends to, and states beside those of the source."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.anatomy import is_causal
from zsc.knobs.masks import Bias, Code


@dataclass(frozen=True, eq=False)
class Additions:
    """What knobs add to a decoder: biases of attention to the source and to its own past, and codes.

    ``prompt`` is the number of positions of the source of a decoder alone (:func:`prompt_length`).
    """

    cross: Sequence[Bias] = ()
    past: Sequence[Bias] = ()
    codes: Sequence[Code] = ()
    prompt: int | None = None

    def __bool__(self) -> bool:
        return bool(self.cross or self.past or self.codes)


def united(several: Sequence[Additions]) -> Additions:
    """Return all of ``several``, first to last. Raises ValueError if they are for prompts of different lengths."""
    lengths = {one.prompt for one in several if one}
    if len(lengths) > 1:
        raise ValueError(f"the knobs that are on are for prompts of different lengths, {sorted(map(str, lengths))}.")
    return Additions(
        [bias for one in several for bias in one.cross],
        [bias for one in several for bias in one.past],
        [code for one in several for code in one.codes],
        next(iter(lengths), None),
    )


def prompt_length(model: PreTrainedModel, source: Source | None) -> int | None:
    """Return how many positions the prompt of a decoder alone has, None for an encoder-decoder.

    Raises ValueError where there is no ``source`` to tell.
    """
    if not is_causal(model):
        return None
    if source is None:
        raise ValueError(
            "a decoder alone needs the source, to know where its response begins: apply(model, knobs, source)."
        )
    return source.input_ids.shape[1]
