"""Dependence between genes that their labels do not explain, from tables of gene pairs.

The model is a Gaussian copula given the labels.  Every gene keeps its own distribution given its
labels; behind it stands a standard normal variable, of which the gene's value is a quantile, and
two genes' latent variables have the same correlation ρ in every label cell:

    p(bins b, c) = Σ_l p(l) · P(latent pair in the rectangle of (b, c) given l; ρ)

So ρ is the polychoric correlation of a pair (Olsson, Psychometrika 44 (1979) 443) net of what the
labels explain.  Why a copula and not tables of two genes given labels: a pair table is needed for
dependence only, hence its bins may differ from those of the genes' own tables; it spends one
number a pair where a table would spend (B − 1)² a label cell; and a normal distribution takes any
set of pairs, loops included, and is drawn in closed form.

1. For each pair the quasi-likelihood of ρ on a grid: opened counts are normal around N·p(b, c)
   with the variance of the noise and of counts.  Row and column effects are left out of it, so
   that noise of the margins, and people with missing values, do not count as dependence.  Tables
   of one pair of genes add up.
2. atanh ρ is shrunk: it is ``N(r, τ²)`` over all pairs, r the pair's value in the public reference
   (0 without one), τ that of largest marginal likelihood (parametric empirical Bayes, as in
   ``shrinkage``).  There is no test first of whether a pair stands out of the noise: where none
   does, τ is small, and nothing but r is left.
3. Correlations of pairs that were not measured follow from those that were, by covariance
   selection (``selection``): genes are as independent as the measured pairs allow.  It weighs
   pairs that contradict each other by their errors, so that no table goes unused.

Limits.  Pairs are taken to be as correlated in one label cell as in another: a table of pairs
without labels cannot tell.  Inside a bin of a gene's own table labels are not told apart; where
the pair's bins cut through it, what labels explain there counts as dependence.  The margins of
pair tables are used for genes that no other table holds, and for nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtri, softmax

from secgen_dsl.ir.program import Program
from secgen_dsl.public.reference import ReferenceValues
from secgen_dsl.synthesis.measured import Floats, GeneContrasts, MeasuredTables, PairCounts
from secgen_dsl.synthesis.model import (
    Component,
    GeneTable,
    LatentCorrelations,
    SyntheticGene,
    bin_probabilities,
    label_cells,
    label_distribution,
)
from secgen_dsl.synthesis.reference import public_bins
from secgen_dsl.synthesis.selection import largest_entropy_correlations

_GREATEST = 0.98
"""Greatest |ρ| considered."""

_ANGLES = np.linspace(-np.arcsin(_GREATEST), np.arcsin(_GREATEST), 121)
"""The grid: arcsin ρ, in which a normal rectangle's probability is a smooth integral."""

_CORRELATIONS = np.sin(_ANGLES)

_SPREADS = tuple(10.0 ** (power / 6) for power in range(-12, 1))
"""Candidates for τ, in units of atanh ρ."""


def single_genes(measured: MeasuredTables) -> list[GeneContrasts]:
    """What pair tables say of genes that no other table holds: their bins, without labels.

    A gene of k pairs has the mean of k rows of sums, of variance B·s²/k an entry; genes with the
    same k share a table, so that its noise is one number.
    """
    held = {(gene, table.panel.unit) for table in measured.genes for gene in table.genes}
    found = []
    for table in measured.pairs:
        bins = table.counts.shape[1]
        sums = np.zeros((len(table.genes), bins))
        number = np.zeros(len(table.genes), dtype=np.int64)
        for (first, second), counts in zip(table.pairs, table.counts, strict=True):
            sums[first] += counts.sum(axis=1)
            sums[second] += counts.sum(axis=0)
            number[[first, second]] += 1
        alone = np.array([(gene, table.panel.unit) not in held for gene in table.genes])
        for times in np.unique(number[alone & (number > 0)]):
            chosen = np.flatnonzero(alone & (number == times))
            rows = sums[chosen] / times
            found.append(
                GeneContrasts(
                    columns=(),
                    panel=table.panel,
                    genes=tuple(table.genes[i] for i in chosen),
                    edges=table.edges[chosen],
                    reference=table.reference,
                    contrasts=(rows - rows.mean(axis=1, keepdims=True))[:, None, :],
                    variance=bins * table.variance / float(times),
                )
            )
    return found


