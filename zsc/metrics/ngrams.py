"""N-grams of many texts counted at once, as numbers in arrays: faster, and in less memory, than text by text."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

WIDEST = 1 << 62  # n-grams are numbers below it


@dataclass(frozen=True)
class Tokens:
    """The tokens of texts one after another, as numbers below ``kinds``, and how many each text has."""

    ids: np.ndarray
    lengths: np.ndarray
    kinds: int


@dataclass(frozen=True)
class Grams:
    """The n-grams of one order of all texts, as numbers below ``kinds``, and the number of the text of each."""

    ids: np.ndarray
    texts: np.ndarray
    kinds: int

    def counted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return how often each text has each n-gram: n-gram, text and count, in order of n-grams and then texts."""
        texts = int(self.texts.max(initial=0)) + 1
        found, counts = np.unique(self.ids * texts + self.texts, return_counts=True)
        return *np.divmod(found, texts), counts


def split_by(split: Callable[[str], Iterable[str]], texts: Iterable[str]) -> Tokens:
    """Return what ``split`` makes of ``texts`` as numbers; of a text that comes again soon, it is known."""
    found = [_numbers(split, text) for text in texts]
    ids = np.concatenate([*found, np.empty(0, dtype=np.int64)])
    return Tokens(ids, np.array([len(one) for one in found], dtype=np.int64), max(len(_known), 1))


class _Numbers(dict[str, int]):
    """The number of each token; one that is new has the next."""

    def __missing__(self, token: str) -> int:
        self[token] = len(self)
        return self[token]


_known = _Numbers()


@lru_cache(maxsize=1 << 13)
def _numbers(split: Callable[[str], Iterable[str]], text: str) -> np.ndarray:
    return np.fromiter(map(_known.__getitem__, split(text)), dtype=np.int32)


def forget_texts() -> None:
    """Let go of what is known of texts and tokens."""
    _numbers.cache_clear()
    _known.clear()


def characters(texts: Sequence[str]) -> Tokens:
    """Return the characters of ``texts`` as numbers."""
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    alphabet, ids = np.unique(points, return_inverse=True)
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    return Tokens(ids.astype(np.int64), lengths, max(len(alphabet), 1))


def grams(tokens: Tokens, highest: int) -> Iterator[Grams]:
    """Yield the n-grams of ``tokens`` of each order from 1 to ``highest``."""
    count = len(tokens.lengths)
    texts = np.repeat(np.arange(count), tokens.lengths)
    left = np.repeat(tokens.lengths.cumsum(), tokens.lengths) - np.arange(len(tokens.ids))  # tokens to a text's end
    begins, ids, kinds = np.arange(len(tokens.ids)), tokens.ids, tokens.kinds
    for order in range(1, highest + 1):
        if order > 1:
            longer = left[begins] >= order
            begins = begins[longer]
            ids, kinds = ids[longer] * tokens.kinds + tokens.ids[begins + order - 1], kinds * tokens.kinds
        if kinds * max(count, tokens.kinds) >= WIDEST:
            different, ids = np.unique(ids, return_inverse=True)
            kinds = max(len(different), 1)
        yield Grams(ids, texts[begins], kinds)


def paired(said: Sequence[str], known: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the texts of ``said`` and then the different ones of ``known``, and the numbers of those that each of
    ``said`` is paired with: what :func:`common` takes."""
    places = {text: place for place, text in enumerate(dict.fromkeys(known))}
    return [*said, *places], np.array([places[text] for text in known], dtype=np.int64)


def common(tokens: Tokens, known_of: np.ndarray, highest: int) -> np.ndarray:
    """Return what the first texts of ``tokens`` have each in common with one of the others, whose numbers among these
    are ``known_of`` (pairs,).

    Of each pair and each order from 1 to ``highest`` that is, as whole numbers (pairs, orders, 4): the n-grams of the
    first text, those of the second, those of the first that the second has too, each at most as often as there, and
    the same however often.
    """
    pairs = len(known_of)
    found = np.zeros((pairs, highest, 4), dtype=np.int64)
    for order, of in enumerate(grams(tokens, highest)):
        split, keys = np.searchsorted(of.texts, pairs), of.texts * of.kinds + of.ids
        lengths = np.maximum(tokens.lengths - order, 0)
        found[:, order, 0], found[:, order, 1] = lengths[:pairs], lengths[pairs:][known_of]
        said, said_counts = np.unique(keys[:split], return_counts=True)
        known, known_counts = np.unique(keys[split:], return_counts=True)
        if len(known):
            holders, ids = np.divmod(said, of.kinds)
            wanted = (pairs + known_of[holders]) * of.kinds + ids
            place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
            both = known[place] == wanted
            holders, held = holders[both], said_counts[both]
            found[:, order, 2] = np.bincount(holders, np.minimum(held, known_counts[place[both]]), pairs)
            found[:, order, 3] = np.bincount(holders, held, pairs)
    return found
