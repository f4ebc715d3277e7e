"""Nobody can tell more than the certificate says, tried in earnest (PRIVACY 7.1, T4)."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.runtime.noise import NoiseSource, SystemNoise
from tests.trials.game import FIRST_ALARM, Verdict, judge, play, target_of, trial
from tests.trials.sources import Reused, Tabulated
from tests.trials.studies import (
    LABELS,
    PROMISED_MU,
    query_of,
    some_people,
    twenty_genes,
    with_people,
)

PLAN = twenty_genes().plan
HONEST = len(PLAN.parties) - PLAN.threshold


def test_the_worst_person_costs_what_the_plan_declares() -> None:
    """Exact, by the real encoder and map: δᵀΣ⁻¹δ is the declared sensitivity over the variance."""
    table = some_people(30, 1)
    for label in LABELS:
        total = 0.0
        for release in PLAN.releases():
            target = target_of(PLAN, release, table, with_people(table, [label], [10.0] * 20))
            declared = float(release.sensitivity_squared / release.variance)
            assert target.mu_squared == pytest.approx(declared, rel=1e-12)
            total += target.mu_squared
        assert 0.99 * PROMISED_MU < total**0.5 <= PROMISED_MU


@pytest.mark.parametrize(
    "runs", [1_000, pytest.param(5_000, marks=pytest.mark.slow)], ids=["1000", "5000"]
)
def test_the_attacker_does_not_beat_the_promise(runs: int) -> None:
    """The system's noise.  False alarm: at most 10⁻⁹ (``trial``).

    A right implementation gives a bound of about .57 with 1,000 runs and .65 with 5,000; less than
    .3, or .5, would be a game that measures nothing, and is 6 standard deviations off.
    """
    verdict = trial(PROMISED_MU, partial(play, PLAN, SystemNoise), runs)
    assert not verdict.refuted, f"(bound, claim), the whole plan first: {verdict.bounds}"
    assert verdict.bound > (0.3 if runs == 1_000 else 0.5)


def judged(source: Callable[[], NoiseSource], runs: int) -> Verdict:
    """The first stage's verdict on a source."""
    return judge(play(PLAN, source, runs), PROMISED_MU, FIRST_ALARM)


def wrong_noise(factor: Fraction, seed: int) -> "partial[Tabulated]":
    generator = np.random.default_rng(seed)
    return partial(Tabulated, generator, factor)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_half_the_variance_is_noticed(seed: int) -> None:
    """√2 too little noise, as where adjacency is mistaken (seeded, so that it cannot flicker)."""
    assert judged(wrong_noise(Fraction(1, 2), seed), 1_000).bound > PROMISED_MU + 0.05


@pytest.mark.parametrize(
    ("runs", "seed"), [(2_000, 3), pytest.param(5_000, 4, marks=pytest.mark.slow)]
)
def test_noise_split_by_all_parties_is_noticed(runs: int, seed: int) -> None:
    """σᵢ² = σ²/m in place of σ²/(m − t): at (3, 1) a factor of √1.5, less than √2."""
    factor = Fraction(HONEST, HONEST + PLAN.threshold)
    assert judged(wrong_noise(factor, seed), runs).bound > PROMISED_MU


def test_noise_that_tables_share_is_noticed() -> None:
    """Every table has the right noise, and all have the same: T tables average nothing out.

    (An attacker who knew it would see the person at once; this one, who does not, sees enough.)
    """
    (shape,) = (
        PLAN.program.shape(query_of(PLAN, release))
        for release in PLAN.releases()
        if release.tables > 1
    )

    def source() -> NoiseSource:
        return Reused(np.random.default_rng(5), period=shape[1] * shape[2])

    assert judged(source, 500).bound > PROMISED_MU + 0.2


def test_a_histogram_without_noise_is_noticed() -> None:
    """It is a small part of the whole plan's ratio; by itself it gives everybody away."""

    class ExactHistogram(Tabulated):
        def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
            return super().draw(marginal, cells, variance) * (cells > len(LABELS))

    verdict = judged(partial(ExactHistogram, np.random.default_rng(7)), 300)
    assert verdict.refuted
    assert max(bound - claim for bound, claim in verdict.bounds) > 1


@pytest.mark.slow
def test_right_noise_of_the_same_making_is_not_flagged() -> None:
    """The tabulated sources of this file accuse nobody by themselves."""
    verdict = judged(wrong_noise(Fraction(1), 6), 1_000)
    assert not verdict.refuted
    assert verdict.bound > 0.3
