"""Exact Pólya shares of discrete Laplace noise: whole numbers and rationals only, system CSPRNG.

A share is the difference of two negative binomial numbers of shape r = 1/n and q = e^(−1/b).  With
generating function ``((1 − q)/(1 − qz))^r = exp(r·Σ_{k≥1} q^k/k·(z^k − 1))`` such a number is a
sum of *jumps*: independently for every k ≥ 1, a Poisson number of mean r·q^k/k of jumps by k
(Quenouille, Biometrics 1949).  Shares of n parties add up jump by jump to mean q^k/k, a geometric
number; two of them differ by discrete Laplace noise.

**How jumps are drawn.**  Let 2^I be the least power of two ≥ b.

* *Levels.*  For i < I, a Poisson number of mean r of candidates, each uniform on 2^i ≤ k < 2^(i+1),
  is for each such k an independent Poisson number of mean r/2^i.  A candidate is kept with
  probability (2^i/k)·e^(−k/b); what is kept has mean r·q^k/k.
* *Tail.*  A Poisson number of mean r of candidates k = j·2^I + u, with j ≥ 1 of probability 2^−j
  and u uniform on 0 ≤ u < 2^I, has mean r·2^−j/2^I at each k ≥ 2^I.  A candidate is kept with
  probability (2^I/k)·2^j·e^(−k/b), which is the product of those of four coins: 2^I/k; (2/e)^j;
  e^(−j(2^I − b)/b); e^(−u/b).  What is kept has again mean r·q^k/k.

(Kept or not independently, a Poisson number stays Poisson, and different k stay independent.)

**The coins.**  All are decided by uniform whole numbers below a bound:

* e^(−a/c) for 0 ≤ a ≤ c: trials of probability a/c, a/2c, a/3c, … until one fails; true if the
  failing one is odd (Canonne, Kamath, Steinke, NeurIPS 2020, Algorithm 1).  Greater exponents are
  split off in units: e^(−1)·e^(−1)·….
* 2/e is the chance that this goes well for a = c, given that the first two trials succeed (the
  first always does, the second with probability 1/2, and a third trial that fails is odd).
* Poisson of mean r = 1/n: a geometric number j of probability 2^−(j+1) is kept with probability
  (2r)^j/j! ≤ 1, else drawn again: what is kept has probability ∝ r^j/j!.

Nothing is approximated and no float occurs.  A draw takes some log₂(b)·r candidates.  (Rejection
from a geometric number, with probability Π_{j≤k} (n(j − 1) + 1)/(nj), is as exact, but takes some
b trials a draw.)  Time depends on the noise, never on data: shares are drawn before a party
connects.
"""

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from secgen_dsl.runtime.coins import Flags, Whole, below, bits, runs_of_heads

_AT_ONCE = 2**15
_LARGEST_SCALE = 2**40
_LARGEST_DENOMINATOR = 2**16
"""b = c/d: bounds of uniform numbers stay below 2⁵⁶·60 < 2⁶²."""

_MOST_TRIALS = 60
"""A coin whose 60th trial succeeds has probability below 1/60! < 2^−270."""


def draw_polya(cells: int, scale: Fraction, parts: int) -> Whole:
    """Independent shares, each the difference of two Pólya numbers of shape 1/parts.

    Args:
        cells: length of the result, ≥ 0.
        scale: b, 0 < b ≤ 2⁴⁰, with a denominator of at most 2¹⁶.
        parts: n ≥ 2: so many shares add up to discrete Laplace noise of mass ∝ exp(−|x|/b).

    Returns:
        Integers, shape (cells,).

    Raises:
        ValueError: a number out of its range.
    """
    if cells < 0:
        raise ValueError("a noise vector cannot have a negative length")
    if not 0 < scale <= _LARGEST_SCALE or scale.denominator > _LARGEST_DENOMINATOR:
        raise ValueError(f"no Pólya shares of scale {scale} can be drawn")
    if not 2 <= parts <= 2**16:
        raise ValueError(f"no Pólya shares for {parts} parties can be drawn")
    shares = np.zeros(cells, dtype=np.int64)
    for start in range(0, cells, _AT_ONCE):
        count = min(_AT_ONCE, cells - start)
        both = _negative_binomial(2 * count, scale, parts)
        shares[start : start + count] = both[:count] - both[count:]
    return shares


