"""Laplace noise on the real path, white box: from a plan to the sum of the honest parties' values.

Right noise fails a test of this file with probability below 10⁻⁹ a run (``laws``).
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.ir.plan import LaplaceNoise, Plan
from secgen_dsl.queries.contribution import noised_contribution
from secgen_dsl.queries.table import empty_table
from secgen_dsl.runtime.noise import SystemNoise
from tests.planner.test_laplace import planned
from tests.trials.laws import (
    ALARM,
    ALARM_OF_MANY,
    correlation_sd,
    dependence_faults,
    discrete_laplace,
    equal_cells,
    law_faults,
    polya_share,
)

HONEST = 2  # of three parties, of which one may collude
GENES = 60
MEASURE = "marginal label * genes in 4 equal bins; marginal sex * genes in 4 equal bins"
RUNS = 10

Drawn = dict[tuple[str, str], NDArray[np.int64]]
"""(party, release) → what a party without people contributes in some runs, one after the other."""


def contributions(plan: Plan, runs: int) -> Drawn:
    table = empty_table(plan.program)
    drawn: dict[tuple[str, str], list[NDArray[np.int64]]] = {}
    for _, party in itertools.product(range(runs), plan.parties):
        for name, y in noised_contribution(plan, plan.rounds[0], table, SystemNoise()).items():
            drawn.setdefault((party, name), []).append(y)
    return {key: np.concatenate(parts) for key, parts in drawn.items()}


def scale_for(plan: Plan, name: str) -> Fraction:
    """b of the L1 sensitivity and of the part of ε that the release declares: b = Δ/ε."""
    (noise,) = (release.noise for release in plan.releases() if release.query == name)
    assert isinstance(noise, LaplaceNoise)
    return noise.scale


@pytest.fixture(scope="module")
def plan() -> Plan:
    """120 tables, 1,200 and 480 cells, of scales of about 5 and 7."""
    return planned(MEASURE, epsilon="20")


@pytest.fixture(scope="module")
def drawn(plan: Plan) -> Drawn:
    return contributions(plan, RUNS)


def test_the_scales_are_those_of_the_promise(plan: Plan) -> None:
    """A person moves one cell of each of 60 + 60 tables by 1: ε = 60/b₁ + 60/b₂."""
    spent = sum(GENES / scale_for(plan, release.query) for release in plan.releases())
    assert Fraction(1999, 100) < spent <= 20
    assert len(plan.parties) - plan.threshold == HONEST


def test_the_honest_parties_sum_is_discrete_laplace_noise_of_b(plan: Plan, drawn: Drawn) -> None:
    """Whichever two of the three are honest; 12,000 and 4,800 cells each."""
    for release in plan.releases():
        law = discrete_laplace(float(scale_for(plan, release.query)))
        for honest in itertools.combinations(plan.parties, HONEST):
            total = np.sum([drawn[party, release.query] for party in honest], axis=0)
            assert len(total) == RUNS * release.raw_cells
            assert law_faults(total, law) == set()


def test_each_contribution_is_one_share(plan: Plan, drawn: Drawn) -> None:
    for (_, name), values in drawn.items():
        law = polya_share(float(scale_for(plan, name)), HONEST)
        # Their squares are too skewed for the test of the variance: that is of the sums.
        assert law_faults(values, law) <= {"variance"}


def test_no_cell_release_party_or_run_knows_another(drawn: Drawn) -> None:
    for values in drawn.values():
        assert dependence_faults(values) == set()
    for (one, first), (other, second) in itertools.combinations(drawn.items(), 2):
        cells = min(len(first), len(second))
        limit = ALARM if one[1] == other[1] else ALARM_OF_MANY
        assert abs(correlation_sd(first[:cells], second[:cells])) < limit


def test_not_even_a_few_draws_are_shared(plan: Plan) -> None:
    """b = 10⁹: that two shares are equal has probability below 10⁻⁷, and is never seen 5 times."""
    first = plan.rounds[0]
    releases = tuple(
        one.model_copy(update={"noise": one.noise.model_copy(update={"scale": Fraction(10**9)})})
        for one in first.releases
    )
    wide = plan.model_copy(update={"rounds": (first.model_copy(update={"releases": releases}),)})
    every = [values for _ in range(2) for values in contributions(wide, 1).values()]
    for one, other in itertools.combinations(every, 2):
        cells = min(len(one), len(other))
        assert equal_cells(one[:cells], other[:cells]) < 5
    for values in every:
        assert len(np.unique(values)) > len(values) - 5
