"""Junction trees: distributions of many columns, held as tables of a few columns each.

The cliques of a chordal graph form a tree in which the cliques that hold any one column are
connected (Lauritzen, Graphical Models, 1996, ch. 2).  If the tables of neighbouring cliques agree
on what they share (the *separator*), they are tables of one joint distribution, and among all such
the one of largest entropy is

    p(x) = ∏ p(x_C) over the cliques / ∏ p(x_S) over the separators.

Columns are drawn, and tables of any columns computed, along the tree; the joint is never formed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.cliques import MAX_CLIQUE_CELLS, Edge, clique_tree, cliques
from secgen_dsl.synthesis.measured import Floats


@dataclass(frozen=True)
class Separator:
    """What a clique shares with its parent.  Its entries have the shape ``shape``.

    Attributes:
        child: index of the clique.
        parent: index of its parent, < ``child``.
        columns: that they share, in the tree's order; at least one.
        shape: number of values of each.
        child_axes: axes of the child's table that are not shared.
        parent_axes: axes of the parent's table that are not shared.
        along_child: shape in which entries broadcast with the child's table.
        along_parent: the same for the parent's.
    """

    child: int
    parent: int
    columns: tuple[str, ...]
    shape: tuple[int, ...]
    child_axes: tuple[int, ...]
    parent_axes: tuple[int, ...]
    along_child: tuple[int, ...]
    along_parent: tuple[int, ...]

    def of_child(self, table: Floats) -> Floats:
        """The entries by the child's table."""
        entries: Floats = table.sum(axis=self.child_axes)
        return entries

    def of_parent(self, table: Floats) -> Floats:
        """The entries by the parent's table."""
        entries: Floats = table.sum(axis=self.parent_axes)
        return entries


@dataclass(frozen=True)
class JunctionTree:
    """The cliques of connected columns.

    Attributes:
        sizes: column → number of values; axes of all tables are in this order.
        cliques: the root first, parents before children.
        separators: of all cliques but the root, in the order of ``cliques``.
    """

    sizes: Mapping[str, int]
    cliques: tuple[tuple[str, ...], ...]
    separators: tuple[Separator, ...]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the cliques' tables."""
        return tuple(tuple(self.sizes[name] for name in clique) for clique in self.cliques)

    def rooted_at(self, root: int) -> tuple["JunctionTree", tuple[int, ...]]:
        """The same tree with another clique as its root, and where its cliques were in this one."""
        shared = {(one.child, one.parent): one.columns for one in self.separators}
        shared |= {(one.parent, one.child): one.columns for one in self.separators}
        order, edges = [root], []
        for parent in order:  # grows meanwhile: breadth first
            for child in range(len(self.cliques)):
                if (child, parent) in shared and child not in order:
                    edges.append(Edge(len(order), order.index(parent), shared[child, parent]))
                    order.append(child)
        ordered = tuple(self.cliques[number] for number in order)
        separators = tuple(_separator(self.sizes, ordered, edge) for edge in edges)
        return JunctionTree(self.sizes, ordered, separators), tuple(order)

    def clique_of(self, columns: Sequence[str]) -> int:
        """Index of the first clique that holds all of ``columns``.

        Raises:
            ValueError: none does.
        """
        for number, clique in enumerate(self.cliques):
            if set(columns) <= set(clique):
                return number
        raise ValueError(f"no clique holds {', '.join(columns)}")

    def calibrated(self, tables: Sequence[Floats]) -> list[Floats]:
        """Tables that agree on separators: each is scaled to what its parent says.

        Where the parent has people and the child none, they are spread evenly.
        """
        result = list(tables)
        for separator in self.separators:
            table = result[separator.child]
            own = separator.of_child(table).reshape(separator.along_child)
            wanted = separator.of_parent(result[separator.parent]).reshape(separator.along_child)
            even = wanted * (own.size / table.size)
            scale = np.divide(wanted, own, out=np.zeros_like(own), where=own > 0)
            result[separator.child] = np.where(own > 0, table * scale, even)
        return result

    def marginal(self, tables: Sequence[Floats], columns: Sequence[str]) -> Floats:
        """The table of any columns of the tree: of the clique that holds them, else along the tree.

        Args:
            tables: of all cliques; they agree on separators.
            columns: distinct.

        Returns:
            Shape: the columns' sizes, in the order of ``columns``.

        Raises:
            SecgenError: SG601, the columns lie so far apart that an intermediate table exceeds
                2²⁰ cells; never where one clique holds them all.
        """
        wanted = set(columns)
        for clique, table in zip(self.cliques, tables, strict=True):
            if wanted <= set(clique):
                return _summed(clique, table, columns)
        factors: list[list[tuple[tuple[str, ...], Floats]]] = [[] for _ in self.cliques]
        for separator in reversed(self.separators):
            clique, shared = self.cliques[separator.child], separator.columns
            if not factors[separator.child] and not wanted & (set(clique) - set(shared)):
                continue  # what lies below sums to one
            table = conditional(tables[separator.child], separator)
            message = self._product([(clique, table), *factors[separator.child]], wanted, shared)
            factors[separator.parent].append(message)
        return _summed(
            *self._product([(self.cliques[0], tables[0]), *factors[0]], wanted, ()), columns
        )

    def _product(
        self,
        factors: Sequence[tuple[tuple[str, ...], Floats]],
        wanted: set[str],
        shared: tuple[str, ...],
    ) -> tuple[tuple[str, ...], Floats]:
        """The product of factors, summed over columns neither wanted nor shared."""
        names = tuple(n for n in self.sizes if any(n in own for own, _ in factors))
        shape = [self.sizes[name] for name in names]
        if prod(shape) > MAX_CLIQUE_CELLS:
            raise too_large(names, shape)
        product = np.ones(shape)
        for own, table in factors:
            product = product * table.reshape([self.sizes[n] if n in own else 1 for n in names])
        kept = wanted | set(shared)
        summed = tuple(axis for axis, name in enumerate(names) if name not in kept)
        return tuple(name for name in names if name in kept), product.sum(axis=summed)