def _negative_binomial(count: int, scale: Fraction, parts: int) -> Whole:
    """Negative binomial numbers of shape 1/parts and q = e^(−1/scale); shape (count,)."""
    levels = max(0, (-(-scale.numerator // scale.denominator) - 1).bit_length())
    candidates = _poisson((levels + 1) * count, parts).reshape(levels + 1, count)
    owners: list[Whole] = []
    jumps: list[Whole] = []
    kept: list[Flags] = []
    for level in range(levels):
        own = np.repeat(np.arange(count), candidates[level])
        jump = 2**level + bits(len(own), level)
        keep = below(jump) < 2**level
        keep[keep] = _exponential_coins(jump[keep] * scale.denominator, scale.numerator)
        owners.append(own)
        jumps.append(jump)
        kept.append(keep)
    own = np.repeat(np.arange(count), candidates[levels])
    jump, keep = _tail(len(own), levels, scale)
    all_kept = np.concatenate([*kept, keep])
    totals = np.zeros(count, dtype=np.int64)
    np.add.at(
        totals,
        np.concatenate([*owners, own])[all_kept],
        np.concatenate([*jumps, jump])[all_kept],
    )
    return totals


def _tail(count: int, levels: int, scale: Fraction) -> tuple[Whole, Flags]:
    """Candidates of 2^levels or more, and which are kept."""
    block = 2**levels
    j = 1 + runs_of_heads(count)
    u = bits(count, levels)
    jump = j * block + u
    keep = below(jump) < block
    keep[keep] = _powers(j[keep], _two_over_e)
    excess = block * scale.denominator - scale.numerator  # (2^I − b)/b = excess/numerator
    keep[keep] = _exponential_coins(j[keep] * excess, scale.numerator)
    keep[keep] = _exponential_coins(u[keep] * scale.denominator, scale.numerator)
    return jump, keep


# -- coins -------------------------------------------------------------------------------------


def _exponential_coins(a: Whole, c: int) -> Flags:
    """True with probability e^(−a/c), for each a ≥ 0."""
    heads = _trials(a % c, c, first=1)
    units = a[heads] // c
    heads[heads] = _powers(units, lambda count: _trials(np.ones(count, dtype=np.int64), 1, first=1))
    return heads


def _powers(times: Whole, coins: Callable[[int], Flags]) -> Flags:
    """True where so many tosses of a coin all are heads."""
    heads = np.ones(len(times), dtype=np.bool_)
    left = np.flatnonzero(times > 0)
    done = 0
    while left.size:
        tossed = coins(left.size)
        heads[left[~tossed]] = False
        done += 1
        left = left[tossed & (times[left] > done)]
    return heads


def _two_over_e(count: int) -> Flags:
    """True with probability 2/e."""
    return _trials(np.ones(count, dtype=np.int64), 1, first=3)


def _trials(a: Whole, c: int, first: int) -> Flags:
    """Trials of probability a/(c·i) ≤ 1, i = first, first + 1, …: is the first that fails odd?"""
    odd = np.zeros(len(a), dtype=np.bool_)
    left = np.arange(len(a))
    for i in range(first, _MOST_TRIALS):
        if not left.size:
            return odd
        succeeds = below(np.full(left.size, c * i, dtype=np.int64)) < a[left]
        if i % 2:
            odd[left[~succeeds]] = True
        left = left[succeeds]
    raise ValueError("a coin was tossed for ever")


def _poisson(count: int, parts: int) -> Whole:
    """Poisson numbers of mean 1/parts ≤ 1/2."""
    numbers = np.zeros(count, dtype=np.int64)
    left = np.arange(count)
    while left.size:
        proposed = runs_of_heads(left.size)
        # (2/n)^j/j! is the product of 2/(n·i) for i = 1 … j.
        keep = np.ones(left.size, dtype=np.bool_)
        for i in range(1, int(proposed.max(initial=0)) + 1):
            tried = np.flatnonzero(keep & (proposed >= i))
            keep[tried] = below(np.full(tried.size, parts * i, dtype=np.int64)) < 2
        numbers[left[keep]] = proposed[keep]
        left = left[~keep]
    return numbers
