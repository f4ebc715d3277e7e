"""Dependence between genes that their labels do not explain, from tables of gene pairs.

The model is a Gaussian copula given the labels.  Every gene keeps its own distribution given its
labels; behind it stands a standard normal variable, of which the gene's value is a quantile.  Two
genes' latent variables have a correlation ρ, the same in every label cell, or where pairs are
counted by labels one of each of these:

    p(bins b, c) = Σ_l p(l) · P(latent pair in the rectangle of (b, c) given l; ρ_l)

So ρ is the polychoric correlation of a pair (Olsson, Psychometrika 44 (1979) 443) net of what the
labels explain.  Why a copula and not tables of two genes given labels: a pair table is needed for
dependence only, hence its bins may differ from those of the genes' own tables; it spends one
number a pair where a table would spend (B − 1)² a label cell; and a normal distribution takes any
set of pairs, loops included, and is drawn in closed form.

1. For each pair the quasi-likelihood of ρ on a grid: opened counts are normal around N·p(b, c)
   with the variance of the noise and of counts.  Row and column effects are left out of it, so
   that noise of the margins, and people with missing values, do not count as dependence.  Tables
   of one pair of genes add up.  By labels there is one for each label cell.
2. atanh ρ is shrunk: it is ``N(r, τ²)`` over all pairs, r the pair's value in the public reference
   (0 without one).  By labels it is the middle of ``atanh ρ_l ~ N(atanh ρ, ω²)``: a label cell of
   few people has the correlations of all, one of many its own.  τ and ω are those of largest
   marginal likelihood (parametric empirical Bayes, as in ``shrinkage``), all means exact on the
   grid.  There is no test first of whether a pair, or a label, stands out of the noise: where none
   does, τ or ω is small, and nothing but r, or ρ, is left.
3. Correlations of pairs that were not measured follow from those that were, in each label cell by
   covariance selection (``selection``): genes are as independent as the measured pairs allow.  It
   weighs pairs that contradict each other by their errors, so that no table goes unused.  Errors
   are never taken for greater than those of ρ: else genes of a rare label would be independent.
   Label cells that differ from ρ by less than a twentieth of its errors share one matrix.

Limits.  Without labels pairs are taken to be as correlated in one label cell as in another.  Inside
a bin of a gene's own table labels are not told apart; where the pair's bins cut through it, what
labels explain there counts as dependence.  The margins of pair tables are used for genes, or their
labels, that no other table holds, and for nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtri, softmax
from threadpoolctl import threadpool_limits

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

_ALIKE = 0.05
"""Of the errors over all labels: a label whose correlations differ less shares one matrix."""


def single_genes(measured: MeasuredTables) -> list[GeneContrasts]:
    """What pair tables say of genes that no other table holds: their bins, given the pairs' labels.

    A gene of k pairs has the mean of k rows of sums, of variance B·s²/k an entry; genes with the
    same k share a table, so that its noise is one number.

    A table of the gene's own that lacks some of the pairs' labels is joined by theirs, if it has
    the same bins; else it stands alone.
    """
    found = []
    for table in measured.pairs:
        cells, bins = table.counts.shape[1:3]
        sums = np.zeros((len(table.genes), cells, bins))
        number = np.zeros(len(table.genes), dtype=np.int64)
        for (first, second), counts in zip(table.pairs, table.counts, strict=True):
            sums[first] += counts.sum(axis=2)
            sums[second] += counts.sum(axis=1)
            number[[first, second]] += 1
        alone = np.array(
            [
                not any(_tells(own, table, place) for own in measured.genes)
                for place in range(len(table.genes))
            ]
        )
        for times in np.unique(number[alone & (number > 0)]):
            chosen = np.flatnonzero(alone & (number == times))
            rows = sums[chosen] / times
            found.append(
                GeneContrasts(
                    columns=table.columns,
                    panel=table.panel,
                    genes=tuple(table.genes[i] for i in chosen),
                    edges=table.edges[chosen],
                    reference=table.reference,
                    contrasts=rows - rows.mean(axis=2, keepdims=True),
                    variance=bins * table.variance / float(times),
                )
            )
    return found


def _tells(own: GeneContrasts, pairs: PairCounts, place: int) -> bool:
    """Whether a gene's own table leaves nothing of the gene itself for the pairs to tell."""
    gene = pairs.genes[place]
    if own.panel.unit != pairs.panel.unit or gene not in own.genes:
        return False
    same = np.array_equal(own.edges[own.genes.index(gene)], pairs.edges[place])
    return set(pairs.columns) <= set(own.columns) or not same


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
        measured: pair tables; those by labels are all by the same ones.
        components: fitted columns.
        tables: the genes' distributions.
        genes: of the model; every gene of a pair is among them.
        references: of every public reference.
    """
    positions = {(gene.symbol, gene.unit): number for number, gene in enumerate(genes)}
    columns = next((table.columns for table in measured if table.columns), ())
    labels = _Labels(components, tables, genes, columns)
    found: dict[tuple[int, int], _Pair] = {}
    for table in measured:
        people = max(1.0, float(table.counts.sum(axis=(1, 2, 3)).mean()))
        tables_of_pairs = labels.in_order(table)
        public = public_bins(
            program, table.panel, table.reference, table.genes, table.edges, references
        )
        for (i, j), counts in zip(table.pairs, tables_of_pairs, strict=True):
            first, second = (positions[table.genes[k], table.panel.unit] for k in (i, j))
            expected = labels.expected(first, second, table.edges[i], table.edges[j])
            mixed = np.einsum("l,lgbc->gbc", labels.shares, expected)
            everyone, cells = np.zeros(_ANGLES.size), np.zeros((labels.shares.size, _ANGLES.size))
            if table.columns:
                given = zip(counts, expected, labels.shares, strict=True)
                cells = np.array(
                    [_likelihood(own, p, people * n, table.variance) for own, p, n in given]
                )
            else:
                everyone = _likelihood(counts[0], mixed, people, table.variance)
            public_counts = _public_likelihood(public[:, i], public[:, j], mixed)
            pair = _Pair(everyone, cells, public_counts)
            key = (min(first, second), max(first, second))
            found[key] = found[key] + pair if key in found else pair
    held = tuple(sorted({gene for pair in found for gene in pair}))
    if not held:
        return LatentCorrelations((), np.zeros((1, 0, 0)))
    pairs = [(held.index(first), held.index(second)) for first, second in found]
    matrices = {}
    with threadpool_limits(1):  # matrices are small: threads only wait for each other
        means, deviations = _shrunk(list(found.values()), by_labels=bool(columns))
        near = [np.abs(those - those[0]) <= _ALIKE * deviations[0] for those in (means, deviations)]
        chosen = [0 if same else row for row, same in enumerate((near[0] & near[1]).all(axis=1))]
        for row in set(chosen[1:] or chosen):
            correlations = np.tanh(means[row])
            errors = deviations[row] * (1 - correlations**2)  # the derivative of tanh
            matrices[row] = largest_entropy_correlations(len(held), pairs, correlations, errors)
    every = np.array([matrices[row] for row in chosen[1:] or chosen])
    return LatentCorrelations(held, every, columns)


@dataclass(frozen=True)
class _Pair:
    """What is known of one pair of genes, each over the grid of correlations.

    Attributes:
        everyone: logarithm of the likelihood of the opened counts without labels.
        cells: of those by labels, shape (label cells, grid); zeros of what was not counted.
        public: of the counts in the public reference; zeros without one.
    """

    everyone: Floats
    cells: Floats
    public: Floats

    def __add__(self, other: "_Pair") -> "_Pair":
        return _Pair(
            self.everyone + other.everyone, self.cells + other.cells, self.public + other.public
        )


class _Labels:
    """Expected pair tables, under the fitted labels and the genes' own distributions.

    Attributes:
        shares: of the label cells of ``columns``, shape (L,).
    """

    def __init__(
        self,
        components: Sequence[Component],
        tables: Sequence[GeneTable],
        genes: Sequence[SyntheticGene],
        columns: tuple[str, ...],
    ) -> None:
        self._components, self._tables, self._genes = components, tables, genes
        self._sizes = {name: n for c in components for name, n in c.tree.sizes.items()}
        self._shares: dict[tuple[str, ...], Floats] = {}
        self._columns = columns
        self.shares = label_distribution(components, columns)

    def in_order(self, table: PairCounts) -> Floats:
        """A table's counts with its labels in the order of ``columns``; shape as the counts."""
        counts = table.counts
        places = [table.columns.index(name) for name in self._columns if table.columns]
        sizes = [self._sizes[name] for name in table.columns]
        pairs, bins = len(counts), counts.shape[2:]
        parts = counts.reshape(pairs, *sizes, *bins)
        last = parts.ndim - 2
        moved: Floats = parts.transpose(0, *(place + 1 for place in places), last, last + 1)
        return moved.reshape(counts.shape)

    def expected(self, first: int, second: int, edges: Floats, others: Floats) -> Floats:
        """p(bins of both | label cell) over the grid, shape (L, grid, B, B).

        Args:
            first: position of a gene.
            second: position of the other.
            edges: shape (B − 1,), of the first gene's bins in the pair table.
            others: shape (B − 1,), of the second's.
        """
        names = dict.fromkeys(self._columns) | {
            name: None
            for gene in (first, second)
            for table, _ in self._genes[gene].sources
            for name in self._tables[table].columns
        }
        columns = tuple(names)
        if columns not in self._shares:
            self._shares[columns] = label_distribution(self._components, columns)
        cells = self.shares.size
        shares = self._shares[columns].reshape(cells, -1)
        total = shares.sum(axis=1, keepdims=True)
        # Of a label cell of nobody any distribution does.
        given = np.where(total > 0, shares / np.where(total > 0, total, 1), 1 / shares.shape[1])
        below, above = (
            self._below(gene, own, columns).reshape(cells, -1, own.size)
            for gene, own in ((first, edges), (second, others))
        )
        return np.array([expected_tables(*each) for each in zip(below, above, given, strict=True)])

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
    residuals = counts.ravel() - people * expected.reshape(_ANGLES.size, -1)
    explained = np.linalg.pinv(effects.T @ weighed) @ (residuals @ weighed).T
    residuals = residuals - (effects @ explained).T
    likelihood: Floats = -0.5 * (weights * residuals**2).sum(axis=1)
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


