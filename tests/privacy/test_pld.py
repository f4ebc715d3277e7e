from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from secgen_dsl.privacy.events import ShiftedGaussian
from secgen_dsl.privacy.gdp import epsilon_for_mu
from secgen_dsl.privacy.pld import delta_upper_bound, epsilon_upper_bound
from tests.privacy.exact import (
    delta_of_copies,
    delta_of_single_events,
    epsilon_by_bisection,
    mu_of,
)

DELTA = Fraction(1, 10**5)

# PRIVACY 1.2, column 1: T = 1000 tables, sensitivity 1, δ = 10⁻⁵.
GOLDEN = [(1, "117.97"), (2, "63.05"), (4, "34.19"), (8, "18.98")]

# A plan with unequal noise: plain tables, centred tables, a histogram.
MIXED = (
    ShiftedGaussian(Fraction(1200), 1, 300),
    ShiftedGaussian(Fraction(900), 1, 200),
    ShiftedGaussian(Fraction(4001, 2), 1, 150),
    ShiftedGaussian(Fraction(12 * 900), 3, 400),
    ShiftedGaussian(Fraction(100), 1, 1),
    ShiftedGaussian(Fraction(50_000), 1, 20),
)


@pytest.mark.parametrize(("epsilon", "sigma"), GOLDEN)
def test_golden_noise_of_a_thousand_tables(epsilon: int, sigma: str) -> None:
    event = ShiftedGaussian(Fraction(sigma) ** 2, 1, 1000)
    # The table has σ to two decimals, so ε to about ε·0.005/σ.
    assert epsilon_upper_bound([event], DELTA) == pytest.approx(epsilon, abs=1e-3)


@pytest.mark.parametrize("target", [0.25, 1.0, 4.0, 10.0])
@pytest.mark.parametrize("power", [5, 6, 7])
def test_close_to_the_gaussian_curve_and_not_below_it(target: float, power: int) -> None:
    mu = {0.25: 0.0768, 1.0: 0.2681, 4.0: 0.9249, 10.0: 2.0004}[target]
    # 1000 tables: the discrete Gaussian of this variance is the continuous one to 10 digits.
    event = ShiftedGaussian(Fraction(1000) / Fraction(mu) ** 2, 1, 1000)
    gaussian = epsilon_for_mu(mu_of([event]), 10.0**-power)
    found = epsilon_upper_bound([event], Fraction(1, 10**power))
    assert 0 <= found - gaussian < 1e-3


def test_unequal_noise() -> None:
    gaussian = epsilon_for_mu(mu_of(MIXED), 1e-6)
    assert 0 <= epsilon_upper_bound(MIXED, Fraction(1, 10**6)) - gaussian < 1e-3


def test_order_and_grouping_do_not_matter() -> None:
    whole = epsilon_upper_bound([ShiftedGaussian(Fraction(400), 1, 60)], DELTA)
    parts = [ShiftedGaussian(Fraction(400), 1, n) for n in (10, 20, 30)]
    assert epsilon_upper_bound(parts, DELTA) == pytest.approx(whole, abs=1e-9)
    assert epsilon_upper_bound(MIXED[::-1], DELTA) == pytest.approx(
        epsilon_upper_bound(MIXED, DELTA), abs=1e-9
    )


