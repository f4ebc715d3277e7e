"""What one party adds to a round: raw cells, noise, then the map."""

from functools import singledispatch
from math import prod

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.base import Node
from secgen_dsl.ir.plan import Plan, Round
from secgen_dsl.ir.program import Marginal, PairMarginal, Program, Query
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.queries.marginal import marginal_cells
from secgen_dsl.queries.pairs import pair_cells
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.runtime.noise import NoiseSource


@singledispatch
def encode(query: Node, program: Program, table: SampleTable) -> NDArray[np.int64]:
    """The raw cells of any query: a new kind registers its encoder here, by its class.

    Raises:
        TypeError: no encoder is registered for the query's class.
    """
    raise TypeError(f"no encoder is registered for {type(query).__name__}")


encode.register(Marginal, marginal_cells)
encode.register(PairMarginal, pair_cells)


def raw_cells(program: Program, marginal: Query, table: SampleTable) -> NDArray[np.int64]:
    """x: the silo's exact counts, before noise.  They never leave the process.

    Returns:
        Non-negative integers of shape (tables, label cells, bins) = ``program.shape(marginal)``;
        adding a sample adds 1 to at most one cell of each table (PRIVACY 1.3, first row).
    """
    cells: NDArray[np.int64] = encode(marginal, program, table)
    return cells


def noised_contribution(
    plan: Plan, one_round: Round, table: SampleTable, noise: NoiseSource
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

    Returns:
        Marginal id → ``release.opened`` integers, in the order of the round's releases.

    Raises:
        ValueError: the round measures a marginal twice, the plan's lengths do not fit its
            marginals, or the source returned something else than it was asked for.
    """
    contribution: dict[str, NDArray[np.int64]] = {}
    for release in one_round.releases:
        if release.marginal in contribution:
            raise ValueError(f"round {one_round.number} measures {release.marginal!r} twice")
        marginal = plan.marginal(release.marginal)
        shape = plan.program.shape(marginal)
        if release.raw_cells != prod(shape):
            raise ValueError(f"{release.marginal!r} has {prod(shape)} raw cells by its shape")
        x = raw_cells(plan.program, marginal, table)
        z = noise.draw(release.marginal, release.raw_cells, release.party_variance)
        if z.shape != (release.raw_cells,) or z.dtype != np.int64:
            raise ValueError(f"the noise of {release.marginal!r} is not that many int64 values")
        y = apply_map(release.map, x + z.reshape(shape))
        if y.shape != (release.opened,):
            raise ValueError(f"{release.marginal!r} opens {y.size} values by its map")
        contribution[release.marginal] = y
    return contribution