def _summed(names: tuple[str, ...], table: Floats, columns: Sequence[str]) -> Floats:
    """A table over ``names`` summed to some of them, in the order of ``columns``."""
    kept = [name for name in names if name in columns]
    summed = tuple(axis for axis, name in enumerate(names) if name not in columns)
    ordered: Floats = table.sum(axis=summed).transpose([kept.index(name) for name in columns])
    return ordered


def conditional(table: Floats, separator: Separator) -> Floats:
    """A child's table given the separator: p(rest | shared), 0 where nobody is."""
    shared = separator.of_child(table).reshape(separator.along_child)
    return np.divide(table, shared, out=np.zeros_like(table), where=shared > 0)


def junction_tree(sizes: Mapping[str, int], sets: Sequence[Sequence[str]]) -> JunctionTree:
    """The junction tree of columns that the sets connect.

    Args:
        sizes: column → number of values; every column is in a set.
        sets: at least one; together they connect all columns.

    Raises:
        SecgenError: SG601, a clique has more than 2²⁰ cells.
    """
    found = cliques(sizes, sets)
    for clique in found:
        shape = [sizes[name] for name in clique]
        if prod(shape) > MAX_CLIQUE_CELLS:
            raise too_large(clique, shape)
    tree = clique_tree(found)
    separators = tuple(_separator(sizes, tree.cliques, edge) for edge in tree.edges)
    return JunctionTree(dict(sizes), tree.cliques, separators)


def _separator(
    sizes: Mapping[str, int], ordered: Sequence[tuple[str, ...]], edge: Edge
) -> Separator:
    shared = edge.shared

    def axes(clique: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(axis for axis, name in enumerate(clique) if name not in shared)

    def along(clique: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(sizes[name] if name in shared else 1 for name in clique)

    return Separator(
        child=edge.child,
        parent=edge.parent,
        columns=shared,
        shape=tuple(sizes[name] for name in shared),
        child_axes=axes(ordered[edge.child]),
        parent_axes=axes(ordered[edge.parent]),
        along_child=along(ordered[edge.child]),
        along_parent=along(ordered[edge.parent]),
    )


def too_large(columns: Sequence[str], shape: Sequence[int]) -> SecgenError:
    """SG601, which names the columns and the size."""
    names = " × ".join(f"{c} ({n})" for c, n in zip(columns, shape, strict=True))
    return fail(
        "SG601",
        f"the measured tables connect {names}: a joint table of {prod(shape):,} cells, "
        f"over the limit of {MAX_CLIQUE_CELLS:,}",
        place="measure { … }",
        next_step="drop a marginal that joins these columns, "
        "or merge rare values of the columns with the most values",
    )
