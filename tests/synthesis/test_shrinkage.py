import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.synthesis.consistency import project_to_simplex
from secgen_dsl.synthesis.shrinkage import (
    ReferenceBins,
    Scales,
    _Effects,
    contrast_basis,
    describe_reference,
    estimate_rows,
)

Floats = NDArray[np.float64]

GENES, BINS, FACTORS = 150, 4, 5
PEOPLE = np.array([240.0, 120.0, 70.0, 30.0])
"""Four labels, as uneven as subtypes are."""


def no_reference(genes: int, bins: int) -> ReferenceBins:
    return describe_reference(np.zeros((0, genes), dtype=np.int64), bins)


def cohort(rng: np.random.Generator, loadings: Floats, means: Floats) -> list[NDArray[np.int64]]:
    """Bins of people, for each label (rows of ``means``): factors, and noise of each gene's own.

    Bins are quartiles of a standard normal variable.
    """
    found = []
    for mean, number in zip(means, PEOPLE, strict=True):
        factors = rng.normal(size=(int(number), FACTORS)) + mean
        values = factors @ loadings + rng.normal(0, 0.6, (int(number), GENES))
        found.append(np.digitize(values, [-0.6745, 0.0, 0.6745]))
    return found


def study(
    seed: int,
) -> tuple[Floats, Floats, NDArray[np.int64], list[NDArray[np.int64]]]:
    """(counts, frequencies of each label, bins of the reference, bins of the people)."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0, 0.8 / FACTORS**0.5, (FACTORS, GENES))
    means = rng.normal(0, 1.2, (PEOPLE.size, FACTORS))
    means -= (PEOPLE[:, None] * means).sum(axis=0) / PEOPLE.sum()
    people = cohort(rng, loadings, means)
    reference = np.concatenate([bins[::3] for bins in cohort(rng, loadings, means)])
    counts = np.stack(
        [(bins[:, :, None] == np.arange(BINS)).sum(axis=0) for bins in people], axis=1
    )
    return counts.astype(float), counts / PEOPLE[None, :, None], reference, people


def contrasts(counts: Floats) -> Floats:
    return counts - counts.mean(axis=2, keepdims=True)


def unshrunk(noisy: Floats) -> Floats:
    return project_to_simplex(noisy / PEOPLE[None, :, None] + 1 / BINS, 1.0)


def test_the_basis_is_orthonormal_and_free_of_the_mean() -> None:
    for bins in (2, 4, 10):
        basis = contrast_basis(bins)
        np.testing.assert_allclose(basis.T @ basis, np.eye(bins - 1), atol=1e-12)
        np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize(("deviation", "gain"), [(12.0, 0.66), (30.0, 0.52)])
def test_golden_utility_error_of_frequencies(deviation: float, gain: float) -> None:
    """Shrinkage towards the reference's axes leaves at most ``gain`` of the error."""
    errors = {"plain": 0.0, "pooled": 0.0, "axes": 0.0}
    for seed in range(3):
        counts, truth, reference, _ = study(seed)
        noise = np.random.default_rng(100 + seed).normal(0, deviation, counts.shape)
        noisy = contrasts(counts + noise)
        estimates = {
            "plain": unshrunk(noisy),
            "pooled": estimate_rows(noisy, deviation**2, PEOPLE, no_reference(GENES, BINS)),
            "axes": estimate_rows(noisy, deviation**2, PEOPLE, describe_reference(reference, BINS)),
        }
        for name, estimate in estimates.items():
            assert estimate.min() >= 0
            np.testing.assert_allclose(estimate.sum(axis=2), 1)
            errors[name] += float(np.abs(estimate - truth).mean()) / 3
    assert errors["axes"] < gain * errors["plain"], errors
    assert errors["axes"] < errors["pooled"] < 0.92 * errors["plain"], errors


def test_golden_utility_labels_of_people_are_recognised() -> None:
    """Naive Bayes with the estimated rows, on the people themselves; labels weigh the same."""
    recognised = {"plain": 0.0, "axes": 0.0}
    for seed in range(3):
        counts, _, reference, people = study(seed)
        noise = np.random.default_rng(200 + seed).normal(0, 20.0, counts.shape)
        noisy = contrasts(counts + noise)
        estimates = {
            "plain": unshrunk(noisy),
            "axes": estimate_rows(noisy, 400.0, PEOPLE, describe_reference(reference, BINS)),
        }
        for name, rows in estimates.items():
            logarithm = np.log(0.98 * rows + 0.02 / BINS)
            for label, bins in enumerate(people):
                scores = logarithm[np.arange(GENES)[None, :], :, bins].sum(axis=1)
                recognised[name] += float((scores.argmax(axis=1) == label).mean()) / 12
    assert recognised["axes"] > 0.8, recognised
    assert recognised["axes"] > recognised["plain"] + 0.1, recognised


