"""Biology: do analyses of synthetic rows find what they find in real ones?

Differential expression between two classes, and the score of gene sets.  Co-expression has its own
module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.evaluation.accuracy import Floats, Labels
from secgen_dsl.evaluation.fidelity import standardised
from secgen_dsl.evaluation.utility import mean

LEVEL = 0.05
"""False discovery rate at which a gene counts as differentially expressed."""


@dataclass(frozen=True)
class Expressed:
    """Differential expression between two classes in one table.

    Attributes:
        difference: shape (genes,): mean of the first class less that of the second, in the genes'
            unit; with log2 values, the log2 fold change.  0 if a class has no rows.
        adjusted: shape (genes,): p of the two-sided rank-sum test, adjusted over the genes by
            Benjamini and Hochberg (J. R. Stat. Soc. B 57 (1995) 289).  1 where nothing can be said.
    """

    difference: Floats
    adjusted: Floats

    @property
    def called(self) -> NDArray[np.bool_]:
        """Shape (genes,): adjusted p is below ``LEVEL``."""
        return self.adjusted < LEVEL


@dataclass(frozen=True)
class Agreement:
    """Differential expression between two classes, in real and in synthetic rows.

    What real rows show is taken as the truth.  A method that calls every gene has a true positive
    rate of 1, so that both rates belong together.
    """

    first: str
    second: str
    real: Expressed
    synthetic: Expressed

    @property
    def tpr(self) -> float:
        """Share of the genes called in real rows that are called in synthetic ones; or NaN."""
        return _rate(self.synthetic.called[self.real.called])

    @property
    def fpr(self) -> float:
        """Share of the genes not called in real rows that are called in synthetic ones; or NaN."""
        return _rate(self.synthetic.called[~self.real.called])

    @property
    def precision(self) -> float:
        """Share of the genes called in synthetic rows that are called in real ones; or NaN."""
        return _rate(self.real.called[self.synthetic.called])

    @property
    def same_direction(self) -> float:
        """Of the genes called in both, the share with one direction; or NaN."""
        both = self.real.called & self.synthetic.called
        return _rate((self.real.difference * self.synthetic.difference > 0)[both])


def expressed(values: Floats, labels: Labels, first: str, second: str) -> Expressed:
    """Differential expression of all genes between two classes.

    The rank-sum test in its normal approximation with corrections for ties and for continuity
    (Mann, Whitney, Ann. Math. Stat. 18 (1947) 50; ``scipy.stats.mannwhitneyu``).

    Args:
        values: shape (rows, genes); finite.
        labels: shape (rows,).
        first: a class; likewise ``second``.
    """
    from scipy.stats import false_discovery_control, mannwhitneyu

    one, other = values[labels == first], values[labels == second]
    genes = values.shape[1]
    if not len(one) or not len(other):
        return Expressed(np.zeros(genes), np.ones(genes))
    with np.errstate(all="ignore"):  # a gene that is constant has no statistic
        p = mannwhitneyu(one, other, axis=0, method="asymptotic").pvalue
    p = np.clip(np.where(np.isnan(p), 1.0, p), 0.0, 1.0)
    return Expressed(one.mean(axis=0) - other.mean(axis=0), false_discovery_control(p))


def differential_expression(
    real: Floats,
    real_labels: Labels,
    synthetic: Floats,
    synthetic_labels: Labels,
    classes: Sequence[str],
) -> tuple[Agreement, ...]:
    """Differential expression for every pair of classes.

    A test finds more in more rows, so that of a class no more synthetic rows are taken than there
    are real ones: the first.

    Args:
        real: shape (rows, genes).
        real_labels: shape (rows,).
        synthetic: shape (synthetic rows, genes).
        synthetic_labels: shape (synthetic rows,).
        classes: two or more.
    """
    kept = np.zeros(len(synthetic_labels), dtype=np.bool_)
    for name in classes:
        rows = np.flatnonzero(synthetic_labels == name)
        kept[rows[: int(np.sum(real_labels == name))]] = True
    fewer, fewer_labels = synthetic[kept], synthetic_labels[kept]
    return tuple(
        Agreement(
            first,
            second,
            expressed(real, real_labels, first, second),
            expressed(fewer, fewer_labels, first, second),
        )
        for place, first in enumerate(classes)
        for second in classes[place + 1 :]
    )


def mean_rates(pairs: Sequence[Agreement]) -> tuple[float, float]:
    """Mean true positive and mean false positive rate over the pairs that have one."""
    tpr = np.array([pair.tpr for pair in pairs])
    fpr = np.array([pair.fpr for pair in pairs])
    return mean(tpr), mean(fpr)


@dataclass(frozen=True)
class SetScores:
    """Scores of gene sets in real and in synthetic rows.

    Attributes:
        names: of the sets that have two genes or more in the tables.
        genes: how many each has there.
        real_means: shape (classes, sets): mean score; NaN for a class without rows.
        synthetic_means: likewise.
        real_correlation: shape (sets, sets): of the scores over the rows.
        synthetic_correlation: likewise.
    """

    names: tuple[str, ...]
    genes: tuple[int, ...]
    real_means: Floats
    synthetic_means: Floats
    real_correlation: Floats
    synthetic_correlation: Floats

    @property
    def class_correlation(self) -> float:
        """Pearson correlation, over classes and sets, of real and synthetic mean scores."""
        one, other = self.real_means.ravel(), self.synthetic_means.ravel()
        known = ~np.isnan(one) & ~np.isnan(other)
        if known.sum() < 2 or one[known].std() < 1e-12 or other[known].std() < 1e-12:
            return float("nan")
        return float(np.corrcoef(one[known], other[known])[0, 1])

    @property
    def mean_difference(self) -> float:
        """Mean |Δr| of the correlations between sets; NaN if there is one set."""
        upper = np.triu_indices(len(self.names), 1)
        return mean(np.abs(self.real_correlation - self.synthetic_correlation)[upper])


def set_scores(
    real: Floats,
    real_labels: Labels,
    synthetic: Floats,
    synthetic_labels: Labels,
    genes: Sequence[str],
    sets: Mapping[str, Sequence[str]],
    classes: Sequence[str],
) -> SetScores:
    """Scores of gene sets: the mean of a set's genes, scaled to the real rows' mean 0, variance 1.

    The combined z-score (Lee et al., PLoS Comput. Biol. 4 (2008) e1000217) but for a factor.

    Args:
        real: shape (rows, genes).
        real_labels: shape (rows,).
        synthetic: shape (synthetic rows, genes).
        synthetic_labels: shape (synthetic rows,).
        genes: their names.
        sets: name → names of genes; sets with fewer than two of ``genes`` are left out.
        classes: whose means are compared.
    """
    varies = real.std(axis=0) > 1e-12
    places = {gene: place for place, gene in enumerate(np.array(genes, dtype=object)[varies])}
    known = {
        name: found
        for name, wanted in sets.items()
        if len(found := [places[gene] for gene in wanted if gene in places]) > 1
    }
    one, other = standardised(real, synthetic)
    means, correlations = [], []
    for table, labels in ((one, real_labels), (other, synthetic_labels)):
        scores = np.array([table[:, found].mean(axis=1) for found in known.values()]).reshape(
            len(known), len(table)
        )
        means.append(
            np.array(
                [
                    scores[:, labels == name].mean(axis=1)
                    if np.any(labels == name)
                    else np.full(len(known), np.nan)
                    for name in classes
                ]
            )
        )
        correlations.append(correlation(scores.T))
    sizes = tuple(len(found) for found in known.values())
    return SetScores(tuple(known), sizes, means[0], means[1], correlations[0], correlations[1])


def correlation(values: Floats) -> Floats:
    """Pearson correlation of all columns, shape (columns, columns); 0 where one is constant."""
    centred = values - values.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    scaled = np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 1e-12)
    found: Floats = np.clip(scaled.T @ scaled, -1.0, 1.0)
    return found


def _rate(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if hits.size else float("nan")
