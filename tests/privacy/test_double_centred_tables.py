"""Decision 0014, step by step, by enumeration: the release of one double-centred table."""

import itertools
import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.privacy.events import ShiftedGaussian, event_of
from secgen_dsl.privacy.pld import delta_upper_bound
from secgen_dsl.privacy.sensitivity import Contribution, table_sensitivity_squared
from secgen_dsl.privacy.slack import double_centring_slack
from secgen_dsl.queries.maps import apply_map
from tests.privacy.exact import delta_of_copies, gaussian, hockey_stick

# (bins, s²): small enough that the θ factors are visible, or large enough that they are not.
CASES = [(2, "1/2"), (2, "3/4"), (2, "2"), (3, "3/4"), (3, "1"), (3, "2")]

SHARP = Fraction(1, 5000)
"""A slack below it makes no difference to the digits that are compared."""

ONE = Contribution(groups=1, samples=1, replace=False)
REACH = {2: 24, 3: 18}
"""Of each coordinate of what is opened: at least six standard deviations of those above."""

Floats = NDArray[np.float64]


def certified(bins: int, variance: Fraction, tables: int = 1) -> ShiftedGaussian:
    event = event_of("double-centred", tables, bins, variance, ONE)
    assert event is not None
    return event


def coefficients(bins: int) -> NDArray[np.int64]:
    """Of the statistic of the first cell, as the shipped map has it: shape (B·B,)."""
    cells = np.eye(bins * bins, dtype=np.int64).reshape(bins * bins, bins, bins)
    return apply_map("double-centred", cells).reshape(bins * bins, -1)[:, 0]


@cache
def released_laws(bins: int, variance: float) -> tuple[NDArray[np.int64], Floats, Floats]:
    """(T, P, Q): for everything that may be opened its statistic and its probability.

    P without the person, Q with one in the first cell.  The release determines, and is determined
    by, the (B − 1)² whole numbers ``D_ij = w_ij − w_iB − w_Bj + w_BB`` of the noised counts w; the
    law of D is the transform of the product of the cells' characteristic functions.
    """
    size = 2 * REACH[bins] + 1
    free = (bins - 1) ** 2
    grids = np.meshgrid(*[2 * np.pi * np.arange(size) / size] * free, indexing="ij", sparse=True)
    reach = math.ceil(9 * math.sqrt(variance))
    noise = gaussian(variance, reach)
    signs = np.zeros((bins, bins, free), dtype=np.int64)  # of each cell in each D
    for number, (i, j) in enumerate(itertools.product(range(bins - 1), repeat=2)):
        signs[[i, i, -1, -1], [j, -1, j, -1], number] = [1, -1, -1, 1]
    characteristic = np.ones((size,) * free)
    for own in signs.reshape(-1, free):
        angle = sum(int(sign) * grid for sign, grid in zip(own, grids, strict=True))
        factor = np.full(np.shape(angle), noise[reach])
        for value in range(1, reach + 1):
            factor += 2 * noise[reach + value] * np.cos(value * angle)
        characteristic = characteristic * factor
    law = np.maximum(np.fft.fftshift(np.fft.ifftn(characteristic).real), 0.0)
    moved = np.roll(law, 1, axis=0)  # D_11 is one more
    # Counts with these D: D itself, beside zeros in the last row and column.
    own = coefficients(bins).reshape(bins, bins)[:-1, :-1].ravel()
    statistic = np.tensordot(own, np.indices(law.shape) - REACH[bins], axes=1)
    return statistic.ravel(), law.ravel(), moved.ravel()


def factors(bins: int, variance: float) -> tuple[float, float, float]:
    """(η, λ, κ) of decision 0014."""
    eta = 2 * sum(math.exp(-2 * math.pi**2 * variance * j * j / bins) for j in range(1, 20))
    return eta, (1 + eta) ** (2 * bins - 1) - 1, (1 + eta) ** (bins - 1) - 1


def test_the_laws_are_those_of_noise_before_the_map() -> None:
    """Against a plain enumeration of all noise of a table of two bins."""
    variance, reach = 0.75, 7
    cells = np.indices((2 * reach + 1,) * 4).reshape(4, -1).T - reach
    mass = gaussian(variance, reach)[cells + reach].prod(axis=1)
    opened = apply_map("double-centred", cells.reshape(-1, 2, 2))
    statistic, p, q = released_laws(2, variance)
    for value in range(-8, 9):
        assert mass[opened == value].sum() == pytest.approx(p[statistic == value].sum(), abs=1e-12)
        assert mass[opened == value - 1].sum() == pytest.approx(
            q[statistic == value].sum(), abs=1e-12
        )


