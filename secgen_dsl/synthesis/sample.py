"""Synthetic rows from a fitted model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, ndtr

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.program import Column, NumberColumn
from secgen_dsl.synthesis.decoding import decode_numbers
from secgen_dsl.synthesis.junction import conditional
from secgen_dsl.synthesis.latent import draw_latent, latent_quantiles
from secgen_dsl.synthesis.measured import Floats
from secgen_dsl.synthesis.model import (
    Component,
    SyntheticGene,
    TableModel,
    bin_probabilities,
    gene_groups,
    label_cells,
)

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """Synthetic rows; no row stands for a person.

    Attributes:
        columns: the columns, in the program's order.
        codes: shape (rows, columns): index of the value in the column's public list, of the bin
            for a column of numbers.
        numbers: number column → its values, shape (rows,), inside the bins of ``codes``.
        genes: the genes, in order of panels.
        values: shape (rows, genes), in the genes' units, within their panels' ranges.
    """

    columns: tuple[Column, ...]
    codes: Codes
    numbers: Mapping[str, Floats]
    genes: tuple[SyntheticGene, ...]
    values: Floats

    def labels(self, column: str) -> NDArray[np.str_]:
        """The values (or bins in words) of a column, shape (rows,).

        Raises KeyError if it is not in the samples.
        """
        for position, candidate in enumerate(self.columns):
            if candidate.name == column:
                return np.array(candidate.values)[self.codes[:, position]]
        raise KeyError(column)


def draw_samples(model: TableModel, rows: int, rng: np.random.Generator) -> Samples:
    """Draw ``rows`` synthetic rows.

    * Labels, clique by clique: systematic sampling (Madow, Ann. Math. Statist. 20 (1949) 333): of
      n rows that are alike in what was drawn before, a cell of probability p gets ⌊n·p⌋ or ⌈n·p⌉,
      n·p on average.  Multinomial draws would add noise for nothing; the largest remainder would
      never draw many small cells.  A column whose proportions were chosen (``conditioning``) gets
      ⌊n·p⌋ or ⌈n·p⌉ rows of each value.
    * Numbers: in each bin one from each n-th of its curve.
    * Genes of tables: Latin hypercube sampling (McKay, Beckman, Conover, Technometrics 21 (1979)
      239): among the n rows of a label cell every gene takes one value from each n-th of its
      distribution, in the order of latent normal variables (as Iman, Conover, Commun. Statist. B
      11 (1982) 311).  These have the model's correlations (``latent``).  Each value still has
      exactly its distribution.
    * Genes of moments only: the quantile of the latent variable among all labels' people, on the
      gene's curve.
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
    sizes = {column.name: len(column.values) for column in model.columns}
    latent = draw_latent(model, sizes, codes, rng)
    values = np.empty((rows, len(model.genes)))
    for position, quantiles in latent_quantiles(model, sizes, codes, latent):
        values[:, position] = model.genes[position].curve.decode(quantiles)
    for tables, positions in gene_groups(model.genes).items():
        columns = [model.tables[table].columns for table in tables]
        cells = np.stack([label_cells(own, sizes, codes) for own in columns], axis=1)
        combinations, members = np.unique(cells, axis=0, return_inverse=True)
        genes = [model.genes[position] for position in positions]
        probabilities = bin_probabilities(model.tables, genes, combinations)
        places = np.empty((rows, len(positions)))
        for number in range(combinations.shape[0]):
            chosen = np.flatnonzero(members.ravel() == number)
            quantiles = _stratified(latent[chosen][:, positions])
            places[chosen] = _positions(probabilities[:, number], quantiles)
        for column, position in enumerate(positions):
            values[:, position] = model.genes[position].curve.decode(places[:, column])
    numbers = _draw_numbers(model, codes, rng)
    return Samples(model.columns, codes, numbers, model.genes, values)


def _draw_labels(model: TableModel, rows: int, rng: np.random.Generator) -> Codes:
    """Shape (rows, columns of the model); components are independent of each other."""
    order = [column.name for column in model.columns]
    codes = np.zeros((rows, len(order)), dtype=np.int64)
    for component in model.components:
        for name, values in _draw_component(component, rows, rng).items():
            codes[:, order.index(name)] = values
    return codes


