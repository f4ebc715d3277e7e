"""What one execution of a plan costs, as a ledger keeps it, and the cost of several together.

**Which bound may refuse a plan.**  Within a plan all noise scales are fixed, so its releases
compose adaptively under any accountant (Dong, Roth, Su 2022; Zhu, Dong, Wang, AISTATS 2022).
Between plans they are not: whoever writes the next one has seen what the earlier ones opened, and
chooses its scales.  Privacy loss distributions are not proved to compose then; Rényi divergences
do, up to a limit that was set before: as long as Σ ρᵢ of all plans stays below it, the whole is
ρ-zCDP (Feldman, Zrnic, "Individual privacy accounting via a Rényi filter", NeurIPS 2021, Theorem
3.1; Whitehouse, Ramdas, Rogers, Wu, "Fully adaptive composition in differential privacy", ICML
2023).  ``composed_epsilon`` grows with Σ ρᵢ alone, so "at most ε" is such a limit.

*The first plan* was written before anything was opened: it may be counted as its certificate does,
which reads 6–9% less.  The union of both rules keeps the promise: a first plan that only its
certificate admits already exceeds the Rényi limit, so nothing is admitted after it (our argument).

*Laplace noise* adds up to a pure ε, a limit of the same kind, and is also ρ-zCDP
(``events.BoundedLoss``).  Where all plans have it, both limits stand beside each other: with the
first one the loss is bounded on every outcome, so admitting what either admits keeps the promise.
Beside plans with Gaussian noise its ρ counts.

*Slack* (``privacy.slack``) would make the limit one of two numbers, of which each might be chosen
for the other.  So a fixed allowance is charged whatever was used of it.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, inf, sqrt
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from secgen_dsl.ir.base import Node, Rational
from secgen_dsl.ir.plan import Plan
from secgen_dsl.privacy.bound import certified_epsilon, compose
from secgen_dsl.privacy.events import BoundedLoss, Composition, Event, ShiftedGaussian
from secgen_dsl.privacy.gdp import epsilon_for_mu
from secgen_dsl.privacy.pld import epsilon_upper_bound
from secgen_dsl.privacy.renyi import epsilon_from_zcdp
from secgen_dsl.privacy.rounding import float_not_below

SLACK_ALLOWANCE = Fraction(1, 10**6)
"""ε that is charged for the slack of several plans, and the most that it may come to."""


_DIGITS = 500


class GaussianEvent(Node):
    """``count`` pairs N_Z(0, variance) against N_Z(shift, variance); see ``privacy.events``."""

    mechanism: Literal["discrete-gaussian"]
    variance: Rational
    shift: int = Field(ge=1)
    count: int = Field(ge=1)


class LaplaceEvent(Node):
    """``count`` pairs of randomised response with odds e^loss; see ``privacy.events``."""

    mechanism: Literal["discrete-laplace"]
    loss: Rational
    count: int = Field(ge=1)


SpentEvent: TypeAlias = Annotated[GaussianEvent | LaplaceEvent, Field(discriminator="mechanism")]
"""One kind of event of a spend."""


class Spend(Node):
    """The cost of one execution of a plan.

    What is written here is kept for ever: no field or event ever gets another meaning.

    Attributes:
        epsilon: ε as the plan states it.
        delta: δ as the plan states it.
        mu_squared: μ² = Σ Δ²/σ², exactly (a fraction of more than 500 digits: rounded up to a
            multiple of 2^−128); the whole is μ²/2-zCDP, up to the slack.
        slack: of splitting and centring discrete noise.
        events: what the certificate composes; None where only Rényi certifies.
        pure: ε with δ = 0, of plans with Laplace noise, rounded as μ²; None for all others.
            (Entries of format 1 lack it: there was Gaussian noise only.)
    """

    epsilon: Rational
    delta: Rational
    mu_squared: Rational
    slack: Rational
    events: tuple[SpentEvent, ...] | None
    pure: Rational | None = None


def spend_of(plan: Plan) -> Spend:
    """The cost of a verified plan.

    Raises:
        ValueError: a release so noiseless that no bound exists.
    """
    composition = compose(plan)
    events = composition.events
    return Spend(
        epsilon=plan.program.privacy.epsilon,
        delta=plan.program.privacy.delta,
        mu_squared=_readable(composition.mu_squared),
        slack=composition.slack,
        events=None if events is None else tuple(_written(event) for event in events),
        pure=None if composition.pure is None else _readable(composition.pure),
    )


def _written(event: Event) -> GaussianEvent | LaplaceEvent:
    if isinstance(event, BoundedLoss):
        return LaplaceEvent(mechanism="discrete-laplace", loss=event.loss, count=event.count)
    return GaussianEvent(
        mechanism="discrete-gaussian",
        variance=event.variance,
        shift=event.shift,
        count=event.count,
    )


def _read(event: GaussianEvent | LaplaceEvent) -> Event:
    if isinstance(event, LaplaceEvent):
        return BoundedLoss(event.loss, event.count)
    return ShiftedGaussian(event.variance, event.shift, event.count)


def composed_epsilon(spends: Sequence[Spend], delta: Fraction) -> float:
    """An ε at δ for everything together, even if plans were chosen from earlier results.

    Args:
        spends: of all executions, in any order.
        delta: 0 < δ < 1.

    Returns:
        ε ≥ 0, rounded up; infinite where no bound exists.
    """
    if not spends:
        return 0.0
    slack = sum((spend.slack for spend in spends), Fraction(0))
    if slack > SLACK_ALLOWANCE:
        return inf
    rho = sum((spend.mu_squared for spend in spends), Fraction(0)) / 2
    bound = epsilon_from_zcdp(rho, delta * (1 - SLACK_ALLOWANCE))
    bound = float_not_below(Fraction(bound) + SLACK_ALLOWANCE)
    if len(spends) == 1:
        bound = min(bound, certified_epsilon(_composition(spends[0]), delta))
    pure = _pure(spends)
    return bound if pure is None else min(bound, float_not_below(pure))


def _pure(spends: Sequence[Spend]) -> Fraction | None:
    """ε with δ = 0 of everything together, if all of it has Laplace noise."""
    total = Fraction(0)
    for spend in spends:
        if spend.pure is None:
            return None
        total += spend.pure
    return total


def epsilon_if_fixed(spends: Sequence[Spend], delta: Fraction) -> float | None:
    """The same, had all plans been fixed before the first was run: privacy loss distributions.

    Returns:
        ε ≥ 0, rounded up; None if a plan has no events to compose, or no bound exists.
    """
    events: list[Event] = []
    for spend in spends:
        if spend.events is None:
            return None
        events += [_read(event) for event in spend.events]
    slack = sum((spend.slack for spend in spends), Fraction(0))
    if slack >= 1:
        return None
    bound = epsilon_upper_bound(events, delta, slack=slack)
    pure = _pure(spends)
    return bound if pure is None else min(bound, float_not_below(pure))


def epsilon_estimate(spends: Sequence[Spend], delta: Fraction) -> float:
    """The closed form of Gaussian DP, μ² = Σ μᵢ²: for planning, not a promise (``gdp``)."""
    return epsilon_for_mu(composed_mu(spends), float(delta))


def composed_mu(spends: Sequence[Spend]) -> float:
    """μ of everything together."""
    return sqrt(sum((spend.mu_squared for spend in spends), Fraction(0)))


def _readable(number: Fraction) -> Fraction:
    """``number``, or a little more: canonical JSON takes at most 1,000 digits."""
    if len(str(number.denominator)) <= _DIGITS:
        return number
    return Fraction(ceil(number * 2**128), 2**128)


def _composition(spend: Spend) -> Composition:
    events = None if spend.events is None else tuple(_read(event) for event in spend.events)
    return Composition(events, spend.mu_squared, spend.slack, spend.pure)
