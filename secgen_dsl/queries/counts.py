"""Bins of counts under log2(cpm + 1), compared exactly.

A count c with library size L has the value v = log2(10⁶·c/L + 1).  It is not computed: v ≥ e just
if 10⁶·c ≥ L·(2^e − 1), and 2^e − 1 is first rounded to a rational τ(e), the same on every machine.
Then c·10⁶·q ≥ L·p, for τ = p/q, is a comparison of integers (counts and library sizes are doubles,
hence exact rationals).
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import mpmath
import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.program import Panel
from secgen_dsl.privacy.rounding import exact

_MILLION = 10**6
_DECIMALS = 10**6
"""τ is rounded to a millionth of a count per million."""

_DIGITS = 60
_CLOSE = 1e-9
"""Relative distance to an edge beyond which floats cannot be mistaken (their error is < 10⁻¹⁵)."""


@lru_cache(maxsize=2**17)
def counts_per_million(edge: Fraction) -> Fraction:
    """τ(e) = 2^e − 1, rounded to the nearest 10⁻⁶, at least 0: the edge in counts per million.

    Args:
        edge: in log2(cpm + 1), at most 64.
    """
    with mpmath.workdps(_DIGITS):
        value = mpmath.mpf(2) ** exact(edge) - 1
        return max(Fraction(0), Fraction(int(mpmath.nint(value * _DECIMALS)), _DECIMALS))


def count_codes(
    counts: NDArray[np.float64],
    library_sizes: NDArray[np.float64],
    edges: Sequence[Fraction],
    panel: Panel,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The bin of each count's log2(cpm + 1), clamped to the panel's range, and what is missing.

    Args:
        counts: n counts; NaN, infinite or below 0 is a missing value.
        library_sizes: n library sizes; not positive or not finite is a missing value.
        edges: B − 1 non-decreasing inner edges in log2(cpm + 1), within the panel's range.
        panel: of counts; its range clamps.

    Returns:
        n integers in [0, B), meaningless where missing; and whether each is missing.
    """
    usable = np.isfinite(counts) & np.isfinite(library_sizes)
    usable &= (counts >= 0) & (library_sizes > 0)
    codes = np.zeros(counts.size, dtype=np.int64)
    for edge in edges:
        if edge <= panel.low:  # every clamped value reaches it
            codes += 1
        else:
            codes[usable] += _reaches(counts[usable], library_sizes[usable], edge)
    return codes, ~usable


def _reaches(
    counts: NDArray[np.float64], library_sizes: NDArray[np.float64], edge: Fraction
) -> NDArray[np.bool_]:
    """Whether 10⁶·c ≥ L·τ(e), exactly: in floats first, near the edge in integers."""
    limit = counts_per_million(edge)
    with np.errstate(over="ignore"):
        needed = library_sizes * (float(limit) / _MILLION)
    reached = counts >= needed
    close = np.flatnonzero(~(np.abs(counts - needed) > _CLOSE * needed + 1e-300))
    for position in close:
        count, size = Fraction(float(counts[position])), Fraction(float(library_sizes[position]))
        reached[position] = count * _MILLION >= size * limit
    return reached
