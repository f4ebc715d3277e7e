"""What one party adds to a round: raw cells, noise, then the map."""

from collections.abc import Mapping, Sequence
from functools import singledispatch
from math import prod
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.base import Node
from secgen_dsl.ir.learned import with_learned_edges
from secgen_dsl.ir.plan import Plan, Round
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Marginal, PairMarginal, Query, SecondMoment, VectorSum, as_table
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.queries.marginal import marginal_cells
from secgen_dsl.queries.pairs import pair_cells
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.queries.vectors import second_moment_cells, vector_cells
from secgen_dsl.runtime.noise import NoiseSource, draw_cells


@singledispatch
def encode(query: Node, program: Program, table: SampleTable) -> NDArray[np.int64]:
    """The raw cells of any query: a new kind registers its encoder here, by its class.

    Raises:
        TypeError: no encoder is registered for the query's class.
    """
    raise TypeError(f"no encoder is registered for {type(query).__name__}")


encode.register(Marginal, marginal_cells)
encode.register(PairMarginal, pair_cells)
encode.register(VectorSum, vector_cells)
encode.register(SecondMoment, second_moment_cells)


def raw_cells(program: Program, query: Query, table: SampleTable) -> NDArray[np.int64]:
    """x: the silo's exact counts, before noise.  They never leave the process.

    Returns:
        Integers of shape ``program.shape(query)``.  In a table, adding a sample adds 1 to at most
        one cell of each table (PRIVACY 1.3, first row); in a vector sum, a vector of bounded norm.

    Raises:
        TypeError: the encoder gave something else.  No float is on the path from here to what is
            opened (PRIVACY 7.3, S05).
    """
    cells: NDArray[np.int64] = encode(query, program, table)
    if cells.dtype != np.int64 or cells.shape != program.shape(query):
        raise TypeError(f"the encoder of {query.id!r} does not give integers of the query's shape")
    return cells


def noised_contribution(
    plan: Plan,
    one_round: Round,
    table: SampleTable,
    noise: NoiseSource,
    opened: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> dict[str, NDArray[np.int64]]:
    """y = A(x + z) for each release of a round: what the party shares, and all that it shares.

    z goes in before A: added after centring it would face another sensitivity (PROTOCOL step 3).
    Each release has a draw of its own, of a length and variance that the plan fixes, whatever the
    table holds.

    Args:
        plan: the verified plan.
        one_round: a round of the plan.
        table: the party's people; ``empty_table`` for a helper.
        noise: where z comes from.
        opened: id of a query → its values opened in earlier rounds, for learned edges.

    Returns:
        Query id → ``release.opened`` integers, in the order of the round's releases.

    Raises:
        ValueError: the round measures a query twice, the plan's lengths do not fit its
            queries, or the source returned something else than it was asked for.
    """
    contribution: dict[str, NDArray[np.int64]] = {}
    program = with_learned_edges(plan, opened)
    for release in one_round.releases:
        if release.query in contribution:
            raise ValueError(f"round {one_round.number} measures {release.query!r} twice")
        query = plan.query(release.query)
        if query not in plan.added:
            query = as_table(program.query(release.query))
        shape = program.shape(query)
        if release.raw_cells != prod(shape):
            raise ValueError(f"{release.query!r} has {prod(shape)} raw cells by its shape")
        x = raw_cells(program, query, table)
        z = draw_cells(noise, release)
        y = apply_map(release.map, x + z.reshape(shape))
        if y.shape != (release.opened,):
            raise ValueError(f"{release.query!r} opens {y.size} values by its map")
        contribution[release.query] = y
    return contribution
