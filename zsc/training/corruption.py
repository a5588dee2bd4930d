"""The corruption of BART (Lewis et al., 2020, section 2.2): text infilling and sentence permutation."""

import numpy as np

from zsc.errors import ZscError


def check_corruption(share: float, mean_span: float, permute: float, clean: float) -> None:
    """Raise ZscError for options of ``objective.noise`` that are out of range."""
    for name, value in {"share": share, "permute": permute, "clean": clean}.items():
        if not 0 <= value <= 1:
            raise ZscError(f"objective.noise.{name}={value} must lie between 0 and 1.")
    if mean_span <= 0:
        raise ZscError(f"objective.noise.mean_span={mean_span} must be above 0.")


def permute_sentences(sentences: list[list[int]], rng: np.random.Generator) -> list[int]:
    """Return the token ids of ``sentences`` in a random order."""
    return [token for index in rng.permutation(len(sentences)) for token in sentences[index]]


def span_lengths(budget: int, mean: float, rng: np.random.Generator) -> list[int]:
    """Draw Poisson(``mean``) span lengths until they cover ``budget`` tokens; the last one is cut to fit.

    Lengths of zero are kept: BART inserts a mask there without removing a token.
    """
    lengths: list[int] = []
    while budget > 0:
        length = min(int(rng.poisson(mean)), budget)
        lengths.append(length)
        budget -= length
    return lengths


def infill(tokens: list[int], mask_id: int, share: float, mean: float, rng: np.random.Generator) -> list[int]:
    """Replace spans holding ``share`` of ``tokens`` by one ``mask_id`` each.

    Which spans: the kept tokens and the spans are arranged in a uniformly random order that keeps the
    tokens in sequence, so no two spans overlap.
    """
    lengths = span_lengths(round(share * len(tokens)), mean, rng)
    slots = len(tokens) - sum(lengths) + len(lengths)
    is_span = np.zeros(slots, dtype=bool)
    is_span[rng.choice(slots, size=len(lengths), replace=False)] = True
    corrupted, position, spans = [], 0, iter(lengths)
    for span in is_span:
        if span:
            corrupted.append(mask_id)
            position += next(spans)
        else:
            corrupted.append(tokens[position])
            position += 1
    return corrupted
