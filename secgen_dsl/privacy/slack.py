"""Exact upper bounds on what the certificate's idealisations cost, and the guards on scales.

A *slack* a bounds how far the true pair of worlds is from the pair that the accountant composes:

    δ_true(ε) ≤ e^a · δ_ideal(ε − a)        for every ε ≥ a.

Slacks of independent parts add.  (A law within e^±τ of the ideal one in both worlds has
P ≤ e^τ·P′ and Q ≥ e^−τ·Q′, hence P(S) ≤ e^τ(e^ε′·Q′(S) + δ′) ≤ e^(ε′+2τ)·Q(S) + e^τ·δ′: a = 2τ.
The factor on δ is easily forgotten; ``pld.epsilon_upper_bound`` takes it into account.)

All bounds are rationals, rounded up to a multiple of 2^−128.
"""

from fractions import Fraction
from typing import Any

import mpmath

from secgen_dsl.privacy.rounding import exact, multiple_not_below

MINIMUM_PARTY_VARIANCE = Fraction(4)
"""Smaller σᵢ² are raised to this: below it, ``split_noise_slack`` eats into the budget."""

WARNING_PARTY_VARIANCE = Fraction(9)
"""Below this σᵢ² the slack is still small, but worth a warning (PROTOCOL, Sizing)."""

_BITS = 128
_DIGITS = 60


def split_noise_slack(raw_cells: int, party_variance: Fraction, honest_parties: int) -> Fraction:
    """Slack for treating a sum of discrete Gaussians as one discrete Gaussian.

    A sum of n independent N_Z(0, s²) has a law within e^±τ, point by point, of N_Z(0, n·s²), with
    τ = 10·Σ_{k=1}^{n−1} exp(−2π²s²·k/(k + 1)) for s² ≥ 1/2 (Kairouz, Liu, Steinke, "The
    distributed discrete Gaussian mechanism", ICML 2021, arXiv 2102.06387, section on sums of
    discrete Gaussians).  Over d cells that is e^±dτ, in each of the two worlds: 2·d·τ.  More
    honest parties than n only add independent noise to that, which is post-processing.

    d counts all raw cells, by PROTOCOL (Sizing).  Only the cells that one person touches differ
    between the worlds, so this is more than is needed; it costs nothing where the guard holds.

    Args:
        raw_cells: d ≥ 1, the cells to which noise is added, before any map.
        party_variance: s² ≥ 1/2 of each party's draw.
        honest_parties: n = m − t ≥ 1.

    Returns:
        2·d·τ, rounded up; 0 if n = 1, for then the honest sum is a single exact draw.

    Raises:
        ValueError: a number out of its range.
    """
    if raw_cells < 1 or honest_parties < 1:
        raise ValueError("there must be at least one cell and one honest party")
    if honest_parties == 1:
        return Fraction(0)
    if party_variance < Fraction(1, 2):
        raise ValueError(f"the bound holds for variances of at least 1/2, not {party_variance}")
    if 9 * party_variance > _BITS + (20 * raw_cells * honest_parties).bit_length():
        # 2dτ ≤ 20·d·n·exp(−π²s²), by k/(k + 1) ≥ 1/2; π² > 9 and e > 2: less than the grid's step.
        return Fraction(1, 2**_BITS)
    with mpmath.workdps(_DIGITS):
        exponent = -2 * mpmath.pi**2 * exact(party_variance)
        tau = 10 * mpmath.fsum(mpmath.exp(exponent * k / (k + 1)) for k in range(1, honest_parties))
        return _rounded_up(2 * raw_cells * tau)


