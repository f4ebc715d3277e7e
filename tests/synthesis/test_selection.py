import numpy as np
import pytest

from secgen_dsl.synthesis.measured import Floats
from secgen_dsl.synthesis.selection import LEAST_ERROR, largest_entropy_correlations


def entropy(matrix: Floats) -> float:
    return float(np.linalg.slogdet(matrix)[1]) / 2


def some_correlations(size: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(size, 3))
    covariance = loadings @ loadings.T + np.diag(rng.uniform(0.3, 1.5, size))
    deviations = np.sqrt(np.diag(covariance))
    return covariance / np.outer(deviations, deviations)


def test_along_a_tree_correlations_multiply() -> None:
    pairs = [(0, 1), (1, 2), (1, 3)]
    given = np.array([0.8, -0.5, 0.6])
    found = largest_entropy_correlations(5, pairs, given, np.zeros(3))
    expected = np.eye(5)
    for i, j, rho in [
        (0, 1, 0.8), (1, 2, -0.5), (1, 3, 0.6), (0, 2, -0.4), (0, 3, 0.48), (2, 3, -0.3),
    ]:  # fmt: skip
        expected[i, j] = expected[j, i] = rho
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_pairs_in_loops_are_all_met_and_the_rest_has_no_partial_correlation() -> None:
    truth = some_correlations(7, 1)
    pairs = [(0, 1), (1, 2), (2, 3), (0, 3), (1, 3), (3, 4), (4, 5), (3, 5), (5, 6)]
    first, second = np.array(pairs).T
    found = largest_entropy_correlations(7, pairs, truth[first, second], np.zeros(len(pairs)))
    np.testing.assert_allclose(np.diag(found), 1)
    np.testing.assert_allclose(found[first, second], truth[first, second], atol=3e-3)
    partial = np.linalg.inv(found)
    others = [(i, j) for i in range(7) for j in range(i) if (j, i) not in pairs]
    assert max(abs(partial[i, j]) for i, j in others) < 2e-3
    # Of the matrices with these entries the truth itself is one; none has a larger entropy.
    assert entropy(found) >= entropy(truth) - 1e-2


def test_pairs_that_contradict_each_other_are_weighed_by_their_errors() -> None:
    """0.9, 0.9 and −0.9 are the correlations of nothing: the uncertain one gives way."""
    pairs = [(0, 1), (1, 2), (0, 2)]
    given = np.array([0.9, 0.9, -0.9])
    found = largest_entropy_correlations(3, pairs, given, np.array([0.02, 0.02, 0.5]))
    assert np.linalg.eigvalsh(found)[0] > 0
    assert found[0, 1] > 0.8
    assert found[1, 2] > 0.8
    assert found[0, 2] > 0.4
    even = largest_entropy_correlations(3, pairs, given, np.full(3, 0.1))
    assert np.linalg.eigvalsh(even)[0] > 0
    np.testing.assert_allclose(np.abs(even[[0, 1, 0], [1, 2, 2]]), even[0, 1], atol=1e-3)


def test_no_other_matrix_is_better() -> None:
    """Random steps away from the solution lower what it maximises."""
    truth = some_correlations(6, 2)
    rng = np.random.default_rng(3)
    pairs = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (2, 4), (4, 5)]
    first, second = np.array(pairs).T
    given = truth[first, second] + rng.normal(0, 0.15, len(pairs))
    errors = np.full(len(pairs), 0.15)

    def goal(matrix: Floats) -> float:
        return entropy(matrix) - float(((matrix[first, second] - given) ** 2 / errors**2).sum()) / 2

    found = largest_entropy_correlations(6, pairs, given, errors)
    for size in (1e-3, 1e-2, 0.1):
        for _ in range(50):
            step = rng.normal(0, size, (6, 6))
            step = (step + step.T) / 2
            np.fill_diagonal(step, 0)
            other = found + step
            if np.linalg.eigvalsh(other)[0] > 0:
                assert goal(other) <= goal(found) + 1e-4


@pytest.mark.parametrize("error", [0.0, 1e-6, LEAST_ERROR])
def test_perfect_knowledge_of_near_copies_stays_a_distribution(error: float) -> None:
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6)]
    found = largest_entropy_correlations(6, pairs, np.full(15, 0.98), np.full(15, error))
    assert np.linalg.eigvalsh(found)[0] > 0
    np.testing.assert_allclose(found[np.triu_indices(6, 1)], 0.98, atol=0.01)
    np.linalg.cholesky(found)
