import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.privacy.gdp import (
    MU_BITS,
    delta_for_mu,
    epsilon_for_mu,
    mu_for_budget,
    mu_squared,
)

DELTA = Fraction(1, 10**5)

# PRIVACY 1.2: ε to μ at δ = 10⁻⁵.
GOLDEN = [
    ("1/2", 0.1422),
    ("1", 0.2681),
    ("2", 0.5016),
    ("3", 0.7191),
    ("4", 0.9249),
    ("5", 1.1212),
    ("7", 1.4908),
    ("8", 1.6660),
    ("10", 2.0004),
]


@pytest.mark.parametrize(("epsilon", "mu"), GOLDEN)
def test_mu_of_a_budget(epsilon: str, mu: float) -> None:
    found = mu_for_budget(Fraction(epsilon), DELTA)
    assert float(found) == pytest.approx(mu, abs=6e-5)
    assert (found * 2**MU_BITS).denominator == 1
    assert epsilon_for_mu(float(found), 1e-5) == pytest.approx(float(Fraction(epsilon)), abs=1e-9)


def test_the_same_bits_on_every_machine() -> None:
    # Exact integers: a change here changes the plan hash of every study.
    assert mu_for_budget(Fraction(4), DELTA) * 2**MU_BITS == 1016972276874
    assert mu_for_budget(Fraction(1), Fraction(1, 10**6)) * 2**MU_BITS == 260259218884


@settings(max_examples=30, deadline=None)
@given(
    st.fractions(min_value=Fraction(1, 100), max_value=20, max_denominator=1000),
    st.integers(2, 12),
)
def test_mu_of_a_budget_is_the_largest_that_fits(epsilon: Fraction, power: int) -> None:
    delta = Fraction(1, 10**power)
    mu = mu_for_budget(epsilon, delta)
    one_more = mu + Fraction(1, 2**MU_BITS)
    # δ(ε; μ) moves by some 10⁻¹² of itself a step: the 50-digit values must straddle δ.
    assert _delta_by_erfc(mu, epsilon) <= delta
    assert _delta_by_erfc(one_more, epsilon) > delta


def _delta_by_erfc(mu: Fraction, epsilon: Fraction) -> Fraction:
    """δ(ε; μ) once more, by erfc at 80 digits instead of the normal cdf."""
    import mpmath

    with mpmath.workdps(80):
        m = mpmath.mpf(mu.numerator) / mu.denominator
        e = mpmath.mpf(epsilon.numerator) / epsilon.denominator
        root = mpmath.sqrt(2)
        value = mpmath.erfc((e / m - m / 2) / root) / 2
        value -= mpmath.exp(e) * mpmath.erfc((e / m + m / 2) / root) / 2
        return Fraction(int(mpmath.floor(value * 10**70)), 10**70)


def test_mu_adds_in_squares() -> None:
    pairs = [
        (Fraction(978), Fraction(1170)),
        (Fraction(1), Fraction(400)),
        (Fraction(3, 4), Fraction(5)),
    ]
    assert mu_squared(pairs) == Fraction(978, 1170) + Fraction(1, 400) + Fraction(3, 20)
    assert mu_squared([]) == 0


def test_reports_agree_with_each_other() -> None:
    for mu in (0.05, 0.5, 1.0, 3.0, 8.0):
        for delta in (1e-3, 1e-5, 1e-7):
            epsilon = epsilon_for_mu(mu, delta)
            assert delta_for_mu(mu, epsilon) == pytest.approx(delta, rel=1e-9)
            assert delta_for_mu(mu, epsilon) <= delta
    assert epsilon_for_mu(0.0, 1e-5) == 0.0
    assert epsilon_for_mu(1e-7, 1e-5) == 0.0
    assert delta_for_mu(0.0, 1.0) == 0.0


def test_groups_and_outsiders_of_privacy_1_3_and_4_2() -> None:
    mu = 0.9249
    for factor, expected in [(2, 9.1), (3, 15.1), (5, 29.7), (math.sqrt(2), 5.99)]:
        assert epsilon_for_mu(mu * factor, 1e-5) == pytest.approx(expected, abs=0.06)
    assert epsilon_for_mu(mu * math.sqrt(2 / 3), 1e-5) == pytest.approx(3.17, abs=0.01)


def test_extreme_budgets() -> None:
    assert mu_for_budget(Fraction(700), Fraction(1, 10**5)) > 20
    tiny = mu_for_budget(Fraction(1, 1000), Fraction(1, 10**9))
    assert 0 < tiny < Fraction(1, 1000)
    assert mu_for_budget(Fraction(1), Fraction(999999, 10**6)) > 5


@pytest.mark.parametrize(("epsilon", "delta"), [(0, DELTA), (-1, DELTA), (1, 0), (1, 1)])
def test_budgets_out_of_range(epsilon: int, delta: Fraction) -> None:
    with pytest.raises(ValueError, match="budget needs"):
        mu_for_budget(Fraction(epsilon), Fraction(delta))


def test_other_numbers_out_of_range() -> None:
    with pytest.raises(ValueError, match="variances must be positive"):
        mu_squared([(Fraction(1), Fraction(0))])
    with pytest.raises(ValueError, match="must not be negative"):
        delta_for_mu(-1.0, 1.0)
    with pytest.raises(ValueError, match="0 < δ < 1"):
        epsilon_for_mu(1.0, 0.0)
