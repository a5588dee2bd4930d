"""The text at which responses end, where decoding names one."""

from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from zsc.generation.decoding import Decoding


def stopping(decoding: Decoding, tokenizer: PreTrainedTokenizerBase | None) -> dict[str, Any]:
    """Return what ``generate`` is told, so that it does not go on behind the text."""
    return {} if decoding.stop is None else {"stop_strings": [decoding.stop], "tokenizer": tokenizer}


def stops(
    sequences: torch.Tensor, kept: torch.Tensor, decoding: Decoding, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[str], torch.Tensor]:
    """Return the texts of ``sequences`` (rows, 1 + length), and which of their tokens but the first are of them.

    Of ``kept`` (rows, length), where decoding names a text to stop at, a row loses the tokens behind the one with which
    that is complete; its text ends where that begins.
    """
    texts = tokenizer.batch_decode(sequences[:, 1:], skip_special_tokens=True)
    if decoding.stop is None:
        return texts, kept
    kept = kept.clone()
    for row, text in enumerate(texts):
        if decoding.stop in text:
            own = sequences[row, 1:]
            end = next(n for n in range(1, len(own) + 1) if decoding.stop in _text(own[:n], tokenizer))
            kept[row, end:] = False
            texts[row] = text[: text.index(decoding.stop)]
    return texts, kept


def _text(tokens: torch.Tensor, tokenizer: PreTrainedTokenizerBase) -> str:
    return str(tokenizer.decode(tokens, skip_special_tokens=True))
