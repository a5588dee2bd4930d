"""The bucket layout of [P A.1]: one begin token, a knowledge bucket, and one bucket for each of the last turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from zsc.data.cut import Bucket, Cut
from zsc.data.record import Record
from zsc.options import Count

if TYPE_CHECKING:  # imported where tensors are made: who only reads the options needs no torch
    import torch
    from transformers import PreTrainedTokenizerBase

PAD, BEGIN, KNOWLEDGE, FIRST_TURN = -1, 0, 1, 2
MOST = 50


@dataclass(frozen=True)
class Source:
    """A batch as the encoder sees it; every tensor has the shape (batch, positions).

    ``segments`` says what each position belongs to: ``PAD``, ``BEGIN``, ``KNOWLEDGE``, or ``FIRST_TURN + i`` for the
    i-th bucket of the history, oldest first.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    segments: torch.Tensor

    def to(self, device: torch.device | str) -> Source:
        return Source(self.input_ids.to(device), self.attention_mask.to(device), self.segments.to(device))

    def select(self, rows: Sequence[int]) -> Source:
        import torch

        index = torch.tensor(rows, device=self.input_ids.device)
        return Source(self.input_ids[index], self.attention_mask[index], self.segments[index])

    def repeat(self, times: int) -> Source:
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

    knowledge_tokens: Count = 32
    turns: Count = 5
    turn_tokens: Count = 25
    speaker_tokens: tuple[str, str] = ("<speaker1>", "<speaker2>")
    attend_padding: bool = False

    @property
    def positions(self) -> int:
        """The length of a source whose tokenizer has a begin token."""
        return 1 + self.knowledge_tokens + self.turns * (1 + self.turn_tokens)

    def encode(self, records: Sequence[Record], tokenizer: PreTrainedTokenizerBase) -> Source:
        """Lay out ``records`` as one batch of sources."""
        return self.lay_out(records, tokenizer)[0]

    def lay_out(self, records: Sequence[Record], tokenizer: PreTrainedTokenizerBase) -> tuple[Source, Cut]:
        """Lay out ``records`` as one batch of sources; return it with what does not fit."""
        import torch

        recent = [record.history[-self.turns :] for record in records]
        texts = [
            (text, size)
            for record, turns in zip(records, recent, strict=True)
            for text, size in (
                (record.knowledge or "", self.knowledge_tokens),
                *((t.text, self.turn_tokens) for t in turns),
            )
        ]
        found = iter(first_tokens([text for text, _ in texts], [size for _, size in texts], tokenizer))
        speakers = [_speaker_id(token, tokenizer) for token in self.speaker_tokens]
        rows = _Rows(self.attend_padding)
        knowledge: list[list[Bucket]] = []
        turn_buckets: list[list[Bucket]] = []
        for record, turns in zip(records, recent, strict=True):
            if tokenizer.bos_token_id is not None:
                rows.add([tokenizer.bos_token_id], BEGIN, 1)
            first = next(found)
            rows.add(first.ids, KNOWLEDGE, self.knowledge_tokens)
            knowledge.append([first.bucket(self.knowledge_tokens)] if record.knowledge else [])
            empty = self.turns - len(turns)
            rows.add([], PAD, empty * (1 + self.turn_tokens))
            turn_buckets.append([])
            for i, turn in enumerate(turns, start=empty):
                first = next(found)
                speaker = speakers[turn.speaker != turns[-1].speaker]
                rows.add([speaker, *first.ids[: self.turn_tokens]], FIRST_TURN + i, 1 + self.turn_tokens)
                turn_buckets[-1].append(first.bucket(self.turn_tokens))
        input_ids, segments = (torch.tensor(one).reshape(len(records), -1) for one in (rows.ids, rows.segments))
        attended = torch.ones_like(segments) if self.attend_padding else (segments != PAD).long()
        source = Source(torch.where(input_ids >= 0, input_ids, tokenizer.pad_token_id), attended, segments)
        return source, Cut(knowledge, turn_buckets, [len(record.history) for record in records], self.turns)


class _Rows:
    """Token ids, -1 for padding, and segments, which grow bucket by bucket."""

    def __init__(self, attend_padding: bool):
        self.attend_padding = attend_padding
        self.ids: list[int] = []
        self.segments: list[int] = []

    def add(self, tokens: list[int], segment: int, size: int) -> None:
        kept = tokens[:size]
        padding = size - len(kept)
        self.ids += kept + [-1] * padding
        self.segments += [segment] * len(kept) + [segment if self.attend_padding and tokens else PAD] * padding


class First(NamedTuple):
    """The first token ids of a text: all of them, unless ``characters`` tells the length of a text that has more."""

    ids: list[int]
    characters: int | None = None

    def bucket(self, size: int) -> Bucket:
        return Bucket(size, len(self.ids), self.characters)


def first_tokens(texts: Sequence[str], sizes: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> list[First]:
    """Return at least the first ``sizes`` token ids of each of ``texts``, without special ones.

    Texts of ordinary length are tokenized whole. Of a longer one, only beginnings are, each twice as long as the one
    before and ending at white space, if there is some near its end, until two in a row have the same tokens in front,
    as many as are asked for: what a tokenizer makes of words far behind does not reach back to the front [D]. A text
    whose beginnings never agree is read to its end, but no farther than to ``MOST`` times the first beginning [D].
    """
    ordinary = [i for i, (text, size) in enumerate(zip(texts, sizes, strict=True)) if len(text) <= 3 * _reach(size)]
    ids = dict(zip(ordinary, _tokenized([texts[i] for i in ordinary], tokenizer), strict=True))
    return [
        First(ids[i]) if i in ids else _beginning(text, size, tokenizer)
        for i, (text, size) in enumerate(zip(texts, sizes, strict=True))
    ]


def _beginning(text: str, size: int, tokenizer: PreTrainedTokenizerBase) -> First:
    length, before = _reach(size), None
    while length < len(text):
        space = text.rfind(" ", length // 2, length)
        (ids,) = _tokenized([text[: length if space < 0 else space]], tokenizer)
        if (len(ids) > size and ids[:size] == before) or length > MOST * _reach(size):
            return First(ids, len(text))
        length, before = 2 * length + 7, ids[:size]  # no multiple, which may be the period of a text that repeats
    return First(_tokenized([text], tokenizer)[0])


def _reach(size: int) -> int:
    """Return how many characters surely hold the first ``size`` tokens of ordinary text, and many more."""
    return max(2048, 32 * size)


def _tokenized(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    # verbose warns of texts longer than the model reads, which are cut afterwards
    return tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"] if texts else []


def plain_source(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Source:
    """Return ``texts`` as the tokenizer lays them out, each one segment (``FIRST_TURN``), padded to the longest."""
    import torch

    batch = tokenizer(list(texts), padding=True, return_tensors="pt")
    mask = batch["attention_mask"]
    return Source(batch["input_ids"], mask, torch.where(mask.bool(), FIRST_TURN, PAD))


def _speaker_id(token: str, tokenizer: PreTrainedTokenizerBase) -> int:
    known = tokenizer.get_vocab().get(token)
    if known is not None:
        return known
    return tokenizer.eos_token_id if tokenizer.sep_token_id is None else tokenizer.sep_token_id
