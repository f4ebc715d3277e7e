"""The lattice accountant, and all accountants beside each other (PRIVACY 7.1, T8)."""

import itertools
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.privacy.bound import certified_epsilon, compose
from secgen_dsl.privacy.events import ShiftedGaussian
from secgen_dsl.privacy.gdp import epsilon_for_mu
from secgen_dsl.privacy.lattice import LatticeCurve
from secgen_dsl.privacy.pld import delta_upper_bound, epsilon_upper_bound
from secgen_dsl.privacy.renyi import epsilon_from_zcdp
from secgen_dsl.privacy.second_opinion import second_epsilon, second_renyi_epsilon
from tests.privacy.exact import delta_of_copies, delta_of_single_events, mu_of
from tests.privacy.test_pld import GOLDEN
from tests.trials.studies import PROMISED_MU, twenty_genes

DELTA = Fraction(1, 10**5)


@pytest.mark.parametrize(("epsilon", "sigma"), GOLDEN)
def test_four_accountants_agree_on_a_thousand_tables(epsilon: int, sigma: str) -> None:
    """PRIVACY 1.2: exact lattice = PLD = analytic GDP, to less than 10⁻³ of ε."""
    event = ShiftedGaussian(Fraction(sigma) ** 2, 1, 1000)
    exact = LatticeCurve([event]).epsilon(1e-5)
    assert exact == pytest.approx(epsilon, abs=1e-3)
    assert abs(epsilon_for_mu(mu_of([event]), 1e-5) - exact) < 1e-5
    # A grid of 10⁻⁴ costs 2·10⁻⁵ relative (PRIVACY 1.2), and never less than nothing.
    assert -1e-9 < epsilon_upper_bound([event], DELTA) - exact < 2e-5 * max(1, epsilon)
    assert abs(second_epsilon([event], DELTA) - exact) < 1e-3


# PRIVACY 1.2, columns "RDP (dp-accounting)" and "PLD": what Rényi reads at the PLD's noise.
@pytest.mark.parametrize(
    ("sigma", "read"), [("117.97", 1.093), ("63.05", 2.173), ("34.19", 4.324), ("18.98", 8.599)]
)
def test_what_renyi_costs(sigma: str, read: float) -> None:
    mu_squared = 1000 / Fraction(sigma) ** 2
    assert second_renyi_epsilon(mu_squared, DELTA) == pytest.approx(read, abs=1.5e-3)
    assert epsilon_from_zcdp(mu_squared / 2, DELTA) == pytest.approx(read, abs=1.5e-3)


@settings(max_examples=40)
@given(
    st.fractions(min_value=Fraction(1, 2), max_value=300, max_denominator=16),
    st.integers(1, 5),
    st.integers(1, 12),
    st.floats(0, 6),
)
def test_the_lattice_is_the_enumerated_curve(
    variance: Fraction, shift: int, count: int, epsilon: float
) -> None:
    event = ShiftedGaussian(variance, shift, count)
    exact = delta_of_copies(event, epsilon)
    assert LatticeCurve([event]).delta(epsilon) == pytest.approx(exact, rel=1e-9, abs=1e-13)


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(st.fractions(min_value=1, max_value=25, max_denominator=16), st.integers(1, 3)),
        min_size=2,
        max_size=3,
        unique=True,
    ),
    st.floats(0, 6),
)
def test_unlike_groups_are_the_enumerated_curve(
    pairs: list[tuple[Fraction, int]], epsilon: float
) -> None:
    events = [ShiftedGaussian(variance, shift, 1) for variance, shift in pairs]
    exact = delta_of_single_events(events, epsilon)
    assert LatticeCurve(events).delta(epsilon) == pytest.approx(exact, rel=1e-9, abs=1e-13)


@settings(max_examples=40)
@given(
    st.fractions(min_value=Fraction(4), max_value=3000, max_denominator=16),
    st.integers(1, 3),
    st.integers(1, 400),
    st.integers(3, 8),
)
def test_the_certificates_bound_lies_on_the_safe_side_of_the_lattice(
    variance: Fraction, shift: int, count: int, power: int
) -> None:
    event = ShiftedGaussian(variance, shift, count)
    exact = LatticeCurve([event])
    found = epsilon_upper_bound([event], Fraction(1, 10**power))
    # 10⁻¹⁴ of δ is what the cross-check itself may be off.
    assert exact.delta(found) <= 10.0**-power + 1e-13
    read = exact.epsilon(10.0**-power)
    assert found - read < 1e-3 * max(1.0, read / 10)
    assert delta_upper_bound([event], read) >= 10.0**-power * (1 - 1e-6)


