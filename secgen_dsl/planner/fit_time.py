"""How large the joint tables of a study's columns are, and how long the fit will take.

From public sizes alone: the numbers of values of the columns that are measured together, and of
pairs of genes.
"""

from dataclasses import dataclass
from math import prod

from secgen_dsl.ir.cliques import clique_tree, cliques
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Marginal, PairMarginal

_MOST_ROWS = 3_000
"""As in ``synthesis.interior_point``, which the planner does not import."""

_MOST_TABLES = 500
_STEPS = 14
_SECONDS_A_TABLE, _SECONDS_A_CELL, _SECONDS_A_ROW_CUBED = 1e-4, 3e-7, 1.5e-11
"""Of a step of the interior-point method."""

_FIRST_ORDER_A_TABLE, _FIRST_ORDER_ONE_CLIQUE, _FIRST_ORDER_SEVERAL = 5e-3, 1.2e-5, 1.7e-4
"""Seconds of the first-order method, for all its steps: of each table, and of each cell."""

_SECONDS_A_PAIR, _SECONDS_A_GENE_CUBED = 1e-3, 1e-7
"""Of the correlations of one label cell."""


@dataclass(frozen=True)
class PairModel:
    """The correlations that pairs of genes need.

    Attributes:
        pairs: of genes, over all statements.
        label_cells: each has a matrix of correlations of its own.
        seconds: predicted for the fit, on one core.
    """

    pairs: int
    label_cells: int
    seconds: float


def pair_model(program: Program) -> PairModel | None:
    """The correlations of the study's pairs of genes; None if it measures none.

    The seconds are within a factor of four for most; label cells that turn out alike share one
    matrix, which takes less.
    """
    queries = [query for query in program.queries if isinstance(query, PairMarginal)]
    if not queries:
        return None
    sizes = {column.name: len(column.values) for column in program.columns}
    labels = next((query.columns for query in queries if query.columns), ())
    cells = prod(sizes[name] for name in labels)
    pairs = sum(len(query.pairs) for query in queries)
    genes = len({(query.panel, gene) for query in queries for gene in query.genes})
    seconds = cells * (_SECONDS_A_PAIR * pairs + _SECONDS_A_GENE_CUBED * genes**3)
    return PairModel(pairs=pairs, label_cells=cells, seconds=seconds)


@dataclass(frozen=True)
class ColumnModel:
    """The joint tables that a study's columns need.

    Attributes:
        tables: how many.
        largest: columns of the largest.
        cells: of that.
        triangulated: a table joins columns that no marginal holds together: a loop of marginals.
        seconds: predicted for the fit, on one core.
    """

    tables: int
    largest: tuple[str, ...]
    cells: int
    triangulated: bool
    seconds: float


def column_model(program: Program) -> ColumnModel | None:
    """The joint tables of the study's columns.

    None if it measures no column, or more than 500 tables of them: the tree would take seconds.

    The seconds are calibrated on the graphs of ``benchmarks/graphs.py``: right within a factor of
    four for most, because the number of steps depends on the noise that will be drawn.
    """
    tables = [q for q in program.queries if isinstance(q, Marginal | PairMarginal)]
    measured = [query.columns for query in tables if query.columns]
    views = set(map(frozenset, measured))
    if not 0 < len(views) <= _MOST_TABLES:
        return None
    sizes = {column.name: len(column.values) for column in program.columns}
    tree = clique_tree(cliques(sizes, measured))
    held = [set(clique) for clique in tree.cliques]
    cells = [prod(sizes[name] for name in clique) for clique in tree.cliques]
    # Each table is a sum over the cells of the clique that holds it.
    load = sum(next(n for own, n in zip(held, cells, strict=True) if v <= own) for v in views)
    edges = [edge for edge in tree.edges if edge.shared]
    rows = sum(prod(sizes[name] for name in view) for view in views)
    rows += sum(prod(sizes[name] for name in edge.shared) for edge in edges)
    parts = len(views) + len(edges)
    if edges and rows <= _MOST_ROWS:
        step = _SECONDS_A_TABLE * parts + _SECONDS_A_CELL * load + _SECONDS_A_ROW_CUBED * rows**3
        seconds = _STEPS * step
    else:
        cell = _FIRST_ORDER_SEVERAL if edges else _FIRST_ORDER_ONE_CLIQUE
        seconds = _FIRST_ORDER_A_TABLE * parts + cell * load
    largest = cells.index(max(cells))
    return ColumnModel(
        tables=len(held),
        largest=tree.cliques[largest],
        cells=cells[largest],
        triangulated=not all(any(own <= view for view in views) for own in held),
        seconds=seconds,
    )