def fit_correlations(
    program: Program,
    measured: Sequence[PairCounts],
    components: Sequence[Component],
    tables: Sequence[GeneTable],
    genes: Sequence[SyntheticGene],
    references: Mapping[str, ReferenceValues],
) -> LatentCorrelations:
    """The latent correlations of all genes of pairs; see the module's text.

    Args:
        program: of the plan that was run.
        measured: pair tables.
        components: fitted columns.
        tables: the genes' distributions.
        genes: of the model; every gene of a pair is among them.
        references: of every public reference.
    """
    positions = {(gene.symbol, gene.unit): number for number, gene in enumerate(genes)}
    labels = _Labels(components, tables, genes)
    found: dict[tuple[int, int], _Pair] = {}
    for table in measured:
        people = max(1.0, float(table.counts.sum(axis=(1, 2)).mean()))
        public = public_bins(
            program, table.panel, table.reference, table.genes, table.edges, references
        )
        for (i, j), counts in zip(table.pairs, table.counts, strict=True):
            first, second = (positions[table.genes[k], table.panel.unit] for k in (i, j))
            expected = labels.expected(first, second, table.edges[i], table.edges[j])
            pair = _Pair(
                _likelihood(counts, expected, people, table.variance),
                _public_likelihood(public[:, i], public[:, j], expected),
            )
            key = (min(first, second), max(first, second))
            found[key] = found[key] + pair if key in found else pair
    held = tuple(sorted({gene for pair in found for gene in pair}))
    if not held:
        return LatentCorrelations((), np.zeros((0, 0)))
    means, deviations = _shrunk(list(found.values()))
    correlations = np.tanh(means)
    pairs = [(held.index(first), held.index(second)) for first, second in found]
    errors = deviations * (1 - correlations**2)  # the derivative of tanh
    return LatentCorrelations(
        held, largest_entropy_correlations(len(held), pairs, correlations, errors)
    )


@dataclass(frozen=True)
class _Pair:
    """What is known of one pair of genes, each over the grid of correlations.

    Attributes:
        likelihood: logarithm, of the opened counts.
        public: logarithm, of the counts in the public reference; zeros without one.
    """

    likelihood: Floats
    public: Floats

    def __add__(self, other: "_Pair") -> "_Pair":
        return _Pair(self.likelihood + other.likelihood, self.public + other.public)


class _Labels:
    """Expected pair tables, under the fitted labels and the genes' own distributions."""

    def __init__(
        self,
        components: Sequence[Component],
        tables: Sequence[GeneTable],
        genes: Sequence[SyntheticGene],
    ) -> None:
        self._components, self._tables, self._genes = components, tables, genes
        self._sizes = {name: n for c in components for name, n in c.tree.sizes.items()}
        self._shares: dict[tuple[str, ...], Floats] = {}

    def expected(self, first: int, second: int, edges: Floats, others: Floats) -> Floats:
        """p(bins of both) over the grid, shape (grid, B, B).

        Args:
            first: position of a gene.
            second: position of the other.
            edges: shape (B − 1,), of the first gene's bins in the pair table.
            others: shape (B − 1,), of the second's.
        """
        names = {
            name: None
            for gene in (first, second)
            for table, _ in self._genes[gene].sources
            for name in self._tables[table].columns
        }
        columns = tuple(names)
        if columns not in self._shares:
            self._shares[columns] = label_distribution(self._components, columns)
        shares = self._shares[columns]
        below = [
            self._below(gene, own, columns) for gene, own in ((first, edges), (second, others))
        ]
        return expected_tables(below[0], below[1], shares)

    def _below(self, gene: int, edges: Floats, columns: Sequence[str]) -> Floats:
        """P(value below each edge | label cell of ``columns``), shape (L, B − 1)."""
        own = self._genes[gene]
        sizes = {name: self._sizes[name] for name in columns}
        codes = np.array(list(np.ndindex(*sizes.values())), dtype=np.int64)
        tables = [self._tables[table] for table, _ in own.sources]
        cells = np.stack([label_cells(table.columns, sizes, codes) for table in tables], axis=1)
        probabilities = bin_probabilities(self._tables, [own], cells)[0]
        upper = np.concatenate(
            [np.zeros((cells.shape[0], 1)), np.cumsum(probabilities, axis=1)], axis=1
        )
        place = own.curve.position(edges)
        whole = np.minimum(place.astype(np.int64), probabilities.shape[1] - 1)
        below: Floats = upper[:, whole] + (place - whole) * probabilities[:, whole]
        return below.clip(0.0, 1.0)  # sums may exceed 1 by rounding


