"""The opened values of a plan's rounds: as a party's store holds them, and as measurements."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Measurement, Measurements, Plan
from secgen_dsl.runtime.store import ContributionKey, ContributionStore, digest_of_opened


def contribution_key(
    plan: Plan, index: int, number: int, opened: Sequence[NDArray[np.int64]]
) -> ContributionKey:
    """The key of a party's contribution to a round.

    Args:
        index: of the party in ``plan.parties``.
        number: of the round, from 1.
        opened: the values of at least the rounds before it.
    """
    return ContributionKey(
        plan_sha256=sha256_of(plan),
        round=number,
        parties=plan.parties,
        index=index,
        opened_before=digest_of_opened(opened[: number - 1]),
    )


def stored_openings(store: ContributionStore, plan: Plan, index: int) -> list[NDArray[np.int64]]:
    """What earlier runs of the plan opened, round by round, up to the first that is not stored.

    Raises:
        SecgenError: SG512.
    """
    opened: list[NDArray[np.int64]] = []
    for one_round in plan.rounds:
        values = store.opened(contribution_key(plan, index, one_round.number, opened))
        if values is None:
            break
        opened.append(values)
    return opened


def measurements_of(plan: Plan, opened: Sequence[NDArray[np.int64]]) -> Measurements:
    """All opened values, in the plan's order.

    Args:
        opened: one vector for each round of the plan.
    """
    measurements = []
    for one_round, total in zip(plan.rounds, opened, strict=True):
        lengths = [(release.query, release.opened) for release in one_round.releases]
        for marginal, values in by_query(lengths, total).items():
            measurements.append(
                Measurement(query=marginal, values=tuple(map(int, values.tolist())))
            )
    return Measurements(
        format="secgen.measurements/2",
        plan_sha256=sha256_of(plan),
        measurements=tuple(measurements),
    )


def by_query(
    openings: Sequence[tuple[str, int]], opened: NDArray[np.int64]
) -> dict[str, NDArray[np.int64]]:
    """The parts of a round's vector: marginal → its values.

    Args:
        openings: (marginal, number of values), in the vector's order.
    """
    ends = np.cumsum([values for _, values in openings])
    parts = np.split(opened, ends[:-1])
    return {marginal: part for (marginal, _), part in zip(openings, parts, strict=True)}
