"""Which tokens rows at steps of their own say next."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    ForcedBOSTokenLogitsProcessor,
    ForcedEOSTokenLogitsProcessor,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    NoBadWordsLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
)

from zsc.generation.decoding import Decoding
from zsc.generation.sampling import drawn, warpers


@dataclass(frozen=True)
class Drawing:
    """What chooses tokens: ``processors`` of the library in the order in which ``generate`` has them, each with the
    steps at which it does anything, all if None; then ``decoding`` says whether tokens are drawn."""

    decoding: Decoding
    processors: Sequence[tuple[LogitsProcessor, Collection[int] | None]]

    def __call__(
        self, scores: torch.Tensor, tokens: torch.Tensor, steps: torch.Tensor, streams: torch.Tensor
    ) -> torch.Tensor:
        """Return the next token (rows,) by ``scores`` (rows, vocabulary), behind ``tokens`` (rows, 1 + most steps).

        ``steps`` (rows,) are how many of them each row has said, ``streams`` (rows,) are those of its noise.
        """
        for step in sorted({*steps.tolist()}) if self.processors else ():
            acting = [one for one, only in self.processors if only is None or step in only]
            if acting:
                rows = (steps == step).nonzero()[:, 0]
                behind: Any = tokens[rows, : step + 1]
                scores[rows] = LogitsProcessorList(acting)(behind, scores[rows])
        if self.decoding.sample:
            for warper in warpers(self.decoding):
                scores = warper(tokens, scores)
            return drawn(self.decoding, scores, streams, steps + 1)
        return scores.argmax(dim=-1)


def drawing_of(decoding: Decoding, config: GenerationConfig, device: torch.device) -> Drawing:
    """Return what chooses tokens under ``decoding``, for which the library would be told ``config``."""
    ends = config.eos_token_id
    eos = None if ends is None else torch.tensor([ends] if isinstance(ends, int) else ends, device=device)
    on, last = str(device), decoding.max_new_tokens - 1
    found: list[tuple[LogitsProcessor, Collection[int] | None]] = []
    if config.repetition_penalty not in (None, 1.0):
        found.append((RepetitionPenaltyLogitsProcessor(float(config.repetition_penalty)), None))
    if config.no_repeat_ngram_size:
        found.append((NoRepeatNGramLogitsProcessor(config.no_repeat_ngram_size), None))
    if config.bad_words_ids is not None:
        found.append((NoBadWordsLogitsProcessor(config.bad_words_ids, eos), None))
    if eos is not None and (least := config.min_new_tokens):
        found.append((MinNewTokensLengthLogitsProcessor(1, least, eos, device=on), range(least)))
    if (first := config.forced_bos_token_id) is not None:
        found.append((ForcedBOSTokenLogitsProcessor(first), (0,)))
    if (forced := config.forced_eos_token_id) is not None:
        found.append((ForcedEOSTokenLogitsProcessor(last + 2, forced, device=on), (last,)))
    if config.suppress_tokens is not None:
        found.append((SuppressTokensLogitsProcessor(config.suppress_tokens, device=on), None))
    if config.begin_suppress_tokens is not None:
        begins = 0 if first is None else 1
        processor = SuppressTokensAtBeginLogitsProcessor(config.begin_suppress_tokens, begins + 1, device=on)
        found.append((processor, (begins,)))
    return Drawing(decoding, found)
