"""The fitted model: connected columns, bins of genes given labels, dependence between genes.

Labels and genes form stars: genes are independent given the labels that they were measured with,
but for what moments and measured pairs say of how they vary together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.program import Column
from secgen_dsl.synthesis.decoding import BinCurve
from secgen_dsl.synthesis.junction import JunctionTree
from secgen_dsl.synthesis.measured import Floats


@dataclass(frozen=True)
class Component:
    """Columns that tables connect.

    Attributes:
        tree: its cliques.
        tables: probabilities of each clique; they agree on separators.
        people: the estimated number of people in these tables; ≥ 1, not an integer.
        first: the column, in the root clique, that rows are to hold in its proportions as exactly
            as whole numbers can; empty: none.
    """

    tree: JunctionTree
    tables: tuple[Floats, ...]
    people: float
    first: str = ""


@dataclass(frozen=True)
class GeneTable:
    """One measured gene marginal, or what a table of pairs says of single genes.

    Attributes:
        columns: names of its columns; all in one component, or none at all.
        probabilities: p(bin | label cell), shape (genes, L, B).  Of genes with moments the bins are
            finer than those that were measured (``predicted``).
        pooled: p(bin), shape (genes, B): over the fitted labels.
    """

    columns: tuple[str, ...]
    probabilities: Floats
    pooled: Floats


@dataclass(frozen=True)
class SyntheticGene:
    """A gene of the synthetic rows.

    Attributes:
        symbol: the gene's name.
        panel: the (first) panel that it is in.
        unit: of its values.
        sources: (index of a table of the model, row in it); several were measured over the same
            edges, and are combined.
        curve: from the sources' bins to values; of a gene without tables, from quantiles in 0..1.
        factors: (index of a factor model, column in it), or None.  A gene without tables has one.
    """

    symbol: str
    panel: str
    unit: str
    sources: tuple[tuple[int, int], ...]
    curve: BinCurve
    factors: tuple[int, int] | None = None


@dataclass(frozen=True)
class FactorModel:
    """How genes vary together: normal given the labels, with means of their own in a label cell.

    ``means[cell] + deviations·(factors @ loadings + unique·noise)``, in public standard deviations;
    factors and noise are standard normal.

    Attributes:
        columns: names of the label columns.
        shares: shape (L,): of the label cells; sums to 1.
        means: shape (L, genes).
        deviations: shape (genes,), > 0: within a label cell.
        loadings: shape (factors, genes).
        unique: shape (genes,), > 0: Σ loadings² + unique² is 1 for every gene.
    """

    columns: tuple[str, ...]
    shares: Floats
    means: Floats
    deviations: Floats
    loadings: Floats
    unique: Floats

    def pooled(self, genes: Sequence[int] | slice = slice(None)) -> tuple[Floats, Floats]:
        """Mean and standard deviation over all labels, each of shape (genes,)."""
        means = self.means[:, genes]
        mean = self.shares @ means
        between = self.shares @ (means - mean) ** 2
        return mean, np.sqrt(between + self.deviations[genes] ** 2)


@dataclass(frozen=True)
class LatentCorrelations:
    """How genes depend on each other given the labels: a Gaussian copula.

    Attributes:
        genes: positions in the model, rising; all other genes are independent.
        matrices: shape (L, genes, genes): correlations of their latent normal variables in each
            label cell of ``columns``; positive definite.
        columns: names of label columns; none: the correlations are the same in all cells, L is 1.
    """

    genes: tuple[int, ...]
    matrices: Floats
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableModel:
    """Everything that samples are drawn from; what nobody measured is not in it.

    Attributes:
        columns: measured columns, in the program's order.
        curves: from the bins of number columns to their values, by name.
        components: every column is in exactly one.
        tables: the gene marginals.
        genes: in order of panels and of genes in them.
        latent: correlations between genes given the labels, from tables of pairs.
        factors: what moments say of how genes vary together.
    """

    columns: tuple[Column, ...]
    curves: Mapping[str, BinCurve]
    components: tuple[Component, ...]
    tables: tuple[GeneTable, ...]
    genes: tuple[SyntheticGene, ...]
    latent: LatentCorrelations
    factors: tuple[FactorModel, ...] = ()


def label_distribution(components: Sequence[Component], columns: Sequence[str]) -> Floats:
    """p(label cell) of any columns, shape (L,), last column fastest; components are independent.

    Raises:
        SecgenError: SG601, as ``JunctionTree.query``; never for the columns of one marginal.
    """
    names: list[str] = []
    table: Floats = np.ones(())
    for component in components:
        own = [name for name in columns if name in component.tree.sizes]
        if own:
            names += own
            table = np.multiply.outer(table, component.tree.marginal(component.tables, own))
    return table.transpose([names.index(name) for name in columns]).ravel()


def label_cells(
    columns: Sequence[str], sizes: Mapping[str, int], codes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Index of the label cell of ``columns``, shape (rows,); the last column runs fastest.

    Args:
        columns: some of ``sizes``; may be none.
        sizes: column → number of values.
        codes: shape (rows, columns of ``sizes``, in their order): index of the value.
    """
    held = list(sizes)
    cells = np.zeros(codes.shape[0], dtype=np.int64)
    for name in columns:
        cells = cells * sizes[name] + codes[:, held.index(name)]
    return cells


def gene_groups(genes: Sequence[SyntheticGene]) -> dict[tuple[int, ...], list[int]]:
    """Positions of the genes that are drawn from the same tables, by the tables' indices.

    Genes without tables are left out.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, gene in enumerate(genes):
        if not gene.sources:
            continue
        groups.setdefault(tuple(table for table, _ in gene.sources), []).append(position)
    return groups


def bin_probabilities(
    tables: Sequence[GeneTable], genes: Sequence[SyntheticGene], cells: NDArray[np.int64]
) -> Floats:
    """p(bin | labels) of genes that are drawn from the same k tables.

    ``∏ᵢ p(b | labelsᵢ) / p(b)^(k−1)``, normalised: right if the tables' labels are independent
    given the bin (our derivation).  p(b) is the geometric mean of the tables' own.  Where the
    tables exclude each other's bins, the first one decides.

    Args:
        tables: of the model.
        genes: at least one; their sources are of the same tables.
        cells: shape (combinations, k): a label cell of each table.

    Returns:
        Shape (genes, combinations, B).
    """
    sources = [table for table, _ in genes[0].sources]
    rows = [[gene.sources[i][1] for gene in genes] for i in range(len(sources))]
    given: Floats = np.stack(
        [tables[table].probabilities[rows[i]][:, cells[:, i]] for i, table in enumerate(sources)]
    )
    if len(sources) == 1:
        return np.asarray(given[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = np.log([tables[table].pooled[rows[i]] for i, table in enumerate(sources)])
        shared = (len(sources) - 1) * pooled.mean(axis=0)[:, None]
        logarithm = np.log(given).sum(axis=0) - shared
    product = np.exp(np.where(np.isnan(logarithm), -np.inf, logarithm))
    total = product.sum(axis=2, keepdims=True)
    # A bin that only a label cell of nobody reaches has p(b) = 0, and an infinite product.
    sound = (total > 0) & np.isfinite(total)
    with np.errstate(invalid="ignore"):
        return np.where(sound, product / np.where(sound, total, 1.0), given[0])
