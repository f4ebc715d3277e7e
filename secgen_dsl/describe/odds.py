"""What a plan's noise means for somebody who tests whether a person took part."""

from dataclasses import dataclass
from math import ceil, erf, exp, sqrt

from secgen_dsl.privacy.events import Composition
from secgen_dsl.privacy.pld import delta_upper_bound

_STEPS = 64


@dataclass(frozen=True)
class Odds:
    """Bounds on any test.

    Attributes:
        accuracy: how often the best test is right whether a person took part, at equal odds.
        flagged: of 1,000 participants, at most so many are flagged by a test that wrongly flags
            1% of others.
    """

    accuracy: str
    flagged: int


def odds_of(composition: Composition, mu: float) -> Odds:
    """The odds of a plan.

    Gaussian noise: Φ(μ/2) and Φ(Φ⁻¹(.01) + μ), μ-GDP (Dong, Roth, Su, J. R. Stat. Soc. B 84 (2022)
    3).  Laplace noise: (1 + δ(0))/2, and the least of e^ε·.01 + δ(ε) and 1 − e^−ε·(.99 − δ(ε))
    among some ε, with δ(ε) the certified curve: every (ε, δ) bounds every test in these two ways
    (Kairouz, Oh, Viswanath, ICML 2015).

    Args:
        mu: of the certificate; with Laplace noise it plays no part.
    """
    if composition.pure is None or composition.events is None:
        return Odds(_percent(_normal(mu / 2)), ceil(1000 * _normal(-2.3263478740408408 + mu)))
    events, most = composition.events, float(composition.pure)
    flagged = 1.0
    for step in range(_STEPS + 1):
        epsilon = most * step / _STEPS
        delta = delta_upper_bound(events, epsilon) if step < _STEPS else 0.0
        flagged = min(flagged, exp(epsilon) / 100 + delta, 1 - exp(-epsilon) * (0.99 - delta))
    right = min((1 + delta_upper_bound(events, 0.0)) / 2, 1 / (1 + exp(-most)))
    return Odds(_percent(right), ceil(1000 * flagged))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _normal(x: float) -> float:
    return 0.5 * (1 + erf(x / sqrt(2)))
