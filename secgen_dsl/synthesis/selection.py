"""Covariance selection: the correlations of many variables from those of some pairs.

Among all normal distributions with given correlations of some pairs the one of largest entropy has
partial correlations 0 for all other pairs (Dempster, Biometrics 28 (1972) 157): what was not
measured follows from what was.  Noisy correlations may be those of no distribution at all, hence
they are not met exactly: the correlation matrix R maximises

    ½·log det R − Σ_pairs (R_ij − r_ij)² / (2s_ij²),    R_ii = 1

(½·log det R is the entropy; s the standard error of r).  The problem is concave and always has a
solution; its dual has one unknown a variable and one a pair, the entries of R⁻¹ that are not 0, and
is solved by L-BFGS.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from secgen_dsl.synthesis.measured import Floats

LEAST_ERROR = 0.01
"""No correlation is taken for known better than this: the matrix would be nearly singular."""


def largest_entropy_correlations(
    size: int, pairs: Sequence[tuple[int, int]], correlations: Floats, errors: Floats
) -> Floats:
    """The correlation matrix of largest entropy.

    Args:
        size: number of variables, ≥ 1.
        pairs: (i, j) with i < j < size, distinct.
        correlations: shape (pairs,), in (−1, 1).
        errors: shape (pairs,): their standard errors, ≥ 0.

    Returns:
        Shape (size, size); positive definite with ones on the diagonal.
    """
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    slack = np.maximum(errors, LEAST_ERROR) ** 2

    def inverse(unknowns: Floats) -> Floats:
        matrix = np.diag(unknowns[:size])
        matrix[first, second] = matrix[second, first] = unknowns[size:]
        return matrix

    def dual(unknowns: Floats) -> tuple[float, Floats]:
        matrix, partial = inverse(unknowns), unknowns[size:]
        try:
            factor = np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(unknowns)  # not positive definite: a shorter step
        value = (
            -2 * np.log(np.diag(factor)).sum()
            + unknowns[:size].sum()
            + (2 * partial * correlations + slack * partial**2).sum()
        )
        found = np.linalg.inv(matrix)
        off_diagonal = 2 * (correlations + slack * partial - found[first, second])
        return float(value), np.concatenate([1 - np.diag(found), off_diagonal])

    start = np.concatenate([np.ones(size), np.zeros(len(pairs))])
    # Where it stops short, the result still is a correlation matrix.
    options = {"maxiter": 2_000, "maxfun": 4_000, "ftol": 0.0, "gtol": 1e-4, "maxcor": 20}
    solution = minimize(dual, start, jac=True, method="L-BFGS-B", options=options)
    found = np.linalg.inv(inverse(solution.x))
    deviations = np.sqrt(np.diag(found))
    matrix: Floats = found / np.outer(deviations, deviations)
    return matrix
