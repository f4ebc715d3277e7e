"""The accountants behind their interface: golden values of PRIVACY 1.2; who may certify what."""

import itertools
import math
import os
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.privacy.accountants import (
    GAUSSIAN,
    LATTICE,
    PLD,
    ROLES,
    SECOND_PLD,
    SECOND_RENYI,
    ZCDP,
    Accountant,
    certified_epsilons,
    certifier,
)
from secgen_dsl.privacy.events import Composition, ShiftedGaussian
from secgen_dsl.privacy.gdp import mu_for_budget
from secgen_dsl.privacy.pld import epsilon_upper_bound, epsilon_upper_bounds

GRID = tuple(Fraction(1, 10**power) for power in (5, 6, 7))


def tables(sigma: str, count: int = 1000, slack: Fraction = Fraction(0)) -> Composition:
    event = ShiftedGaussian(Fraction(sigma) ** 2, 1, count)
    return Composition((event,), event.mu_squared, slack)


def competing(composition: Composition) -> Composition:
    return Composition(None, composition.mu_squared, composition.slack)


# PRIVACY 1.2: σ of 1,000 tables at δ = 10⁻⁵, in the columns of our accountants; and the textbook.
NEEDED = [
    (1, "117.97", "127.92", 154.97),
    (2, "63.05", "67.96", 79.03),
    (4, "34.19", "36.61", 40.99),
    (8, "18.98", "20.16", 21.83),
]


@pytest.mark.parametrize(("epsilon", "sharp", "tight", "textbook"), NEEDED)
def test_noise_that_a_thousand_tables_need(
    epsilon: int, sharp: str, tight: str, textbook: float
) -> None:
    for accountant in (PLD, SECOND_PLD, LATTICE, GAUSSIAN):
        assert accountant.epsilon(tables(sharp), GRID[0]) == pytest.approx(epsilon, abs=1.2e-3)
    for accountant in (ZCDP, SECOND_RENYI):
        assert accountant.epsilon(competing(tables(tight)), GRID[0]) == pytest.approx(
            epsilon, abs=3e-3
        )
    # ε = ρ + 2·√(ρ·ln(1/δ)) (Bun, Steinke 2016): what the tight conversion saves.
    rho = 1000 / (2 * textbook**2)
    assert rho + 2 * math.sqrt(rho * math.log(1e5)) == pytest.approx(epsilon, abs=1e-3)


@pytest.mark.parametrize(
    ("sigma", "read"),
    [("117.97", (1, 1.14, 1.27)), ("34.19", (4, 4.47, 4.90)), ("18.98", (8, 8.84, 9.60))],
)
def test_the_same_noise_at_smaller_delta(sigma: str, read: tuple[float, ...]) -> None:
    """PRIVACY 1.2: ε = 4 at 10⁻⁵ reads 4.47 at 10⁻⁶ and 4.90 at 10⁻⁷."""
    for accountant in (PLD, SECOND_PLD, LATTICE, GAUSSIAN):
        assert accountant.epsilons(tables(sigma), GRID) == pytest.approx(read, abs=6e-3)


@pytest.mark.parametrize(("epsilon", "rho"), [(1, 0.036), (2, 0.126), (4, 0.428), (8, 1.388)])
def test_rho_that_a_budget_is_worth(epsilon: int, rho: float) -> None:
    mu = mu_for_budget(Fraction(epsilon), GRID[0])
    assert float(mu**2 / 2) == pytest.approx(rho, abs=6e-4)


def test_who_may_certify_what() -> None:
    """PRIVACY 1.4; and exactly one accountant certifies anything."""
    assert certifier(tables("34.19")) is PLD
    assert certifier(competing(tables("34.19"))) is ZCDP
    for roles in ROLES.values():
        assert sum(role == "certifies" for role in roles.values()) == 1
        assert sum(role == "confirms" for role in roles.values()) == 1
    assert not {PLD, SECOND_PLD, LATTICE} & ROLES["competing"].keys()
    assert {roles.get(GAUSSIAN) for roles in ROLES.values()} == {"estimates", None}
    assert GAUSSIAN not in ROLES["bounded"]  # Laplace noise has no μ of its own


@pytest.mark.parametrize("accountant", [PLD, SECOND_PLD, LATTICE], ids=["own", "second", "lattice"])
def test_no_one_dimensional_accountant_takes_competing_shifts(accountant: Accountant) -> None:
    with pytest.raises(ValueError, match="competing shifts"):
        accountant.epsilon(competing(tables("34.19")), GRID[0])


