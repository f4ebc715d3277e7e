"""Cliques of columns: the joint tables that a study's measured column sets need.

Columns are the vertices of a graph, and every measured set joins all of its columns.  A
distribution with the measured tables factorises over the cliques of this graph, once the graph is
chordal (Lauritzen, Graphical Models, 1996, ch. 3).  A graph that is not is triangulated: columns
are eliminated in turn, always the one that adds fewest edges ("min-fill"; Rose 1972, Kjærulff
1990).  A chordal graph has a column that adds none at every step, so that it stays as it is.

No numerical library is needed: the compiler looks for cliques too large before any data is seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod

MAX_CLIQUE_CELLS = 2**20
"""Largest joint table of the columns of one clique: 8 MB an array, and a minute or more to fit."""


def cliques(sizes: Mapping[str, int], sets: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """The maximal cliques of the columns' graph, triangulated where it is not chordal.

    Args:
        sizes: column → number of values, in the order in which columns are named in the result.
        sets: of columns that are measured together; an empty one is left out.

    Returns:
        Every set is a subset of at least one clique; columns in no set are in none.

    Raises:
        KeyError: a set names a column without a size.
    """
    order = {name: position for position, name in enumerate(sizes)}
    neighbours: dict[str, set[str]] = {}
    for group in sets:
        for name in group:
            neighbours.setdefault(name, set()).update(other for other in group if other != name)
    neighbours = dict(sorted(neighbours.items(), key=lambda item: order[item[0]]))
    found: list[set[str]] = []
    while neighbours:
        chosen = _next_to_eliminate(sizes, neighbours)
        around = neighbours.pop(chosen)
        for name in around:
            neighbours[name] |= around - {name}
            neighbours[name].discard(chosen)
        clique = {chosen, *around}
        if not any(clique <= larger for larger in found):
            found.append(clique)
    named = [tuple(sorted(clique, key=order.__getitem__)) for clique in found]
    return tuple(sorted(named, key=lambda clique: [order[name] for name in clique]))


def largest_clique(
    sizes: Mapping[str, int], sets: Iterable[Sequence[str]]
) -> tuple[tuple[str, ...], int]:
    """The clique whose joint table is largest, and its number of cells.

    Arguments as for ``cliques``.  Without any set it is the empty one, of one cell.
    """
    found = {clique: prod(sizes[name] for name in clique) for clique in cliques(sizes, sets)}
    return max(found.items(), key=lambda item: item[1], default=((), 1))


@dataclass(frozen=True)
class Edge:
    """Two neighbours in a tree of cliques.

    Attributes:
        child: position of a clique in ``CliqueTree.cliques``.
        parent: of its parent, < ``child``.
        shared: the columns of both, in the child's order; none where the tree is joined from trees
            of columns that nothing connects.
    """

    child: int
    parent: int
    shared: tuple[str, ...]


@dataclass(frozen=True)
class CliqueTree:
    """The cliques, parents before children, and an edge for each but the first, in their order."""

    cliques: tuple[tuple[str, ...], ...]
    edges: tuple[Edge, ...]


def clique_tree(found: Sequence[tuple[str, ...]]) -> CliqueTree:
    """A junction tree of the cliques of a chordal graph, at least one.

    That is a spanning tree with the largest separators (Jensen, Jensen, UAI 1994), found by Prim's
    algorithm.
    """
    ordered = [found[0]]
    edges: list[Edge] = []
    # For each clique not yet in the tree, where it would hang: (columns shared, parent).
    left = {clique: (len(set(clique) & set(found[0])), 0) for clique in found[1:]}
    while left:
        chosen = max(left, key=lambda clique: left[clique][0])
        _, parent = left.pop(chosen)
        shared = tuple(name for name in chosen if name in ordered[parent])
        ordered.append(chosen)
        edges.append(Edge(len(ordered) - 1, parent, shared))
        for clique, (most, _) in left.items():
            common = len(set(clique) & set(chosen))
            if common > most:
                left[clique] = (common, len(ordered) - 1)
    return CliqueTree(tuple(ordered), tuple(edges))


def _next_to_eliminate(sizes: Mapping[str, int], neighbours: Mapping[str, set[str]]) -> str:
    """The column that adds fewest edges; among these the one of the smallest table.

    A column that adds none is taken at once, columns of few neighbours first: the hub of a star
    is then never looked at while it has leaves.
    """
    best, best_cost = "", (-1, -1)
    for name in sorted(neighbours, key=lambda name: len(neighbours[name])):
        around = neighbours[name]
        fill = sum(b not in neighbours[a] for a, b in combinations(around, 2))
        if fill == 0:
            return name
        cost = (fill, sizes[name] * prod(sizes[other] for other in around))
        if not best or cost < best_cost:
            best, best_cost = name, cost
    return best
