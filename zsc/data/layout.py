"""The bucket layout of [P A.1]: one begin token, a knowledge bucket, and one bucket for each of the last turns."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from zsc.data.record import Record

PAD, BEGIN, KNOWLEDGE, FIRST_TURN = -1, 0, 1, 2


@dataclass(frozen=True)
class Source:
    """A batch as the encoder sees it; every tensor has the shape (batch, positions).

    ``segments`` says what each position belongs to: ``PAD``, ``BEGIN``, ``KNOWLEDGE``, or ``FIRST_TURN + i`` for the
    i-th bucket of the history, oldest first.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    segments: torch.Tensor

    def to(self, device: torch.device | str) -> "Source":
        return Source(self.input_ids.to(device), self.attention_mask.to(device), self.segments.to(device))

    def select(self, rows: Sequence[int]) -> "Source":
        index = torch.tensor(rows, device=self.input_ids.device)
        return Source(self.input_ids[index], self.attention_mask[index], self.segments[index])

    def repeat(self, times: int) -> "Source":
        """Return ``times`` copies, one after the other."""
        return Source(*(field.repeat(times, 1) for field in (self.input_ids, self.attention_mask, self.segments)))


@dataclass(frozen=True)
class BucketLayout:
    """Fixed buckets: 1 + ``knowledge_tokens`` + ``turns`` * (1 + ``turn_tokens``) positions, 163 by default.

    Short content is padded inside its bucket and long content cut at its end. Padding is not attended, unless
    ``attend_padding`` asks for the literal layout of the paper, where all padding is attended, and counts as part of
    its bucket unless the bucket is empty.

    Our own choices [D]: the newest turn always takes the last bucket, and the speaker token is relative: the first
    for whoever spoke last, the second for the other. A tokenizer without these tokens gets its separator or end token.
    """

    knowledge_tokens: int = 32
    turns: int = 5
    turn_tokens: int = 25
    speaker_tokens: tuple[str, str] = ("<speaker1>", "<speaker2>")
    attend_padding: bool = False

    @property
    def positions(self) -> int:
        """The length of a source whose tokenizer has a begin token."""
        return 1 + self.knowledge_tokens + self.turns * (1 + self.turn_tokens)

    def encode(self, records: Sequence[Record], tokenizer: PreTrainedTokenizerBase) -> Source:
        """Lay out ``records`` as one batch of sources."""
        texts = [text for record in records for text in (record.knowledge or "", *self._texts(record))]
        ids = iter(tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else [])
        speakers = [_speaker_id(token, tokenizer) for token in self.speaker_tokens]
        rows = []
        for record in records:
            row = [] if tokenizer.bos_token_id is None else [(tokenizer.bos_token_id, BEGIN)]
            row += self._bucket(next(ids), KNOWLEDGE, self.knowledge_tokens)
            recent = record.history[-self.turns :]
            empty = self.turns - len(recent)
            for i in range(empty):
                row += self._bucket([], FIRST_TURN + i, 1 + self.turn_tokens)
            for i, turn in enumerate(recent, start=empty):
                speaker = speakers[turn.speaker != record.history[-1].speaker]
                row += self._bucket([speaker, *next(ids)], FIRST_TURN + i, 1 + self.turn_tokens)
            rows.append(row)
        pairs = torch.tensor(rows, dtype=torch.long).reshape(len(records), -1, 2)
        input_ids, segments = pairs.unbind(-1)
        attended = torch.ones_like(segments) if self.attend_padding else (segments != PAD).long()
        return Source(torch.where(input_ids >= 0, input_ids, tokenizer.pad_token_id), attended, segments)

    def truncated(self, records: Sequence[Record], tokenizer: PreTrainedTokenizerBase) -> float:
        """Return the share of non-empty buckets whose content is longer than the bucket."""
        cut = total = 0
        for record in records:
            texts = [
                (record.knowledge or "", self.knowledge_tokens),
                *((t, self.turn_tokens) for t in self._texts(record)),
            ]
            for text, size in texts:
                if text:
                    total += 1
                    cut += len(tokenizer(text, add_special_tokens=False)["input_ids"]) > size
        return cut / max(total, 1)

    def _texts(self, record: Record) -> list[str]:
        return [turn.text for turn in record.history[-self.turns :]]

    def _bucket(self, tokens: list[int], segment: int, size: int) -> list[tuple[int, int]]:
        padding = segment if self.attend_padding and tokens else PAD
        kept = [(token, segment) for token in tokens[:size]]
        return kept + [(-1, padding)] * (size - len(kept))


def plain_source(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Source:
    """Return ``texts`` as the tokenizer lays them out, each one segment (``FIRST_TURN``), padded to the longest."""
    batch = tokenizer(list(texts), padding=True, return_tensors="pt")
    mask = batch["attention_mask"]
    return Source(batch["input_ids"], mask, torch.where(mask.bool(), FIRST_TURN, PAD))


def _speaker_id(token: str, tokenizer: PreTrainedTokenizerBase) -> int:
    known = tokenizer.get_vocab().get(token)
    if known is not None:
        return known
    return tokenizer.eos_token_id if tokenizer.sep_token_id is None else tokenizer.sep_token_id
