"""Counter-based Gumbel noise: a pure function of run seed, example, decoding step and token [D].

The bits are those of SplitMix64 (Steele, Lea & Flood, 2014, with the finaliser of its reference implementation) read
at a counter instead of one after the other: each example has a 64-bit key, and step ``t`` and token ``v`` stand at
position ``t * 2**32 + v`` of its stream. Nothing is drawn in an order, so nothing can depend on one: a response has the
same noise alone, in any batch, after a resume, on another device or shard, and whatever knob is applied.
"""

import hashlib
from collections.abc import Sequence

import torch

GOLDEN, MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
TOKENS = 2**32  # positions of a stream that one step takes
BLOCK = 2**16  # numbers


def stream_keys(ids: Sequence[str], seed: int) -> torch.Tensor:
    """Return one 64-bit key for each example, which depends on its id and the run's seed only: int64 (examples,)."""
    digests = [hashlib.sha256(f"{seed}\0{identity}".encode()).digest()[:8] for identity in ids]
    return torch.tensor([int.from_bytes(digest, "big", signed=True) for digest in digests])


def random_bits(keys: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Return 64 random bits, as int64, of each stream of ``keys`` at ``positions``; the two broadcast."""
    state = keys + (positions + 1) * _signed(GOLDEN)  # int64 arithmetic wraps around, as unsigned would
    state = (state ^ _shifted(state, 30)) * _signed(MIX_1)
    state = (state ^ _shifted(state, 27)) * _signed(MIX_2)
    return state ^ _shifted(state, 31)


def gumbel(keys: torch.Tensor, steps: int | torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return standard Gumbel noise, float64, for ``tokens`` at ``steps`` of the streams of ``keys``; all broadcast."""
    fraction = _shifted(random_bits(keys, tokens + steps * TOKENS), 11).double()
    return -(-((fraction + 0.5) / 2**53).log()).log()


def gumbel_rows(keys: torch.Tensor, steps: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return standard Gumbel noise, float32, for ``tokens`` (rows, columns) at ``steps`` (rows,) of ``keys`` (rows,).

    On the CPU it is made of a few rows at a time, whose numbers stay in its caches.
    """
    some = BLOCK // tokens.shape[1] + 1 if tokens.device.type == "cpu" else len(tokens)
    parts = zip(keys.split(some), steps.split(some), tokens.split(some), strict=True)
    return torch.cat([gumbel(key[:, None], step[:, None], which).float() for key, step, which in parts])


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _shifted(bits: torch.Tensor, by: int) -> torch.Tensor:
    """Shift right by ``by`` bits, zeros coming in from the left."""
    return (bits >> by) & (2 ** (64 - by) - 1)
