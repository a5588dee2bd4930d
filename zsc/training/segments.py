"""Documents cut into segments of whole sentences, as token ids, for denoising."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from zsc.data.text import split_sentences
from zsc.training.corruption import infill, permute_sentences

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
    """Rows of ``sentences`` with a ``draw``, the epoch and the row's number, which seeds the corruption of the row.

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


@dataclass(frozen=True)
class Targets:
    """How targets of a model are laid out: what its decoder starts from and, if its responses begin with a token that
    is known before, that token first."""

    start: int
    prefix: list[int]
    pad: int

    @classmethod
    def of(cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, first: int | None = None) -> "Targets":
        """Return the targets of ``model``, which begin with ``first``, or else what its generation is forced to."""
        config = model.generation_config
        forced = config.forced_bos_token_id if first is None else first
        return cls(config.decoder_start_token_id, [] if forced is None else [forced], tokenizer.pad_token_id)

    def batch(self, rows: list[list[int]]) -> dict[str, torch.Tensor]:
        """Return ``labels`` (batch x target, padding -100) and the ``decoder_input_ids`` that precede them.

        Models would derive the latter themselves, but mBART takes a row's last label for the start, which is wrong
        wherever a row was cut before its end token.
        """
        labels = [[*self.prefix, *row] for row in rows]
        inputs = [[self.start, *row[:-1]] for row in labels]
        return {"labels": pad_right(labels, -100), "decoder_input_ids": pad_right(inputs, self.pad)}


class DenoisingCollator:
    """Corrupt a batch of segments: source = ``<s> corrupted </s>``, target = ``original </s>``.

    How an example is corrupted depends on its ``draw`` alone (see :class:`Segments`), so that a resumed training sees
    what an undisturbed one would have seen, and held-out losses are always of the same corruption.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        targets: Targets,
        share: float,
        mean_span: float,
        permute: float,
        clean: float,
    ):
        self.tokenizer, self.targets = tokenizer, targets
        self.share, self.mean_span, self.permute, self.clean = share, mean_span, permute, clean

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        sources, targets = [], []
        for example in examples:
            sentences, rng = example["sentences"], np.random.default_rng(example["draw"])
            original = [token for sentence in sentences for token in sentence]
            corrupted = original if rng.random() < self.clean else self._corrupt(sentences, original, rng)
            sources.append(wrap(corrupted, self.tokenizer))
            targets.append([*original, self.tokenizer.eos_token_id])
        return {
            "input_ids": pad_right(sources, self.tokenizer.pad_token_id),
            "attention_mask": pad_right([[1] * len(source) for source in sources], 0),
            **self.targets.batch(targets),
        }

    def _corrupt(self, sentences: list[list[int]], original: list[int], rng: np.random.Generator) -> list[int]:
        shuffled = permute_sentences(sentences, rng) if rng.random() < self.permute else original
        return infill(shuffled, self.tokenizer.mask_token_id, self.share, self.mean_span, rng)


def wrap(tokens: list[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Put the tokenizer's begin token, if it has one, and its end token around ``tokens``."""
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    return [*begin, *tokens, tokenizer.eos_token_id]


def pad_right(rows: list[list[int]], value: int) -> torch.Tensor:
    """Return ``rows`` as one long tensor of shape (len(rows), longest row), filled with ``value``."""
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)
