"""Places in use, which are always the first ones."""

from collections.abc import Collection


def filled(free: Collection[int], count: int) -> list[tuple[int, int]]:
    """Return from where to where the last of ``count`` places move into those that are ``free``, so that the others
    are the first ones."""
    gone = {*free}
    left = count - len(gone)
    holes = sorted(place for place in gone if place < left)
    moved = [place for place in range(left, count) if place not in gone]
    return list(zip(moved, holes, strict=True))
