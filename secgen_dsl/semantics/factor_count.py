"""How many factors moments should have: `in factors from NAME`, by predicted error."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

from secgen_dsl.ir.program import Privacy
from secgen_dsl.privacy.renyi import mu_for_zcdp_budget

MOST_CHOSEN = 20
"""More are counted out by the author, up to ``MAXIMUM_FACTORS``."""

LEAST_CHOSEN = 3

_PEOPLE = 1_000
"""If the spec states no bound."""

_LABEL_PART = Fraction(3, 20)
"""Of a factor's public variance, what labels are taken to explain."""

_RARE = 3
"""A label that the factors should still tell has a third of the mean label's people."""

_SCORES_PART = Fraction(1, 2)
"""Of what moments get, what class sums of scores have, about."""

_BITS = 40


@dataclass(frozen=True)
class Means:
    """What a line of moments has to spend, from public facts.

    Attributes:
        privacy: the promise.
        part: of the budget that the line gets, 0..1.
        people: bound, or None.
        labels: number of label cells.
        samples: of one person at most.
        parties: m.
        tolerated: t < m.
    """

    privacy: Privacy
    part: Fraction
    people: int | None
    labels: int
    samples: int
    parties: int
    tolerated: int


def choose_count(variances: Sequence[Fraction], divisors: Sequence[Fraction], means: Means) -> int:
    """The number of factors with the least predicted error of a rare label's mean.

    A factor that is left out costs ``κλ``, the variance of labels along it.  One that is measured
    costs ``2κλ(1 − √f)``, f = κλ/(κλ + noise): the error of a deviation that is kept at its size
    (``synthesis/shrinkage``); and it lengthens the clip, hence the noise of all others.  In
    rationals, so that every machine chooses the same number.

    Args:
        variances: λ of the factors that could be taken, falling.
        divisors: theirs.
        means: to spend.
    """
    mu = mu_for_zcdp_budget(means.privacy.epsilon, means.privacy.delta)
    released = Fraction(means.parties, means.parties - means.tolerated)
    people = Fraction(means.people or _PEOPLE, means.labels * _RARE)
    unit = released * means.samples**2 / (mu**2 * means.part * _SCORES_PART * people**2)
    errors = []
    for count in range(1, len(variances) + 1):
        taken = list(zip(variances[:count], divisors[:count], strict=True))
        clip = sum((v / d**2 for v, d in taken), Fraction(0))
        error = _LABEL_PART * sum(variances[count:], Fraction(0))
        for variance, divisor in taken:
            signal = _LABEL_PART * variance
            share = signal / (signal + unit * clip * divisor**2)
            error += 2 * signal * (1 - _root(share))
        errors.append(error)
    best = min(range(len(errors)), key=errors.__getitem__) + 1
    return min(max(best, LEAST_CHOSEN), len(variances))


def _root(number: Fraction) -> Fraction:
    """√number to 2^−20, downwards."""
    scaled = (number.numerator << _BITS) // number.denominator
    return Fraction(isqrt(scaled), 1 << (_BITS // 2))
