"""The game of ``game`` for any plan: vectors, later rounds, Laplace noise.

One person is sought.  The sums that open are those of the honest parties: what the coalition adds
is known to it, and might as well be nothing.  What a later round measures follows from them.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.learned import with_learned_edges
from secgen_dsl.ir.plan import LaplaceNoise, Plan, Release, Round
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import as_table
from secgen_dsl.queries.contribution import noised_contribution, raw_cells
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.runtime.noise import NoiseSource
from tests.trials.game import Games, weights_of

Sums = dict[str, NDArray[np.int64]]


def play_rounds(
    plan: Plan,
    source: Callable[[], NoiseSource],
    runs: int,
    tables: tuple[SampleTable, SampleTable, SampleTable],
) -> Games:
    """``runs`` runs in each world.

    Args:
        plan: of three parties, one of which colludes.
        source: a fresh source for each honest party.
        runs: of each world.
        tables: one honest party's people without the sought person, that person, and the other's
            people.
    """
    without, person, others = tables
    with_person = both(without, person)
    sources = [source(), source()]
    rows = (both(without, others), person)
    first = exact_of(plan, plan.rounds[0], plan.program, rows)
    ratios: list[list[list[float]]] = [[], []]
    for run in range(2 * runs):
        opened: dict[str, tuple[int, ...]] = {}
        parts: list[float] = []
        held = ((without, with_person)[run % 2], others)
        for one_round in plan.rounds:
            known, shifts = first
            if one_round.number > 1:
                program = with_learned_edges(plan, opened)
                known, shifts = exact_of(plan, one_round, program, rows)
            noised = [
                noised_contribution(plan, one_round, table, noise, opened)
                for table, noise in zip(held, sources, strict=True)
            ]
            for release in one_round.releases:
                name = release.query
                seen = noised[0][name] + noised[1][name]
                parts.append(ratio_of(plan, release, seen - known[name], shifts[name]))
                opened[name] = tuple(seen.tolist())
        ratios[run % 2].append(parts)
    return Games(
        absent=np.array(ratios[0]),
        present=np.array(ratios[1]),
        claimed=np.array([claim_of(release) for release in plan.releases()]),
        pure=any(isinstance(release.noise, LaplaceNoise) for release in plan.releases()),
    )


def exact_of(
    plan: Plan,
    one_round: Round,
    program: Program,
    rows: tuple[SampleTable, SampleTable],
) -> tuple[Sums, Sums]:
    """By query: A(x) of the honest parties without the person, and of the person alone.

    Encoders add up rows, so that the second is what the person adds to the first.
    """
    known: Sums = {}
    shifts: Sums = {}
    for release in one_round.releases:
        query = plan.query(release.query)
        if query not in plan.added:
            query = as_table(program.query(release.query))
        known[release.query], shifts[release.query] = (
            apply_map(release.map, raw_cells(program, query, table)) for table in rows
        )
    return known, shifts


def both(one: SampleTable, other: SampleTable) -> SampleTable:
    """The rows of two tables of the same study."""
    return SampleTable(
        rows=one.rows + other.rows,
        categories={
            name: np.concatenate([texts, other.categories[name]])
            for name, texts in one.categories.items()
        },
        expression={
            gene: np.concatenate([values, other.expression[gene]])
            for gene, values in one.expression.items()
        },
    )


def ratio_of(
    plan: Plan, release: Release, noise: NDArray[np.int64], shift: NDArray[np.int64]
) -> float:
    """Log-likelihood ratio of a release: ``noise`` is what was seen less the sums without."""
    if isinstance(release.noise, LaplaceNoise):
        moved = np.abs(noise).sum() - np.abs(noise - shift).sum()
        return float(moved / release.noise.scale)
    wide = shift.astype(np.float64)
    return float(weights_of(plan, release, wide) @ (noise - wide / 2))


def claim_of(release: Release) -> float:
    """μ of a release by the plan, or its ε."""
    noise = release.noise
    if isinstance(noise, LaplaceNoise):
        return float(noise.sensitivity / noise.scale)
    return float(noise.sensitivity_squared / noise.variance) ** 0.5


def promised_by(plan: Plan) -> float:
    """μ of the whole plan by its releases, or its ε."""
    claims = [claim_of(release) for release in plan.releases()]
    if isinstance(plan.rounds[0].releases[0].noise, LaplaceNoise):
        return sum(claims)
    return sum(claim**2 for claim in claims) ** 0.5
