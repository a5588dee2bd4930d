"""The first tokens of texts, of however long a text, without reading all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from zsc.data.cut import Bucket

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST = 50


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
    pairs = list(zip(texts, sizes, strict=True))
    ordinary = list(dict.fromkeys(text for text, size in pairs if len(text) <= 3 * _reach(size)))
    whole = {text: First(ids) for text, ids in zip(ordinary, _tokenized(ordinary, tokenizer), strict=True)}
    return [whole[text] if text in whole else _beginning(text, size, tokenizer) for text, size in pairs]


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
    only_ids = dict(return_attention_mask=False, return_token_type_ids=False)
    return tokenizer(texts, add_special_tokens=False, verbose=False, **only_ids)["input_ids"] if texts else []
