import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import multivariate_normal

from secgen_dsl.synthesis.measured import Floats
from secgen_dsl.synthesis.pairs import (
    _CORRELATIONS,
    _likelihood,
    _Pair,
    _public_likelihood,
    _shrunk,
    expected_tables,
)
from secgen_dsl.synthesis.reference import public_bins

from .studies import panel, program, reference

ZERO = _CORRELATIONS.size // 2


def nearest(correlation: float) -> int:
    return int(np.abs(_CORRELATIONS - correlation).argmin())


@pytest.mark.parametrize("position", [0, 20, ZERO, 75, 120])
def test_expected_tables_are_bivariate_normal_rectangles(position: int) -> None:
    first = np.array([[-0.4, 0.5], [-1.5, 0.2]])
    second = np.array([[-0.2, 0.9, 1.4], [0.0, 0.1, 2.5]])
    shares = np.array([0.3, 0.7])
    padded = [np.pad(ndtr(e), ((0, 0), (1, 0))) for e in (first, second)]
    found = expected_tables(ndtr(first[:, :2]), ndtr(second[:, :2]), shares)[position]
    rho = _CORRELATIONS[position]
    below = np.zeros((2, 2))
    for share, own, others in zip(shares, first, second, strict=True):
        for b in range(2):
            for c in range(2):
                normal = multivariate_normal([0, 0], [[1, rho], [rho, 1]])
                below[b, c] += share * normal.cdf([own[b], others[c]])
    assert found.shape == (3, 3)
    assert padded[0].shape == (2, 3)
    np.testing.assert_allclose(found.cumsum(axis=0).cumsum(axis=1)[:2, :2], below, atol=1e-6)
    assert found.sum() == pytest.approx(1)


def test_bins_that_nobody_falls_into_are_no_trouble() -> None:
    found = expected_tables(np.array([[0.0, 1.0]]), np.array([[0.3, 0.3]]), np.ones(1))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(
        found[30], np.array([[0, 0, 0], [0.3, 0, 0.7], [0, 0, 0]]), atol=1e-9
    )


def quartiles(bins: int = 3) -> Floats:
    return np.linspace(0, 1, bins + 1)[1:-1][None, :]


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.4])
def test_the_likelihood_is_greatest_at_the_truth(rho: float) -> None:
    expected = expected_tables(quartiles(), quartiles(), np.ones(1))
    counts = 900 * expected[nearest(rho)]
    assert _CORRELATIONS[_likelihood(counts, expected, 900, 50.0).argmax()] == pytest.approx(
        rho, abs=0.02
    )


def test_margins_do_not_count_as_dependence() -> None:
    """Row and column effects, whatever their size, leave the likelihood as it was."""
    rng = np.random.default_rng(0)
    expected = expected_tables(quartiles(), quartiles(), np.ones(1))
    counts = 900 * expected[nearest(0.5)] + rng.normal(0, 5, (3, 3))
    moved = counts + np.array([30.0, -10, 4])[:, None] + np.array([0.0, 25, -40])
    np.testing.assert_allclose(
        _likelihood(counts, expected, 900, 25.0), _likelihood(moved, expected, 900, 25.0), atol=1e-6
    )


def test_the_likelihoods_width_is_the_scatter_of_the_estimate() -> None:
    """Its curvature against 400 draws of people and noise."""
    rng = np.random.default_rng(1)
    expected = expected_tables(quartiles(), quartiles(), np.ones(1))
    truth = nearest(0.3)
    estimates, widths = [], []
    for _ in range(400):
        people = rng.multinomial(800, expected[truth].ravel()).reshape(3, 3)
        counts = people + rng.normal(0, 12, (3, 3))
        likelihood = _likelihood(counts, expected, 800, 144.0)
        weights = np.exp(likelihood - likelihood.max()) * np.gradient(_CORRELATIONS)
        weights /= weights.sum()
        mean = float(weights @ _CORRELATIONS)
        estimates.append(mean)
        widths.append(float(weights @ (_CORRELATIONS - mean) ** 2) ** 0.5)
    assert np.mean(estimates) == pytest.approx(_CORRELATIONS[truth], abs=0.015)
    assert np.std(estimates) == pytest.approx(float(np.mean(widths)), rel=0.2)


