"""Synthetic rows from a fitted model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.program import CategoryColumn
from secgen_dsl.synthesis.measured import Floats
from secgen_dsl.synthesis.model import SyntheticGene, TableModel


@dataclass(frozen=True)
class Samples:
    """Synthetic rows; no row stands for a person.

    Attributes:
        columns: the category columns, in the program's order.
        codes: shape (rows, columns): index of the value in the column's public list.
        genes: the genes, in order of panels.
        values: shape (rows, genes), in the genes' units, within their panels' ranges.
    """

    columns: tuple[CategoryColumn, ...]
    codes: NDArray[np.int64]
    genes: tuple[SyntheticGene, ...]
    values: Floats

    def labels(self, column: str) -> NDArray[np.str_]:
        """The values of a column, shape (rows,).  Raises KeyError if it is not in the samples."""
        for position, candidate in enumerate(self.columns):
            if candidate.name == column:
                return np.array(candidate.values)[self.codes[:, position]]
        raise KeyError(column)


def draw_samples(model: TableModel, rows: int, rng: np.random.Generator) -> Samples:
    """Draw ``rows`` synthetic rows.

    * Labels: systematic sampling (Madow, Ann. Math. Statist. 20 (1949) 333): a cell of probability
      p gets ⌊rows·p⌋ or ⌈rows·p⌉ rows, rows·p on average.  Multinomial draws would add noise for
      nothing; the largest remainder would never draw many small cells.
    * Genes, independent given labels: Latin hypercube sampling (McKay, Beckman, Conover,
      Technometrics 21 (1979) 239): among the n rows of a label cell every gene takes one value
      from each n-th of its distribution, in random order.  Each value still has exactly that
      distribution.
    * Rows are in random order.

    Args:
        model: from ``fit_model``.
        rows: ≥ 1; a public number, free to choose.
        rng: samples are post-processing: an ordinary generator does.

    Raises:
        SecgenError: SG611, ``rows`` is below 1.
    """
    if rows < 1:
        raise fail(
            "SG611",
            f"{rows} synthetic rows were asked for",
            place="release { samples … }",
            next_step="ask for 1 row or more",
        )
    codes = _draw_labels(model, rows, rng)
    values = np.empty((rows, len(model.genes)))
    for tables, positions in _gene_groups(model).items():
        cells = np.stack([_label_cells(model, codes, table) for table in tables], axis=1)
        combinations, members = np.unique(cells, axis=0, return_inverse=True)
        positions_in_bins = np.empty((rows, len(positions)))
        for number, combination in enumerate(combinations):
            chosen = np.flatnonzero(members.ravel() == number)
            probabilities = _bin_probabilities(model, tables, positions, combination)
            positions_in_bins[chosen] = _hypercube(probabilities, chosen.size, rng)
        for column, position in enumerate(positions):
            values[:, position] = model.genes[position].curve.decode(positions_in_bins[:, column])
    return Samples(model.columns, codes, model.genes, values)


def _draw_labels(model: TableModel, rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Shape (rows, columns of the model); components are independent of each other."""
    order = [column.name for column in model.columns]
    codes = np.zeros((rows, len(order)), dtype=np.int64)
    for component in model.components:
        bounds = np.cumsum(component.joint.ravel())
        points = (np.arange(rows) + rng.random()) / rows * bounds[-1]
        cells = rng.permutation(np.searchsorted(bounds, points, side="right"))
        # Rounding may lift the last point onto the last bound.
        cells = np.minimum(cells, np.flatnonzero(component.joint.ravel())[-1])
        for column, values in zip(
            component.columns, np.unravel_index(cells, component.joint.shape), strict=True
        ):
            codes[:, order.index(column.name)] = values
    return codes


def _gene_groups(model: TableModel) -> dict[tuple[int, ...], list[int]]:
    """Positions of the genes that are drawn from the same tables."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, gene in enumerate(model.genes):
        groups.setdefault(tuple(table for table, _ in gene.sources), []).append(position)
    return groups


def _label_cells(model: TableModel, codes: NDArray[np.int64], table: int) -> NDArray[np.int64]:
    """Index of every row's label cell in a table, shape (rows,)."""
    order = [column.name for column in model.columns]
    cells = np.zeros(codes.shape[0], dtype=np.int64)
    for name in model.tables[table].columns:
        position = order.index(name)
        cells = cells * len(model.columns[position].values) + codes[:, position]
    return cells


def _bin_probabilities(
    model: TableModel, tables: tuple[int, ...], positions: list[int], cells: NDArray[np.int64]
) -> Floats:
    """p(bin | labels), shape (genes, B).

    Of k tables: ``∏ᵢ p(b | labelsᵢ) / p(b)^(k−1)``, normalised: right if the tables' labels are
    independent given the bin (our derivation).  p(b) is the geometric mean of the tables' own.
    Where the tables exclude each other's bins, the first one decides.
    """
    rows = [[model.genes[p].sources[i][1] for p in positions] for i in range(len(tables))]
    given = [model.tables[table].probabilities[rows[i], cells[i]] for i, table in enumerate(tables)]
    if len(tables) == 1:
        return given[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = np.log([model.tables[t].pooled[rows[i]] for i, t in enumerate(tables)])
        logarithm = np.log(given).sum(axis=0) - (len(tables) - 1) * pooled.mean(axis=0)
    product = np.exp(np.where(np.isnan(logarithm), -np.inf, logarithm))
    total = product.sum(axis=1, keepdims=True)
    return np.where(total > 0, product / np.where(total > 0, total, 1.0), given[0])


def _hypercube(probabilities: Floats, rows: int, rng: np.random.Generator) -> Floats:
    """Positions (bin + place in it) of a Latin hypercube sample, shape (rows, genes)."""
    genes, bins = probabilities.shape
    strata = rng.permuted(np.tile(np.arange(rows)[:, None], (1, genes)), axis=0)
    quantiles = (strata + rng.random((rows, genes))) / rows
    upper = np.cumsum(probabilities, axis=1)
    upper /= upper[:, -1:]
    chosen = (quantiles[:, :, None] >= upper[None, :, :-1]).sum(axis=2)
    gene = np.arange(genes)
    lower = np.concatenate([np.zeros((genes, 1)), upper[:, :-1]], axis=1)[gene, chosen]
    width = upper[gene, chosen] - lower
    place: Floats = (quantiles - lower) / np.where(width > 0, width, 1.0)
    positions: Floats = np.minimum(chosen + np.clip(place, 0.0, 1.0), float(bins))
    return positions
