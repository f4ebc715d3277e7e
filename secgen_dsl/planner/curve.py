"""How exact the answers are at other budgets: ε → predicted error of each query."""

from dataclasses import dataclass
from fractions import Fraction

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.ir.program import Program
from secgen_dsl.planner.epsilons import GREATEST_EPSILON, in_quarters, with_epsilon
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.planner.predict import Prediction, predict

_FROM, _TO = Fraction(1, 10), Fraction(20)


@dataclass(frozen=True)
class Point:
    """A budget and what it gives.

    Attributes:
        predictions: of the releases of the plan; none where there is no plan.
        refused: why there is none; None where there is one.
    """

    epsilon: Fraction
    predictions: tuple[Prediction, ...]
    refused: Diagnostic | None


def error_curve(program: Program) -> tuple[Point, ...]:
    """The program's plans at 0.1 to 20 and at its own budget, in steps of about a quarter.

    Each point is a whole plan: weights, shares and targets stay.  The range is widened to a power
    of ten around a budget outside it.
    """
    return tuple(_point(program, epsilon) for epsilon in epsilons(program.privacy.epsilon))


def epsilons(own: Fraction) -> tuple[Fraction, ...]:
    """The budgets of a curve, rising; ``own`` is one of them."""
    low, high = _FROM, _TO
    while own < low:
        low /= 10
    if own > high:
        high = GREATEST_EPSILON
    return tuple(sorted({*in_quarters(low, high), own}))


def _point(program: Program, epsilon: Fraction) -> Point:
    try:
        plan = plan_program(with_epsilon(program, epsilon))
    except SecgenError as error:
        return Point(epsilon, (), error.diagnostics[0])
    return Point(epsilon, predict(plan), None)
