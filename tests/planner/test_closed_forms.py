"""The tables of the privacy reference, section 2.1: noise of each group and gain over uniform."""

import math
from fractions import Fraction

import pytest

from secgen_dsl.planner.allocation import Measured, allocate, objective
from secgen_dsl.privacy.gdp import mu_for_budget
from tests.planner.test_allocation import measured

MU = mu_for_budget(Fraction(4), Fraction(1, 10**5))
GENES_AND_PAIRS = ((1000, 20), (50, 16))

CASES = [
    # (tables, cells) of the groups; weights; their σ; σ of all alike; objective ÷ that of all alike
    (GENES_AND_PAIRS, (1, 1), (34.95, 36.95), 35.03, 0.9995),
    (GENES_AND_PAIRS, (1, 20), (37.5, 18.7), 35.0, 0.762),
    (GENES_AND_PAIRS, (1, 100), (41.1, 13.7), 35.0, 0.399),
    (((800, 15), (150, 40), (50, 64)), (1, 1, 1), (36.6, 28.7, 25.5), 34.2, 0.933),
    (((100, 20), (900, 20)), (25, 1), (18.1, 40.5), 34.2, 0.577),
    (((100, 20), (900, 20)), (100, 1), (14.9, 47.1), 34.2, 0.331),
]


@pytest.mark.parametrize(("groups", "weights", "sigmas", "uniform", "gain"), CASES, ids=range(6))
def test_noise_of_each_group_and_the_gain(
    groups: tuple[tuple[int, int], ...],
    weights: tuple[int, ...],
    sigmas: tuple[float, ...],
    uniform: float,
    gain: float,
) -> None:
    one = Fraction(1)
    items: list[Measured] = [
        measured(tables, one, Fraction(cells * weight))
        for (tables, cells), weight in zip(groups, weights, strict=True)
    ]
    variances = allocate(items, MU, 2)
    digits = 0.006 if sigmas[0] == 34.95 else 0.06
    assert [math.sqrt(v) for v in variances] == pytest.approx(list(sigmas), abs=digits)
    alike = sum(tables for tables, _ in groups) / MU**2
    assert math.sqrt(alike) == pytest.approx(uniform, abs=0.06)
    reached = objective(items, variances) / objective(items, [alike] * len(items))
    assert float(reached) == pytest.approx(gain, abs=0.0006)


@pytest.mark.parametrize("count", [1, 7, 500])
def test_queries_that_are_alike_are_one_variable(count: int) -> None:
    """As many tables in one query, or in as many queries: the same noise."""
    one, four = Fraction(1), Fraction(4)
    whole = allocate([measured(count, one, four), measured(3, one, one)], MU, 2)
    apart = allocate([*[measured(1, one, four)] * count, measured(3, one, one)], MU, 2)
    assert apart == (*[whole[0]] * count, whole[1])
