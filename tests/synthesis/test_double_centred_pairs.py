"""Double-centred pairs: counts put together from interactions, the genes' own tables and totals."""

import csv
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.ir.plan import LinearMap, Plan
from secgen_dsl.planner.pairs import double_centred_variance
from secgen_dsl.synthesis.fitting import fit_model
from secgen_dsl.synthesis.measured import PairCounts, read_measurements, undo_double_centring
from secgen_dsl.synthesis.measured_table import write_measured_table

from .studies import (
    Floats,
    People,
    column,
    gene_pairs,
    marginal,
    measure,
    panel,
    plan_of,
    program,
    raw_counts,
)

SUBTYPE = column("subtype", "x", "y")
SEX = column("sex", "f", "m", "u")
EDGES = [[5, 10], [6, 12], [7, 14]]
GENES = panel("genes", ["A", "B", "C"])
OWN = marginal(["sex"], "genes", EDGES)
PAIRS = gene_pairs("genes", ["A", "B", "C"], [(0, 1), (0, 2), (1, 2)], EDGES)
LABELS = marginal(["sex"])
STUDY = program([SUBTYPE, SEX], [LABELS, OWN, PAIRS], [GENES])
MAPS: list[LinearMap] = ["identity", "centred", "double-centred"]


def some_people(number: int = 200) -> People:
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 1, number)
    return People(
        {"subtype": rng.integers(0, 2, number), "sex": rng.integers(0, 3, number)},
        {gene: (10 + 3 * (shared + rng.normal(0, 1, number))).clip(0, 20) for gene in GENES.genes},
    )


def pairs_of(plan: Plan, seed: int | None, people: People | None = None) -> PairCounts:
    rng = None if seed is None else np.random.default_rng(seed)
    (found,) = read_measurements(plan, measure(plan, people or some_people(), rng)).pairs
    return found


def interaction_of(counts: Floats) -> Floats:
    rows, columns = counts.mean(axis=-1, keepdims=True), counts.mean(axis=-2, keepdims=True)
    return counts - rows - columns + counts.mean(axis=(-2, -1), keepdims=True)


@pytest.mark.parametrize("own", ["identity", "centred"])
def test_without_noise_the_counts_are_those_of_the_people(own: LinearMap) -> None:
    plan = plan_of(STUDY, [9, 9, 9], ["identity", own, "double-centred"])
    found = pairs_of(plan, None)
    np.testing.assert_allclose(
        found.counts[:, 0], raw_counts(STUDY, PAIRS, some_people()), atol=1e-9
    )
    assert found.variance == pytest.approx(9)
    assert found.pairs == PAIRS.pairs
    np.testing.assert_allclose(found.edges, EDGES)


def test_undoing_the_map() -> None:
    counts = np.random.default_rng(2).integers(0, 50, (4, 3, 3))
    rows, columns = counts.sum(axis=2, keepdims=True), counts.sum(axis=1, keepdims=True)
    mapped = 9 * counts - 3 * rows - 3 * columns + counts.sum(axis=(1, 2), keepdims=True)
    opened = mapped[:, :2, :2].ravel().astype(np.float64)
    for tables, labels in ((4, 1), (2, 2)):
        found = undo_double_centring(opened, (tables, 3 * labels, 3))
        assert found.shape == (tables, labels, 3, 3)
        np.testing.assert_allclose(found.reshape(4, 3, 3), interaction_of(counts), atol=1e-12)


def test_the_interaction_is_that_of_the_same_noised_cells() -> None:
    """So the model's likelihood, which looks at nothing else, is the one of plain tables."""
    plain = plan_of(STUDY, [9, 9, 30], ["identity", "centred", "identity"])
    double = plan_of(STUDY, [9, 9, 30], MAPS)
    first, second = pairs_of(plain, 3), pairs_of(double, 3)
    np.testing.assert_allclose(
        interaction_of(first.counts), interaction_of(second.counts), atol=1e-9
    )
    assert first.variance == second.variance
    assert not np.allclose(first.counts, second.counts, atol=1)


def test_no_total_is_taken_from_pairs_that_have_none() -> None:
    plan = plan_of(STUDY, [9, 9, 9], MAPS)
    read = read_measurements(plan, measure(plan, some_people(), None))
    assert [table.columns for table in read.categories] == [("sex",)]


@pytest.mark.parametrize(
    ("variances", "maps"),
    [
        ([20, 16, 60], MAPS),
        ([20, 16, 60], ["identity", "identity", "double-centred"]),
        ([200, 4, 60], ["identity", "identity", "double-centred"]),
    ],
)
def test_the_predicted_error_is_the_realised_one(
    variances: list[int], maps: list[LinearMap]
) -> None:
    """Pooled over the cells of 400 runs, within 4 standard errors."""
    plan = plan_of(STUDY, variances, maps)
    people = some_people(30)
    truth = raw_counts(STUDY, PAIRS, people)
    runs = 400
    squares = [
        float(((pairs_of(plan, seed, people).counts[:, 0] - truth) ** 2).mean())
        for seed in range(runs)
    ]
    release = next(r for r in plan.releases() if r.query == PAIRS.id)
    predicted = float(double_centred_variance(plan, PAIRS, plan.released_variance(release)))
    # Whole-number noise: rounding adds 1/12 to each raw variance.
    error = float(np.std(squares)) / runs**0.5
    assert float(np.mean(squares)) == pytest.approx(predicted, abs=4 * error + 0.02 * predicted)
    assert error < 0.03 * predicted


def test_of_two_own_tables_the_more_exact_one_is_used() -> None:
    other = marginal(["subtype"], "genes", EDGES)
    study = program([SUBTYPE, SEX], [LABELS, OWN, other, PAIRS], [GENES])
    people = some_people()
    maps: list[LinearMap] = ["identity", "identity", "identity", "double-centred"]
    noisy = plan_of(study, [9, 10**8, 1, 1], maps)
    found = pairs_of(noisy, 5, people)
    assert float(np.abs(found.counts[:, 0] - raw_counts(study, PAIRS, people)).max()) < 15


def test_the_model_has_the_correlation_of_the_people() -> None:
    people = some_people(3000)
    plan = plan_of(STUDY, [9, 9, 9], MAPS)
    model = fit_model(plan, measure(plan, people, np.random.default_rng(0)), {}, {})
    # Each gene is a shared part and a part of its own, of equal variance.
    latent = model.latent.matrices[0]
    np.testing.assert_allclose(latent[~np.eye(3, dtype=bool)], 0.5, atol=0.08)


def test_the_table_for_people_shows_interactions(tmp_path: Path) -> None:
    plan = plan_of(STUDY, [9, 9, 36], MAPS)
    people = some_people()
    path = tmp_path / "measurements.csv"
    write_measured_table(path, plan, measure(plan, people, None))
    with path.open(encoding="utf-8", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["marginal"] == PAIRS.id]
    assert len(rows) == 27
    assert {r["kind"] for r in rows} == {"interaction"}
    assert {r["noise_sd"] for r in rows} == {"4.0000"}  # 6·(1 − 1/3)
    shown = np.array([float(r["value"]) for r in rows]).reshape(3, 3, 3)
    np.testing.assert_allclose(shown, interaction_of(raw_counts(STUDY, PAIRS, people)), atol=1e-4)
    assert (rows[1]["gene"], rows[1]["labels"], rows[1]["from"]) == ("A × B", "A=[0, 5)", "6")
