"""Token ids with the characters that each stands for, of tokenizers that tell these and of those that do not."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MARKS = ("\u2581", "@@", "</w>")  # by which tokens say that a word begins or goes on
RUN, WINDOW = 8, 80  # letters


class Placed(NamedTuple):
    """Token ``ids`` of a text; token i stands for its characters from ``starts[i]`` to before ``ends[i]``, for none
    where these are equal, as for special tokens."""

    ids: list[int]
    starts: np.ndarray
    ends: np.ndarray


def placed(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, special: bool = True) -> list[Placed]:
    """Tokenize ``texts``, with the tokenizer's own special tokens around each if ``special``."""
    if not texts:
        return []
    own = dict(add_special_tokens=special, verbose=False, return_attention_mask=False, return_token_type_ids=False)
    if not tokenizer.is_fast:
        every = tokenizer(list(texts), **own)["input_ids"]
        return [aligned(text, ids, tokenizer) for text, ids in zip(texts, every, strict=True)]
    found = tokenizer(list(texts), return_offsets_mapping=True, **own)
    offsets = found["offset_mapping"]
    flat = (np.fromiter(chain.from_iterable(one), dtype=np.int64, count=2 * len(one)) for one in offsets)
    places = (one.reshape(-1, 2) for one in flat)
    return [Placed(ids, one[:, 0], one[:, 1]) for ids, one in zip(found["input_ids"], places, strict=True)]


def aligned(text: str, ids: list[int], tokenizer: PreTrainedTokenizerBase) -> Placed:
    """Return ``ids``, which a tokenizer without offsets made of ``text``, with their places [D].

    The letters of the tokens and of the text, without white space and as NFKC and case folding leave them, are laid
    side by side; where they differ, by the nearest runs they have in common. A token without a letter of its own stands
    for what lies between its neighbours.
    """
    pieces = list(tokenizer.tokenize(text))
    known: list[int] = tokenizer.convert_tokens_to_ids(pieces)  # type: ignore[assignment]
    first = next((i for i in range(len(ids) - len(known) + 1) if ids[i : i + len(known)] == known), None)
    if first is None:  # the special tokens lie among them
        first, pieces = 0, list(tokenizer.convert_ids_to_tokens(ids))
    starts, ends = byte_places(pieces, text) or piece_places([surface(piece) for piece in pieces], text)
    behind = len(ids) - first - len(pieces)
    return Placed(ids, *(np.array([0] * first + one + [0] * behind, dtype=np.int64) for one in (starts, ends)))


def surface(piece: str) -> str:
    """Return what of a text ``piece`` stands for, as far as its name tells."""
    for mark in MARKS:
        piece = piece.replace(mark, "")
    return piece


def byte_places(pieces: Sequence[str], text: str) -> tuple[list[int], list[int]] | None:
    """Return where in ``text`` each of ``pieces`` starts and ends if they are its bytes, one by one."""
    starts = [place for place, letter in enumerate(text) for _ in letter.encode()]
    if len(starts) != len(pieces) or not all(len(piece) == 1 and ord(piece) < 256 for piece in pieces):
        return None
    return starts, [place + 1 for place in starts]


def piece_places(pieces: Sequence[str], text: str) -> tuple[list[int], list[int]]:
    """Return where in ``text`` each of ``pieces`` starts and ends."""
    ours = [(letter, number) for number, piece in enumerate(pieces) for letter in _letters(piece)]
    theirs = [(letter, place) for place, one in enumerate(text) for letter in _letters(one)]
    found: dict[int, tuple[int, int]] = {}
    for a, b in _pairs("".join(letter for letter, _ in ours), "".join(letter for letter, _ in theirs)):
        number, place = ours[a][1], theirs[b][1]
        start, _ = found.get(number, (place, place))
        found[number] = (start, place + 1)
    following, later = [0] * len(pieces), len(text)  # where the next piece with a letter in the text starts
    for number in range(len(pieces) - 1, -1, -1):
        following[number] = later
        later = found[number][0] if number in found else later
    starts: list[int] = []
    ends: list[int] = []
    for number in range(len(pieces)):
        before = ends[-1] if ends else 0
        start, end = found.get(number, (before, following[number]))
        starts.append(start)
        ends.append(max(start, end))
    return starts, ends


def _pairs(left: str, right: str) -> Iterator[tuple[int, int]]:
    """Yield the places of letters that two texts have in common, in order."""
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            yield i, j
            i, j = i + 1, j + 1
            continue
        skipped = _next_run(left[i:], right[j:])
        a, b = (len(left) - i, len(right) - j) if skipped is None else skipped
        matcher = SequenceMatcher(None, left[i : i + a], right[j : j + b], autojunk=False)
        for block in matcher.get_matching_blocks():
            yield from ((i + block.a + k, j + block.b + k) for k in range(block.size))
        i, j = i + a, j + b


def _next_run(left: str, right: str) -> tuple[int, int] | None:
    """Return how much of two texts is to be skipped for both to go on alike for ``RUN`` letters, or to their ends; None
    where it is more than ``WINDOW``."""
    for skipped in range(1, WINDOW):
        for a in range(skipped + 1):
            run = left[a : a + RUN]
            if run and run == right[skipped - a : skipped - a + RUN]:
                return a, skipped - a
    return None


@lru_cache(maxsize=10_000)
def _letters(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