def test_without_noise_neither_the_reference_nor_moments_can_bias() -> None:
    counts, truth, reference, _ = study(1)
    misleading = describe_reference(BINS - 1 - reference, BINS)
    for predicted in (None, np.roll(truth, 1, axis=1)[:, :, ::-1]):
        estimate = estimate_rows(contrasts(counts), 1e-6, PEOPLE, misleading, predicted)
        np.testing.assert_allclose(estimate, truth, atol=1e-3)


def wrong_by(rng: np.random.Generator, truth: Floats, size: float) -> Floats:
    """Rows as moments might predict them."""
    return project_to_simplex(truth + rng.normal(0, size, truth.shape), 1.0)


@pytest.mark.parametrize("empty", [False, True])
def test_where_noise_hides_all_rows_are_those_that_moments_predict(empty: bool) -> None:
    """Also those of a label that nobody has."""
    counts, truth, reference, _ = study(2)
    people = PEOPLE * [1, 1, 1, not empty]
    for seed in range(2):
        rng = np.random.default_rng(seed)
        predicted = wrong_by(rng, truth, 0.05)
        noisy = contrasts(counts + rng.normal(0, 3000.0, counts.shape))
        rows = estimate_rows(
            noisy, 3000.0**2, people, describe_reference(reference, BINS), predicted
        )
        # Rows by tables alone are wrong by .2 and more.
        assert np.abs(rows - predicted).mean() < 0.02
        if empty:
            np.testing.assert_allclose(rows[:, 3], predicted[:, 3], atol=0.02)


def test_golden_utility_rows_are_better_than_prediction_and_tables_alone() -> None:
    counts, truth, reference, _ = study(1)
    rng = np.random.default_rng(300)
    predicted = wrong_by(rng, truth, 0.08)
    noisy = contrasts(counts + rng.normal(0, 10.0, counts.shape))
    described = describe_reference(reference, BINS)
    found = {
        "moments": predicted,
        "tables": estimate_rows(noisy, 100.0, PEOPLE, described),
        "both": estimate_rows(noisy, 100.0, PEOPLE, described, predicted),
    }
    errors = {name: float(np.abs(rows - truth).mean()) for name, rows in found.items()}
    assert errors["both"] < 0.8 * min(errors["moments"], errors["tables"]), errors


def test_beside_moments_labels_keep_their_true_size() -> None:
    """Predictions of the true size, as factor models make them: shrunk by √f they outgrow it."""
    rng = np.random.default_rng(6)
    genes, labels, size, noise = 400, 6, 0.05, 0.05
    basis = contrast_basis(2)[:, 0]
    effects = rng.normal(0, size, (genes, labels))
    share = size**2 / (size**2 + noise**2)
    guessed = share**0.5 * (effects + rng.normal(0, noise, effects.shape))
    people = np.full(labels, 100.0)
    counted = 100 * (effects + rng.normal(0, noise, effects.shape))
    rows = estimate_rows(
        counted[:, :, None] * basis,
        (100 * noise) ** 2,
        people,
        no_reference(genes, 2),
        0.5 + guessed[:, :, None] * basis,
    )
    assert ((rows - 0.5) @ basis).std() == pytest.approx(size, rel=0.05)


def test_where_noise_hides_all_rows_stay_near_the_reference() -> None:
    counts, _, reference, _ = study(2)
    described = describe_reference(reference, BINS)
    shrunk, plain = [], []
    for seed in range(8):
        noise = np.random.default_rng(seed).normal(0, 3000.0, counts.shape)
        noisy = contrasts(counts + noise)
        estimate = estimate_rows(noisy, 3000.0**2, PEOPLE, described)
        shrunk.append(float(np.abs(estimate - described.frequencies[:, None]).mean()))
        plain.append(float(np.abs(unshrunk(noisy) - described.frequencies[:, None]).mean()))
    assert min(shrunk) < 0.01  # in some runs no effect is found, as it should be
    assert np.mean(shrunk) < 0.5 * np.mean(plain), (shrunk, plain)