@pytest.mark.parametrize(
    ("accountant", "composition"),
    [
        (PLD, tables("34.19", slack=Fraction(1, 50))),
        (SECOND_PLD, tables("34.19", slack=Fraction(1, 50))),
        (LATTICE, tables("34.19", slack=Fraction(1, 50))),
        (ZCDP, competing(tables("34.19", slack=Fraction(1, 50)))),
        (SECOND_RENYI, competing(tables("34.19", slack=Fraction(1, 50)))),
    ],
    ids=["own", "second", "lattice", "zcdp", "renyi"],
)
def test_slack_counts_in_epsilon_and_in_delta(
    accountant: Accountant, composition: Composition
) -> None:
    bare = Composition(composition.events, composition.mu_squared, Fraction(0))
    found = accountant.epsilon(composition, GRID[0])
    shifted = accountant.epsilon(bare, GRID[0] * (1 - composition.slack))
    assert found == pytest.approx(shifted + 0.02, abs=1e-9)
    assert found > accountant.epsilon(bare, GRID[0]) + 0.02


def test_proved_bounds_lie_above_what_is_exact() -> None:
    for sigma, delta in itertools.product(("200", "50", "12"), GRID):
        exact = LATTICE.epsilon(tables(sigma), delta)
        own = PLD.epsilon(tables(sigma), delta)
        assert exact - 1e-8 <= own < exact + 1e-4 * max(1, exact)
        assert own < ZCDP.epsilon(tables(sigma), delta)


def test_where_noise_is_beyond_the_certifying_accountant_a_looser_proof_stands() -> None:
    vast = Composition((ShiftedGaussian(Fraction(10**17), 1, 1),), Fraction(1, 10**17), Fraction(0))
    with pytest.raises(ValueError, match="beyond"):
        PLD.epsilon(vast, GRID[0])
    assert certified_epsilons(vast, GRID) == ZCDP.epsilons(vast, GRID)
    hopeless = Composition(None, Fraction(1), Fraction(1))
    assert certified_epsilons(hopeless, GRID) is None


@settings(max_examples=2000 if os.environ.get("SECGEN_FULL") else 8)
@given(
    st.lists(
        st.tuples(
            st.fractions(min_value=4, max_value=3000, max_denominator=16),
            st.integers(1, 3),
            st.integers(1, 300),
        ),
        min_size=1,
        max_size=3,
    ),
    st.permutations([2, 5, 6, 7, 12, 40]),
)
def test_several_deltas_are_as_good_as_each_by_itself(
    parts: list[tuple[Fraction, int, int]], powers: list[int]
) -> None:
    events = [ShiftedGaussian(*part) for part in parts]
    deltas = [Fraction(1, 10**power) for power in powers]
    together = epsilon_upper_bounds(events, deltas)
    apart = [epsilon_upper_bound(events, delta) for delta in deltas]
    assert together == pytest.approx(apart, rel=1e-6, abs=1e-9)


def test_no_delta_is_no_question() -> None:
    with pytest.raises(ValueError, match="δ must be"):
        epsilon_upper_bounds([ShiftedGaussian(Fraction(9), 1, 1)], [])


# PRIVACY 1.4: "a plan of both kinds may be certified twice".  Decision 0008: why it is not.
@pytest.mark.parametrize(("part", "wins"), [(Fraction(1, 1000), True), (Fraction(1, 100), False)])
@pytest.mark.parametrize("epsilon", [1, 4, 8])
def test_tables_certified_apart_from_the_rest(part: Fraction, wins: bool, epsilon: int) -> None:
    """It pays only where all but a few thousandths of μ² go to tables."""
    delta = GRID[1]
    whole = mu_for_budget(Fraction(epsilon), delta) ** 2
    counted = ShiftedGaussian(200 / ((1 - part) * whole), 1, 200)
    alone = ZCDP.epsilon(Composition(None, whole, Fraction(0)), delta)
    rest = Composition(None, part * whole, Fraction(0))
    apart = min(
        epsilon_upper_bound([counted], delta * (1 - share)) + ZCDP.epsilon(rest, delta * share)
        for share in (Fraction(1, 10**power) for power in (1, 2, 3, 4, 5, 6))
    )
    assert (apart < alone) == wins
