"""Fidelity: how far the distribution of synthetic rows is from that of real ones."""

from collections.abc import Sequence

import numpy as np

from secgen_dsl.evaluation.accuracy import Floats, Labels
from secgen_dsl.evaluation.utility import Learner, classifier

_BLOCK = 1024  # rows of a kernel matrix that are in memory at once
_COMPONENTS = 30


def wasserstein(real: Floats, synthetic: Floats) -> Floats:
    """1-Wasserstein distance of each gene's distributions, in the genes' unit.

    The area between the two distribution functions (Ramdas, Trillos, Cuturi, Entropy 19 (2017) 47).

    Args:
        real: shape (rows, genes); finite, one row or more; likewise ``synthetic``.

    Returns:
        Shape (genes,).
    """
    from scipy.stats import wasserstein_distance

    pairs = zip(real.T, synthetic.T, strict=True)
    return np.array([wasserstein_distance(one, other) for one, other in pairs])


def in_real_sds(distances: Floats, real: Floats) -> Floats:
    """Distances of genes in standard deviations of the real rows; NaN for a constant gene.

    Args:
        distances: shape (genes,), in the genes' unit.
        real: shape (rows, genes).
    """
    spread = real.std(axis=0)
    varies = spread > 1e-12
    found: Floats = np.divide(distances, spread, out=np.full(len(spread), np.nan), where=varies)
    return found


def table_total_variation(
    real: Floats,
    real_labels: Labels,
    synthetic: Floats,
    synthetic_labels: Labels,
    edges: Sequence[Floats],
    classes: Sequence[str],
) -> Floats:
    """Total variation distance of each gene's table of class × bin: ½·Σ|p − q| over its cells.

    Args:
        real: shape (rows, genes).
        real_labels: shape (rows,).
        synthetic: shape (synthetic rows, genes).
        synthetic_labels: shape (synthetic rows,).
        edges: of each gene, the inner edges of its bins, increasing; an edge belongs to the bin
            above it.
        classes: rows with other labels are left out.

    Returns:
        Shape (genes,): from 0 to 1; 1 if one of the tables is empty.
    """
    one = _tables(real, real_labels, edges, classes)
    other = _tables(synthetic, synthetic_labels, edges, classes)
    return np.array(
        [
            0.5 * np.abs(p - q).sum() if p.any() and q.any() else 1.0
            for p, q in zip(one, other, strict=True)
        ]
    )


def _tables(
    values: Floats, labels: Labels, edges: Sequence[Floats], classes: Sequence[str]
) -> list[Floats]:
    """Of each gene the shares of the rows that lie in the cells of class × bin."""
    tables = []
    for gene, inner in enumerate(edges):
        bins = np.searchsorted(inner, values[:, gene], side="right")
        table = np.array(
            [np.bincount(bins[labels == name], minlength=len(inner) + 1) for name in classes],
            dtype=np.float64,
        )
        tables.append(table / max(table.sum(), 1.0))
    return tables


def quantile_edges(values: Floats, bins: int) -> list[Floats]:
    """Inner edges of so many bins with about as many rows each; fewer where quantiles coincide.

    Args:
        values: shape (rows, genes).
        bins: 2 or more.
    """
    inner = np.quantile(values, np.arange(1, bins) / bins, axis=0)
    return [np.unique(column) for column in inner.T]


def mmd_squared(real: Floats, synthetic: Floats) -> float:
    """Squared maximum mean discrepancy with the kernel exp(−‖x − y‖² / genes).

    The unbiased estimate (Gretton et al., JMLR 13 (2012) 723, equation 3): about 0, at times below,
    where both have one distribution.  Genes are scaled to the real rows' mean 0 and variance 1;
    constant genes are left out.

    Args:
        real: shape (rows, genes), two rows or more; likewise ``synthetic``.
    """
    one, other = standardised(real, synthetic)
    if not one.shape[1]:
        return 0.0
    n, m = len(one), len(other)
    within = (_kernel_sum(one, one) - n) / (n * (n - 1))
    without = (_kernel_sum(other, other) - m) / (m * (m - 1))
    return within + without - 2 * _kernel_sum(one, other) / (n * m)


def _kernel_sum(one: Floats, other: Floats) -> float:
    total = 0.0
    squares = (other**2).sum(axis=1)
    for start in range(0, len(one), _BLOCK):
        block = one[start : start + _BLOCK]
        distances = (block**2).sum(axis=1)[:, None] + squares - 2 * (block @ other.T)
        total += float(np.exp(-np.maximum(distances, 0.0) / one.shape[1]).sum())
    return total


def standardised(real: Floats, *others: Floats) -> list[Floats]:
    """All tables with the genes scaled to the real rows' mean 0 and variance 1.

    Genes that are constant over the real rows are left out of all.
    """
    centre, spread = real.mean(axis=0), real.std(axis=0)
    varies = spread > 1e-12
    return [(table[:, varies] - centre[varies]) / spread[varies] for table in (real, *others)]


def discriminator_auc(
    real: Floats,
    synthetic: Floats,
    learner: Learner = "logistic",
    folds: int = 5,
    seed: int = 0,
) -> float:
    """Area under the ROC curve of a classifier that tells real rows from synthetic ones.

    Cross-validated; one half: it cannot tell them (Lopez-Paz, Oquab, arXiv:1610.06545).  As many
    rows of either kind are taken, drawn by ``seed``.

    Args:
        real: shape (rows, genes); as many rows as folds or more; likewise ``synthetic``.
        learner: which; boosting sees the leading principal components, as trees on single genes
            would not see which of them go together.
        folds: 2 or more.
        seed: of rows, folds and boosting.

    Returns:
        From 0 to 1.
    """
    from sklearn.decomposition import PCA
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    size = min(len(real), len(synthetic))
    rows = [table[rng.permutation(len(table))[:size]] for table in (real, synthetic)]
    values = np.concatenate(rows)
    kinds = np.repeat([0, 1], size)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    size_of_fold = 2 * size - -(-2 * size // folds)
    leading = PCA(min(_COMPONENTS, values.shape[1], size_of_fold - 1), random_state=seed)
    with threadpool_limits(1):
        likely = cross_val_predict(
            classifier(learner, leading, seed), values, kinds, cv=splits, method="predict_proba"
        )
    return float(roc_auc_score(kinds, likely[:, 1]))