@pytest.mark.parametrize("bins", [2, 3, 4, 7])
def test_the_statistic(bins: int) -> None:
    """(B − 1)² once, −(B − 1) in the rest of its row and column, 1 elsewhere."""
    own = coefficients(bins).reshape(bins, bins)
    m = bins - 1
    assert own[0, 0] == m**2
    assert set(own[0, 1:]) == set(own[1:, 0]) == {-m}
    assert set(own[1:, 1:].ravel()) == {1}
    event = certified(bins, Fraction(5, 2))
    assert int((own**2).sum()) * Fraction(5, 2) == event.variance
    assert own[0, 0] == event.shift


@pytest.mark.parametrize(("bins", "variance"), CASES)
def test_step_1_the_likelihood_ratio(bins: int, variance: str) -> None:
    statistic, p, q = released_laws(bins, float(Fraction(variance)))
    event = certified(bins, Fraction(variance))
    loss = event.shift * (event.shift - 2 * statistic) / (2 * float(event.variance))
    inside = (p > 1e-9) & (q > 1e-9)  # far above the rounding of the transform
    assert p[inside].sum() > 1 - 1e-4
    excess = np.abs(np.log(p[inside] / q[inside]) - loss[inside]).max()
    _, most, _ = factors(bins, float(Fraction(variance)))
    assert excess <= (math.log((1 + most) / (1 - most)) if most < 1 else math.inf) + 1e-5
    if 1e-3 < most < 1:  # the factor is real where it can be seen
        assert excess > most / 100


@pytest.mark.parametrize("bins", [2, 3])
def test_step_1_the_dual_lattice(bins: int) -> None:
    """Shortest norm² 2/B − 1/B², and the bound (1 + η)^(2B−1) on the sum over the dual lattice."""
    reach = 4 if bins == 2 else 2
    norms = set()
    squares = []
    for rows in itertools.product(range(-reach, reach + 1), repeat=bins):
        for columns in itertools.product(range(-reach, reach + 1), repeat=bins):
            if sum(rows) != sum(columns):
                continue
            total = sum(rows)
            square = sum(r * r for r in rows) + sum(c * c for c in columns)
            squares.append(Fraction(square, bins) - Fraction(total**2, bins**2))
            norms.add(squares[-1])
    assert min(norms - {0}) == Fraction(2, bins) - Fraction(1, bins**2)
    for variance in (0.5, 1.0):
        whole = sum(math.exp(-2 * math.pi**2 * variance * float(square)) for square in squares)
        assert whole - 1 <= factors(bins, variance)[1]
    # They are the projections of whole-number tables on what the map forgets.
    m = np.array([[1, -2, 0], [3, 0, 1], [0, 0, 2]])[:bins, :bins]
    row, column = np.meshgrid(m.sum(axis=1), m.sum(axis=0), indexing="ij")
    forgotten = row / bins + column / bins - m.sum() / bins**2
    by_sums = ((m.sum(axis=1) ** 2).sum() + (m.sum(axis=0) ** 2).sum()) / bins
    assert (forgotten**2).sum() == pytest.approx(by_sums - m.sum() ** 2 / bins**2)