def centring_slack(tables: int, bins: int, variance: Fraction) -> Fraction:
    """Slack for certifying centred tables as one-dimensional discrete Gaussians.

    ``tables·[ln((1 + η)/(1 − η)) + ln((1 + κ)/(1 − κ))]`` with η = 2·Σ_{j≥1} exp(−2π²s²j²/B) and
    κ = (1 + η)^(B−1) − 1.  The first term is the θ factor of the likelihood ratio, the second
    the law of the statistic T; both are derived, with proofs, in
    ``docs/decisions/0002-centred-tables-as-one-dimensional-gaussians.md`` (our derivation).

    Only the label rows that a person touches count (one of each table, if one sample counts): the
    other rows have the same law in both worlds, and equal factors cancel.  Plans that ``renyi``
    certifies need the first term only (a shift by a vector of the projected lattice has the Rényi
    divergence of a Gaussian); they are charged both.

    Args:
        tables: T ≥ 1, the touched rows of all tables.
        bins: B ≥ 2.
        variance: s² > 0 of a raw cell's noise, of the honest parties together.

    Raises:
        ValueError: a number out of its range, or noise so small that κ ≥ 1 and no bound exists.
    """
    if tables < 1 or bins < 2 or variance <= 0:
        raise ValueError("centring needs tables ≥ 1, bins ≥ 2 and a positive variance")
    with mpmath.workdps(_DIGITS):
        eta = _eta(bins, variance)
        terms = _log_ratio(eta, 1) + _log_ratio(eta, bins - 1)
        return _rounded_up(tables * terms)


def double_centring_slack(tables: int, bins: int, variance: Fraction) -> Fraction:
    """Slack for certifying double-centred tables as one-dimensional discrete Gaussians.

    ``tables·[ln((1 + λ)/(1 − λ)) + (B + 1)·ln((1 + κ)/(1 − κ))]`` with η and κ of
    ``centring_slack`` and λ = (1 + η)^(2B−1) − 1.  The first term is the θ factor of the likelihood
    ratio, the second the law of the statistic T; both are derived, with proofs, in
    ``docs/decisions/0014-double-centred-tables.md`` (our derivation).  Plans that ``renyi``
    certifies need the first term only; they are charged both.

    Args:
        tables: T ≥ 1; a person may touch each.
        bins: B ≥ 2 of both genes.
        variance: s² > 0 of a raw cell's noise, of the honest parties together.

    Raises:
        ValueError: a number out of its range, or noise so small that λ ≥ 1 and no bound exists.
    """
    if tables < 1 or bins < 2 or variance <= 0:
        raise ValueError("centring needs tables ≥ 1, bins ≥ 2 and a positive variance")
    with mpmath.workdps(_DIGITS):
        eta = _eta(bins, variance)
        terms = _log_ratio(eta, 2 * bins - 1) + (bins + 1) * _log_ratio(eta, bins - 1)
        return _rounded_up(tables * terms)


def _eta(bins: int, variance: Fraction) -> Any:
    """An upper bound of η = 2·Σ_{j≥1} exp(−2π²s²j²/B), in the precision in force."""
    first = mpmath.exp(-2 * mpmath.pi**2 * exact(variance / bins))
    # j² ≥ 1 + 3(j − 1), so the series is below a geometric one.
    return 2 * first / (1 - first**3)


def _log_ratio(eta: Any, power: int) -> Any:
    """ln((1 + x)/(1 − x)) with x = (1 + η)^power − 1.

    Raises:
        ValueError: x ≥ 1.
    """
    x = mpmath.expm1(power * mpmath.log1p(eta))
    if x >= 1:
        raise ValueError("the noise is too small to centre tables of so many bins")
    return 2 * mpmath.atanh(x)  # without cancellation for tiny x


def centring_scale_suffices(party_variance: Fraction, bins: int) -> bool:
    """Whether sᵢ ≥ 3·√(B/2), exactly: 2·sᵢ² ≥ 9·B (PRIVACY 2.2; PROTOCOL, Sizing).

    Above it η of ``centring_slack`` and ``double_centring_slack`` is below 2·e^(−9π²) < 10^−38.

    Raises:
        ValueError: fewer than two bins.
    """
    if bins < 2:
        raise ValueError("a centred table needs at least two bins")
    return 2 * party_variance >= 9 * bins


def _rounded_up(value: Any) -> Fraction:
    """An upper bound of ``value``, which was computed in the precision in force."""
    # The few operations above err by far less than 10^−40, relatively.
    return multiple_not_below(value * (1 + mpmath.mpf(10) ** -40), _BITS)