def test_the_likelihood_is_that_of_the_full_gaussian() -> None:
    """Against the dense covariance of all rows, by numpy alone."""
    rng = np.random.default_rng(8)
    genes, bins, labels = 3, 3, 3
    reference = describe_reference(rng.integers(0, bins, (5, genes)), bins)
    dimension = genes * (bins - 1)
    assert 0 < reference.spread.size < dimension  # directions on and off the axes
    rows, noise = rng.normal(0, 1, (labels, dimension)), rng.uniform(0.2, 2, labels)
    along = reference.axes.T @ np.diag(reference.spread) @ reference.axes

    def dense(scales: Scales) -> float:
        eye = np.eye(dimension)
        shared = scales.cohort_along * along + scales.cohort * eye
        own = scales.label_along * along + scales.label * eye
        covariance = np.kron(np.ones((labels, labels)), shared) + np.kron(np.eye(labels), own)
        covariance += np.kron(np.diag(noise), eye)
        flat = rows.ravel()
        return float(
            -0.5 * np.linalg.slogdet(covariance)[1] - 0.5 * flat @ np.linalg.solve(covariance, flat)
        )

    effects = _Effects(rows, noise, reference)
    first, second = Scales(0.3, 0.1, 0.7, 0.2), Scales(0.0, 0.5, 0.05, 0.0)
    assert effects.log_likelihood(first) - effects.log_likelihood(second) == pytest.approx(
        dense(first) - dense(second)
    )
    assert effects.log_likelihood(effects.fit()) >= effects.log_likelihood(second)


def test_the_reference_is_described_as_it_is() -> None:
    bins = np.array([[0, 1], [0, -1], [1, 1], [0, 0]])
    described = describe_reference(bins, 2)
    np.testing.assert_allclose(described.frequencies, [[3.5 / 5, 1.5 / 5], [1.5 / 4, 2.5 / 4]])
    # Two bins: the contrast is (x₀ − x₁)/√2; missing values lie at the gene's mean.
    first = np.array([1, 1, -1, 1]) / 2**0.5
    second = np.array([-1, np.nan, -1, 1]) / 2**0.5
    deviations = np.stack([first - first.mean(), second - np.nanmean(second)], axis=1)
    covariance = np.nan_to_num(deviations).T @ np.nan_to_num(deviations) / 3
    rebuilt = described.axes.T @ np.diag(described.spread) @ described.axes
    np.testing.assert_allclose(rebuilt, covariance, atol=1e-12)


def test_one_label_cell_and_empty_labels_are_no_trouble() -> None:
    counts, _, reference, _ = study(3)
    noise = np.random.default_rng(1).normal(0, 5.0, counts.shape)
    noisy = contrasts(counts + noise)
    described = describe_reference(reference, BINS)
    alone = estimate_rows(noisy[:, :1], 25.0, PEOPLE[:1], described)
    empty = estimate_rows(noisy, 25.0, np.array([240.0, 120.0, 70.0, 0.0]), described)
    for estimate in (alone, empty):
        assert np.isfinite(estimate).all()
        assert estimate.min() >= 0
        np.testing.assert_allclose(estimate.sum(axis=2), 1)


def test_a_thousand_genes_take_well_under_a_second() -> None:
    import time

    rng = np.random.default_rng(0)
    described = describe_reference(rng.integers(0, 4, (220, 978)), 4)
    noisy = contrasts(rng.normal(30, 36, (978, 5, 4)))
    start = time.process_time()
    estimate_rows(noisy, 36.0**2, np.array([300.0, 120, 100, 50, 25]), described)
    assert time.process_time() - start < 3  # about .2 s; the limit allows for a busy machine


def test_noise_puts_nobody_into_bins_that_nobody_is_known_to_fall_into() -> None:
    """Ten bins, of which public people use two, and this cohort's second label a third."""
    rng = np.random.default_rng(3)
    genes, bins = 40, 10
    public = describe_reference(rng.integers(4, 6, size=(100, genes)), bins)
    people = np.array([300.0, 100.0])
    counts = np.zeros((genes, 2, bins))
    counts[:, 0, 4:6] = 150
    counts[:, 1, 5:7] = 50
    noisy = counts + rng.normal(0, 3, counts.shape)
    contrasts = noisy - noisy.mean(axis=2, keepdims=True)
    rows = estimate_rows(contrasts, 9.0, people, public)
    np.testing.assert_allclose(rows.sum(axis=2), 1)
    # 280 bins are tested at three standard errors: one or the other stands out by chance.
    assert (rows[:, :, [0, 1, 2, 3, 7, 8, 9]] == 0).mean() > 0.98
    assert rows[:, 1, 6].min() > 0.3
    # Without a reference nothing is known to be empty.
    assert estimate_rows(contrasts, 9.0, people, no_reference(genes, bins))[:, :, :3].max() > 0


def test_a_gene_that_the_reference_lacks_has_no_empty_bins() -> None:
    described = describe_reference(np.array([[0, -1], [0, -1], [1, -1]]), 3)
    assert described.seen.tolist() == [[True, True, False], [True, True, True]]
    np.testing.assert_allclose(described.frequencies[1], 1 / 3)