def expected_tables(first: Floats, second: Floats, shares: Floats) -> Floats:
    """p(bins of both genes) for every correlation of the grid, mixed over label cells.

    The derivative of the bivariate normal distribution function by arcsin ρ is
    ``exp(−(h² + k² − 2hk·sin θ) / (2 cos² θ)) / 2π`` (Drezner, Wesolowsky, J. Statist. Comput.
    Simul. 35 (1990) 101); it is summed from ρ = 0 by Simpson's rule.

    Args:
        first: shape (L, B − 1): P(first gene below each inner edge | label cell).
        second: shape (L, B − 1).
        shares: shape (L,): of the label cells.

    Returns:
        Shape (grid, B, B); every table sums to one.
    """
    fine = np.linspace(_ANGLES[0], _ANGLES[-1], 2 * _ANGLES.size - 1)
    sine, cosine = np.sin(fine)[:, None, None], np.cos(fine)[:, None, None]
    bins = first.shape[1] + 1
    slope = np.zeros((fine.size, bins - 1, bins - 1))
    # Beyond ±8 there is nobody; an infinite edge would give NaN.
    for share, low, high in zip(shares, ndtri(first), ndtri(second), strict=True):
        h, k = np.clip(low, -8, 8)[:, None], np.clip(high, -8, 8)[None, :]
        exponent = (h**2 + k**2 - 2 * h * k * sine) / (2 * cosine**2)
        slope += share * np.exp(-exponent) / (2 * np.pi)
    step = fine[2] - fine[0]
    pieces = (slope[:-2:2] + 4 * slope[1::2] + slope[2::2]) * (step / 6)
    gained = np.concatenate([np.zeros((1, *slope.shape[1:])), np.cumsum(pieces, axis=0)])
    gained -= gained[_ANGLES.size // 2]
    whole = np.zeros((_ANGLES.size, bins + 1, bins + 1))
    whole[:, 1:-1, 1:-1] = np.einsum("l,lb,lc->bc", shares, first, second) + gained
    whole[:, 1:-1, -1], whole[:, -1, 1:-1] = shares @ first, shares @ second
    whole[:, -1, -1] = shares.sum()
    tables: Floats = np.maximum(np.diff(np.diff(whole, axis=1), axis=2), 0.0)
    return tables


def _likelihood(counts: Floats, expected: Floats, people: float, variance: float) -> Floats:
    """Log-likelihood over the grid, free of row and column effects: shape (grid,).

    Counts have the variance of their noise, and that of counts themselves, at ρ = 0.
    """
    bins = counts.shape[0]
    own = people * expected[_ANGLES.size // 2].ravel()
    weights = 1 / (variance + np.maximum(own, 1e-3))
    ones, eye = np.ones((bins, 1)), np.eye(bins)
    effects = np.concatenate([np.kron(eye, ones), np.kron(ones, eye)], axis=1)
    weighed = weights[:, None] * effects
    metric = np.diag(weights) - weighed @ np.linalg.pinv(effects.T @ weighed) @ weighed.T
    residuals = counts.ravel() - people * expected.reshape(_ANGLES.size, -1)
    likelihood: Floats = -0.5 * np.einsum("gi,ij,gj->g", residuals, metric, residuals)
    return likelihood


def _public_likelihood(
    first: NDArray[np.int64], second: NDArray[np.int64], expected: Floats
) -> Floats:
    """Of the public people's bins; flat if nobody has both genes."""
    present = (first >= 0) & (second >= 0)
    if not present.any():
        return np.zeros(_ANGLES.size)
    counts = np.zeros(expected.shape[1:])
    np.add.at(counts, (first[present], second[present]), 1)
    return _likelihood(counts, expected, float(counts.sum()), 0.0)


def _shrunk(pairs: Sequence[_Pair]) -> tuple[Floats, Floats]:
    """Posterior means and standard deviations of atanh ρ, each of shape (pairs,)."""
    grid = np.arctanh(_CORRELATIONS)
    widths = np.log(np.gradient(grid))
    # A mean, so that a reference that says nothing says 0.
    public = softmax([pair.public for pair in pairs], axis=1) @ grid
    likelihood = np.array([pair.likelihood for pair in pairs])
    best, posterior = -np.inf, likelihood
    for spread in _SPREADS:
        prior = widths - 0.5 * ((grid - public[:, None]) / spread) ** 2
        prior -= logsumexp(prior, axis=1, keepdims=True)
        evidence = float(logsumexp(likelihood + prior, axis=1).sum())
        if evidence > best:
            best, posterior = evidence, likelihood + prior
    weights = softmax(posterior, axis=1)
    means = weights @ grid
    return means, np.sqrt(np.maximum(weights @ grid**2 - means**2, 0.0))
