"""From opened integers to counts with known noise: the first step after the protocol.

A release opens ``y = A(x + z)``: ``x`` the people's counts, ``z`` independent noise of variance s²
on every raw cell, ``A`` the identity, the row-centring or the double-centring.  Here the layout of
``y`` is undone, and every query becomes one or more of

* *category counts*: noisy numbers of people in the combinations of some columns' values;
* *gene contrasts*: for each gene and label cell the row of B bin counts minus its mean;
* *pair counts*: for each pair of genes, and label cell, the noisy numbers of people in the bins of
  both;
* *moment sums*: of a panel's genes and of factors of them, in public standard deviations.

A plain gene table holds categories and contrasts.  A centred one holds contrasts only; its labels
come from a histogram of their own.  After the row's mean is removed the noise of a row has the
covariance ``s²(I − 11ᵀ/B)``, whichever map was used, so later steps need not know the map.  A
double-centred table of pairs holds their interaction only; the counts are put together from it,
the two genes' own tables and the number of people (decision 0014).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.learned import with_learned_edges
from secgen_dsl.ir.main_effects import main_effects
from secgen_dsl.ir.plan import Measurements, Plan, Release
from secgen_dsl.ir.program import Panel, Program
from secgen_dsl.ir.queries import Moments, PairMarginal, SecondMoment, Vector, VectorSum, as_table
from secgen_dsl.ir.vectors import QUANTUM

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
    """Noisy counts of people by labels and the bins of two genes.

    Attributes:
        columns: names of the label columns; may be none.
        panel: of the genes.
        genes: those of the pairs.
        pairs: positions in ``genes``, i < j.
        edges: shape (genes, bins − 1).
        reference: the public table that the edges are quantiles of; empty if of none.
        counts: shape (pairs, label cells, bins, bins), the first gene's bins along axis 2; may be
            negative.
        variance: s² of a raw cell's noise, in people squared; > 0.  The interaction, what is left
            of the counts without effects of rows and columns, has the noise of independent cells of
            that variance, whichever map was used; of double-centred pairs the rest has more.
    """

    columns: tuple[str, ...]
    panel: Panel
    genes: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    edges: Floats
    reference: str
    counts: Floats
    variance: float


@dataclass(frozen=True)
class MomentSums:
    """Noisy sums over people of clipped vectors, in public standard deviations.

    Attributes:
        query: the moments: factors, scale and labels.
        panel: of the genes.
        genes: of the panel.
        means: shape (genes,): sums of standardised genes.
        means_variance: of each entry's noise; > 0.
        scores: shape (label cells, K): sums of divided factor scores.
        scores_variance: of each entry's noise; > 0.
        products: shape (K, K), symmetric: sums of products of divided scores.
        products_variance: of a square's noise; a product of two factors has half of it.  > 0.
        clip: of the divided scores.
    """

    query: Moments
    panel: Panel
    genes: tuple[str, ...]
    means: Floats
    means_variance: float
    scores: Floats
    scores_variance: float
    products: Floats
    products_variance: float
    clip: float


@dataclass(frozen=True)
class MeasuredTables:
    """All releases of a run."""

    categories: tuple[CategoryCounts, ...]
    genes: tuple[GeneContrasts, ...]
    pairs: tuple[PairCounts, ...]
    moments: tuple[MomentSums, ...] = ()


def read_measurements(plan: Plan, measurements: Measurements) -> MeasuredTables:
    """Undo the layout and the maps of all releases of ``plan``.

    The label totals that a plain gene table implies are its row sums, averaged over the T genes
    (variance B·s²/T): every gene saw the same people.  People whose value of a gene is missing add
    nothing to that gene's table, so these totals fall short by the mean share of missing values.
    Gene pairs imply the number of all people, or those of their labels, in the same way.

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
    own_tables: dict[str, GeneContrasts] = {}
    vectors: dict[str, list[tuple[Vector, Floats, float]]] = {}
    interactions: list[tuple[PairMarginal, Floats, float]] = []
    checked = {release.query: _opened_values(release, measurements) for release in plan.releases()}
    learned = with_learned_edges(plan, {name: measurements.values(name) for name in checked})
    for release in plan.releases():
        query = plan.query(release.query)
        values = checked[release.query]
        variance = float(plan.released_variance(release))
        if isinstance(query, VectorSum | SecondMoment):
            vectors.setdefault(query.serves, []).append((query, values, variance))
            continue
        if query not in plan.added:
            query = as_table(learned.query(query.id))
        shape = plan.program.shape(query)
        edges = np.array([[float(edge) for edge in gene] for gene in query.edges])
        if query.panel is None:
            categories.append(CategoryCounts(query.columns, values, variance))
            continue
        panel = plan.program.panel(query.panel)
        if isinstance(query, PairMarginal) and release.map == "double-centred":
            interactions.append((query, undo_double_centring(values, shape), variance))
            continue
        if isinstance(query, PairMarginal):
            counts = values.reshape(shape[0], -1, query.bins, query.bins)
            labels = counts.sum(axis=(2, 3)).mean(axis=0)
            noise = variance * query.bins**2 / shape[0]
            categories.append(CategoryCounts(query.columns, labels, noise))
            pairs.append(_pair_counts(query, panel, edges, counts, variance))
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
        own_tables[query.id] = genes[-1]
    for query, interaction, variance in interactions:
        pairs.append(
            _with_main_effects(plan.program, query, interaction, variance, own_tables, categories)
        )
    moments = [
        _moment_sums(plan.program, query, vectors[query.id])
        for query in learned.queries  # on their learned scale
        if isinstance(query, Moments)
    ]
    return MeasuredTables(tuple(categories), tuple(genes), tuple(pairs), tuple(moments))


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


