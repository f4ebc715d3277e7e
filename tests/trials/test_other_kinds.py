"""Nobody can tell more of vectors, learned bins and Laplace noise either (PRIVACY 7.1, T4)."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.ir.plan import Plan
from secgen_dsl.queries import vectors
from secgen_dsl.runtime.noise import NoiseSource
from tests.trials.game import FIRST_ALARM, Games, Verdict, judge, trial
from tests.trials.rounds import both, claim_of, exact_of, play_rounds, promised_by, ratio_of
from tests.trials.sources import Batched, Tabulated
from tests.trials.studies import (
    OTHER_KINDS,
    PROMISED_MU,
    REPAIR,
    some_people,
    study_of,
    with_people,
)

OTHERS = some_people(6, 2, REPAIR)
SILO = some_people(6, 1, REPAIR)
PERSON = with_people(some_people(0, 1, REPAIR), ["male"], [20.0] * len(REPAIR))
"""At the end of the range for every gene: longer than every clip."""

TABLES = (SILO, PERSON, OTHERS)


def played(plan: Plan, source: Callable[[], NoiseSource], runs: int) -> Games:
    return play_rounds(plan, source, runs, TABLES)


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_the_person_who_is_sought_costs_what_the_first_round_declares(kind: str) -> None:
    """By the real encoder: nearly the declared sensitivity over the variance, and never more."""
    plan = study_of(kind).plan
    known, shifts = exact_of(plan, plan.rounds[0], plan.program, (both(SILO, OTHERS), PERSON))
    for release in plan.rounds[0].releases:
        shift, claim = shifts[release.query], claim_of(release)
        # Seen exactly at the person's sums, the ratio is half of μ²; for Laplace noise it is ε.
        ratio = ratio_of(plan, release, shift, shift)
        cost = ratio if kind == "laplace" else 2 * ratio
        most = claim if kind == "laplace" else claim**2
        assert 0.99 * most < cost <= most * (1 + 1e-12)
        assert known[release.query].any()


def test_what_is_promised_is_what_was_asked_for() -> None:
    for kind in ("moments", "learned bins"):  # by Rényi curves: 6 to 8% below the Gaussian μ
        assert 0.9 * PROMISED_MU < promised_by(study_of(kind).plan) < PROMISED_MU
    assert 0.999 < promised_by(study_of("laplace").plan) <= 1


@pytest.mark.parametrize(
    "runs", [1_000, pytest.param(5_000, marks=pytest.mark.slow)], ids=["1000", "5000"]
)
@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_the_attacker_does_not_beat_the_promise(kind: str, runs: int) -> None:
    """The system's noise, drawn in batches.  False alarm: at most 10⁻⁹ (``trial``).

    The least bound is that of a game that measures something; the expected one is about .25
    greater, many standard deviations.
    """
    plan = study_of(kind).plan
    verdict = trial(promised_by(plan), partial(played, plan, Batched), runs)
    assert not verdict.refuted, f"(bound, claim), the whole plan first: {verdict.bounds}"
    assert verdict.bound > LEAST[kind, runs]


LEAST = {
    ("moments", 1_000): 0.2,
    ("moments", 5_000): 0.4,
    ("learned bins", 1_000): 0.2,
    ("learned bins", 5_000): 0.4,
    ("laplace", 1_000): 0.2,
    ("laplace", 5_000): 0.4,
}


def judged(kind: str, source: Callable[[], NoiseSource], runs: int) -> Verdict:
    plan = study_of(kind).plan
    return judge(played(plan, source, runs), promised_by(plan), FIRST_ALARM)


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_too_little_noise_is_noticed(kind: str) -> None:
    """A quarter of the variance, half of a Laplace scale (seeded, so that it cannot flicker)."""
    factor = Fraction(1, 2 if kind == "laplace" else 4)
    source = partial(Tabulated, np.random.default_rng(1), factor)
    assert judged(kind, source, 600).refuted


def test_a_forgotten_clip_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sensitivity is that of clipped vectors; unclipped, one person outweighs the noise."""
    monkeypatch.setattr(vectors, "clip", lambda rows, bound: rows)
    verdict = judged("moments", partial(Tabulated, np.random.default_rng(2)), 100)
    assert verdict.bound > promised_by(study_of("moments").plan) + 0.5


@pytest.mark.parametrize("content", ["means", "squares"])
def test_a_first_round_without_noise_is_noticed(content: str) -> None:
    """What learns the bins takes a small part of the budget; without noise it gives all away."""

    class Exact(Tabulated):
        def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
            drawn = super().draw(marginal, cells, variance)
            return drawn * (not marginal.startswith(content))

    verdict = judged("learned bins", partial(Exact, np.random.default_rng(3)), 100)
    assert verdict.refuted
    assert max(bound - claim for bound, claim in verdict.bounds) > 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_right_noise_of_the_same_making_is_not_flagged(kind: str) -> None:
    """The seeded sources of this file accuse nobody by themselves."""
    assert not judged(kind, partial(Tabulated, np.random.default_rng(4)), 1_000).refuted
