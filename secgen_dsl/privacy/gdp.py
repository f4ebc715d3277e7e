"""Gaussian differential privacy: one number μ for a whole plan.

Sources: Dong, Roth, Su, "Gaussian differential privacy" (JRSS-B 2022), for μ and its composition
μ² = Σ Δᵢ²/σᵢ²; Balle, Wang, "Improving the Gaussian mechanism" (ICML 2018), Theorem 8, for the
closed form of δ(ε).  Both are exact for continuous Gaussian noise.  Plans use the discrete
Gaussian, so these numbers *plan* a budget; ``pld`` certifies it.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import mpmath

from secgen_dsl.privacy.rounding import exact

MU_BITS = 40
"""``mu_for_budget`` returns multiples of 2^−40: finer than any use of μ, and exact to print."""

_REPORT_DIGITS = 30


def mu_squared(pairs: Iterable[tuple[Fraction, Fraction]]) -> Fraction:
    """μ² = Σ Δᵢ²/σᵢ², composed Gaussian measurements (Dong, Roth, Su, arXiv 1905.02383, Cor. 3.3).

    Args:
        pairs: (squared L2 sensitivity Δᵢ² ≥ 0, variance σᵢ² > 0) of each measurement.

    Raises:
        ValueError: a negative sensitivity or a variance that is not positive.
    """
    total = Fraction(0)
    for sensitivity_squared, variance in pairs:
        if sensitivity_squared < 0 or variance <= 0:
            raise ValueError("sensitivities must not be negative, variances must be positive")
        total += sensitivity_squared / variance
    return total


def mu_for_budget(epsilon: Fraction, delta: Fraction) -> Fraction:
    """The largest multiple μ of 2^−40 with δ(ε; μ) ≤ δ: the whole budget in one number.

    Bisection over integers with more digits than the answer can depend on, so that every machine
    and every Python version finds the same μ.

    Args:
        epsilon: > 0.
        delta: 0 < δ < 1.

    Raises:
        ValueError: a number out of its range, or a budget that leaves no μ ≥ 2^−40.
    """
    if epsilon <= 0 or not 0 < delta < 1:
        raise ValueError("a budget needs ε > 0 and 0 < δ < 1")
    # δ(ε; μ) is a difference of numbers up to 1: the digits of δ itself come on top.  (The same
    # holds for 1 − δ and for ε, whose smallness also makes the two terms nearly equal.)
    smallest = min(delta, 1 - delta, epsilon)
    digits = 60 + len(str(smallest.denominator // smallest.numerator))
    with mpmath.workdps(digits):
        eps, limit = exact(epsilon), exact(delta)

        def fits(multiple: int) -> bool:
            return bool(_delta(mpmath.ldexp(multiple, -MU_BITS), eps) <= limit)

        if not fits(1):
            raise ValueError(f"the budget ε = {epsilon}, δ = {delta} is too small for any noise")
        low, high = 1, 2
        while fits(high):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
    return Fraction(low, 2**MU_BITS)


def delta_for_mu(mu: float, epsilon: float) -> float:
    """δ(ε; μ) = Φ(μ/2 − ε/μ) − e^ε·Φ(−μ/2 − ε/μ), for reports (Balle, Wang 2018, Theorem 8).

    Args:
        mu: ≥ 0.
        epsilon: ≥ 0.

    Raises:
        ValueError: a negative number.
    """
    if mu < 0 or epsilon < 0:
        raise ValueError("μ and ε must not be negative")
    if mu == 0:
        return 0.0
    with mpmath.workdps(_REPORT_DIGITS + 20):
        return float(_delta(mpmath.mpf(mu), mpmath.mpf(epsilon)))


def epsilon_for_mu(mu: float, delta: float) -> float:
    """The smallest ε ≥ 0 with δ(ε; μ) ≤ δ, for reports; to 12 digits, rounded up.

    Args:
        mu: ≥ 0.
        delta: 0 < δ < 1.

    Raises:
        ValueError: a number out of its range.
    """
    if mu < 0 or not 0 < delta < 1:
        raise ValueError("μ must not be negative, and 0 < δ < 1")
    if mu == 0:
        return 0.0
    with mpmath.workdps(_REPORT_DIGITS + len(str(int(1 / delta)))):
        scale, limit = mpmath.mpf(mu), mpmath.mpf(delta)
        if _delta(scale, mpmath.mpf(0)) <= limit:
            return 0.0
        low, high = mpmath.mpf(0), mpmath.mpf(1)
        while _delta(scale, high) > limit:
            low, high = high, 2 * high
        while high - low > high * mpmath.mpf(10) ** -13:
            middle = (low + high) / 2
            low, high = (middle, high) if _delta(scale, middle) > limit else (low, middle)
        return float(high * (1 + mpmath.mpf(10) ** -15))


def _delta(mu: Any, epsilon: Any) -> Any:
    """δ(ε; μ) in the precision in force, as an mpmath number."""
    upper = mpmath.ncdf(mu / 2 - epsilon / mu)
    lower = mpmath.ncdf(-mu / 2 - epsilon / mu)
    return upper - mpmath.exp(epsilon) * lower
