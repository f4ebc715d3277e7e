"""Pairs counted by labels: counts put together again, and correlations of each label cell."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.ir.plan import LinearMap, Plan
from secgen_dsl.planner.pairs import double_centred_variance
from secgen_dsl.synthesis.fitting import fit_model
from secgen_dsl.synthesis.measured import PairCounts, read_measurements
from secgen_dsl.synthesis.measured_table import write_measured_table
from secgen_dsl.synthesis.model import TableModel
from secgen_dsl.synthesis.sample import draw_samples

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

SUBTYPE = column("subtype", "x", "y", "rare")
SEX = column("sex", "f", "m")
GENES = panel("p", "ABC")
EDGES = [[7.0, 9.0], [7.5, 9.5], [8.0, 9.0]]
ALL = [(0, 1), (0, 2), (1, 2)]
PAIRS = gene_pairs("p", "ABC", ALL, EDGES, columns=["subtype"])
MAPS: list[LinearMap] = ["identity", "double-centred"]


def people_of(sizes: list[int], correlations: list[float], seed: int = 3) -> People:
    """Genes A and B of those correlations in the labels; B and C have .3 everywhere.

    Every label has means of its own.
    """
    rng = np.random.default_rng(seed)
    subtype = np.repeat([0, 1, 2], sizes)
    noise = rng.normal(0, 1, (3, subtype.size))
    rho = np.array(correlations)[subtype]
    noise[0] = rho * noise[1] + (1 - rho**2) ** 0.5 * noise[0]
    noise[2] = 0.3 * noise[1] + 0.91**0.5 * noise[2]
    values = (8.5 + 0.6 * (subtype == 1) + 1.5 * noise).clip(0, 20)
    sex = rng.integers(0, 2, subtype.size)
    return People({"subtype": subtype, "sex": sex}, dict(zip("ABC", values, strict=True)))


def pairs_of(plan: Plan, people: People, seed: int | None) -> PairCounts:
    rng = None if seed is None else np.random.default_rng(seed)
    (found,) = read_measurements(plan, measure(plan, people, rng)).pairs
    return found


def study_of(*own: object, pairs: object = PAIRS) -> Plan:
    study = program([SUBTYPE, SEX], [*own, pairs], [GENES])  # type: ignore[list-item]
    return plan_of(study, [9] * (len(own) + 1))


OWN = marginal(["subtype"], "p", EDGES)
WITH_SEX = marginal(["sex", "subtype"], "p", EDGES)


@pytest.mark.parametrize(("own", "linear_map"), [(OWN, "identity"), (WITH_SEX, "centred")])
def test_without_noise_the_counts_are_those_of_the_people(own: object, linear_map: str) -> None:
    people = people_of([60, 40, 5], [0.5, -0.5, 0])
    labels = marginal(["sex", "subtype"])
    study = program([SUBTYPE, SEX], [own, labels, PAIRS], [GENES])  # type: ignore[list-item]
    truth = raw_counts(study, PAIRS, people).reshape(3, 3, 3, 3)
    for kept in ("identity", "double-centred"):
        plan = plan_of(study, [9, 9, 9], [linear_map, "identity", kept])  # type: ignore[list-item]
        found = pairs_of(plan, people, None)
        np.testing.assert_allclose(found.counts, truth, atol=1e-9)
        assert found.columns == ("subtype",)


@pytest.mark.parametrize("own", [OWN, WITH_SEX])
def test_the_predicted_error_is_the_realised_one(own: object) -> None:
    """Pooled over the cells of 300 runs, within 4 standard errors."""
    people = people_of([8, 5, 3], [0.5, -0.5, 0])
    study = program([SUBTYPE, SEX], [own, PAIRS], [GENES])  # type: ignore[list-item]
    plan = plan_of(study, [16, 60], MAPS)
    truth = raw_counts(study, PAIRS, people).reshape(3, 3, 3, 3)
    squares = [
        float(((pairs_of(plan, people, seed).counts - truth) ** 2).mean()) for seed in range(300)
    ]
    release = next(r for r in plan.releases() if r.query == PAIRS.id)
    predicted = float(double_centred_variance(plan, PAIRS, plan.released_variance(release)))
    error = float(np.std(squares)) / len(squares) ** 0.5
    assert float(np.mean(squares)) == pytest.approx(predicted, abs=4 * error + 0.02 * predicted)
    assert error < 0.03 * predicted


def fitted(plan: Plan, people: People, noise: int = 1) -> TableModel:
    return fit_model(plan, measure(plan, people, np.random.default_rng(noise)), {}, {})


def correlations_of(samples: Floats) -> Floats:
    return np.corrcoef(samples.T)[np.triu_indices(3, 1)]


@pytest.mark.parametrize("how", ["plain", "double-centred", "alone"])
def test_samples_have_the_correlations_of_each_label(how: str) -> None:
    """Opposite ones of A and B; with the pairs without labels there are none."""
    people = people_of([900, 900, 200], [0.8, -0.7, 0.0])
    queries = [PAIRS] if how == "alone" else [OWN, PAIRS]
    study = program([SUBTYPE, SEX], queries, [GENES])
    maps = [*("identity",) * (len(queries) - 1), "identity" if how != "double-centred" else how]
    plan = plan_of(study, [4] * len(queries), maps)  # type: ignore[arg-type]
    model = fitted(plan, people)
    assert model.latent.columns == ("subtype",)
    np.testing.assert_allclose(model.latent.matrices[:, 0, 1], [0.8, -0.7, 0.0], atol=0.08)
    np.testing.assert_allclose(model.latent.matrices[:, 1, 2], 0.3, atol=0.1)
    samples = draw_samples(model, 3000, np.random.default_rng(2))
    for label in range(3):
        real = np.array([people.expression[g][people.codes["subtype"] == label] for g in "ABC"])
        made = samples.values[samples.codes[:, 0] == label]
        # Values are spread evenly inside three wide bins: correlations are a little smaller.
        np.testing.assert_allclose(correlations_of(made), np.corrcoef(real)[np.triu_indices(3, 1)],
            atol=0.17)  # fmt: skip
        for place, edges in enumerate(EDGES):
            shares = [
                np.bincount(np.digitize(one, edges), minlength=3) / one.size
                for one in (made[:, place], real[place])
            ]
            np.testing.assert_allclose(*shares, atol=0.05)


def test_labels_that_do_not_differ_share_one_correlation() -> None:
    people = people_of([900, 900, 200], [0.6, 0.6, 0.6])
    model = fitted(study_of(OWN), people)
    np.testing.assert_allclose(model.latent.matrices[:, 0, 1], 0.6, atol=0.08)
    assert np.ptp(model.latent.matrices, axis=0).max() < 0.06


@pytest.mark.parametrize("noise", [400, 1])
def test_a_rare_label_tends_to_the_correlations_of_all(noise: int) -> None:
    """Forty people of −.7 among many of .7: they drown in noise of ±20 people a cell, not in ±1."""
    people = people_of([900, 900, 40], [0.7, 0.7, -0.7])
    study = program([SUBTYPE, SEX], [OWN, PAIRS], [GENES])
    model = fitted(plan_of(study, [4, noise]), people)
    np.testing.assert_allclose(model.latent.matrices[:2, 0, 1], 0.7, atol=0.12)
    rare = model.latent.matrices[2, 0, 1]
    assert rare > 0.4 if noise == 400 else rare < -0.3, rare


def test_every_matrix_is_a_correlation_matrix_however_noisy() -> None:
    people = people_of([60, 40, 0], [0.9, -0.9, 0])
    for seed in range(3):
        plan = plan_of(program([SUBTYPE, SEX], [OWN, PAIRS], [GENES]), [50, 500])
        for matrix in fitted(plan, people, seed).latent.matrices:
            np.testing.assert_allclose(np.diag(matrix), 1)
            assert np.linalg.eigvalsh(matrix)[0] > 0


def test_pairs_with_and_without_labels_add_up() -> None:
    """Of A and C only tables without labels: every label has that correlation."""
    some = gene_pairs("p", "AB", [(0, 1)], EDGES[:2], columns=["subtype"])
    rest = gene_pairs("p", "ABC", [(0, 1), (1, 2)], EDGES)
    people = people_of([900, 900, 200], [0.8, -0.7, 0.0])
    model = fitted(study_of(OWN, some, pairs=rest), people)
    np.testing.assert_allclose(model.latent.matrices[:, 0, 1], [0.8, -0.7, 0.0], atol=0.12)
    np.testing.assert_allclose(model.latent.matrices[:, 1, 2], 0.3, atol=0.1)


def test_labels_that_are_nearly_alike_share_one_matrix() -> None:
    """Noise hides what tells them apart: ω is small."""
    people = people_of([900, 900, 200], [0.6, 0.6, 0.6])
    study = program([SUBTYPE, SEX], [OWN, PAIRS], [GENES])
    matrices = fitted(plan_of(study, [4, 40_000]), people).latent.matrices
    assert matrices.shape == (3, 3, 3)
    np.testing.assert_array_equal(matrices, matrices[[0, 0, 0]])


def test_statements_may_name_the_labels_in_any_order() -> None:
    """Pairs by sex and subtype beside pairs by subtype and sex: one correlation of both."""
    people = people_of([900, 900, 200], [0.8, -0.7, 0.0])
    one = gene_pairs("p", "AB", [(0, 1)], EDGES[:2], columns=["subtype", "sex"])
    other = gene_pairs("p", "ABC", [(0, 1), (1, 2)], EDGES, columns=["sex", "subtype"])
    found = fitted(study_of(one, pairs=other), people).latent
    assert found.columns == ("subtype", "sex")
    np.testing.assert_allclose(found.matrices[:4, 0, 1], [0.8, 0.8, -0.7, -0.7], atol=0.15)


def test_labels_that_a_genes_own_table_lacks_are_told_by_the_pairs() -> None:
    """A table by sex, pairs by subtype: subtypes differ in the samples; other bins are left out."""
    own = marginal(["sex"], "p", EDGES)
    people = people_of([900, 900, 200], [0.5, 0.5, 0.5])
    for edges, told in ((EDGES, True), ([[6.0, 11.0]] * 3, False)):
        pairs = gene_pairs("p", "ABC", ALL, edges, columns=["subtype"])
        samples = draw_samples(
            fitted(study_of(own, pairs=pairs), people), 2000, np.random.default_rng(5)
        )
        subtype = samples.labels("subtype")
        means = [samples.values[subtype == value].mean() for value in "xy"]
        assert (means[1] - means[0] > 0.3) == told


def test_the_model_without_labels_is_a_special_case() -> None:
    """One label cell of everybody: what pairs without labels give."""
    people = people_of([900, 0, 0], [0.6, 0, 0])
    alike = gene_pairs("p", "ABC", ALL, EDGES)
    one = fitted(study_of(OWN, pairs=alike), people).latent
    assert (one.columns, one.matrices.shape) == ((), (1, 3, 3))
    by_label = fitted(study_of(OWN), people).latent
    np.testing.assert_allclose(by_label.matrices[0], one.matrices[0], atol=0.05)


def test_seeds_repeat_samples() -> None:
    model = fitted(study_of(OWN), people_of([90, 90, 20], [0.8, -0.7, 0.0]))
    first, again = (draw_samples(model, 50, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first.values, again.values)
    pooled = replace(model.latent, matrices=model.latent.matrices[:1], columns=())
    other = draw_samples(replace(model, latent=pooled), 50, np.random.default_rng(4))
    assert (other.values != first.values).any()


def test_the_table_for_people_names_the_labels(tmp_path: Path) -> None:
    people = people_of([20, 10, 3], [0.5, -0.5, 0])
    study = program([SUBTYPE, SEX], [OWN, PAIRS], [GENES])
    for linear_map in MAPS:
        plan = plan_of(study, [9, 36], ["identity", linear_map])
        path = tmp_path / f"{linear_map}.csv"
        write_measured_table(path, plan, measure(plan, people, None))
        with path.open(encoding="utf-8", newline="") as file:
            rows = [r for r in csv.DictReader(file) if r["marginal"] == PAIRS.id]
        assert len(rows) == 3 * 3 * 9
        shown = np.array([float(r["value"]) for r in rows]).reshape(3, 3, 3, 3)
        truth = raw_counts(study, PAIRS, people).reshape(3, 3, 3, 3).astype(float)
        if linear_map == "double-centred":
            truth -= truth.mean(axis=3, keepdims=True)
            truth -= truth.mean(axis=2, keepdims=True)
        np.testing.assert_allclose(shown, truth, atol=1e-4)
        assert (rows[9]["gene"], rows[9]["labels"]) == ("A × B", "subtype=y; A=[0, 7)")