def undo_double_centring(values: Floats, shape: tuple[int, int, int]) -> Floats:
    """Interactions ``v − row means − column means + mean`` from the opened entries, divided by B².

    Args:
        values: shape (T·L·(B − 1)²,): all but the last row and column of every block, in C order.
        shape: (T, L·B, B) of the raw cells.

    Returns:
        Shape (T, L, B, B); every row and every column of a block sums to zero.
    """
    tables, rows_of_labels, bins = shape
    kept = values.reshape(tables, rows_of_labels // bins, bins - 1, bins - 1)
    rows = np.concatenate([kept, -kept.sum(axis=3, keepdims=True)], axis=3)
    return np.concatenate([rows, -rows.sum(axis=2, keepdims=True)], axis=2) / bins**2


def _with_main_effects(
    program: Program,
    query: PairMarginal,
    interaction: Floats,
    variance: float,
    own_tables: Mapping[str, GeneContrasts],
    categories: Sequence[CategoryCounts],
) -> PairCounts:
    """Pair counts: interaction + r_i/B + c_j/B + N/B², each of the most exact table that has it.

    All labels of the pairs are among a table's: it is summed over the others.

    Args:
        interaction: shape (pairs, L, B, B).
        variance: s² of its raw cells.
        own_tables: id of a query → its contrasts.
        categories: all category counts, for the number of people.
    """
    bins = query.bins
    # In each bin, above the mean of the gene's bins in the label cell.
    above = np.zeros((len(query.genes), interaction.shape[1], bins))
    for place, (gene, tables) in enumerate(main_effects(program, query).items()):
        held = [own_tables[table.id] for table in tables]
        best = min(held, key=lambda table: table.variance * table.contrasts.shape[1])
        rows = best.contrasts[best.genes.index(gene)]
        above[place] = _over(program, rows, best.columns, query.columns)
    counted = [one for one in categories if set(query.columns) <= set(one.columns)]
    most_exact = min(counted, key=lambda one: one.variance * one.counts.size)
    people = _over(program, most_exact.counts[:, None], most_exact.columns, query.columns)
    first, second = np.array(query.pairs).T
    counts = interaction + (above[first][..., :, None] + above[second][..., None, :]) / bins
    edges = np.array([[float(edge) for edge in gene] for gene in query.edges])
    counts += people[:, :, None] / bins**2
    return _pair_counts(query, program.panel(query.panel), edges, counts, variance)


def _pair_counts(
    query: PairMarginal, panel: Panel, edges: Floats, counts: Floats, variance: float
) -> PairCounts:
    return PairCounts(
        columns=query.columns,
        panel=panel,
        genes=query.genes,
        pairs=query.pairs,
        edges=edges,
        reference=query.reference,
        counts=counts,
        variance=variance,
    )


def _over(program: Program, rows: Floats, columns: Sequence[str], wanted: Sequence[str]) -> Floats:
    """Rows of label cells of ``columns``, summed into those of some of these, in their order.

    Args:
        rows: shape (label cells, n).

    Returns:
        Shape (label cells of ``wanted``, n).
    """
    sizes = [len(program.column(name).values) for name in columns]
    table = rows.reshape(*sizes, -1)
    others = [place for place, name in enumerate(columns) if name not in wanted]
    order = [columns.index(name) for name in wanted]
    moved = table.transpose(*order, *others, len(sizes))
    left = [sizes[place] for place in order]
    summed: Floats = moved.reshape(int(np.prod(left)), -1, rows.shape[-1]).sum(axis=1)
    return summed


def _moment_sums(
    program: Program, query: Moments, vectors: Sequence[tuple[Vector, Floats, float]]
) -> MomentSums:
    """The three sums of moments, from whole numbers of 1/1024 of the scale.

    Those that the scale was learned from are not used again: the genes are seen from them.
    """
    factors = len(query.loadings)
    means, scores, products = np.zeros(0), np.zeros((0, factors)), np.zeros((factors, factors))
    noise = {"means": 0.0, "scores": 0.0, "products": 0.0}
    clip = 1.0
    for vector, values, variance in vectors:
        if isinstance(vector, SecondMoment):
            first, second = np.triu_indices(factors, k=1)
            products[first, second] = products[second, first] = values[factors:] / QUANTUM**2
            np.fill_diagonal(products, values[:factors] / QUANTUM**2)
            noise["products"] = variance / QUANTUM**4
        elif vector.content == "scores":
            scores = values.reshape(-1, factors) / QUANTUM
            noise["scores"], clip = variance / QUANTUM**2, vector.clip / QUANTUM
        elif vector.content == "means":
            means = values[:-1] / QUANTUM  # the last counts people: the histogram is better
            noise["means"] = variance / QUANTUM**2
    return MomentSums(
        query=query,
        panel=program.panel(query.panel),
        genes=program.genes(query),
        means=means,
        means_variance=noise["means"],
        scores=scores,
        scores_variance=noise["scores"],
        products=products,
        products_variance=noise["products"],
        clip=clip,
    )


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