@settings(max_examples=40, deadline=None)
@given(
    st.fractions(min_value=Fraction(1, 2), max_value=300, max_denominator=16),
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(3, 9),
)
@example(Fraction(4), 1, 1, 6)
@example(Fraction(1, 2), 5, 12, 3)
def test_never_below_the_exact_lattice_and_close_to_it(
    variance: Fraction, shift: int, count: int, power: int
) -> None:
    event = ShiftedGaussian(variance, shift, count)
    found = epsilon_upper_bound([event], Fraction(1, 10**power))
    # The oracle's own rounding is some 10⁻¹⁶ of the largest mass.
    assert delta_of_copies(event, found) <= 10.0**-power * (1 + 1e-9) + 1e-15
    highest = 50 + 3 * float(event.mu_squared) + 50 * mu_of([event])
    exact = epsilon_by_bisection(
        lambda epsilon: delta_of_copies(event, epsilon), 10.0**-power, highest
    )
    # Large losses widen the grid: 10⁻³ up to ε = 10, then relative.
    assert found - exact < 1e-3 * max(1.0, exact / 10)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.fractions(min_value=1, max_value=25, max_denominator=16), st.integers(1, 3)),
        min_size=2,
        max_size=3,
    ),
    st.floats(0.01, 6.0),
)
def test_the_curve_bounds_the_exact_one_for_unlike_events(
    pairs: list[tuple[Fraction, int]], epsilon: float
) -> None:
    events = [ShiftedGaussian(variance, shift, 1) for variance, shift in pairs]
    exact = delta_of_single_events(events, epsilon)
    found = delta_upper_bound(events, epsilon)
    assert found >= exact * (1 - 1e-9) - 1e-15
    assert found <= delta_of_single_events(events, epsilon - 1e-3) * (1 + 1e-6) + 1e-9


def test_tiny_deltas_are_not_drowned_by_the_fft() -> None:
    event = ShiftedGaussian(Fraction(1170), 1, 1000)
    for power in (10, 12, 20, 50):
        gaussian = epsilon_for_mu(mu_of([event]), 10.0**-power)
        assert 0 <= epsilon_upper_bound([event], Fraction(1, 10**power)) - gaussian < 1e-3
    assert epsilon_upper_bound([event], Fraction(1, 10**200)) < 29


@pytest.mark.parametrize("epsilon", [0.25, 1.0, 2.5, 4.0])
def test_rounding_never_makes_the_bound_too_small(epsilon: float) -> None:
    """Losses on the grid itself: the split is exact, only the rounding margins hold the bound."""
    import mpmath

    variance, count, reach = 4, 4, 45
    with mpmath.workdps(50):
        one = [mpmath.exp(-mpmath.mpf(x * x) / (2 * variance)) for x in range(-reach, reach + 1)]
        law = [mpmath.mpf(1)]
        for _ in range(count):
            longer = [mpmath.mpf(0)] * (len(law) + 2 * reach)
            for i, a in enumerate(law):
                for j, b in enumerate(one):
                    longer[i + j] += a * b
            law = longer
        exact = mpmath.mpf(0)
        for i, mass in enumerate(law):
            loss = mpmath.mpf(count - 2 * (i - count * reach)) / (2 * variance)
            if loss > epsilon:
                exact -= mass * mpmath.expm1(epsilon - loss)
        exact /= mpmath.fsum(one) ** count
        found = delta_upper_bound(
            [ShiftedGaussian(Fraction(variance), 1, count)], epsilon, interval=2.0**-13
        )
        # No tolerance below; and above only what the margins add.
        assert exact <= found <= exact * (1 + mpmath.mpf(10) ** -7)


def test_both_directions_of_the_curve_agree() -> None:
    for epsilon in (0.0, 0.5, 2.0, 4.0, 8.0):
        delta = delta_upper_bound(MIXED, epsilon)
        back = epsilon_upper_bound(MIXED, Fraction(delta))
        assert back == pytest.approx(epsilon, abs=2e-4)


def test_more_noise_costs_less_where_many_tables_smooth_the_lattice() -> None:
    bounds = [
        epsilon_upper_bound([ShiftedGaussian(Fraction(v), 1, 200)], DELTA)
        for v in (100, 150, 200, 300, 500)
    ]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] > bounds[-1] + 1


