"""Documents cut into segments of whole sentences, as token ids, for denoising."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from zsc.data.text import split_sentences
from zsc.training.noise import infill, permute_sentences

Segment = list[list[int]]


def pack(sentences: Iterable[list[int]], max_tokens: int) -> Iterator[Segment]:
    """Pack consecutive sentences into segments of at most ``max_tokens``; longer sentences are cut into pieces."""
    segment: Segment = []
    size = 0
    for sentence in sentences:
        for start in range(0, len(sentence), max_tokens):
            piece = sentence[start : start + max_tokens]
            if size + len(piece) > max_tokens:
                yield segment
                segment, size = [], 0
            segment.append(piece)
            size += len(piece)
    if segment:
        yield segment


def segment_documents(
    documents: Iterable[str], tokenizer: PreTrainedTokenizerBase, max_tokens: int, min_tokens: int = 4
) -> Iterator[Segment]:
    """Yield the segments of each document that hold at least ``min_tokens`` tokens."""
    documents = iter(documents)
    while chunk := list(islice(documents, 1000)):
        split = [split_sentences(document) for document in chunk]
        ids = iter(tokenizer([s for d in split for s in d], add_special_tokens=False)["input_ids"])
        for document in split:
            for segment in pack((next(ids) for _ in document), max_tokens):
                if sum(map(len, segment)) >= min_tokens:
                    yield segment


class Segments(torch.utils.data.Dataset):
    """Rows of ``sentences`` with a ``draw``, the epoch and the row's number, which seeds the noise of the row.

    The Trainer's data loader calls ``set_epoch``.
    """

    def __init__(self, rows: Sequence[dict[str, Any]]):
        self.rows, self.epoch = rows, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"sentences": self.rows[index]["sentences"], "draw": (self.epoch, index)}


class DenoisingCollator:
    """Noise a batch of segments: source = ``<s> noised </s>``, labels = ``prefix original </s>`` (padding -100).

    The noise of an example depends on its ``draw`` alone (see :class:`Segments`), so that a resumed training sees what
    an undisturbed one would have seen, and held-out losses are always on the same noise.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, prefix: list[int], share: float, mean: float, permute: float
    ):
        self.tokenizer, self.prefix = tokenizer, prefix
        self.share, self.mean, self.permute = share, mean, permute

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        sources, targets = [], []
        for example in examples:
            sentences, rng = example["sentences"], np.random.default_rng(example["draw"])
            original = [token for sentence in sentences for token in sentence]
            shuffled = permute_sentences(sentences, rng) if rng.random() < self.permute else original
            noised = infill(shuffled, self.tokenizer.mask_token_id, self.share, self.mean, rng)
            sources.append(wrap(noised, self.tokenizer))
            targets.append([*self.prefix, *original, self.tokenizer.eos_token_id])
        return pad_batch(sources, targets, self.tokenizer.pad_token_id)


def wrap(tokens: list[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Put the tokenizer's begin token, if it has one, and its end token around ``tokens``."""
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    return [*begin, *tokens, tokenizer.eos_token_id]


def target_prefix(model: PreTrainedModel) -> list[int]:
    """Return what every target of ``model`` begins with: the token its generation is forced to begin with, if any."""
    forced = model.generation_config.forced_bos_token_id
    return [] if forced is None else [forced]


def pad_batch(sources: list[list[int]], targets: list[list[int]], pad_id: int) -> dict[str, torch.Tensor]:
    """Right-pad: ``input_ids`` and ``attention_mask`` (batch x source), ``labels`` (batch x target, -100)."""
    return {
        "input_ids": pad_right(sources, pad_id),
        "attention_mask": pad_right([[1] * len(source) for source in sources], 0),
        "labels": pad_right(targets, -100),
    }


def pad_right(rows: list[list[int]], value: int) -> torch.Tensor:
    """Return ``rows`` as one long tensor of shape (len(rows), longest row), filled with ``value``."""
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)