def test_groups_of_equal_events_are_joined() -> None:
    whole = LatticeCurve([ShiftedGaussian(Fraction(400), 1, 60)])
    parts = LatticeCurve([ShiftedGaussian(Fraction(400), 1, n) for n in (10, 20, 30)])
    assert parts.epsilon(1e-5) == pytest.approx(whole.epsilon(1e-5), abs=1e-12)


def test_more_noise_costs_less_by_every_accountant() -> None:
    events = [ShiftedGaussian(Fraction(v), 1, 200) for v in (100, 150, 200, 300, 500)]
    for epsilon_of in (
        lambda event: LatticeCurve([event]).epsilon(1e-5),
        lambda event: epsilon_upper_bound([event], DELTA),
        lambda event: second_epsilon([event], DELTA),
        lambda event: epsilon_for_mu(mu_of([event]), 1e-5),
        lambda event: epsilon_from_zcdp(event.mu_squared / 2, DELTA),
    ):
        read = [epsilon_of(event) for event in events]
        assert all(more > less for more, less in itertools.pairwise(read))


def test_more_people_or_tables_cost_more() -> None:
    few, many = (LatticeCurve([ShiftedGaussian(Fraction(900), 1, n)]) for n in (100, 200))
    assert few.epsilon(1e-5) < many.epsilon(1e-5)
    assert few.epsilon(1e-7) > few.epsilon(1e-5) > few.epsilon(1e-3)
    twice = LatticeCurve([ShiftedGaussian(Fraction(900), 2, 100)])
    assert twice.epsilon(1e-5) > few.epsilon(1e-5)


def test_a_planned_study_by_every_accountant() -> None:
    """The planner's own plan, centred tables and a histogram: budget 3 at 10⁻⁵."""
    composition = compose(twenty_genes().plan)
    assert composition.events is not None
    exact = LatticeCurve(composition.events).epsilon(1e-5)
    certified = certified_epsilon(composition, DELTA)
    gaussian = epsilon_for_mu(float(composition.mu_squared) ** 0.5, 1e-5)
    assert 0 <= certified - exact < 1e-3
    assert abs(gaussian - exact) < 1e-3
    assert abs(second_epsilon(composition.events, DELTA) - exact) < 1e-3
    # The budget is spent, but for the reserve and the rounding of the noise to sixteenths.
    assert 2.98 < exact <= certified <= 3
    assert 0.99 * PROMISED_MU < float(composition.mu_squared) ** 0.5 <= PROMISED_MU


def test_a_thousand_queries_of_fifty_scales() -> None:
    """PRIVACY 1.2, the heterogeneous plan; issue 4: its certificate in 4 s."""
    scales = [Fraction(20 + number) for number in range(50)]
    mu_squared = Fraction(9249, 10_000) ** 2  # ε = 4 at 10⁻⁵
    unscaled = sum(Fraction(21) / scale**2 for scale in scales)
    events = [ShiftedGaussian(scale**2 * unscaled / mu_squared, 1, 21) for scale in scales]
    start = time.process_time()
    found = epsilon_upper_bound(events, DELTA)
    assert time.process_time() - start < 4
    assert 0 <= found - epsilon_for_mu(mu_of(events), 1e-5) < 1e-3


def test_what_the_cross_check_refuses() -> None:
    event = ShiftedGaussian(Fraction(9), 1, 1)
    curve = LatticeCurve([event])
    for delta in (0.0, 1e-10, 1.0):
        with pytest.raises(ValueError, match="lattice accountant needs"):
            curve.epsilon(delta)
    with pytest.raises(ValueError, match="must not be negative"):
        curve.delta(-0.1)
    with pytest.raises(ValueError, match="needs an event"):
        LatticeCurve([])
    with pytest.raises(ValueError, match="too long"):
        LatticeCurve([ShiftedGaussian(Fraction(10**12), 1, 1000)])
    with pytest.raises(ValueError, match="too many groups"):
        LatticeCurve([ShiftedGaussian(Fraction(v), 1, 100) for v in (400, 500, 600)])
    assert LatticeCurve([ShiftedGaussian(Fraction(10**8), 1, 1)]).epsilon(0.01) == 0.0
