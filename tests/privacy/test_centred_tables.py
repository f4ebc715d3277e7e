"""Decision 0002, step by step, by enumeration: the release of one centred row."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.privacy.events import ShiftedGaussian
from secgen_dsl.privacy.events import event_of as event_of_any
from secgen_dsl.privacy.pld import delta_upper_bound
from secgen_dsl.privacy.sensitivity import Contribution, table_sensitivity_squared
from secgen_dsl.privacy.slack import centring_slack
from tests.privacy.exact import delta_of_copies, gaussian, hockey_stick

# (bins, s²): small enough that the θ factors are visible, or large enough that they are not.
CASES = [(2, "3/4"), (2, "2"), (3, "1"), (3, "2"), (4, "1"), (4, "3/2")]


ONE = Contribution(groups=1, samples=1, replace=False)


def event_of(linear_map: LinearMap, tables: int, bins: int, variance: Fraction) -> ShiftedGaussian:
    event = event_of_any(linear_map, tables, bins, variance, ONE)
    assert event is not None
    return event


def released_laws(
    bins: int, variance: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """(T, P, Q): for every opened row y its statistic and its probability for x = 0 and x = e₀.

    The noise is drawn on the raw cells; the map is applied after.
    """
    reach = math.ceil(8.5 * math.sqrt(variance))
    width = 2 * reach + 1
    cells = np.indices((width,) * bins).reshape(bins, -1).T - reach
    mass = gaussian(variance, reach)[cells + reach].prod(axis=1)
    # y determines w = x + z up to a multiple of 1: key it by the differences to the last cell.
    shape = (2 * width + 3,) * (bins - 1)

    def law(moved: int) -> NDArray[np.float64]:
        w = cells.copy()
        w[:, 0] += moved
        differences = w[:, :-1] - w[:, -1:] + width
        key = np.ravel_multi_index(tuple(differences.T), shape)
        return np.bincount(key, weights=mass, minlength=math.prod(shape)).astype(np.float64)

    p, q = law(0), law(1)
    used = np.flatnonzero((p > 0) & (q > 0))
    differences = np.stack(np.unravel_index(used, shape), axis=1) - width
    statistic = bins * differences[:, 0] - differences.sum(axis=1)
    return statistic, p[used], q[used]


def theta_terms(bins: int, variance: float) -> tuple[float, float]:
    """(η, κ) of decision 0002."""
    eta = 2 * sum(math.exp(-2 * math.pi**2 * variance * j * j / bins) for j in range(1, 20))
    return eta, (1 + eta) ** (bins - 1) - 1


@pytest.mark.parametrize(("bins", "variance"), CASES)
def test_step_1_the_likelihood_ratio(bins: int, variance: str) -> None:
    statistic, p, q = released_laws(bins, float(Fraction(variance)))
    event = event_of("centred", 1, bins, Fraction(variance))
    loss = event.shift * (event.shift - 2 * statistic) / (2 * float(event.variance))
    # Away from the edge of the enumerated cube, whose missing mass would show as a ratio.
    inside = (p > 1e-9) & (q > 1e-9)
    assert p[inside].sum() > 1 - 1e-5
    excess = np.abs(np.log(p[inside] / q[inside]) - loss[inside]).max()
    eta, _ = theta_terms(bins, float(Fraction(variance)))
    assert excess <= math.log((1 + eta) / (1 - eta)) + 1e-6
    if eta > 1e-3:  # the factor is real where it can be seen
        assert excess > eta / 10


@pytest.mark.parametrize(("bins", "variance"), CASES)
def test_step_2_the_law_of_the_statistic(bins: int, variance: str) -> None:
    event = event_of("centred", 1, bins, Fraction(variance))
    # T = (B − 1)·z_b − Σ of the others, by direct convolution.
    scale = float(Fraction(variance))
    reach = math.ceil(9 * math.sqrt(scale))
    one = gaussian(scale, reach)
    stretched = np.zeros((bins - 1) * 2 * reach + 1)
    stretched[:: bins - 1] = one
    law = stretched
    for _ in range(bins - 1):
        law = np.convolve(law, one)
    ideal = gaussian(float(event.variance), (len(law) - 1) // 2)
    large = ideal > 1e-9
    _, kappa = theta_terms(bins, scale)
    ratio = law[large] / ideal[large]
    assert np.abs(np.log(ratio)).max() <= math.log((1 + kappa) / (1 - kappa)) + 1e-6
    statistic, p, _ = released_laws(bins, scale)
    for value in range(-3, 4):  # the enumeration's T is the same statistic
        assert p[statistic == value].sum() == pytest.approx(
            law[value + (len(law) - 1) // 2], rel=1e-9
        )


@pytest.mark.parametrize("bins", [2, 3, 4, 5])
def test_step_2_the_dual_lattice(bins: int) -> None:
    """Shortest norm² 1/B, and the bound (1 + η)^(B−1) on the sum over the dual lattice."""
    c = np.array([bins - 1] + [-1] * (bins - 1))
    norms: dict[tuple[int, ...], int] = {}
    for v in itertools.product(range(-3, 4), repeat=bins):
        # Projection off c, times |c|² = B(B − 1): an exact integer vector, one for each class.
        along = int(c @ np.array(v))
        projected = bins * (bins - 1) * np.array(v) - along * c
        norms[tuple(int(x) for x in projected)] = int(projected @ projected)
    squares = [Fraction(norm, (bins * (bins - 1)) ** 2) for norm in norms.values() if norm]
    assert min(squares) == Fraction(1, bins)
    for variance in (0.3, 1.0):
        total = sum(math.exp(-2 * math.pi**2 * variance * float(square)) for square in squares)
        assert total <= theta_terms(bins, variance)[1] * (1 + 1e-12)


@pytest.mark.parametrize(("bins", "variance"), CASES)
@pytest.mark.parametrize("epsilon", [0.5, 1.0, 2.0])
def test_the_claim_for_one_table(bins: int, variance: str, epsilon: float) -> None:
    _, p, q = released_laws(bins, float(Fraction(variance)))
    event = event_of("centred", 1, bins, Fraction(variance))
    slack = centring_slack(1, bins, Fraction(variance))
    for one, other in ((p, q), (q, p)):
        exact = hockey_stick(one, other, epsilon)
        if slack < epsilon:
            bound = math.exp(slack) * delta_of_copies(event, epsilon - float(slack))
            assert exact <= bound + 1e-13
            assert exact <= delta_upper_bound([event], epsilon, slack=slack)
        if slack < Fraction(1, 10**6):  # and the idealisation gives nothing away
            assert exact == pytest.approx(delta_of_copies(event, epsilon), rel=1e-4, abs=1e-13)


def test_the_claim_for_two_tables() -> None:
    _, p, q = released_laws(3, 2.0)
    keep = (p > 1e-8) & (q > 1e-8)
    pair_p, pair_q = np.outer(p[keep], p[keep]), np.outer(q[keep], q[keep])
    event = event_of("centred", 2, 3, Fraction(2))
    for epsilon in (0.5, 1.5):
        exact = hockey_stick(pair_p, pair_q, epsilon)
        # The dropped corners hold less than 10⁻⁵ of the mass.
        assert exact == pytest.approx(delta_of_copies(event, epsilon), abs=2e-5)


def test_noise_added_after_the_map_would_be_another_mechanism() -> None:
    """Signal B·e_b − 1 against fresh N_Z(0, s²) on each opened entry: not what is certified."""
    bins, variance = 4, Fraction(18)
    right = delta_upper_bound([event_of("centred", 1, bins, variance)], 1.0)
    wrong = [ShiftedGaussian(variance, bins - 1, 1), ShiftedGaussian(variance, 1, bins - 2)]
    assert delta_upper_bound(wrong, 1.0) > 100 * right


@pytest.mark.parametrize(("bins", "variance"), CASES)
def test_events_carry_the_sensitivity(bins: int, variance: str) -> None:
    for linear_map in ("identity", "centred"):
        event = event_of(linear_map, 978, bins, Fraction(variance))
        declared = 978 * table_sensitivity_squared(bins, linear_map, ONE) / Fraction(variance)
        assert event.mu_squared == declared


def test_event_values() -> None:
    assert event_of("identity", 7, 4, Fraction(5, 2)) == ShiftedGaussian(Fraction(5, 2), 1, 7)
    assert event_of("centred", 7, 4, Fraction(5, 2)) == ShiftedGaussian(Fraction(30), 3, 7)


def test_events_out_of_range() -> None:
    with pytest.raises(ValueError, match="two bins"):
        event_of("centred", 7, 1, Fraction(1))
    for variance, shift, count in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        with pytest.raises(ValueError, match="an event needs"):
            ShiftedGaussian(Fraction(variance), shift, count)
