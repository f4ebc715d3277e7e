"""Exact discrete Gaussian noise in bulk: mass ∝ e^(−x²/2σ²) on the whole numbers, system CSPRNG.

The law and its use are those of Canonne, Kamath, Steinke (NeurIPS 2020); their sampler rejects
from discrete Laplace noise with whole-number coins.  This one rejects from steps of equal width,
and decides each rejection by comparing a uniform real number, bit by bit as far as needed, with
its exact probability (a coin of any probability by lazy comparison: Devroye 1986, XV.1; Karney,
ACM TOMS 2016, for the normal laws).  Exact means: with fair random bits, the law of what is drawn
is N_Z(0, σ²) itself, for the very rational σ² that was asked for.

**Proposals.**  Let w = 2^I be the least power of two ≥ σ/4 (at least 1), B = 12, and c > 0 whole.
Block b ≥ 0 is made of the 2w numbers x that are m or −1 − m for bw ≤ m < (b + 1)w; the blocks
hold every whole number once (0 is m = 0, and −0 is none).  For whole numbers W_b ≥ c·e^(−(bw)²/2σ²)
with ``W_0 + … + W_(B−1) + 2·W_B = 2^12``, one of 2^12 equal chances chooses b; if that is B, then
B + j with probability 2^−(j + 1).  A fair coin chooses the sign, I fair bits m − bw.  So each x of
block b is proposed with probability ``W_b/(2^13·w)``, where W_(B + j) is short for W_B·2^−j.

**Rejection.**  x is kept with probability ``c·e^(−x²/2σ²)/W_b``, so one trial gives x with
probability ``c·e^(−x²/2σ²)/(2^13·w)``: proportional to its mass, with one factor for all x.  It is
a probability: |x| ≥ bw, so it is at most 1 for b ≤ B; and in the tail ``(B + j)² ≥ B² + 2Bj``, with
w ≥ σ/4, gives e^(−((B + j)w)²/2σ²) ≤ e^(−(Bw)²/2σ²)·e^(−3j/4), where e^(−3/4) < 1/2.  Half of the
trials or more keep their x, and 4 of 5 from σ = 2 on.

**The comparison.**  A uniform real number U is known by its first bits: v ≤ 2^53·U < v + 1.  The
probability p is computed as a float p̂ with |p̂ − p| < 2^−38 (``_probabilities``: additions,
products and tables, so that IEEE 754 suffices).  If v/2^53 and p̂ are 2^−36 apart, they say which of
U and p is greater.  Otherwise (about once in 2^35 trials) ``_kept_exactly`` compares 64 bits and
more of U with rational bounds of p until both ends of U's interval lie on one side of both bounds.
The float decides nothing that is in doubt, hence has no influence on the law.

Time depends on the noise, never on data: noise is drawn before a party connects.
"""

import decimal
import math
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.runtime.coins import Flags, Whole, Words, runs_of_heads, words

LARGEST_VARIANCE = Fraction(2) ** 100
"""σ ≤ 2⁵⁰: a draw beyond ±2⁶² then has probability below e^(−2²³), and int64 cannot overflow."""

_AT_ONCE = 2**15
_BLOCKS = 12
_CHANCE_BITS = 12
_STEEPEST = 600
_DOUBT = 2.0**-36
_LONGEST_RUN = 64

Floats = NDArray[np.float64]


class _Proposal(NamedTuple):
    """The blocks of the module's text for one σ².

    Attributes:
        width_bits: I.
        peak: c.
        weights: W_0 … W_B.
        owners: the block of each of the 2^12 chances.
        factors: c/W_b as floats, for b up to B + 64.
        inverse: 1/2σ² as a float (1024 stands for all that is greater).
    """

    variance: Fraction
    width_bits: int
    peak: int
    weights: tuple[int, ...]
    owners: Whole
    factors: Floats
    inverse: float


