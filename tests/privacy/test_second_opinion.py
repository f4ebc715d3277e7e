from fractions import Fraction
from typing import Any

import pytest

from secgen_dsl.privacy.events import ShiftedGaussian
from secgen_dsl.privacy.pld import epsilon_upper_bound
from secgen_dsl.privacy.renyi import epsilon_from_zcdp
from secgen_dsl.privacy.second_opinion import second_epsilon, second_opinion_version
from tests.privacy.test_pld import MIXED

DELTA = Fraction(1, 10**5)
THOUSAND = ShiftedGaussian(Fraction("34.19") ** 2, 1, 1000)


@pytest.mark.parametrize(
    ("events", "delta"),
    [
        ((THOUSAND,), DELTA),
        (MIXED, Fraction(1, 10**6)),
        ((ShiftedGaussian(Fraction(4), 1, 1),), Fraction(1, 10**7)),
        ((ShiftedGaussian(Fraction(12 * 7, 2), 3, 40), MIXED[4]), DELTA),
    ],
)
def test_two_accountants_agree(events: tuple[ShiftedGaussian, ...], delta: Fraction) -> None:
    assert abs(second_epsilon(events, delta) - epsilon_upper_bound(events, delta)) < 1e-3


def test_the_default_without_connect_the_dots_wastes_budget() -> None:
    """PRIVACY 1.2, the trap: without the flag a plan of 4.00 reads 4.05 (T·h/2)."""
    from dp_accounting.pld import privacy_loss_distribution

    loss = privacy_loss_distribution.from_discrete_gaussian_mechanism(
        sigma=34.19, value_discretization_interval=1e-4
    )
    by_default = loss.self_compose(1000).get_epsilon_for_delta(1e-5)
    assert by_default == pytest.approx(4.05, abs=5e-3)
    assert second_epsilon([THOUSAND], DELTA) < 4.001 < by_default - 0.04


def test_slack_and_empty_plans() -> None:
    assert second_epsilon([], DELTA, slack=Fraction(1, 4)) == 0.25
    slack = Fraction(1, 100)
    ours = epsilon_upper_bound([THOUSAND], DELTA, slack=slack)
    assert second_epsilon([THOUSAND], DELTA, slack=slack) == pytest.approx(ours, abs=1e-3)
    assert second_opinion_version().startswith("dp-accounting 0.6")
    with pytest.raises(ValueError, match="required"):
        second_epsilon([THOUSAND], Fraction(1))


# PRIVACY 1.2, column "tight zCDP (CKS)": σ for T = 1000 at δ = 10⁻⁵.
@pytest.mark.parametrize(
    ("epsilon", "sigma"), [(1, "127.92"), (2, "67.96"), (4, "36.61"), (8, "20.16")]
)
def test_tight_zcdp_conversion(epsilon: int, sigma: str) -> None:
    rho = 1000 / (2 * Fraction(sigma) ** 2)
    assert epsilon_from_zcdp(rho, DELTA) == pytest.approx(epsilon, abs=3e-3)


@pytest.mark.parametrize("rho", [Fraction(1, 10**6), Fraction(1, 10), Fraction(3), Fraction(500)])
@pytest.mark.parametrize("power", [2, 5, 12, 200])
def test_tight_zcdp_is_the_minimum_and_below_the_textbook(rho: Fraction, power: int) -> None:
    import mpmath

    found = epsilon_from_zcdp(rho, Fraction(1, 10**power))
    with mpmath.workdps(40):
        r, log_inverse = mpmath.mpf(rho.numerator) / rho.denominator, power * mpmath.log(10)

        def bound(alpha: Any) -> Any:
            a = mpmath.mpf(alpha)
            return a * r + mpmath.log(1 - 1 / a) + (log_inverse - mpmath.log(a)) / (a - 1)

        centre = mpmath.sqrt(log_inverse / r)
        grid = [1 + centre * mpmath.mpf(2) ** (mpmath.mpf(k) / 40) for k in range(-160, 161)]
        best = max(0, min(bound(alpha) for alpha in grid))
        assert found <= float(best) + 1e-9 * (1 + float(best))
        assert found >= float(best) * (1 - 1e-3) - 1e-9
        assert found <= float(r + 2 * mpmath.sqrt(r * log_inverse))


def test_zcdp_edges() -> None:
    assert epsilon_from_zcdp(Fraction(0), DELTA) == 0.0
    with pytest.raises(ValueError, match="ρ must not be negative"):
        epsilon_from_zcdp(Fraction(-1), DELTA)
    # Above PLD, always: another kind of bound on the same plan.
    for events in ((THOUSAND,), MIXED):
        rho = sum((event.mu_squared for event in events), Fraction(0)) / 2
        assert epsilon_from_zcdp(rho, DELTA) > epsilon_upper_bound(events, DELTA)