def test_one_discrete_table_is_not_monotone_in_its_variance() -> None:
    # Hence a certificate counts the exact variance, never a rounded-down one.
    smaller = epsilon_upper_bound([ShiftedGaussian(Fraction(1), 1, 1)], Fraction(1, 10**6))
    larger = epsilon_upper_bound([ShiftedGaussian(Fraction(102, 100), 1, 1)], Fraction(1, 10**6))
    assert smaller == pytest.approx(4.4996, abs=1e-3)
    assert larger == pytest.approx(4.6416, abs=1e-3)


@pytest.mark.parametrize("epsilon", [10.0, 100.0, 1e4])
def test_points_far_out_on_the_curve(epsilon: float) -> None:
    assert 0 <= delta_upper_bound(MIXED, epsilon) < (1e-20 if epsilon == 10 else 1e-240)


def test_slack_adds_to_epsilon_and_shrinks_delta() -> None:
    without = epsilon_upper_bound(MIXED, DELTA)
    slack = Fraction(1, 100)
    with_slack = epsilon_upper_bound(MIXED, DELTA, slack=slack)
    shrunk = epsilon_upper_bound(MIXED, DELTA * (1 - slack))
    assert shrunk > without + 1e-4
    assert with_slack == pytest.approx(shrunk + 0.01, abs=1e-9)
    # e^a·δ(ε − a), the other way round.
    assert delta_upper_bound(MIXED, with_slack, slack=slack) <= float(DELTA) * (1 + 1e-4)
    assert delta_upper_bound(MIXED, 0.005, slack=slack) == 1.0


@pytest.mark.parametrize(
    ("variance", "shift", "count"),
    [(10**8, 1, 1000), (10**12, 1, 1), (4, 1, 1), (1, 30, 2), (10**6, 1, 10**6)],
)
def test_extreme_scales_stay_quick_and_close_to_renyi(
    variance: int, shift: int, count: int
) -> None:
    from secgen_dsl.privacy.renyi import epsilon_from_zcdp

    event = ShiftedGaussian(Fraction(variance), shift, count)
    found = epsilon_upper_bound([event], DELTA)
    renyi = epsilon_from_zcdp(event.mu_squared / 2, DELTA)
    assert 0 <= found <= renyi
    assert found > 0.6 * renyi or renyi < 1e-3


def test_a_coarser_grid_is_still_a_bound() -> None:
    fine = epsilon_upper_bound(MIXED, DELTA, interval=2e-5)
    coarse = epsilon_upper_bound(MIXED, DELTA, interval=1e-2)
    assert fine - 1e-6 <= coarse < fine + 0.05


def test_nothing_measured_costs_nothing() -> None:
    assert epsilon_upper_bound([], DELTA) == 0.0
    assert epsilon_upper_bound([], DELTA, slack=Fraction(1, 8)) == 0.125
    assert delta_upper_bound([], 1.0) == 0.0


def test_a_loss_within_delta_needs_no_epsilon() -> None:
    assert epsilon_upper_bound([ShiftedGaussian(Fraction(10**10), 1, 1)], Fraction(1, 100)) == 0.0


@pytest.mark.parametrize(
    ("delta", "slack", "interval"),
    [
        (Fraction(0), Fraction(0), 1e-4),
        (Fraction(1), Fraction(0), 1e-4),
        (DELTA, Fraction(-1, 10), 1e-4),
        (DELTA, Fraction(1), 1e-4),
        (DELTA, Fraction(0), 1.0),
    ],
)
def test_numbers_out_of_range(delta: Fraction, slack: Fraction, interval: float) -> None:
    with pytest.raises(ValueError, match=r"δ must|slack|interval"):
        epsilon_upper_bound(MIXED, delta, slack=slack, interval=interval)


def test_noise_beyond_the_range() -> None:
    with pytest.raises(ValueError, match="beyond the accountant's range"):
        epsilon_upper_bound([ShiftedGaussian(Fraction(10**14), 1, 1)], DELTA)
    with pytest.raises(ValueError, match="ε must not be negative"):
        delta_upper_bound(MIXED, -0.1)
