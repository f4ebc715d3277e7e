import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.privacy.slack import (
    MINIMUM_PARTY_VARIANCE,
    WARNING_PARTY_VARIANCE,
    centring_scale_suffices,
    centring_slack,
    split_noise_slack,
)
from tests.privacy.exact import gaussian


@pytest.mark.parametrize(
    ("scale", "log10_tau"), [("1", -3.3), ("3/2", -8.6), ("2", -16), ("3", -37.6)]
)
def test_tau_of_privacy_4_1(scale: str, log10_tau: float) -> None:
    tau = split_noise_slack(1, Fraction(scale) ** 2, 2) / 2
    assert math.log10(tau) == pytest.approx(log10_tau, abs=0.15)


@pytest.mark.parametrize(
    ("variance", "parties"), [(0.5, 2), (0.5, 3), (0.7, 3), (1.0, 2), (1.0, 4)]
)
def test_the_law_of_a_sum_lies_within_the_bound(variance: float, parties: int) -> None:
    reach = 20
    one = gaussian(variance, reach)
    law = one
    for _ in range(parties - 1):
        law = np.convolve(law, one)
    ideal = gaussian(parties * variance, parties * reach)
    # Where the masses are far above rounding; the pattern of the ratio is periodic.
    large = ideal > 1e-12
    tau = float(split_noise_slack(1, Fraction(variance), parties)) / 2
    worst = float(np.abs(np.log(law[large] / ideal[large])).max())
    assert 0 < worst <= tau
    # And the bound is about something: for two parties the effect has its order of magnitude.
    assert parties > 2 or worst > tau / 30


def test_split_noise_slack_counts_cells_and_both_worlds() -> None:
    one = split_noise_slack(1, Fraction(4), 2)
    many = split_noise_slack(21_000, Fraction(4), 2)
    assert float(many / one) == pytest.approx(21_000, rel=1e-9)
    assert float(many) == pytest.approx(2 * 21_000 * 10 * math.exp(-4 * math.pi**2), rel=1e-9)
    assert 1e-12 < many < 1e-11  # PRIVACY 4.1: d·τ about 2·10⁻¹²
    assert split_noise_slack(21_000, WARNING_PARTY_VARIANCE, 2) < Fraction(1, 10**31)
    assert MINIMUM_PARTY_VARIANCE == 4


def test_a_single_honest_draw_is_exact() -> None:
    assert split_noise_slack(10**6, Fraction(1, 100), 1) == 0


@given(
    st.fractions(min_value=Fraction(1, 2), max_value=10**9, max_denominator=16),
    st.integers(2, 9),
)
def test_slacks_are_positive_short_rationals(variance: Fraction, parties: int) -> None:
    slack = split_noise_slack(100, variance, parties)
    assert slack > 0
    assert (slack * 2**128).denominator == 1
    assert split_noise_slack(100, variance, parties + 1) >= slack
    assert split_noise_slack(100, variance + 1, parties) <= slack


def test_centring_slack_value() -> None:
    # B = 2: κ = η and the slack is 2·ln((1 + η)/(1 − η)) a table.
    variance, bins = Fraction(1), 2
    eta = 2 * sum(math.exp(-2 * math.pi**2 * j * j / 2) for j in range(1, 5))
    expected = 2 * math.log((1 + eta) / (1 - eta))
    assert float(centring_slack(1, bins, variance)) == pytest.approx(expected, rel=1e-6)
    assert float(centring_slack(1, bins, variance)) >= expected * (1 - 1e-12)
    # B = 4: κ = (1 + η)³ − 1.
    eta = 2 * sum(math.exp(-2 * math.pi**2 * j * j / 4) for j in range(1, 5))
    kappa = (1 + eta) ** 3 - 1
    expected = math.log((1 + eta) / (1 - eta)) + math.log((1 + kappa) / (1 - kappa))
    found = centring_slack(978, 4, Fraction(1))
    assert float(found) == pytest.approx(978 * expected, rel=1e-5)
    assert float(found) >= 978 * expected * (1 - 1e-12)


def test_centring_slack_vanishes_where_the_guard_holds() -> None:
    for bins in (2, 3, 4, 8, 16):
        assert 0 < centring_slack(1000, bins, Fraction(9 * bins, 2)) < Fraction(1, 10**33)


@pytest.mark.parametrize("bins", [2, 3, 4, 7, 16])
def test_the_guard_is_exact(bins: int) -> None:
    edge = Fraction(9 * bins, 2)
    assert centring_scale_suffices(edge, bins)
    assert not centring_scale_suffices(edge - Fraction(1, 10**30), bins)


def test_numbers_out_of_range() -> None:
    with pytest.raises(ValueError, match="at least 1/2"):
        split_noise_slack(10, Fraction(49, 100), 2)
    with pytest.raises(ValueError, match="at least one"):
        split_noise_slack(0, Fraction(4), 2)
    with pytest.raises(ValueError, match="too small to centre"):
        centring_slack(1, 4, Fraction(1, 10))
    with pytest.raises(ValueError, match="centring needs"):
        centring_slack(1, 1, Fraction(10))
    with pytest.raises(ValueError, match="two bins"):
        centring_scale_suffices(Fraction(100), 1)
