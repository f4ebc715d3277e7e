"""Discrete Laplace noise: what it costs, alone and composed, and what a share of it hides."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom, nbinom

from secgen_dsl.ir.plan import laplace_variance
from secgen_dsl.privacy.accountants import (
    PLD,
    SECOND_PLD,
    SUM,
    ZCDP,
    asked,
    certified_epsilons,
    certifier,
)
from secgen_dsl.privacy.events import (
    BoundedLoss,
    Composition,
    ShiftedGaussian,
    laplace_event,
)
from secgen_dsl.privacy.laplace import greatest_noise, share_loss, summed_loss
from secgen_dsl.privacy.pld import delta_upper_bound, epsilon_upper_bound
from secgen_dsl.privacy.second_opinion import second_epsilon
from secgen_dsl.privacy.sensitivity import Contribution
from tests.privacy.exact import gaussian, hockey_stick
from tests.trials.laws import discrete_laplace, polya_share


def composed(*events: BoundedLoss) -> Composition:
    mu_squared = sum((event.mu_squared for event in events), Fraction(0))
    pure = sum((event.epsilon for event in events), Fraction(0))
    return Composition(events, mu_squared, Fraction(0), pure)


def delta_of_answers(event: BoundedLoss, epsilon: float) -> float:
    """δ(ε) of randomised response, ``count`` times: so many of the answers are right."""
    loss, count = float(event.loss), event.count
    right = np.arange(count + 1)
    losses = loss * (2 * right - count)
    mass = binom.pmf(right, count, 1 / (1 + math.exp(-loss)))
    return float(mass @ -np.expm1(np.minimum(0.0, epsilon - losses)))


# -- one cell ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["1/4", "1", "7/3", "20"])
@pytest.mark.parametrize("shift", [1, 2, 5])
def test_a_cell_that_moves_is_a_randomised_response(scale: str, shift: int) -> None:
    """Moved by 1 exactly; by more it is never worse than one whose ε is c/b."""
    b = Fraction(scale)
    x, mass = discrete_laplace(float(b))
    moved = np.zeros_like(mass)
    moved[shift:] = mass[:-shift]
    event = laplace_event(1, b, Contribution(1, shift, replace=False))
    assert event == BoundedLoss(shift / b, 1)
    for epsilon in np.linspace(0, 1.1 * float(event.loss), 9):
        exact, bound = hockey_stick(mass, moved, epsilon), delta_of_answers(event, epsilon)
        assert exact <= bound + 1e-12
        if shift == 1:
            assert exact == pytest.approx(bound, abs=1e-12)
    # … and it is c/b-DP, and not less.
    inner = slice(len(x) // 4, -len(x) // 4)
    losses = np.abs(np.log(mass[inner] / moved[inner]))
    assert float(losses.max()) == pytest.approx(float(event.loss), rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 9), st.booleans(), st.integers(1, 10**6)
)
def test_the_epsilon_of_a_release_is_its_l1_sensitivity_over_its_scale(
    tables: int, groups: int, samples: int, replace: bool, thousandths: int
) -> None:
    scale = Fraction(thousandths, 1000)
    event = laplace_event(tables, scale, Contribution(groups, samples, replace))
    assert event.epsilon == tables * groups * samples * (2 if replace else 1) / scale


@pytest.mark.parametrize("scale", ["1/50", "1/4", "1", "10", "12345/1000", "1000000"])
def test_the_variance(scale: str) -> None:
    b = Fraction(scale)
    if b <= 1000:
        x, mass = discrete_laplace(float(b))
        enumerated = float(mass @ x.astype(float) ** 2)
        assert float(laplace_variance(b)) == pytest.approx(enumerated, rel=1e-9)
    # 1/(2·sinh²(1/2b)), of which the first terms are 2b² − 1/6.
    if b >= 10:
        series = 2 * b**2 - Fraction(1, 6) + 1 / (120 * b**2)
        digits = series / 10**24  # it is rounded up in the 25th
        assert abs(laplace_variance(b) - series) < Fraction(1, 10**4) / b**2 + digits


# -- several -----------------------------------------------------------------------------------

EVENTS = [
    BoundedLoss(Fraction(4), 1),
    BoundedLoss(Fraction(1, 2), 6),
    BoundedLoss(Fraction(1, 250), 1000),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: f"{event.count}x{event.loss}")
@pytest.mark.parametrize("power", [3, 6, 9])
def test_the_curve_of_many_answers(event: BoundedLoss, power: int) -> None:
    delta = 10.0**-power
    found = epsilon_upper_bound([event], Fraction(1, 10**power))
    assert delta_of_answers(event, found) <= delta
    assert delta_of_answers(event, found - 1e-3 * max(1, found)) > delta
    at_zero = delta_upper_bound([event], 0.0)
    exact = delta_of_answers(event, 0.0)
    assert exact <= at_zero < exact + 2e-5


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: f"{event.count}x{event.loss}")
def test_the_second_accountant_agrees(event: BoundedLoss) -> None:
    for delta in (Fraction(1, 10**3), Fraction(1, 10**6)):
        ours = epsilon_upper_bound([event], delta)
        assert second_epsilon([event], delta) == pytest.approx(ours, rel=1e-3)


def test_laplace_and_gaussian_noise_compose() -> None:
    """Of two pairs of each kind the whole law is small enough to enumerate."""
    answers, normal = BoundedLoss(Fraction(1, 2), 2), ShiftedGaussian(Fraction(4), 1, 1)
    one = gaussian(4.0, 60)
    p, q = one, np.concatenate([[0.0], one[:-1]])
    right = 1 / (1 + math.exp(-0.5))
    for _ in range(2):
        p = np.concatenate([p * right, p * (1 - right)])
        q = np.concatenate([q * (1 - right), q * right])
    for delta in (1e-2, 1e-4):
        found = epsilon_upper_bound([answers, normal], Fraction(delta))
        assert hockey_stick(p, q, found) <= delta < hockey_stick(p, q, found - 2e-3)
        assert second_epsilon([answers, normal], Fraction(delta)) == pytest.approx(found, rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.fractions(Fraction(1, 100), Fraction(20), max_denominator=100))
def test_rho_bounds_every_renyi_divergence(loss: Fraction) -> None:
    """ρ = e·tanh(e/2), for α from 1 to 1000; it is reached at α = 1 and never above e²/2."""
    rho = float(BoundedLoss(loss, 1).mu_squared) / 2
    e = float(loss)
    right = 1 / (1 + math.exp(-e))
    for alpha in (1 + 1e-6, 1.5, 2, 3, 8, 40, 1000):
        logs = np.array([alpha * math.log(right) + (1 - alpha) * math.log1p(-right)])
        logs = np.append(logs, alpha * math.log1p(-right) + (1 - alpha) * math.log(right))
        divergence = float(np.logaddexp.reduce(logs)) / (alpha - 1)
        assert divergence <= rho * alpha + 1e-6
    assert e * math.tanh(e / 2) == pytest.approx(rho, rel=1e-9)
    assert rho <= e**2 / 2


def test_who_says_what() -> None:
    composition = composed(*EVENTS)
    assert certifier(composition) is SUM
    assert composition.pure == 4 + 3 + 4
    assert list(asked(composition, Fraction(0))) == [SUM]
    assert SUM.epsilon(composition, Fraction(0)) == 11.0
    assert certified_epsilons(composition, (Fraction(0),)) == (Fraction(11),)
    for delta in (Fraction(1, 10**3), Fraction(1, 10**6)):
        (least,) = certified_epsilons(composition, (delta,)) or (None,)
        assert least == PLD.epsilon(composition, delta) < 11
        assert SECOND_PLD.epsilon(composition, delta) == pytest.approx(least, rel=1e-3)
        assert ZCDP.epsilon(composition, delta) > least
    # The sum is exact where no float is: a tenth stays a tenth.
    tenth = composed(BoundedLoss(Fraction(1, 30), 3))
    assert certified_epsilons(tenth, (Fraction(0),)) == (Fraction(1, 10),)
    gaussians = Composition((ShiftedGaussian(Fraction(4), 1, 1),), Fraction(1, 4), Fraction(0))
    with pytest.raises(ValueError, match="only the losses of Laplace noise"):
        SUM.epsilon(gaussians, Fraction(1, 10**6))


# -- shares ------------------------------------------------------------------------------------


def greatest_loss(mass: NDArray[np.float64]) -> float:
    """Of a law that is symmetric, for a shift by 1, where enough mass is left to divide."""
    half = mass[len(mass) // 2 :]
    half = half[half > 1e-9 * half[0]]
    return float(np.log(half[:-1] / half[1:]).max())


@pytest.mark.parametrize("parts", [2, 3, 5])
@pytest.mark.parametrize("scale", ["1/4", "1", "10", "1000"])
def test_what_a_share_alone_hides(scale: str, parts: int) -> None:
    exact = greatest_loss(polya_share(float(Fraction(scale)), parts)[1])
    assert share_loss(Fraction(scale), parts) == pytest.approx(exact, rel=1e-6)
    assert share_loss(Fraction(scale), parts) > 1 / float(Fraction(scale))


def test_the_figure_of_protocol() -> None:
    """One share of two, at scale 1,000, costs .25 a unit."""
    assert share_loss(Fraction(1000), 2) == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize(("scale", "parts"), [(10**6, 2), (10**9, 2), (10**6, 3)])
def test_for_great_scales_it_is_an_upper_bound(scale: int, parts: int) -> None:
    """The closed form by hypergeometric functions, far beyond what can be enumerated."""
    import mpmath

    with mpmath.workdps(40):
        shape, ratio = mpmath.mpf(1) / parts, mpmath.exp(-mpmath.mpf(1) / scale)
        f0 = mpmath.hyp2f1(shape, shape, 1, ratio**2)
        f1 = shape * ratio * mpmath.hyp2f1(shape, shape + 1, 2, ratio**2)
        exact = float(mpmath.log(f0 / f1))
    assert exact <= share_loss(Fraction(scale), parts) < 1.2 * exact


@pytest.mark.parametrize("parts", [2, 3, 5, 40])
@pytest.mark.parametrize("scale", ["1/50", "1", "637/200", "100000"])
def test_shares_add_up_to_what_is_certified(scale: str, parts: int) -> None:
    b = Fraction(scale)
    assert summed_loss(b, parts) == pytest.approx(1 / float(b), rel=1e-6)


@pytest.mark.parametrize("scale", ["1/4", "1", "10", "1000"])
@pytest.mark.parametrize(("parties", "parts"), [(3, 2), (5, 3), (9, 5), (39, 20)])
def test_noise_beyond_the_greatest_is_next_to_impossible(
    scale: str, parties: int, parts: int
) -> None:
    b = Fraction(scale)
    ratio = math.exp(-1 / float(b))
    one = nbinom.sf(greatest_noise(b) - 1, parties / parts, 1 - ratio)
    assert 2 * one < 2.0**-60
    assert greatest_noise(b) < 48 * b + 1
