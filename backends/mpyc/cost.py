"""What a run will cost in messages, from the plan alone; needs neither MPyC nor data.

A run sends these bytes exactly: sizes depend on the plan, never on anybody's data.
"""

from secgen_dsl.ir.plan import Plan, Release
from secgen_dsl.runtime.frames import (
    HEADER,
    HELLO_BYTES,
    opening_payload_bytes,
    share_payload_bytes,
)


def values_per_round(plan: Plan) -> tuple[int, ...]:
    """For each round the number of opened values, which is the length of its shared vector."""
    return tuple(sum(release.opened for release in one.releases) for one in plan.rounds)


def predicted_bytes(plan: Plan) -> int:
    """Bytes that each party sends in the whole run, to all m − 1 peers together.

    Frame headers are counted; those of TCP and IP are not (they depend on the network).
    """
    frames = HEADER.size + HELLO_BYTES
    for values in values_per_round(plan):
        frames += HEADER.size + share_payload_bytes(values)
        frames += HEADER.size + opening_payload_bytes(values)
    return (len(plan.parties) - 1) * frames


def release_bytes(plan: Plan, release: Release) -> int:
    """Of ``predicted_bytes``, those for the values of one release: shared once, opened once."""
    return (len(plan.parties) - 1) * 2 * opening_payload_bytes(release.opened)


def release_rounds(plan: Plan, release: Release) -> tuple[int, int]:
    """The message rounds, from 1, in which a release is shared and opened; round 1 is hello.

    Raises:
        KeyError: the plan has no such release.
    """
    for one_round in plan.rounds:
        if release in one_round.releases:
            return 2 * one_round.number, 2 * one_round.number + 1
    raise KeyError(release.query)


def predicted_rounds(plan: Plan) -> int:
    """Rounds of communication: hello, then sharing and opening for each round of the plan."""
    return 1 + 2 * len(plan.rounds)
