"""Bins of an expression value: exact comparison of float64 values with rational edges."""

import math
import sys
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def float_at_least(number: Fraction) -> float:
    """The smallest float64 that is ≥ ``number``.

    For every float64 x, x ≥ number ⇔ x ≥ float_at_least(number): no float64 lies between the two.
    Beyond the greatest finite float64 it is +∞, beyond the least it is that least finite one.
    """
    try:
        nearest = float(number)  # int / int is correctly rounded, subnormal results included
    except OverflowError:
        return math.inf if number > 0 else -sys.float_info.max
    if Fraction(nearest) < number:
        return math.nextafter(nearest, math.inf)
    return nearest


def bin_codes(
    values: NDArray[np.float64], edges: Sequence[Fraction], low: Fraction, high: Fraction
) -> NDArray[np.int64]:
    """The bin of each value once clamped to [low, high], compared exactly.

    Bin b is [edge b−1, edge b), the last one closed; so the bin is the number of edges ≤ value.
    That number never decreases with the value, hence clamping the value to [low, high] is clamping
    the number to that of ``low`` and that of ``high``: neither is ever rounded to a float.

    Args:
        values: n values; ±∞ clamp, the result for NaN is meaningless (see ``np.isnan``).
        edges: B − 1 non-decreasing inner edges; equal neighbours make an empty bin.
        low: least value of the public range.
        high: greatest value of the public range.

    Returns:
        n integers in [0, B).
    """
    thresholds = np.array([float_at_least(edge) for edge in edges], dtype=np.float64)
    codes = np.searchsorted(thresholds, values, side="right").astype(np.int64)
    return np.clip(codes, bisect_right(edges, low), bisect_right(edges, high))
