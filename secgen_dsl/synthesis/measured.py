"""From opened integers to counts with known noise: the first step after the protocol.

A release opens ``y = A(x + z)``: ``x`` the people's counts, ``z`` independent noise of variance s²
on every raw cell, ``A`` the identity or the row-centring.  Here the layout of ``y`` is undone, and
every query becomes one or more of

* *category counts*: noisy numbers of people in the combinations of some columns' values;
* *gene contrasts*: for each gene and label cell the row of B bin counts minus its mean;
* *pair counts*: for each pair of genes the noisy numbers of people in the bins of both.

A plain gene table holds categories and contrasts.  A centred one holds contrasts only; its labels
come from a histogram of their own.  After the row's mean is removed the noise of a row has the
covariance ``s²(I − 11ᵀ/B)``, whichever map was used, so later steps need not know the map.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.learned import with_learned_edges
from secgen_dsl.ir.plan import Measurements, Plan, Release
from secgen_dsl.ir.program import PairMarginal, Panel, SecondMoment, VectorSum, as_table

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
    """Noisy bin counts of genes, less the mean of their row.

    Attributes:
        columns: names of the label columns; may be none.
        panel: of the genes.
        genes: some or all of the panel's.
        edges: shape (genes, bins − 1).
        reference: the public table that the edges are quantiles of; empty if of none.
        contrasts: shape (genes, label cells, bins), in people; every row sums to zero.
        variance: s² of a raw cell's noise, in people squared; > 0.
    """

    columns: tuple[str, ...]
    panel: Panel
    genes: tuple[str, ...]
    edges: Floats
    reference: str
    contrasts: Floats
    variance: float


@dataclass(frozen=True)
class PairCounts:
    """Noisy counts of people by the bins of two genes.

    Attributes:
        panel: of the genes.
        genes: those of the pairs.
        pairs: positions in ``genes``, i < j.
        edges: shape (genes, bins − 1).
        reference: the public table that the edges are quantiles of; empty if of none.
        counts: shape (pairs, bins, bins), the first gene's bins along axis 1; may be negative.
        variance: of each entry's independent noise, in people squared; > 0.
    """

    panel: Panel
    genes: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    edges: Floats
    reference: str
    counts: Floats
    variance: float


@dataclass(frozen=True)
class MeasuredTables:
    """All releases of a run."""

    categories: tuple[CategoryCounts, ...]
    genes: tuple[GeneContrasts, ...]
    pairs: tuple[PairCounts, ...]


def read_measurements(plan: Plan, measurements: Measurements) -> MeasuredTables:
    """Undo the layout and the maps of all releases of ``plan``.

    The label totals that a plain gene table implies are its row sums, averaged over the T genes
    (variance B·s²/T): every gene saw the same people.  People whose value of a gene is missing add
    nothing to that gene's table, so these totals fall short by the mean share of missing values.
    Gene pairs imply the number of all people in the same way.

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
    pairs: list[PairCounts] = []
    checked = {release.query: _opened_values(release, measurements) for release in plan.releases()}
    learned = with_learned_edges(plan, {name: measurements.values(name) for name in checked})
    for release in plan.releases():
        query = plan.query(release.query)
        values = checked[release.query]
        if isinstance(query, VectorSum | SecondMoment):
            continue  # they decided bins; what moments tell of genes is not used yet
        if query not in plan.added:
            query = as_table(learned.query(query.id))
        shape = plan.program.shape(query)
        variance = float(plan.released_variance(release))
        edges = np.array([[float(edge) for edge in gene] for gene in query.edges])
        if query.panel is None:
            categories.append(CategoryCounts(query.columns, values, variance))
            continue
        panel = plan.program.panel(query.panel)
        if isinstance(query, PairMarginal):
            counts = values.reshape(shape)
            total = counts.sum(axis=(1, 2)).mean(keepdims=True)
            categories.append(CategoryCounts((), total, variance * query.bins**2 / shape[0]))
            pairs.append(
                PairCounts(
                    panel, query.genes, query.pairs, edges, query.reference, counts, variance
                )
            )
            continue
        if release.map == "identity":
            rows = values.reshape(shape)
            labels = rows.sum(axis=2).mean(axis=0)
            categories.append(
                CategoryCounts(query.columns, labels, variance * query.bins / shape[0])
            )
            contrasts = rows - rows.mean(axis=2, keepdims=True)
        else:
            contrasts = undo_centring(values, shape)
        own = plan.program.genes(query)
        genes.append(
            GeneContrasts(query.columns, panel, own, edges, query.reference, contrasts, variance)
        )
    return MeasuredTables(tuple(categories), tuple(genes), tuple(pairs))


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
        values = measurements.values(release.query)
    except KeyError:
        raise fail(
            "SG608",
            f'the measurements hold no values for "{release.query}"',
            place="measurements.json",
            next_step=next_step,
        ) from None
    if len(values) != release.opened:
        raise fail(
            "SG608",
            f'"{release.query}" has {len(values)} values where the plan opens {release.opened}',
            place="measurements.json",
            next_step=next_step,
        )
    return np.array(values, dtype=np.float64)