def _shrunk(pairs: Sequence[_Pair], *, by_labels: bool) -> tuple[Floats, Floats]:
    """Posterior means and standard deviations of atanh ρ and of every atanh ρ_l.

    Each has the shape (1 + label cells, pairs): ρ comes first; without labels it is alone.  A
    deviation is at most that of atanh ρ, which is what pairs without labels have in one cell.
    """
    grid = np.arctanh(_CORRELATIONS)
    # A mean, so that a reference that says nothing says 0.
    public = softmax([pair.public for pair in pairs], axis=1) @ grid
    priors = [_around(public, spread) for spread in _SPREADS]
    everyone = np.array([pair.everyone for pair in pairs])
    cells = np.array([pair.cells for pair in pairs])
    greatest = cells.max(axis=2, keepdims=True)
    scaled = np.exp(cells - greatest)
    best, posterior, between = -np.inf, everyone, 0.0
    for candidate in _SPREADS if by_labels else (0.0,):
        likelihood = everyone
        if by_labels:
            # Of ρ, from each label cell's counts; a product of these over the cells.
            seen = scaled @ np.exp(_around(grid, candidate)).T
            likelihood = everyone + (np.log(np.maximum(seen, 1e-300)) + greatest).sum(axis=1)
        for prior in priors:
            evidence = float(logsumexp(likelihood + prior, axis=1).sum())
            if evidence > best:
                best, posterior, between = evidence, likelihood + prior, candidate
    weights = softmax(posterior, axis=1)
    means = weights @ grid
    deviations = np.sqrt(np.maximum(weights @ grid**2 - means**2, 0.0))
    if not by_labels:
        return means[None], deviations[None]
    kernel = np.exp(_around(grid, between)).T
    # Given ρ: of each label cell the mean and the mean square of atanh ρ_l, then over ρ.
    seen = np.maximum(scaled @ kernel, 1e-300)
    first, second = (
        np.einsum("pg,plg->lp", weights, (scaled @ (grid[:, None] ** power * kernel)) / seen)
        for power in (1, 2)
    )
    own = np.minimum(np.sqrt(np.maximum(second - first**2, 0.0)), deviations)
    return np.vstack([means, first]), np.vstack([deviations, own])


def _around(middles: Floats, spread: float) -> Floats:
    """Logarithm of N(middle, spread²) over the grid of atanh ρ, shape (middles, grid)."""
    grid = np.arctanh(_CORRELATIONS)
    density = np.log(np.gradient(grid)) - 0.5 * ((grid - middles[:, None]) / spread) ** 2
    normal: Floats = density - logsumexp(density, axis=1, keepdims=True)
    return normal
