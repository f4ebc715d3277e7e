"""Shamir's sharing (CACM 1979) modulo p = 2⁶¹ − 1 on uint64 arrays: the native lane.

The points are 1, 2, …, m, so a polynomial is handled by its finite differences, and additions do
everything (Δf(x) = f(x + 1) − f(x); Newton's forward formula):

* f of degree ≤ t is ``f(x) = Σ_{k≤t} Δᵏf(0)·C(x, k)``.  No k! with k ≤ t < p is 0 modulo p, so
  f ↦ (f(0), Δf(0), …, Δᵗf(0)) is one to one between polynomials of degree ≤ t and t + 1 field
  elements.  Uniform differences Δf(0), …, Δᵗf(0) hence mean uniform coefficients, and conversely.
* From (f(x), Δf(x), …, Δᵗf(x)) to the same at x + 1 each entry gains the next one.
* ``f(0) = Σ_{k≤t} (−1)ᵏ·Δᵏf(1)``, as (1 + Δ)⁻¹ shifts by −1.
* m ≤ p values lie on one polynomial of degree ≤ t if and only if all of their (t + 1)-th
  differences are 0.

Elements are whole numbers 0 … p − 1.  A sum of two stays below 2⁶², and uint64 wraps around below
0: the least of s and s − p is the reduced sum, that of d and d + p the reduced difference.
Shares are worked on in pieces that fit a processor's cache; beside its result a call needs about
two megabytes at m = 3.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.plan import MERSENNE_61
from secgen_dsl.runtime.coins import words

Elements = NDArray[np.uint64]

_P = np.uint64(MERSENNE_61)
_SPARE_BITS = np.uint64(64 - 61)

_AT_ONCE = 2**15
"""Elements of a working buffer: 256 KiB each, a few more than m of them."""


def split(values: NDArray[np.int64], threshold: int, parties: int) -> list[Elements]:
    """Share integers by fresh uniform polynomials of degree ≤ t with f(0) the value.

    Args:
        values: integers of any shape; they enter the field modulo p.
        threshold: t ≥ 1.
        parties: m > t; party i's point is i + 1.

    Returns:
        For each party its shares, in the shape of ``values``.  Any t of them are uniform.

    Raises:
        ValueError: t or m out of its range.
        OSError: the system gives no random bytes.
    """
    if not 1 <= threshold < parties:
        raise ValueError(f"no sharing among {parties} parties has threshold {threshold}")
    flat = values.reshape(-1)
    shares = [np.empty(flat.shape, dtype=np.uint64) for _ in range(parties)]
    for piece in _pieces(len(flat)):
        secret = np.mod(flat[piece], np.int64(_P)).astype(np.uint64)
        differences = [secret, *(_uniform(len(secret)) for _ in range(threshold))]
        for share in shares:
            for one, its_difference in pairwise(differences):
                _add(one, its_difference)
            share[piece] = differences[0]
    return [share.reshape(values.shape) for share in shares]


def add_into(total: Elements, share: Elements) -> None:
    """Add another dealer's shares to the sum so far, in place; of one shape, elements below p."""
    if total.shape != share.shape or not total.flags.c_contiguous:
        raise ValueError("shares are added to a contiguous array of their own shape")
    into, added = total.reshape(-1), share.reshape(-1)
    for piece in _pieces(len(into)):
        _add(into[piece], added[piece])


def open_shares(shares: Sequence[Elements], threshold: int, what: str) -> NDArray[np.int64]:
    """The values that m shares determine, if they all lie on one polynomial of degree ≤ t.

    Any change of at most m − t − 1 shares of a consistent vector is noticed (a Reed–Solomon code
    of distance m − t); t colluding parties with m ≥ 2t + 1 cannot therefore move an opened value.

    Args:
        shares: of party 0, 1, …, m − 1; k elements each.
        threshold: t < m − 1.
        what: names the opening in the message.

    Returns:
        k integers in (−p/2, p/2).

    Raises:
        SecgenError: SG505, the shares do not lie on one polynomial, or one of them is no element of
            the field; nothing is returned.
        ValueError: the shares are too few for a check, or differ in shape.
    """
    if not 0 <= threshold < len(shares) - 1 or len({share.shape for share in shares}) != 1:
        raise ValueError(f"{len(shares)} shares of threshold {threshold} cannot be checked")
    flat = [share.reshape(-1) for share in shares]
    opened = np.empty(flat[0].shape, dtype=np.int64)
    for piece in _pieces(len(opened)):
        rows = [share[piece].copy() for share in flat]
        if any(int(row.max()) >= _P for row in rows):
            raise _inconsistent(threshold, what)
        value = rows[0].copy()
        for order in range(1, threshold + 2):
            for row, following in pairwise(rows):
                _subtract_from(following, row)
            del rows[-1]
            if order <= threshold:
                (_subtract if order % 2 else _add)(value, rows[0])
        if any(row.any() for row in rows):
            raise _inconsistent(threshold, what)
        centred = opened[piece]
        centred[:] = value
        centred[value > _P // np.uint64(2)] -= np.int64(_P)
    return opened.reshape(shares[0].shape)


def _inconsistent(threshold: int, what: str) -> SecgenError:
    return fail(
        "SG505",
        f"the opening of {what} failed its consistency check: the parties' shares do not "
        f"lie on one polynomial of degree {threshold}",
        place="all parties",
        next_step="no value was used; some party's share is not what the others' imply.  "
        "The budget of this round is spent; a restart uses the stored contributions",
    )


def _pieces(count: int) -> list[slice]:
    return [slice(start, min(start + _AT_ONCE, count)) for start in range(0, count, _AT_ONCE)]


def _uniform(count: int) -> Elements:
    """Uniform field elements: 61 bits of a word, drawn again where they are p."""
    drawn = words(count) >> _SPARE_BITS
    again = np.flatnonzero(drawn >= _P)
    while again.size:
        drawn[again] = words(again.size) >> _SPARE_BITS
        again = again[drawn[again] >= _P]
    return drawn


def _add(total: Elements, term: Elements) -> None:
    total += term
    np.minimum(total, total - _P, out=total)


def _subtract(total: Elements, term: Elements) -> None:
    total -= term
    np.minimum(total, total + _P, out=total)


def _subtract_from(minuend: Elements, into: Elements) -> None:
    """``into`` becomes ``minuend − into``."""
    np.subtract(minuend, into, out=into)
    np.minimum(into, into + _P, out=into)
