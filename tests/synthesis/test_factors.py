"""Factor models: the truth comes back as noise vanishes, and nothing breaks where it is huge."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.ir.queries import Moments, Standard
from secgen_dsl.ir.vectors import LOADING_ONE
from secgen_dsl.public.factors import factors_of_sets, principal_factors, standard_of_reference
from secgen_dsl.synthesis.decoding import bin_curve
from secgen_dsl.synthesis.factors import describe_factors, fit_factors, moment_curve
from secgen_dsl.synthesis.latent import draw_latent, exact_normals
from secgen_dsl.synthesis.measured import Floats, MomentSums
from secgen_dsl.synthesis.model import (
    Component,
    FactorModel,
    GeneTable,
    LatentCorrelations,
    SyntheticGene,
    TableModel,
)
from secgen_dsl.synthesis.sample import draw_samples
from secgen_dsl.synthesis.shrinkage import MAX_REFERENCE_ROWS

from .studies import ORDINARY, column, panel
from .test_sample import component

GENES = tuple(f"G{number}" for number in range(12))
LABEL = column("subtype", "x", "y", "z")
SHARES = np.array([0.5, 0.3, 0.2])
FACTORS = 3


def people(rows: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, Floats]:
    """Labels, and log2 values of genes that two factors move; labels differ along the first."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(range(3), (SHARES * rows).astype(int)))
    loadings = np.random.default_rng(0).normal(size=(2, len(GENES)))
    scores = rng.normal(size=(rows, 2)) + np.outer(labels - 0.7, [1.5, 0.3])
    values = 8 + shift + scores @ loadings + 0.5 * rng.normal(size=(rows, len(GENES)))
    return labels, values.clip(0, 20)


def sums_of(
    labels: np.ndarray, values: Floats, reference: Floats | None, noise: float = 1e-9
) -> MomentSums:
    """Exact sums of unclipped vectors; noise is stated, not drawn."""
    if reference is not None:
        columns = [reference[:, k] for k in range(len(GENES))]
        standard = standard_of_reference("r", [c.tolist() for c in columns])
        loadings, divisors, variances = principal_factors(columns, standard, FACTORS)
    else:
        halves = Fraction(10), Fraction(10, 3)
        standard = Standard(
            reference="", centres=(halves[0],) * len(GENES), scales=(halves[1],) * len(GENES)
        )
        loadings, divisors, variances = factors_of_sets([[0, 1, 2], [3, 4], [1, 5, 6]], len(GENES))
    query = Moments(
        kind="moments", id="m", statement="", columns=("subtype",), panel="p", source="r",
        standard=standard, loadings=loadings, divisors=divisors, variances=variances,
        importance=ORDINARY,
    )  # fmt: skip
    centres = np.array([float(c) for c in standard.centres])
    scales = np.array([float(s) for s in standard.scales])
    scaled = (values - centres) / scales
    scores = scaled @ np.array(loadings).T / LOADING_ONE / [float(d) for d in divisors]
    return MomentSums(
        query=query,
        panel=panel("p", GENES),
        genes=GENES,
        means=scaled.sum(axis=0),
        means_variance=noise,
        scores=np.stack([scores[labels == label].sum(axis=0) for label in range(3)]),
        scores_variance=noise,
        products=scores.T @ scores,
        products_variance=noise,
        clip=1e6,
    )


def test_cells_follow_the_public_people_that_are_kept() -> None:
    labels, reference = people(3 * MAX_REFERENCE_ROWS, seed=2)
    sums = sums_of(labels, reference, reference)
    known = np.where(labels == 2, -1, labels)
    public = describe_factors(sums, reference, known)
    assert public.cells.shape == public.scores.shape[:1] == (MAX_REFERENCE_ROWS,)
    again = describe_factors(sums, np.where(known[:, None] == 1, reference, np.nan))
    np.testing.assert_array_equal((again.scores != 0).any(axis=1), public.cells == 1)
    assert set(describe_factors(sums, reference).cells.tolist()) == {-1}
    assert describe_factors(sums, np.zeros((0, 1))).cells.shape == (0,)


def model_of(sums: MomentSums, reference: Floats, rows: int) -> TableModel:
    factors = fit_factors(sums, SHARES, rows, describe_factors(sums, reference))
    genes = tuple(
        SyntheticGene(
            gene, "p", "log2", (), moment_curve(sums, factors, k, reference[:, k]), (0, k)
        )
        for k, gene in enumerate(GENES)
    )
    held = component((LABEL,), SHARES)
    nothing = LatentCorrelations((), np.zeros((1, 0, 0)))
    return TableModel((LABEL,), {}, (held,), (), genes, nothing, (factors,))


@pytest.mark.parametrize("seed", [1, 2])
def test_without_noise_samples_have_the_peoples_means_and_correlations(seed: int) -> None:
    labels, values = people(1000, seed)
    _, reference = people(200, 7, shift=0.4)
    samples = draw_samples(
        model_of(sums_of(labels, values, reference), reference, 1000),
        1000,
        np.random.default_rng(0),
    )
    drawn = samples.codes[:, 0]
    for label in range(3):
        real, own = values[labels == label], samples.values[drawn == label]
        np.testing.assert_allclose(own.mean(axis=0), real.mean(axis=0), atol=0.35)
    np.testing.assert_allclose(samples.values.mean(axis=0), values.mean(axis=0), atol=0.2)
    difference = np.corrcoef(samples.values.T) - np.corrcoef(values.T)
    assert np.abs(difference).mean() < 0.05
    assert samples.values.min() >= 0
    assert samples.values.max() <= 20


