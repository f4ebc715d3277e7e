"""Inner edges of bins, as exact rationals."""

from collections.abc import Sequence
from fractions import Fraction

_DECIMALS = 10_000
"""Edges from a reference are rounded to 1/10,000 of the unit: they stay readable in the plan."""


def equal_edges(low: Fraction, high: Fraction, bins: int) -> tuple[Fraction, ...]:
    """B − 1 edges that cut [low, high] into B equal bins."""
    return tuple(low + (high - low) * Fraction(k, bins) for k in range(1, bins))


def reference_edges(
    values: Sequence[float], low: Fraction, high: Fraction, bins: int
) -> tuple[Fraction, ...]:
    """B − 1 edges at the k/B quantiles of public values, clamped to [low, high].

    Quantile: linear between order statistics (Hyndman & Fan 1996, type 7), in exact arithmetic on
    the doubles, then rounded to the nearest 1/10,000 (ties to even): the same on every machine.

    Raises:
        ValueError: fewer than ``bins`` values.
    """
    if len(values) < bins:
        raise ValueError("fewer values than bins")
    ordered = sorted(values)
    edges = []
    for k in range(1, bins):
        position = Fraction((len(ordered) - 1) * k, bins)
        index = position.numerator // position.denominator
        part = position - index
        quantile = Fraction(ordered[index])
        if part:
            quantile += part * (Fraction(ordered[index + 1]) - quantile)
        rounded = Fraction(round(quantile * _DECIMALS), _DECIMALS)
        edges.append(min(max(rounded, low), high))
    return tuple(edges)