def _draw_component(component: Component, rows: int, rng: np.random.Generator) -> dict[str, Codes]:
    """The root clique's columns, then along the tree what each clique adds."""
    tree, root, names = component.tree, component.tables[0], list(component.tree.cliques[0])
    if component.first:  # systematic samples are as exact over the outermost axis as over cells
        root = np.moveaxis(root, names.index(component.first), 0)
        names.insert(0, names.pop(names.index(component.first)))
    cells = _systematic(root.ravel(), rows, rng)
    drawn = dict(zip(names, np.unravel_index(cells, root.shape), strict=True))
    for separator in tree.separators:
        clique, shape = tree.cliques[separator.child], tree.shapes[separator.child]
        shared = [clique.index(name) for name in separator.columns]
        given = conditional(component.tables[separator.child], separator)
        given = np.moveaxis(given, shared, range(len(shared)))
        added_shape = given.shape[len(shared) :]
        given = given.reshape(-1, int(np.prod(added_shape)))
        known = np.ravel_multi_index(
            [drawn[name] for name in separator.columns], [shape[axis] for axis in shared]
        )
        added = np.zeros(rows, dtype=np.int64)
        for cell in np.unique(known):
            chosen = np.flatnonzero(known == cell)
            added[chosen] = _systematic(given[cell], chosen.size, rng)
        rest = [name for name in clique if name not in separator.columns]
        drawn |= zip(rest, np.unravel_index(added, added_shape), strict=True)
    return drawn


def _systematic(probabilities: Floats, rows: int, rng: np.random.Generator) -> Codes:
    """Cells of a systematic sample, shape (rows,), in random order."""
    bounds = np.cumsum(probabilities)
    points = (np.arange(rows) + rng.random()) / rows * bounds[-1]
    cells = np.searchsorted(bounds, points, side="right")
    # Rounding may lift the last point onto the last bound.
    return rng.permutation(np.minimum(cells, np.flatnonzero(probabilities)[-1]))


def _draw_numbers(model: TableModel, codes: Codes, rng: np.random.Generator) -> dict[str, Floats]:
    numbers = {}
    for position, column in enumerate(model.columns):
        if isinstance(column, NumberColumn):
            bins = codes[:, position]
            places = np.empty(bins.size)
            for number in np.unique(bins):
                chosen = np.flatnonzero(bins == number)
                places[chosen] = _stratified(rng.standard_normal((chosen.size, 1)))[:, 0]
            numbers[column.name] = decode_numbers(column, model.curves[column.name], bins, places)
    return numbers


def _stratified(latent: Floats) -> Floats:
    """Quantiles of a Latin hypercube sample, in the order of the latent variables.

    The r-th of n variables falls into [r/n, (r + 1)/n).  Where in it is uniform: a sorted uniform
    variable has a Beta distribution, and its own distribution function makes it uniform again.

    Args:
        latent: shape (n, genes), standard normal.

    Returns:
        Shape (n, genes), in [0, 1].
    """
    rows = latent.shape[0]
    ranks = latent.argsort(axis=0).argsort(axis=0)
    quantiles: Floats = (ranks + betainc(ranks + 1, rows - ranks, ndtr(latent))) / rows
    return quantiles


def _positions(probabilities: Floats, quantiles: Floats) -> Floats:
    """Positions (bin + place in it) of quantiles, shape (rows, genes).

    Args:
        probabilities: shape (genes, B).
        quantiles: shape (rows, genes).
    """
    genes, bins = probabilities.shape
    upper = np.cumsum(probabilities, axis=1)
    upper /= upper[:, -1:]
    gene = np.arange(genes)
    chosen = np.stack(
        [np.searchsorted(upper[one, :-1], quantiles[:, one], side="right") for one in gene], axis=1
    )
    lower = np.concatenate([np.zeros((genes, 1)), upper[:, :-1]], axis=1)[gene, chosen]
    width = upper[gene, chosen] - lower
    place: Floats = (quantiles - lower) / np.where(width > 0, width, 1.0)
    positions: Floats = np.minimum(chosen + np.clip(place, 0.0, 1.0), float(bins))
    return positions