def test_gene_sets_without_any_reference_find_the_contrasts_of_labels() -> None:
    labels, values = people(1000, 3)
    sums = sums_of(labels, values, None)
    model = fit_factors(sums, SHARES, 1000, describe_factors(sums, np.zeros((0, 1))))
    scale = np.array([float(s) for s in sums.query.standard.scales])
    loadings = np.array(sums.query.loadings) / LOADING_ONE
    np.testing.assert_allclose(loadings.sum(axis=1), 0, atol=1e-3)
    truth = np.stack([values[labels == label].mean(axis=0) for label in range(3)])
    np.testing.assert_allclose(
        (model.means * scale) @ loadings.T, (truth - 10) @ loadings.T, atol=0.1
    )
    np.testing.assert_allclose(model.pooled()[0] * scale + 10, values.mean(axis=0), atol=0.1)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(-9, 6),
    st.booleans(),
    st.sampled_from([(0.5, 0.3, 0.2), (1.0, 0.0, 0.0), (0.999, 0.001, 0.0)]),
)
def test_any_noise_gives_a_proper_normal_distribution(
    seed: int, size: float, with_reference: bool, shares: tuple[float, ...]
) -> None:
    labels, values = people(60, 5)
    _, public = people(40, 8)
    sums = sums_of(labels, values, public if with_reference else None, 10.0**size)
    rng, deviation = np.random.default_rng(seed), 10.0 ** (size / 2)
    products = rng.normal(0, deviation, sums.products.shape)
    sums = replace(
        sums,
        means=sums.means + rng.normal(0, deviation, sums.means.shape),
        scores=sums.scores + rng.normal(0, deviation, sums.scores.shape),
        products=sums.products + products + products.T,
        clip=float(rng.uniform(0.1, 10)),
    )
    reference = public if with_reference else np.zeros((0, 1))
    model = fit_factors(sums, np.array(shares), 60.0, describe_factors(sums, reference))
    assert np.isfinite(model.means).all()
    assert (model.deviations > 0).all()
    assert (model.unique > 0).all()
    np.testing.assert_allclose((model.loadings**2).sum(axis=0) + model.unique**2, 1)


def test_genes_of_tables_keep_their_table_and_take_co_expression_from_the_factors() -> None:
    """A copula: uniform over [0, 20) within a label, as the table says, and correlated."""
    factors = FactorModel(
        columns=("subtype",),
        shares=SHARES,
        means=np.zeros((3, 2)),
        deviations=np.ones(2),
        loadings=np.full((1, 2), 0.8**0.5),
        unique=np.full(2, 0.2**0.5),
    )
    curve = bin_curve(np.array([10.0]), 0.0, 20.0, None)
    table = GeneTable(("subtype",), np.full((2, 3, 2), 0.5), np.full((2, 2), 0.5))
    genes = tuple(
        SyntheticGene(g, "p", "log2", ((0, k),), curve, (0, k)) for k, g in enumerate("AB")
    )
    nothing = LatentCorrelations((), np.zeros((1, 0, 0)))
    held: Component = component((LABEL,), SHARES)
    model = TableModel((LABEL,), {}, (held,), (table,), genes, nothing, (factors,))
    samples = draw_samples(model, 1000, np.random.default_rng(1))
    for gene in range(2):
        assert np.histogram(samples.values[:, gene], 10, (0, 20))[0] == pytest.approx(100, abs=4)
    rank = 6 / np.pi * np.arcsin(0.8 / 2)  # Spearman's of a normal copula
    assert np.corrcoef(samples.values.T)[0, 1] == pytest.approx(rank, abs=0.03)
    # A measured pair has the last word.
    pair = LatentCorrelations((0, 1), np.array([[[1.0, -0.5], [-0.5, 1.0]]]))
    latent = draw_latent(
        replace(model, latent=pair), {"subtype": 3}, samples.codes, np.random.default_rng(1)
    )
    assert np.corrcoef(latent.T)[0, 1] == pytest.approx(-0.5, abs=0.03)


def test_factors_are_drawn_without_sampling_error() -> None:
    cells = np.repeat([0, 2], 50)
    drawn = exact_normals(100, 4, cells, np.random.default_rng(3))
    np.testing.assert_allclose(drawn.T @ drawn / 100, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(drawn[:50].mean(axis=0), 0, atol=1e-12)
    few = np.stack(
        [exact_normals(100, 4, np.repeat([0, 1], [99, 1]), np.random.default_rng(k))[-1]
         for k in range(200)]
    )  # fmt: skip
    assert few.std() == pytest.approx(1, abs=0.1)
    assert exact_normals(5, 4, np.zeros(5, dtype=int), np.random.default_rng(3)).shape == (5, 4)


@pytest.mark.parametrize("public", [5, 9, 200])
def test_genes_vary_at_least_as_much_as_among_public_people(public: int) -> None:
    """Along components of few people others hardly vary: the rest is each gene's own."""
    labels, values = people(2_000, 3)
    _, reference = people(200, 4)
    reference = reference[:public]
    sums = sums_of(labels, values, reference)
    fitted = fit_factors(sums, SHARES, 2_000, describe_factors(sums, reference))
    assert fitted.pooled()[1].min() > 0.99
