"""The published recipe, from its description (arXiv 2604.27456, "DP-PGM"): NOT private.

Half of the budget on one-way tables of every gene and of the label, half on label × gene tables;
bins cut at the four *exact* quantiles of the silos' own values, and decoded to *exact* means of the
values in a bin.  Both depend on the people without noise, so that the claimed epsilon does not hold
(PRIVACY 3.3; benchmarks/exact_quantiles.py measures by how much).  It is here as what others reach.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

BINS = 4


@dataclass(frozen=True)
class Recipe:
    """The fitted star: a label, and bins of genes given the label.

    Attributes:
        labels: shape (L,), probabilities.
        bins: shape (genes, L, BINS), probabilities given the label.
        means: shape (genes, BINS), the exact means.
    """

    labels: Floats
    bins: Floats
    means: Floats

    def draw(self, rows: int, rng: np.random.Generator) -> tuple[Floats, Codes]:
        """Values, shape (rows, genes), and label codes, shape (rows,)."""
        labels = rng.choice(self.labels.size, size=rows, p=self.labels)
        upper = np.cumsum(self.bins, axis=2)[:, labels]  # (genes, rows, BINS)
        drawn = (rng.random(upper.shape[:2])[:, :, None] > upper[:, :, :-1]).sum(axis=2)
        return np.take_along_axis(self.means, drawn, axis=1).T, labels


def fit_recipe(
    values: Floats, labels: Codes, label_count: int, mu: float, rng: np.random.Generator
) -> Recipe:
    """Measure with Gaussian noise and fit by least squares, projected to frequencies.

    Args:
        values: shape (people, genes).
        labels: shape (people,), codes below ``label_count``.
        mu: of the whole release, by the recipe's own (false) account: L2 √(genes + 1) for the
            one-way tables, √genes for the others.
        rng: of the noise; this is no release.
    """
    genes = values.shape[1]
    edges = np.quantile(values, [k / BINS for k in range(1, BINS)], axis=0)
    codes = (values[None] >= edges[:, None]).sum(axis=0)
    half = mu / np.sqrt(2)
    one_way, two_way = np.sqrt(genes + 1) / half, np.sqrt(genes) / half
    counts = np.zeros((genes, label_count, BINS))
    for gene in range(genes):
        cells = np.bincount(labels * BINS + codes[:, gene], minlength=label_count * BINS)
        counts[gene] = cells.reshape(label_count, BINS)
    noisy = counts + rng.normal(0, two_way, counts.shape)
    columns = counts.sum(axis=1) + rng.normal(0, one_way, (genes, BINS))
    histogram = np.bincount(labels, minlength=label_count) + rng.normal(0, one_way, label_count)
    # Labels: their own histogram, and the mean row sums of all genes' tables.
    implied = noisy.sum(axis=2).mean(axis=0)
    implied_variance = BINS * two_way**2 / genes
    weight = one_way**2 / (one_way**2 + implied_variance)
    totals = weight * implied + (1 - weight) * histogram
    # Bins of a gene: its one-way table moves all labels' entries alike (least squares of a star).
    gap = columns - noisy.sum(axis=1)
    noisy = noisy + gap[:, None] * two_way**2 / (label_count * two_way**2 + one_way**2)
    bins = np.maximum(noisy, 0.0) + 1e-9
    bins /= bins.sum(axis=2, keepdims=True)
    share = np.maximum(totals, 0.0)
    means = np.stack(
        [
            np.where(codes == b, values, 0.0).sum(axis=0) / np.maximum((codes == b).sum(axis=0), 1)
            for b in range(BINS)
        ],
        axis=1,
    )
    return Recipe(share / share.sum(), bins, means)
