"""What a plan's noise means for somebody who tests whether a person took part.

All figures are proved bounds, rounded against the plan: the closed forms of Gaussian DP are not,
for noise is of whole numbers, and a person's shifts may compete (``privacy.accountants``).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, exp, expm1, sqrt

from secgen_dsl.privacy.accountants import PLD, ZCDP
from secgen_dsl.privacy.events import Composition
from secgen_dsl.privacy.pld import delta_upper_bound

_DELTAS = tuple(Fraction(9, 10) ** step for step in range(5, 110))
"""From .6 to 10⁻⁵: where the tangents of a trade-off curve, from 0.1% on, touch it."""

_FALSE_ALARMS = 0.01
_MARGIN = 1 + 1e-12
"""Above the rounding of the few operations on floats below."""


@dataclass(frozen=True)
class Odds:
    """Bounds on any test.

    Attributes:
        right: of 1,000 guesses whether a person took part, at equal odds, the best test has at most
            so many right.
        flagged: of 1,000 participants, at most so many are flagged by a test that wrongly flags
            1% of others.
    """

    right: int
    flagged: int

    @property
    def accuracy(self) -> str:
        """``right`` as a percentage."""
        return f"{self.right / 10:.1f}%"


@lru_cache(maxsize=64)
def odds_of(composition: Composition) -> Odds:
    """The odds of a plan.

    A test is right with probability (1 + d)/2 at most, d the total variation distance.
    """
    right = min((1 + _distance(composition)) / 2, 1.0)
    (participants,) = flagged(composition, (_FALSE_ALARMS,))
    return Odds(
        min(ceil(1000 * right * _MARGIN), 1000),
        min(ceil(1000 * participants * _MARGIN), 1000),
    )


def flagged(composition: Composition, false_alarms: Sequence[float]) -> tuple[float, ...]:
    """The trade-off curve: upper bounds on the share of participants that a test flags.

    Of a test that flags a share f of those who did not take part, (ε, δ) bounds the share of
    participants by e^ε·f + δ and by 1 − e^−ε·(1 − f − δ); the least over the certified curve holds
    (Kairouz, Oh, Viswanath, ICML 2015).

    Args:
        false_alarms: 0 ≤ f ≤ 1.

    Returns:
        For each f a share, f or more and at most 1.
    """
    curve = _curve(composition)
    return tuple(
        min(allowed(epsilon, delta, share) for epsilon, delta in curve) for share in false_alarms
    )


def allowed(epsilon: float, delta: float, false_alarms: float) -> float:
    """What one pair (ε, δ) says of the share of participants that a test flags."""
    bound = min(
        exp(min(epsilon, 700.0)) * false_alarms + delta,  # beyond, floats end
        1 - exp(-epsilon) * (1 - false_alarms - delta),
    )
    return min(bound * _MARGIN, 1.0)


def _distance(composition: Composition) -> float:
    """An upper bound on the total variation distance between the worlds with and without a person.

    δ(0), if there are events.  Otherwise of a Kullback-Leibler divergence of at most ρ, which
    ρ-zCDP implies: √(ρ/2) (Pinsker) and √(1 − e^−ρ) (Bretagnolle, Huber 1979).  A slack a adds at
    most e^a − 1, since P − Q ≤ P − e^a·Q + (e^a − 1) on any event.  Pure ε: tanh(ε/2) (Kairouz,
    Oh, Viswanath 2015).
    """
    rho = float(composition.mu_squared / 2) * _MARGIN
    ideal = min(sqrt(rho / 2), sqrt(-expm1(-rho)))
    if composition.events is not None:
        with suppress(ValueError, ArithmeticError):  # noise beyond its range
            ideal = min(ideal, delta_upper_bound(composition.events, 0.0))
    slack = float(composition.slack) * _MARGIN
    distance = exp(slack) * ideal + expm1(slack)
    if composition.pure is not None:
        beyond = expm1(-float(composition.pure))
        distance = min(distance, -beyond / (2 + beyond) * _MARGIN)
    return distance


@lru_cache(maxsize=8)
def _curve(composition: Composition) -> tuple[tuple[float, float], ...]:
    """Pairs (ε, δ) that the composition keeps."""
    found = [(0.0, _distance(composition))]
    if composition.pure is not None:
        found.append((float(composition.pure) * _MARGIN, 0.0))
    for accountant in (PLD, ZCDP):
        try:
            epsilons = accountant.epsilons(composition, _DELTAS)
        except (ValueError, ArithmeticError):
            continue
        found += zip(epsilons, map(float, _DELTAS), strict=True)
        break
    return tuple(found)