def pairs_of(
    truth: Floats, noise: float, rng: np.random.Generator, public: Floats | None = None
) -> list[_Pair]:
    expected = expected_tables(quartiles(), quartiles(), np.ones(1))
    found = []
    for number, rho in enumerate(truth):
        counts = 800 * expected[nearest(rho)] + rng.normal(0, noise, (3, 3))
        prior = np.zeros(_CORRELATIONS.size)
        if public is not None:
            prior = _likelihood(200 * expected[nearest(public[number])], expected, 200, 0.0)
        nothing = np.zeros((1, _CORRELATIONS.size))
        found.append(_Pair(_likelihood(counts, expected, 800, noise**2), nothing, prior))
    return found


def test_without_noise_neither_the_prior_nor_the_reference_can_bias() -> None:
    truth = np.array([-0.6, 0.1, 0.3, 0.7])
    for public in (None, -truth):
        means, _ = _shrunk(pairs_of(truth, 0.5, np.random.default_rng(0), public), by_labels=False)
        np.testing.assert_allclose(np.tanh(means[0]), truth, atol=0.03)


def test_noise_alone_leaves_the_reference_or_nothing() -> None:
    truth = np.zeros(40)
    public = np.linspace(-0.6, 0.6, 40)
    (means,), _ = _shrunk(pairs_of(truth, 3_000.0, np.random.default_rng(1)), by_labels=False)
    assert np.abs(np.tanh(means)).mean() < 0.05
    noisy = pairs_of(truth, 3_000.0, np.random.default_rng(1), public)
    (means,), _ = _shrunk(noisy, by_labels=False)
    assert np.abs(np.tanh(means) - public).mean() < 0.05


def test_shrinkage_lowers_the_error_under_noise() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(0, 0.3, 60).clip(-0.8, 0.8)
    public = (truth + rng.normal(0, 0.1, 60)).clip(-0.9, 0.9)
    errors = {"plain": 0.0, "shrunk": 0.0, "with reference": 0.0}
    for seed in range(5):
        pairs = pairs_of(truth, 60.0, np.random.default_rng(seed))
        plain = np.array([_CORRELATIONS[pair.everyone.argmax()] for pair in pairs])
        known = pairs_of(truth, 60.0, np.random.default_rng(seed), public)
        errors["plain"] += float(((plain - truth) ** 2).mean())
        for name, given in (("shrunk", pairs), ("with reference", known)):
            (means,), _ = _shrunk(given, by_labels=False)
            errors[name] += float(((np.tanh(means) - truth) ** 2).mean())
    assert errors["shrunk"] < 0.8 * errors["plain"], errors
    assert errors["with reference"] < 0.6 * errors["shrunk"], errors


def test_a_reference_that_lacks_a_gene_says_nothing_of_its_pairs_only() -> None:
    genes = ["A", "B", "C"]
    study = program([], [], [panel("p", genes)], [reference("far")])
    values = {"A": np.array([1.0, np.nan, 9.0]), "B": np.array([6.0, 7.0, 2.0])}
    edges = np.full((3, 1), 5.0)
    bins = public_bins(study, study.panels[0], "far", genes, edges, {"far": values})
    assert bins.T.tolist() == [[0, -1, 1], [1, 1, 0], [-1, -1, -1]]
    expected = expected_tables(np.full((1, 1), 0.5), np.full((1, 1), 0.5), np.ones(1))
    assert not _public_likelihood(bins[:, 0], bins[:, 2], expected).any()
    assert _CORRELATIONS[_public_likelihood(bins[:, 0], bins[:, 1], expected).argmax()] < -0.9
    assert public_bins(study, study.panels[0], "", genes, edges, {}).shape == (0, 3)
