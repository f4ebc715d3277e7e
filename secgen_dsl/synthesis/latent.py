"""Latent normal variables of all genes: from factor models, and from measured gene pairs."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.synthesis.measured import Floats
from secgen_dsl.synthesis.model import FactorModel, TableModel, label_cells
from secgen_dsl.synthesis.predicted import pooled

_ENOUGH = 20
"""Rows of a label cell.  A twentieth of the variance is lost with their mean; of one row, all."""


def draw_latent(
    model: TableModel,
    sizes: Mapping[str, int],
    codes: NDArray[np.int64],
    rng: np.random.Generator,
) -> Floats:
    """For every gene a variable in whose order its values are, shape (rows, genes).

    Standard normal within the label cells of the gene's tables, and without tables within those of
    its moments.  Where a gene's tables lack a label of its moments, it holds what that label
    explains, and is standard normal over all rows.

    Genes of pairs have the correlations that the pairs say of a row's labels, whatever the factors
    say of them; with other genes they vary as the factors say.

    Args:
        model: fitted.
        sizes: column → number of values, in the order of ``codes``.
        codes: shape (rows, columns): indices of values.
        rng: of the rows.
    """
    rows = codes.shape[0]
    latent = rng.standard_normal((rows, len(model.genes)))
    for index, factors in enumerate(model.factors):
        positions, own = _genes_of(model, index)
        if positions:
            cells = label_cells(factors.columns, sizes, codes)
            drawn = exact_normals(rows, factors.loadings.shape[0], cells, rng)
            latent[:, positions] *= factors.unique[own]
            latent[:, positions] += drawn @ factors.loadings[:, own]
    held = list(model.latent.genes)
    before = np.linalg.cholesky(_correlations(model, held))
    white = np.linalg.solve(before, latent[:, held].T).T
    cells = label_cells(model.latent.columns, sizes, codes)
    for cell in np.unique(cells) if held else ():
        members = np.flatnonzero(cells == cell)
        after = np.linalg.cholesky(model.latent.matrices[cell])
        latent[members[:, None], held] = white[members] @ after.T
    for index, factors in enumerate(model.factors):
        positions, own = _genes_of(model, index)
        mixed = [
            number
            for number, position in enumerate(positions)
            if model.genes[position].sources and not _labels_in_tables(model, position, factors)
        ]
        if mixed:
            cells = label_cells(factors.columns, sizes, codes)
            chosen, of = [positions[n] for n in mixed], [own[n] for n in mixed]
            mean, deviation = factors.pooled(of)
            whole = factors.means[cells][:, of] + factors.deviations[of] * latent[:, chosen]
            latent[:, chosen] = (whole - mean) / deviation
    return latent


def latent_quantiles(
    model: TableModel, sizes: Mapping[str, int], codes: NDArray[np.int64], latent: Floats
) -> Iterator[tuple[int, Floats]]:
    """Of every gene without tables: its position, and quantiles among people of all labels.

    The quantile is ``Σ_l p(l)·Φ((z − μ_l)/σ)`` of z = μ of the row's label + σ·latent.
    """
    for index, factors in enumerate(model.factors):
        positions, own = _genes_of(model, index)
        cells = label_cells(factors.columns, sizes, codes)
        for position, gene in zip(positions, own, strict=True):
            if model.genes[position].sources:
                continue
            found = pooled(factors, gene)
            own_latent = found.means[cells] + latent[:, position]
            yield position, np.interp(own_latent, found.knots, found.below)


def exact_normals(
    rows: int, count: int, cells: NDArray[np.int64], rng: np.random.Generator
) -> Floats:
    """Standard normal variables, shape (rows, count), without the error of sampling if possible.

    Their means in each cell of ``_ENOUGH`` rows or more are 0 and their second moment is the unit
    matrix exactly, if there are rows enough: correlations of samples are then those of the model.
    Smaller cells keep the error of sampling: the mean of few people does vary.
    """
    drawn = rng.standard_normal((rows, count))
    present, members = np.unique(cells, return_inverse=True)
    if rows < 2 * (count + present.size):
        return drawn
    sums = np.zeros((present.size, count))
    np.add.at(sums, members, drawn)
    sizes = np.bincount(members)
    means = np.where(sizes[:, None] >= _ENOUGH, sums / sizes[:, None], 0.0)
    drawn -= means[members]
    exact: Floats = np.linalg.qr(drawn)[0] * rows**0.5
    return exact


def _genes_of(model: TableModel, index: int) -> tuple[list[int], list[int]]:
    """Positions in the model of the genes of a factor model, and their columns in that."""
    positions: list[int] = []
    own: list[int] = []
    for position, gene in enumerate(model.genes):
        if gene.factors is not None and gene.factors[0] == index:
            positions.append(position)
            own.append(gene.factors[1])
    return positions, own


def _correlations(model: TableModel, held: Sequence[int]) -> Floats:
    """Of the latent variables of some genes by the factors alone."""
    matrix = np.eye(len(held))
    for index, factors in enumerate(model.factors):
        places = [n for n, p in enumerate(held) if (model.genes[p].factors or (-1,))[0] == index]
        own = [(model.genes[held[n]].factors or (0, 0))[1] for n in places]
        loadings = factors.loadings[:, own]
        matrix[np.ix_(places, places)] = loadings.T @ loadings + np.diag(factors.unique[own] ** 2)
    return matrix


def _labels_in_tables(model: TableModel, position: int, factors: FactorModel) -> bool:
    tables = {
        name for table, _ in model.genes[position].sources for name in model.tables[table].columns
    }
    return set(factors.columns) <= tables