@pytest.mark.parametrize(("bins", "variance"), CASES)
def test_step_2_the_law_of_the_statistic(bins: int, variance: str) -> None:
    event = certified(bins, Fraction(variance))
    scale = float(Fraction(variance))
    reach = math.ceil(9 * math.sqrt(scale))
    law = np.ones(1)
    for coefficient in coefficients(bins):  # by direct convolution
        step = abs(int(coefficient))
        stretched = np.zeros(step * 2 * reach + 1)
        stretched[::step] = gaussian(scale, reach)
        law = np.convolve(law, stretched)
    ideal = gaussian(float(event.variance), (len(law) - 1) // 2)
    large = ideal > 1e-9
    _, _, kappa = factors(bins, scale)
    ratio = law[large] / ideal[large]
    most = (bins + 1) * math.log((1 + kappa) / (1 - kappa)) if kappa < 1 else math.inf
    assert np.abs(np.log(ratio)).max() <= most + 1e-6
    statistic, p, _ = released_laws(bins, scale)
    for value in range(-3, 4):  # what is opened has the same statistic
        assert p[statistic == value].sum() == pytest.approx(
            law[value + (len(law) - 1) // 2], rel=1e-6
        )


@pytest.mark.parametrize(("bins", "variance"), CASES)
@pytest.mark.parametrize("epsilon", [0.5, 1.0, 2.0])
def test_the_claim_for_one_table(bins: int, variance: str, epsilon: float) -> None:
    _, p, q = released_laws(bins, float(Fraction(variance)))
    event = certified(bins, Fraction(variance))
    try:
        slack = double_centring_slack(1, bins, Fraction(variance))
    except ValueError:
        slack = Fraction(10)  # no bound exists, and none is claimed
    for one, other in ((p, q), (q, p)):
        exact = hockey_stick(one, other, epsilon)
        if slack < epsilon:
            bound = math.exp(slack) * delta_of_copies(event, epsilon - float(slack))
            assert exact <= bound + 1e-9
            assert exact <= delta_upper_bound([event], epsilon, slack=slack) + 1e-9
        if slack < SHARP:  # and the idealisation gives nothing away
            assert exact == pytest.approx(delta_of_copies(event, epsilon), rel=1e-3, abs=1e-9)


def test_some_cases_are_bounded_and_some_are_sharp() -> None:
    """The claim above is about something."""
    for bins in (2, 3):
        cases = [Fraction(variance) for own, variance in CASES if own == bins]
        slacks = [double_centring_slack(1, bins, variance) for variance in cases]
        assert min(slacks) < SHARP
        assert max(slacks) > Fraction(1, 10)


def test_the_claim_for_two_tables() -> None:
    _, p, q = released_laws(2, 2.0)
    event = certified(2, Fraction(2), tables=2)
    pair_p, pair_q = np.outer(p, p), np.outer(q, q)
    for epsilon in (0.5, 1.5):
        exact = hockey_stick(pair_p, pair_q, epsilon)
        assert exact == pytest.approx(delta_of_copies(event, epsilon), rel=1e-4)


@pytest.mark.parametrize("bins", [2, 3, 4, 10])
def test_events_carry_the_sensitivity(bins: int) -> None:
    event = certified(bins, Fraction(9), tables=40)
    declared = 40 * table_sensitivity_squared(bins, "double-centred", ONE) / Fraction(9)
    assert event.mu_squared == declared
    assert event == ShiftedGaussian(Fraction(9 * bins**2 * (bins - 1) ** 2), (bins - 1) ** 2, 40)


def test_no_event_where_shifts_compete() -> None:
    for contribution in (Contribution(1, 2, False), Contribution(1, 1, True)):
        assert event_of("double-centred", 4, 3, Fraction(20), contribution) is None
    # By a label whose values each have a cap of their own: a block in each of two groups.
    event = event_of("double-centred", 4, 3, Fraction(20), Contribution(2, 1, False))
    assert event == ShiftedGaussian(Fraction(9 * 4 * 20), 4, 8)
    with pytest.raises(ValueError, match="two bins"):
        event_of("double-centred", 4, 1, Fraction(20), ONE)


def test_slack_values() -> None:
    # B = 2: λ = (1 + η)³ − 1, κ = η, and three terms of κ.
    eta, most, kappa = factors(2, 2.0)
    expected = math.log((1 + most) / (1 - most)) + 3 * math.log((1 + kappa) / (1 - kappa))
    assert kappa == pytest.approx(eta)
    found = double_centring_slack(40, 2, Fraction(2))
    assert float(found) == pytest.approx(40 * expected, rel=1e-6)
    assert float(found) >= 40 * expected * (1 - 1e-9)
    for bins in (2, 3, 4, 8, 16):
        assert 0 < double_centring_slack(1000, bins, Fraction(9 * bins, 2)) < Fraction(1, 10**31)


def test_slack_out_of_range() -> None:
    with pytest.raises(ValueError, match="too small to centre"):
        double_centring_slack(1, 3, Fraction(1, 10))
    with pytest.raises(ValueError, match="centring needs"):
        double_centring_slack(0, 3, Fraction(10))
