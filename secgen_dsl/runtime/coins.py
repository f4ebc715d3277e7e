"""Uniform whole numbers and fair coins from the system CSPRNG: what exact samplers are made of.

Everything random that secgen draws itself, for noise (``polya``, ``gaussian``) and for shares
(``shamir``), comes from ``words``.  There is no seed, and no way to give one.
"""

import secrets

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Whole = NDArray[np.int64]
Words = NDArray[np.uint64]


def words(count: int) -> Words:
    """Independent uniform 64-bit words, shape (count,).  Raises OSError if the system has none."""
    return np.frombuffer(secrets.token_bytes(8 * count), dtype=np.uint64)


def bits(count: int, width: int) -> Whole:
    """Uniform on 0 … 2^width − 1, width ≤ 62; shape (count,)."""
    return (words(count) & np.uint64(2**width - 1)).astype(np.int64)


def runs_of_heads(count: int) -> Whole:
    """Heads before the first tail of a fair coin: j with probability 2^−(j + 1)."""
    numbers = np.zeros(count, dtype=np.int64)
    left = np.arange(count)
    while left.size:
        drawn = words(left.size)
        run = np.bitwise_count(drawn & ~(drawn + np.uint64(1)))  # the ones below the first zero
        numbers[left] += run
        left = left[run == 64]  # a word of ones goes on in the next
    return numbers


def below(bounds: Whole) -> Whole:
    """Uniform on 0 … bound − 1, for each 1 ≤ bound < 2⁶³."""
    wide = bounds.astype(np.uint64)
    numbers = np.zeros(len(bounds), dtype=np.int64)
    # 2⁶⁴ mod bound of the words would favour small remainders: those are drawn again.
    surplus = (np.uint64(0) - wide) % wide
    left = np.arange(len(bounds))
    while left.size:
        drawn = words(left.size)
        fair = drawn <= np.uint64(2**64 - 1) - surplus[left]
        taken = left[fair]
        numbers[taken] = (drawn[fair] % wide[taken]).astype(np.int64)
        left = left[~fair]
    return numbers
