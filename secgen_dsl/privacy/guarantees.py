"""What a plan's noise is worth in other cases than the one that it is planned for.

Each number is labelled: *certified* is an upper bound with a proof (``accountants.ROLES``),
*estimate* the closed form of Gaussian DP (``gdp``).  Where only Rényi has a proof, 6–9% lie
between the two.
"""

from collections.abc import Sequence
from fractions import Fraction

from secgen_dsl.ir.certificate import EpsilonAt, Guarantee
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Adjacency
from secgen_dsl.privacy.accountants import GAUSSIAN, certified_epsilons
from secgen_dsl.privacy.bound import Case, compose
from secgen_dsl.privacy.rounding import six_digits_up, sqrt_not_below

GRID = (Fraction(1, 10**5), Fraction(1, 10**6), Fraction(1, 10**7))
"""δ at which every plan is reported, beside its own (PRIVACY 1.2)."""

GROUPS = (2, 3, 5)
"""Numbers of people that are hidden together (PRIVACY 1.3)."""


def cases_of(plan: Plan) -> tuple[Case, ...]:
    """The plan's own promise first; then the other adjacency, groups, outsiders and the floor."""
    own = plan.program.privacy.adjacency
    other: Adjacency = "replace-one" if own == "add-or-remove" else "add-or-remove"
    return (
        Case(own),
        Case(other),
        *(Case(own, people=people) for people in GROUPS),
        Case(own, against="outsiders"),
        Case(own, against="all-others"),
    )


def guarantees(plan: Plan) -> tuple[Guarantee, ...]:
    """What the noise of a verified plan is worth in each case, at its own δ and those of ``GRID``.

    Raises:
        ValueError: a release so noiseless that nothing is known of it (no verified plan has one).
    """
    deltas = tuple(sorted({plan.program.privacy.delta, *GRID}, reverse=True))
    return tuple(_guarantee(plan, case, deltas) for case in cases_of(plan))


def _guarantee(plan: Plan, case: Case, deltas: tuple[Fraction, ...]) -> Guarantee:
    composition = compose(plan, case)
    certified = certified_epsilons(composition, deltas) or (None,) * len(deltas)
    estimates: Sequence[float | None] = (None,) * len(deltas)
    if composition.pure is None:
        estimates = GAUSSIAN.epsilons(composition, deltas)
    return Guarantee(
        adjacency=case.adjacency,
        people=case.people,
        against=case.against,
        mu=six_digits_up(sqrt_not_below(composition.mu_squared)),
        epsilons=tuple(
            EpsilonAt(
                delta=delta,
                certified=None if bound is None else six_digits_up(bound),
                estimate=None if estimate is None else six_digits_up(estimate),
            )
            for delta, bound, estimate in zip(deltas, certified, estimates, strict=True)
        ),
    )
