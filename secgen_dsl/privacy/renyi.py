"""Zero-concentrated DP turned into (ε, δ)-DP: what certifies competing shifts.

A discrete Gaussian of variance σ² on a query of squared L2 sensitivity Δ² is ρ-zCDP with
ρ = Δ²/(2σ²), like the continuous one (Canonne, Kamath, Steinke, "The discrete Gaussian for
differential privacy", NeurIPS 2020, arXiv 2004.00010, Theorem 4), and ρ adds under composition,
so a plan has ρ = μ²/2.  This holds for any integer shifts at once, needs no grid and no FFT, and
reads 6–9% more ε than ``pld``.  Plans in which one person may have several samples in one cell are
certified by it; for all others it is a third number in the certificate, a bound of another kind,
which a mistake elsewhere would cross.

Centred and double-centred tables: A(x + z) lies on a lattice, and the law of the noise on it is the
lattice's Gaussian up to the factor that ``slack.centring_slack`` or ``double_centring_slack``
bounds.  Between a lattice Gaussian and its shift by a vector v of the lattice the Rényi divergence
is at most α·|v|²/(2s²): the normalisers are equal, and the sum that remains, of a Gaussian around
α·v, is greatest when centred (Canonne, Kamath, Steinke 2020, Lemma 9, for Zⁿ; the argument is the
same for any lattice, PRIVACY 2.2).
"""

import math
from fractions import Fraction
from typing import Any

import mpmath

from secgen_dsl.privacy.gdp import MU_BITS
from secgen_dsl.privacy.rounding import exact, float_not_below

_BUDGET_DIGITS = 60


def epsilon_from_zcdp(rho: Fraction, delta: Fraction) -> float:
    """The ε that ρ-zCDP implies at δ, by the tight conversion of CKS 2020 (Corollary 13).

    inf over α > 1 of ``α·ρ + ln(1 − 1/α) − (ln δ + ln α)/(α − 1)``, which is
    ``δ = exp((α−1)(αρ − ε))/(α − 1)·(1 − 1/α)^α`` solved for ε.  Every α gives a valid ε, so an
    inexact minimum costs tightness only.

    Args:
        rho: ρ ≥ 0.
        delta: 0 < δ < 1.

    Returns:
        ε ≥ 0, rounded up.

    Raises:
        ValueError: a number out of its range.
    """
    if rho < 0 or not 0 < delta < 1:
        raise ValueError("ρ must not be negative, and 0 < δ < 1")
    if rho == 0:
        return 0.0
    rho_above = float_not_below(rho)
    log_delta = math.log(delta.numerator) - math.log(delta.denominator)

    def bound(log_excess: float) -> float:
        excess = math.exp(log_excess)  # α − 1
        alpha = 1 + excess
        return (
            alpha * rho_above - math.log1p(1 / excess) - (log_delta + math.log1p(excess)) / excess
        )

    # α − 1 is near √(ln(1/δ)/ρ); the bound has one minimum in α: search e^±6 around it.
    middle = 0.5 * math.log(-log_delta / rho_above)
    low, high = middle - 6.0, middle + 6.0
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(80):
        first, second = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, second) if bound(first) <= bound(second) else (first, high)
    found = bound((low + high) / 2)
    return max(0.0, found + 1e-12 * (1 + abs(found)))


def mu_for_zcdp_budget(epsilon: Fraction, delta: Fraction) -> Fraction:
    """The largest multiple μ of 2^−40 for which μ²/2-zCDP implies (ε, δ)-DP.

    The conversion of ``epsilon_from_zcdp`` solved for ρ: for each α > 1 the budget allows
    ``ρ(α) = (ε − ln(1 − 1/α) + (ln δ + ln α)/(α − 1))/α``; the best α is searched for.  Many-digit
    arithmetic in Python integers, so that every machine finds the same μ.

    Args:
        epsilon: > 0.
        delta: 0 < δ < 1.

    Raises:
        ValueError: a number out of its range, or a budget that leaves no μ ≥ 2^−40.
    """
    if epsilon <= 0 or not 0 < delta < 1:
        raise ValueError("a budget needs ε > 0 and 0 < δ < 1")
    with mpmath.workdps(_BUDGET_DIGITS):
        eps, log_delta = exact(epsilon), mpmath.log(exact(delta))

        def allowed(log_excess: Any) -> Any:
            excess = mpmath.exp(log_excess)  # α − 1
            alpha = 1 + excess
            gain = mpmath.log1p(1 / excess) + (log_delta + mpmath.log1p(excess)) / excess
            return (eps + gain) / alpha

        # α − 1 is near √(ln(1/δ)/ρ), and ρ between ε²/(4·ln(1/δ) + 4ε) and ε.
        least = eps**2 / (4 * (eps - log_delta))
        low = mpmath.log(-log_delta / eps) / 2 - 6
        high = mpmath.log(-log_delta / least) / 2 + 6
        golden = (mpmath.sqrt(5) - 1) / 2
        for _ in range(120):
            first, second = high - golden * (high - low), low + golden * (high - low)
            low, high = (low, second) if allowed(first) >= allowed(second) else (first, high)
        rho = allowed((low + high) / 2)
        steps = int(mpmath.floor(mpmath.sqrt(2 * rho) * 2**MU_BITS)) if rho > 0 else 0
    if steps < 1:
        raise ValueError(f"the budget ε = {epsilon}, δ = {delta} is too small for any noise")
    return Fraction(steps, 2**MU_BITS)
