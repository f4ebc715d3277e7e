"""What a factor model predicts of a gene's bins, for genes that tables measure too.

Within a label cell a gene's latent variable is normal, and its value is the quantile of that
variable among people of all labels, on the gene's curve (``latent``).  So the model predicts how
many of a cell's people fall into each bin of a table, and how they lie inside of it.  Tables' rows
are shrunk to the first (``shrinkage``); the second is kept: each bin is cut into finer ones, which
share the table's people as the model predicts.  A table thus says how many people a bin holds,
the moments where they are in it, and where the table has nothing to say, all that is left is the
factor model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from secgen_dsl.synthesis.decoding import BinCurve
from secgen_dsl.synthesis.measured import Floats
from secgen_dsl.synthesis.model import FactorModel

FINE_BINS = 32
"""A gene's bins are cut into about so many."""

_KNOTS = np.linspace(-5.0, 5.0, 101)
_LEAST = 1e-4
"""Of a cell's people: a bin predicted to hold fewer tends to an even spread over its parts."""

_NOBODY = 1e-9
"""Part of all people; bins that hold no more by the moments have values by the table."""


@dataclass(frozen=True)
class Pooled:
    """A gene among people of all labels.

    Attributes:
        means: shape (L,): of the label cells, in standard deviations within a cell.
        knots: shape (knots,), rising: values of the latent variable, in the same unit.
        below: shape (knots,): the part of all people below.
    """

    means: Floats
    knots: Floats
    below: Floats


def pooled(factors: FactorModel, gene: int) -> Pooled:
    """``Σ_l p(l)·Φ(z − μ_l/σ)`` of a gene of a factor model."""
    means = factors.means[:, gene] / factors.deviations[gene]
    knots = np.linspace(
        _KNOTS[0] + float(means.min()), _KNOTS[-1] + float(means.max()), _KNOTS.size
    )
    return Pooled(means, knots, ndtr(knots[:, None] - means) @ factors.shares)


@dataclass(frozen=True)
class PredictedBins:
    """A gene's bins by its factor model.

    Attributes:
        parts: shape (label cells, B, finer bins of each): of the cell's people; a cell's sum to 1.
        curve: from finer bins to values; of all bins.
    """

    parts: Floats
    curve: BinCurve


def predicted_bins(
    factors: FactorModel,
    gene: int,
    moments: BinCurve,
    own: BinCurve,
    edges: Floats,
    labels: Floats,
) -> PredictedBins:
    """What a factor model says of the bins of a table.

    Args:
        factors: the model.
        gene: column in it.
        moments: the gene's curve by the moments, from quantiles.
        own: the gene's curve by the table, from bins.  It gives the values of bins that hold
            nobody by the moments.
        edges: shape (B − 1,), of the table.
        labels: shape (label cells of the table, L): p(label cell of the model | of the table).
    """
    bins = edges.size + 1
    fine = max(1, FINE_BINS // bins)
    found = pooled(factors, gene)
    bounds = np.concatenate([[0.0], moments.position(edges), [1.0]])
    # Finer bins hold equal parts of the labels' people, were all labels equally frequent: those
    # of a rare label, whose values lie far out, are told apart as well as others.
    evenly = ndtr(found.knots[:, None] - found.means).mean(axis=1)
    at_bounds = np.interp(np.interp(bounds, found.below, found.knots), found.knots, evenly)
    steps = np.arange(fine) / fine
    inner = (at_bounds[:-1, None] + np.diff(at_bounds)[:, None] * steps).ravel()
    latent = np.interp(np.append(inner, at_bounds[-1]), evenly, found.knots)
    cells = np.diff(ndtr(latent[:, None] - found.means), axis=0).T  # (L, B·fine)
    parts = (labels @ cells).reshape(len(labels), bins, fine)
    parts /= parts.sum(axis=(1, 2), keepdims=True)
    quantiles = np.interp(latent, found.knots, found.below)
    quantiles[::fine] = bounds
    quantiles = np.maximum.accumulate(quantiles)
    return PredictedBins(parts, _joined(quantiles, moments, own, edges))


def _joined(quantiles: Floats, moments: BinCurve, own: BinCurve, edges: Floats) -> BinCurve:
    """The moments' curve inside of the table's bins; the table's where the moments have nobody.

    Args:
        quantiles: shape (finer bins + 1,), non-decreasing: the finer bins' bounds, by the moments.
        moments: from quantiles.
        own: from the table's bins.
        edges: of the table's bins.
    """
    bins = edges.size + 1
    fine = (quantiles.size - 1) // bins
    held = np.diff(quantiles[::fine]) > _NOBODY
    places = np.arange(quantiles.size, dtype=np.float64)

    def bins_of(positions: Floats) -> NDArray[np.int64]:
        return np.minimum(positions // fine, bins - 1).astype(np.int64)

    bounds = np.where(held[bins_of(places)], moments.decode(quantiles), own.decode(places / fine))
    bounds[fine:-1:fine] = edges
    first, second = np.interp(moments.positions, quantiles, places), own.positions * fine
    inside = (first % fine > 0) & held[bins_of(first)]
    beyond = (second % fine > 0) & ~held[bins_of(second)]
    positions = np.concatenate([places, first[inside], second[beyond]])
    values = np.concatenate([bounds, moments.values[inside], own.values[beyond]])
    order = np.argsort(positions, kind="stable")
    # Where a bound of bins lies outside of the moments' curve, its end is not the bound's value.
    return BinCurve(positions[order], np.maximum.accumulate(values[order]))


def cut_finer(rows: Floats, predicted: Sequence[PredictedBins]) -> Floats:
    """p(finer bin | label cell): of each bin of a row, in the proportions that are predicted.

    Args:
        rows: shape (genes, label cells, B), of tables.
        predicted: of the same genes.

    Returns:
        Shape (genes, label cells, B·finer bins).
    """
    parts = np.stack([one.parts for one in predicted])
    parts = parts + _LEAST / parts.shape[3]
    parts /= parts.sum(axis=3, keepdims=True)
    cut: Floats = (rows[:, :, :, None] * parts).reshape(*rows.shape[:2], -1)
    return cut
