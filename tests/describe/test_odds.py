"""What is printed as "at most" is at least what the best test reaches, and hardly more."""

from fractions import Fraction
from math import exp, sqrt

import numpy as np
import pytest

from secgen_dsl.describe.odds import Odds, odds_of
from secgen_dsl.privacy.bound import compose
from secgen_dsl.privacy.events import BoundedLoss, Composition, ShiftedGaussian
from tests.conftest import PlannedStudy


def best_test(variance: Fraction, copies: int) -> tuple[float, float]:
    """Accuracy at equal odds, and participants of 1,000 flagged beside 1% of others.

    The sum of ``copies`` discrete Gaussians is sufficient, and likelihood ratios rise with it: the
    best tests are thresholds, one of them randomised (Neyman, Pearson).
    """
    reach = int(12 * sqrt(variance)) + 5
    x = np.arange(-reach, reach + 1)
    one = np.exp(-(x**2) / (2 * float(variance)))
    one /= one.sum()
    law = one
    for _ in range(copies - 1):
        law = np.convolve(law, one)
    law = np.concatenate([law, np.zeros(copies)])
    others = law[::-1].cumsum()[::-1]
    moved = np.concatenate([np.zeros(copies), law[:-copies]])[::-1].cumsum()[::-1]
    place = int(np.argmax(others <= 0.01))
    part = (0.01 - others[place]) / (others[place - 1] - others[place])
    flagged = moved[place] + part * (moved[place - 1] - moved[place])
    return 0.5 + float((moved - others).max()) / 2, 1000 * float(flagged)


def percent(odds: Odds) -> float:
    return float(odds.accuracy.removesuffix("%"))


@pytest.mark.parametrize("copies", [1, 2, 5])
@pytest.mark.parametrize("variance", ["8", "129/16", "10", "16", "35", "200", "5000"])
def test_gaussian_noise(variance: str, copies: int) -> None:
    event = ShiftedGaussian(Fraction(variance), 1, copies)
    odds = odds_of(Composition((event,), event.mu_squared, Fraction(0)))
    accuracy, flagged = best_test(Fraction(variance), copies)
    assert 100 * accuracy <= percent(odds) < 100 * accuracy + 0.11
    assert flagged <= odds.flagged < flagged * 1.01 + 1.1


@pytest.mark.parametrize("loss", ["1/100", "1/2", "1", "3"])
def test_one_answer_of_bounded_loss(loss: str) -> None:
    """Randomised response: e^ε/(1 + e^ε), and the kink of its trade-off curve."""
    epsilon = Fraction(loss)
    event = BoundedLoss(epsilon, 1)
    odds = odds_of(Composition((event,), event.mu_squared, Fraction(0), epsilon))
    accuracy, flagged = 1 / (1 + exp(-epsilon)), 10 * exp(epsilon)
    assert 100 * accuracy <= percent(odds) < 100 * accuracy + 0.11
    assert flagged <= odds.flagged < flagged + 1.1


def test_competing_shifts_get_what_is_proved(colorectal: PlannedStudy) -> None:
    """No one-dimensional pair is known to dominate: ρ alone speaks, and it says less."""
    composition = compose(colorectal.plan)
    rho = float(composition.mu_squared / 2)
    competing = odds_of(Composition(None, composition.mu_squared, composition.slack))
    assert percent(competing) >= 100 * (1 + min(sqrt(rho / 2), sqrt(1 - exp(-rho)))) / 2
    ours = odds_of(composition)
    assert percent(competing) > percent(ours)
    assert competing.flagged > ours.flagged


def test_slack_counts() -> None:
    event = ShiftedGaussian(Fraction(100), 1, 1)
    plain, slack = (odds_of(Composition((event,), event.mu_squared, a)) for a in (
        Fraction(0), Fraction(1, 20)))  # fmt: skip
    assert percent(slack) >= percent(plain) + 100 * 0.05 / 2
    assert slack.flagged > plain.flagged


def test_no_noise_to_speak_of_is_no_protection() -> None:
    odds = odds_of(Composition(None, Fraction(10**6), Fraction(0)))
    assert (odds.accuracy, odds.flagged) == ("100.0%", 1000)
