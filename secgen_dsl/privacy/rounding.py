"""Directed rounding between exact rationals, floats and high-precision numbers.

A number that makes a promise is rounded in the direction that cannot overstate it: noise scales
and losses up where they are drawn or reported, down where an accountant takes credit for them.
"""

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from typing import Any

import mpmath

UNIT = 2.0**-53
"""Unit roundoff u of float64."""


def six_digits_up(number: float | Fraction) -> str:
    """Decimal text of six digits, rounded up: for certificates."""
    context = Context(prec=6, rounding=ROUND_CEILING)
    if isinstance(number, Fraction):
        return str(context.divide(Decimal(number.numerator), Decimal(number.denominator)))
    return str(context.create_decimal_from_float(number))


def three_digits_up(number: str) -> str:
    """Decimal text of three digits without exponent, rounded up: for tables that people read."""
    return f"{Context(prec=3, rounding=ROUND_CEILING).create_decimal(number):f}"


def float_not_below(value: Fraction) -> float:
    """The smallest float ≥ ``value``.

    Raises:
        OverflowError: ``value`` is beyond the range of floats.
    """
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)


def float_not_above(value: Fraction) -> float:
    """The largest float ≤ ``value``.

    Raises:
        OverflowError: ``value`` is beyond the range of floats.
    """
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def sqrt_not_below(value: Fraction) -> float:
    """The smallest float whose exact square is ≥ ``value`` ≥ 0.

    Raises:
        ValueError: ``value`` is negative.
        OverflowError: the root is beyond the range of floats.
    """
    root = _sqrt_near(value)
    while Fraction(root) ** 2 < value:
        root = math.nextafter(root, math.inf)
    while root > 0 and Fraction(math.nextafter(root, 0.0)) ** 2 >= value:
        root = math.nextafter(root, 0.0)
    return root


def sqrt_not_above(value: Fraction) -> float:
    """The largest float whose exact square is ≤ ``value``, for ``value`` ≥ 0.

    Raises:
        ValueError: ``value`` is negative.
        OverflowError: the root is beyond the range of floats.
    """
    root = sqrt_not_below(value)
    return root if Fraction(root) ** 2 == value else math.nextafter(root, 0.0)


def multiple_not_below(value: Any, bits: int) -> Fraction:
    """The smallest multiple of 2^−bits that is ≥ ``value``, an mpmath number ≥ 0.

    A value far below the grid becomes one grid step, so that a bound such as e^(−10⁹) does not
    turn into a rational with a denominator of gigabytes.
    """
    with mpmath.workprec(max(value.bc, 64) + 64):
        return Fraction(int(mpmath.ceil(mpmath.ldexp(value, bits))), 2**bits)


def total(values: Sequence[Fraction]) -> Fraction:
    """The exact sum.

    In halves: thousands of denominators make long numbers, and then few additions have to do.
    """
    if len(values) <= 2:
        return sum(values, Fraction(0))
    middle = len(values) // 2
    return total(values[:middle]) + total(values[middle:])


def exact(value: Fraction) -> Any:
    """``value`` as an mpmath number, rounded once to the precision in force."""
    return mpmath.mpf(value.numerator) / value.denominator


def _sqrt_near(value: Fraction) -> float:
    """√value to within an ulp or two, without leaving the range of floats on the way."""
    if value < 0:
        raise ValueError(f"no square root of {value}")
    if value == 0:
        return 0.0
    # Scale to about 2^130, so that the integer root carries more bits than a float.
    shift = (130 - (value.numerator.bit_length() - value.denominator.bit_length())) // 2
    root = math.isqrt(math.floor(value * Fraction(4) ** shift))
    return float(Fraction(root) / Fraction(2) ** shift)
