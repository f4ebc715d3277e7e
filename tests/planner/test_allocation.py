"""The closed form of the allocation against numerical optima, and the budget's limits."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from secgen_dsl.ir.queries import Importance, Marginal
from secgen_dsl.planner.allocation import VARIANCE_STEP, Measured, allocate, objective


def measured(tables: int, sensitivity: Fraction, coefficient: Fraction, bins: int = 1) -> Measured:
    marginal = Marginal(
        kind="marginal",
        id="m",
        statement="",
        columns=(),
        panel="p" if bins > 1 else None,
        gene=None,
        bins=bins,
        binning="none",
        reference="",
        edges=(),
        learned=None,
        importance=Importance(weight=Fraction(1), share=None, error=None),
    )
    return Measured(
        marginal,
        "centred" if bins > 1 else "identity",
        tables,
        sensitivity,
        coefficient,
        pool="",
        ceiling=None,
    )


ITEMS = st.builds(
    lambda tables, bins, coefficient: measured(
        tables, 1 - Fraction(1, bins) if bins > 1 else Fraction(1), coefficient, bins
    ),
    st.integers(1, 60),
    st.sampled_from([1, 1, 2, 4, 10]),
    st.fractions(Fraction(1, 20), 200, max_denominator=20),
)


def spent(items: list[Measured], variances: tuple[Fraction, ...]) -> Fraction:
    return sum(
        (m.tables * m.table_sensitivity_squared / v for m, v in zip(items, variances, strict=True)),
        Fraction(0),
    )


def numerical_optimum(items: list[Measured], mu: float, honest: int) -> float:
    """Least Σ T·a·v with Σ T·Δ²/v ≤ μ² and v ≥ floor, in w = 1/v (convex, linear constraint)."""
    cost = np.array([float(m.tables * m.coefficient) for m in items])
    load = np.array([float(m.tables * m.table_sensitivity_squared) for m in items])
    highest = np.array([1 / float(m.least_variance(honest)) for m in items])
    start = np.minimum(highest, mu**2 / load.sum()) * 0.9
    unit = start.copy()
    found = minimize(
        lambda x: (cost / (x * unit)).sum() / (cost / start).sum(),
        np.ones(len(items)),
        jac=lambda x: -(cost / unit / x**2) / (cost / start).sum(),
        bounds=[(1e-9, h / u) for h, u in zip(highest, unit, strict=True)],
        constraints={
            "type": "ineq",
            "fun": lambda x: 1 - (load * x * unit).sum() / mu**2,
            "jac": lambda x: -load * unit / mu**2,
        },
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-13},
    )
    assert found.success
    return float((cost / (found.x * unit)).sum())


@settings(max_examples=40)
@given(st.lists(ITEMS, min_size=1, max_size=5), st.floats(0.05, 8), st.integers(2, 3))
def test_the_closed_form_is_the_numerical_optimum(
    items: list[Measured], mu: float, honest: int
) -> None:
    variances = allocate(items, Fraction(mu), honest)
    best = numerical_optimum(items, mu, honest)
    rounding = sum(float(m.tables * m.coefficient) / VARIANCE_STEP for m in items)
    reached = float(objective(items, variances))
    assert reached >= best * (1 - 1e-4)
    assert reached <= best * (1 + 1e-4) + rounding


@given(
    st.lists(ITEMS, min_size=1, max_size=6), st.fractions(Fraction(1, 50), 10), st.integers(2, 4)
)
def test_the_budget_is_kept_and_used(items: list[Measured], mu: Fraction, honest: int) -> None:
    variances = allocate(items, mu, honest)
    assert spent(items, variances) <= mu**2
    floors = [m.least_variance(honest) for m in items]
    assert all(v >= floor for v, floor in zip(variances, floors, strict=True))
    # What is left over is what the floors and the steps of 1/16 do not allow to be spent.
    if all(v > floor for v, floor in zip(variances, floors, strict=True)):
        finer = tuple(v - Fraction(1, VARIANCE_STEP) for v in variances)
        assert min(finer) <= 0 or spent(items, finer) >= mu**2


def test_one_table_by_hand() -> None:
    # σ² = T·Δ²/μ² = 100·1/1
    assert allocate([measured(100, Fraction(1), Fraction(1))], Fraction(1), 2) == (100,)


def test_two_tables_by_hand() -> None:
    # σᵢ² = (Δᵢ/√aᵢ)·Σ Tⱼ·Δⱼ·√aⱼ/μ²: (1/1)·(60 + 40·2) and (1/2)·(60 + 40·2)
    items = [measured(60, Fraction(1), Fraction(1)), measured(40, Fraction(1), Fraction(4))]
    assert allocate(items, Fraction(1), 2) == (140, 70)


def test_a_floor_leaves_the_rest_to_the_others() -> None:
    # The first wants σ² = .5·(1·√16 + 100)/μ²… below its floor of 8, which spends 1/8 of μ² = 1.
    items = [measured(1, Fraction(1), Fraction(400)), measured(100, Fraction(1), Fraction(1))]
    first, second = allocate(items, Fraction(1), 2)
    assert first == 8
    assert second == pytest.approx(100 / (1 - 1 / 8), abs=1 / VARIANCE_STEP)


def test_a_greater_weight_gets_less_noise() -> None:
    light, heavy = measured(50, Fraction(1), Fraction(1)), measured(50, Fraction(1), Fraction(9))
    first, second = allocate([light, heavy], Fraction(1), 2)
    # σ² is proportional to Δ/√a, up to the steps.
    assert float(first) == pytest.approx(3 * float(second), abs=4 / VARIANCE_STEP)