def draw_gaussian(cells: int, variance: Fraction) -> Whole:
    """Independent draws from N_Z(0, σ²), exactly.

    Args:
        cells: length of the result, ≥ 0.
        variance: 0 < σ² ≤ 2¹⁰⁰, taken as it is: no float comes near it.

    Returns:
        Integers, shape (cells,).

    Raises:
        ValueError: a number out of its range.
        OSError: the system gives no random bytes.
    """
    if cells < 0:
        raise ValueError("a noise vector cannot have a negative length")
    if not 0 < variance <= LARGEST_VARIANCE:
        raise ValueError(f"a noise variance must be positive and at most 2^100, not {variance}")
    proposal = _proposal(Fraction(variance))
    values = np.empty(cells, dtype=np.int64)
    filled = 0
    while filled < cells:
        x, block = _candidates(proposal, min(_AT_ONCE, (cells - filled) * 5 // 4 + 16))
        # The surplus of the last trials is dropped by its place, not by its value.
        drawn = x[_kept(proposal, x, block)][: cells - filled]
        values[filled : filled + len(drawn)] = drawn
        filled += len(drawn)
    return values


@lru_cache(maxsize=64)
def _proposal(variance: Fraction) -> _Proposal:
    """A description of the noise, not noise; it depends on nothing but σ²."""
    width_bits = 0
    while 16 * 4**width_bits < variance:
        width_bits += 1
    # Upper bounds of e^(−(bw)²/2σ²).
    heights = [
        _exponential_bounds(Fraction((b << width_bits) ** 2) / (2 * variance), 30)[1]
        for b in range(_BLOCKS + 1)
    ]
    chances = 2**_CHANCE_BITS
    peak = math.floor((chances - _BLOCKS - 2) / (sum(heights) + heights[-1]))
    weights = [math.ceil(peak * height) for height in heights]
    weights[0] += chances - sum(weights) - weights[-1]
    factors = [peak / weight for weight in weights]
    factors += [math.ldexp(factors[-1], run) for run in range(1, _LONGEST_RUN + 1)]
    return _Proposal(
        variance=variance,
        width_bits=width_bits,
        peak=peak,
        weights=tuple(weights),
        owners=np.repeat(np.arange(_BLOCKS + 1), [*weights[:-1], 2 * weights[-1]]),
        factors=np.array(factors),
        inverse=float(min(1 / (2 * variance), Fraction(1024))),
    )


def _candidates(proposal: _Proposal, count: int) -> tuple[Whole, Whole]:
    """Proposed numbers and their blocks; one word each, of which 13 + I bits are used."""
    drawn = words(count)
    block = proposal.owners[_low_bits(drawn, _CHANCE_BITS)]
    tail = np.flatnonzero(block == _BLOCKS)
    block[tail] += runs_of_heads(tail.size)
    if int(block.max(initial=0)) > 2**13:  # has probability 2^−8000; x would leave int64
        raise ValueError("a coin was tossed for ever")
    sign = _low_bits(drawn >> np.uint64(_CHANCE_BITS), 1)
    within = _low_bits(drawn >> np.uint64(_CHANCE_BITS + 1), proposal.width_bits)
    magnitude = (block << proposal.width_bits) | within
    return magnitude ^ -sign, block  # all bits flipped: −1 − m


def _low_bits(drawn: Words, width: int) -> Whole:
    return (drawn & np.uint64(2**width - 1)).view(np.int64)


def _kept(proposal: _Proposal, x: Whole, block: Whole) -> Flags:
    """True with probability c·e^(−x²/2σ²)/W_b, for each proposal."""
    drawn = words(len(x))
    above = (drawn >> np.uint64(11)) * 2.0**-53 - _probabilities(proposal, x, block)
    kept: Flags = above < 0
    for place in np.flatnonzero(np.abs(above) < _DOUBT):
        kept[place] = _kept_exactly(proposal, int(x[place]), int(block[place]), int(drawn[place]))
    return kept


def _probabilities(proposal: _Proposal, x: Whole, block: Whole) -> Floats:
    """p̂ with |p̂ − p| < 2^−38, where p = c·e^(−x²/2σ²)/W_b.

    With u = 2^−53: a = x²/2σ² is computed with a relative error below 6u, so as long as a ≤ 600 its
    error is below 3600u < 2^−41, and that of e^(−a) as much of it.  ``_exponential`` adds less than
    2^−49 and the factor 2u.  As p ≤ 1, the sum stays below 2^−39.  Beyond a = 600, or after a run
    of more than 64 (then a > 77²/32 > 185 and p < 2^12·2^j·e^(−(12 + j)²/32) < 2^−180), p and p̂
    both are below 2^−150.
    """
    root = x.astype(np.float64)
    a = root * root * proposal.inverse
    return proposal.factors[np.minimum(block, _BLOCKS + _LONGEST_RUN)] * _exponential(a)


def _exponential(a: Floats) -> Floats:
    """e^(−a) for 0 ≤ a ≤ 600, and e^(−600) beyond, with a relative error below 2^−49.

    a = i + k/64 + r with whole i, k and 0 ≤ r < 1/64, exactly.  Seven terms of the alternating
    series of e^(−r) leave less than r⁷/7! < 2^−54.
    """
    units, parts = _exponential_tables()
    sixtyfourths = np.minimum(a, float(_STEEPEST)) * 64.0
    step = sixtyfourths.astype(np.int64)
    r = (sixtyfourths - step) * 2.0**-6
    series = 1.0 - r * (1 / 6)
    for term in (5, 4, 3, 2, 1):
        series = 1.0 - r * (1 / term) * series
    powers: Floats = units[step >> 6] * parts[step & 63] * series
    return powers


@lru_cache(maxsize=1)
def _exponential_tables() -> tuple[Floats, Floats]:
    """e^(−i) for i ≤ 600 and e^(−k/64) for k < 64, each the float nearest to 30 right digits."""
    units = [float(_exponential_bounds(Fraction(i), 30)[1]) for i in range(_STEEPEST + 1)]
    parts = [float(_exponential_bounds(Fraction(k, 64), 30)[1]) for k in range(64)]
    return np.array(units), np.array(parts)


def _kept_exactly(proposal: _Proposal, x: int, block: int, known: int) -> bool:
    """Whether U < p, for a U of which the first 64 bits are known; draws more bits as needed."""
    run = max(0, block - _BLOCKS)
    factor = Fraction(proposal.peak * 2**run, proposal.weights[block - run])
    a = Fraction(x * x) / (2 * proposal.variance)
    bits, digits = 64, 40
    while True:
        low, high = _exponential_bounds(a, digits)
        if Fraction(known + 1, 2**bits) <= factor * low:
            return True
        if Fraction(known, 2**bits) >= factor * high:
            return False
        known = known << 64 | int(words(1)[0])
        bits, digits = bits + 64, digits + 20


def _exponential_bounds(a: Fraction, digits: int) -> tuple[Fraction, Fraction]:
    """Rationals l ≤ e^(−a) ≤ h, for a ≥ 0, some 10^−digits of e^(−a) apart (or below 10^−9999).

    a is rounded outwards to so many digits; ``decimal`` rounds e^ of that to the nearest, as it
    documents; a unit of the last place either way makes both bounds sure.
    """
    ends = []
    for rounding in (decimal.ROUND_CEILING, decimal.ROUND_FLOOR):
        context = decimal.Context(
            prec=digits,
            rounding=rounding,
            Emin=-9999,
            Emax=decimal.MAX_EMAX,
            traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
        )
        rounded = context.divide(Decimal(a.numerator), Decimal(a.denominator))
        nearest = context.exp(rounded.copy_negate())  # a minus sign would round to 28 digits
        step = context.next_minus if rounding == decimal.ROUND_CEILING else context.next_plus
        ends.append(Fraction(step(nearest)))
    return ends[0], ends[1]
