"""From a plan to the ε that is printed: what is composed, and by which accountant."""

from fractions import Fraction

import pytest

from secgen_dsl.ir.program import Person, Program
from secgen_dsl.privacy.bound import (
    Composition,
    certified_epsilon,
    compose,
    mu_for,
    needs_renyi,
    slack_of,
)
from secgen_dsl.privacy.events import ShiftedGaussian, event_of
from secgen_dsl.privacy.pld import epsilon_upper_bound
from secgen_dsl.privacy.sensitivity import Contribution, contribution_of
from secgen_dsl.privacy.slack import centring_slack, split_noise_slack
from tests.site_programs import (
    SEX,
    SUBTYPE,
    make_marginal,
    make_panel,
    make_plan,
    make_program,
)

DELTA = Fraction(1, 10**5)
GENES = ("A", "B", "C")
PANEL = make_panel(GENES)
HISTOGRAM = make_marginal(["subtype"])
TABLES = make_marginal(["subtype"], PANEL, [(Fraction(5), Fraction(10))] * 3)
BY_SEX = make_marginal(["sex"], PANEL, [(Fraction(5), Fraction(10))] * 3)
PROGRAM = make_program([SUBTYPE, SEX], [PANEL], [HISTOGRAM, TABLES, BY_SEX])


def with_person(adjacency: str = "add-or-remove", **changes: object) -> Program:
    person: Person = PROGRAM.person.model_copy(update=changes)
    privacy = PROGRAM.privacy.model_copy(update={"adjacency": adjacency})
    return PROGRAM.model_copy(update={"person": person, "privacy": privacy})


@pytest.mark.parametrize(
    ("program", "of_tables", "by_sex"),
    [
        (with_person(), Contribution(1, 1, False), Contribution(1, 1, False)),
        (with_person("replace-one"), Contribution(1, 1, True), Contribution(1, 1, True)),
        (with_person(samples=3), Contribution(1, 3, False), Contribution(1, 3, False)),
        # Three samples at each of two silos may all be in one cell.
        (with_person(samples=3, silos=2), Contribution(1, 6, False), Contribution(1, 6, False)),
        # One of each subtype: apart in tables over the subtype, all in one cell elsewhere.
        (with_person(per="subtype"), Contribution(4, 1, False), Contribution(1, 4, False)),
        (
            with_person("replace-one", per="subtype", samples=2, silos=2),
            Contribution(4, 4, True),
            Contribution(1, 16, True),
        ),
    ],
    ids=["once", "replaced", "three samples", "two silos", "per subtype", "all of it"],
)
def test_what_a_person_may_add(
    program: Program, of_tables: Contribution, by_sex: Contribution
) -> None:
    assert contribution_of(program, TABLES) == of_tables
    assert contribution_of(program, BY_SEX) == by_sex
    assert needs_renyi(program) == (by_sex.samples > 1)


def test_one_dimensional_events_only_where_no_shifts_compete() -> None:
    variance = Fraction(20)
    assert event_of("identity", 3, 3, variance, Contribution(1, 2, False)) is None
    assert event_of("centred", 3, 3, variance, Contribution(1, 1, True)) is None
    assert event_of("identity", 3, 3, variance, Contribution(4, 1, True)) == ShiftedGaussian(
        variance, 1, 24
    )


def test_a_plan_is_composed_of_all_its_tables_and_all_its_slack() -> None:
    party_variance = Fraction(14)
    plan = make_plan(PROGRAM, {TABLES.id: "centred"}, party_variance)
    composition = compose(plan)
    assert composition.events is not None
    # A histogram, three plain tables; three centred ones of (B(B − 1)σ², B − 1).
    assert set(composition.events) == {
        ShiftedGaussian(Fraction(28), 1, 4),
        ShiftedGaussian(6 * Fraction(28), 2, 3),
    }
    assert composition.mu_squared == Fraction(4, 28) + 3 * Fraction(2, 3) / 28
    # Honest are two parties; noise is drawn on 4, 36 and 18 raw cells, one row of each table moves.
    split = sum(split_noise_slack(cells, party_variance, 2) for cells in (4, 36, 18))
    centring = centring_slack(3, 3, Fraction(28))
    assert composition.slack == slack_of(plan) == split + centring
    assert split > 0
    assert centring > 0


def test_slack_is_in_the_certified_epsilon() -> None:
    events = (ShiftedGaussian(Fraction(100), 1, 40),)
    mu_squared = Fraction(40, 100)
    slack = Fraction(1, 10)
    for own in (events, None):  # by PLD and by Rényi
        without = certified_epsilon(Composition(own, mu_squared, Fraction(0)), DELTA)
        found = certified_epsilon(Composition(own, mu_squared, slack), DELTA)
        # Once as ε, and once more because δ shrinks by e^−slack.
        assert found > without + 0.1 + 0.01
    assert found > epsilon_upper_bound(events, DELTA, slack=slack)
    for own in (events, None):
        with pytest.raises(ValueError, match="leaves no guarantee"):
            certified_epsilon(Composition(own, mu_squared, Fraction(1)), DELTA)


# PRIVACY 1.2, column "tight zCDP (CKS)": σ for T = 1000 at δ = 10⁻⁵.
@pytest.mark.parametrize(
    ("epsilon", "sigma"), [(1, "127.92"), (2, "67.96"), (4, "36.61"), (8, "20.16")]
)
def test_competing_shifts_are_certified_by_renyi(epsilon: int, sigma: str) -> None:
    mu_squared = 1000 / Fraction(sigma) ** 2
    found = certified_epsilon(Composition(None, mu_squared, Fraction(0)), DELTA)
    assert found == pytest.approx(epsilon, abs=3e-3)
    budget = mu_for(with_person(samples=2), Fraction(epsilon), DELTA)
    assert float(budget) == pytest.approx(float(mu_squared) ** 0.5, rel=1e-3)
    # One sample a person: the PLD's budget is larger.
    assert mu_for(with_person(), Fraction(epsilon), DELTA) > budget * Fraction(105, 100)
