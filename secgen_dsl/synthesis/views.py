"""Measured tables as sums over the tables of a junction tree."""

from math import prod

from secgen_dsl.synthesis.junction import JunctionTree
from secgen_dsl.synthesis.measured import CategoryCounts, Floats


class TableView:
    """A table as a linear map A of a clique's table: sums over the columns that it lacks.

    Attributes:
        clique: index of the first clique that holds its columns.
        summed: axes of the clique's table that it lacks.
        target: its noisy counts, with length-1 axes for those.
        precision: 1/variance of each.
        cells_per_entry: cells of the clique that an entry is the sum of.
    """

    def __init__(self, tree: JunctionTree, table: CategoryCounts) -> None:
        self.clique = tree.clique_of(table.columns)
        columns, shape = tree.cliques[self.clique], tree.shapes[self.clique]
        held = [name for name in columns if name in table.columns]
        own_sizes = [tree.sizes[name] for name in table.columns]
        order = [table.columns.index(name) for name in held]
        kept = tuple(n if c in table.columns else 1 for c, n in zip(columns, shape, strict=True))
        self.summed = tuple(i for i, name in enumerate(columns) if name not in table.columns)
        self.target = table.counts.reshape(own_sizes).transpose(order).reshape(kept)
        self.precision = 1 / table.variance
        self.cells_per_entry = prod(shape) / table.counts.size

    def sum(self, table: Floats) -> Floats:
        """A q, with length-1 axes for the columns that were summed over."""
        return table.sum(axis=self.summed, keepdims=True) if self.summed else table
