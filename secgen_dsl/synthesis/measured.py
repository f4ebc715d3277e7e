"""From opened integers to counts with known noise: the first step after the protocol.

A release opens ``y = A(x + z)``: ``x`` the people's counts, ``z`` independent noise of variance s²
on every raw cell, ``A`` the identity or the row-centring.  Here the layout of ``y`` is undone, and
every marginal becomes one or both of

* *category counts*: noisy numbers of people in the combinations of some columns' values;
* *gene contrasts*: for each gene and label cell the row of B bin counts minus its mean.

A plain gene table holds both.  A centred one holds contrasts only; its labels come from a
histogram of their own.  After the row's mean is removed the noise of a row has the covariance
``s²(I − 11ᵀ/B)``, whichever map was used, so later steps need not know the map.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Measurements, Plan, Release
from secgen_dsl.ir.program import Marginal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CategoryCounts:
    """Noisy numbers of people.

    Attributes:
        columns: names of the columns; the cell index runs fastest over the last one.
        counts: shape (label cells,), unbiased; may be negative.
        variance: of each entry's independent noise, in people squared; > 0.
    """

    columns: tuple[str, ...]
    counts: Floats
    variance: float


@dataclass(frozen=True)
class GeneContrasts:
    """Noisy bin counts of every gene of a panel, less the mean of their row.

    Attributes:
        marginal: what was measured.
        contrasts: shape (genes, label cells, bins), in people; every row sums to zero.
        variance: s² of a raw cell's noise, in people squared; > 0.
    """

    marginal: Marginal
    contrasts: Floats
    variance: float


@dataclass(frozen=True)
class MeasuredTables:
    """All releases of a run, as counts and contrasts."""

    categories: tuple[CategoryCounts, ...]
    genes: tuple[GeneContrasts, ...]


def read_measurements(plan: Plan, measurements: Measurements) -> MeasuredTables:
    """Undo the layout and the maps of all releases of ``plan``.

    The label totals that a plain gene table implies are its row sums, averaged over the T genes
    (variance B·s²/T): every gene saw the same people.  People whose value of a gene is missing add
    nothing to that gene's table, so these totals fall short by the mean share of missing values.

    Raises:
        SecgenError: SG607, the measurements are of another plan; SG608, a release is missing or
            has the wrong number of values.
    """
    if measurements.plan_sha256 != sha256_of(plan):
        raise fail(
            "SG607",
            f"the measurements belong to plan {measurements.plan_sha256[:12]}…, "
            f"not to this plan, {sha256_of(plan)[:12]}…",
            place="measurements.json",
            next_step="use the plan.json and the measurements.json of one and the same run",
        )
    categories: list[CategoryCounts] = []
    genes: list[GeneContrasts] = []
    for release in plan.releases():
        marginal = plan.marginal(release.marginal)
        shape = plan.program.shape(marginal)
        values = _opened_values(release, measurements)
        variance = float(plan.released_variance(release))
        if marginal.panel is None:
            categories.append(CategoryCounts(marginal.columns, values, variance))
        elif release.map == "identity":
            rows = values.reshape(shape)
            categories.append(
                CategoryCounts(
                    marginal.columns,
                    rows.sum(axis=2).mean(axis=0),
                    variance * marginal.bins / shape[0],
                )
            )
            contrasts = rows - rows.mean(axis=2, keepdims=True)
            genes.append(GeneContrasts(marginal, contrasts, variance))
        else:
            genes.append(GeneContrasts(marginal, undo_centring(values, shape), variance))
    return MeasuredTables(tuple(categories), tuple(genes))


def undo_centring(values: Floats, shape: tuple[int, int, int]) -> Floats:
    """Rows ``v − mean(v)`` from the opened entries of ``B·v − Σv``.

    Args:
        values: shape (T·L·(B − 1),): the first B − 1 entries of every row, in C order.
        shape: (T, L, B) of the raw cells.

    Returns:
        Shape (T, L, B).  The last entry is minus the sum of the others, since a row sums to zero.
    """
    tables, labels, bins = shape
    kept = values.reshape(tables, labels, bins - 1)
    return np.concatenate([kept, -kept.sum(axis=2, keepdims=True)], axis=2) / bins


def _opened_values(release: Release, measurements: Measurements) -> Floats:
    next_step = "the file is incomplete or was changed: fetch it again from the run"
    try:
        values = measurements.values(release.marginal)
    except KeyError:
        raise fail(
            "SG608",
            f'the measurements hold no values for "{release.marginal}"',
            place="measurements.json",
            next_step=next_step,
        ) from None
    if len(values) != release.opened:
        raise fail(
            "SG608",
            f'"{release.marginal}" has {len(values)} values where the plan opens {release.opened}',
            place="measurements.json",
            next_step=next_step,
        )
    return np.array(values, dtype=np.float64)
