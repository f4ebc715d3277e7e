"""What a run will cost in messages, from the plan alone; needs neither MPyC nor data.

A run sends these bytes exactly: sizes depend on the plan, never on anybody's data.
"""

from secgen_dsl.ir.plan import Plan, Release, Round
from secgen_dsl.runtime.network.frames import (
    CHUNK_VALUES,
    CONFIRMATION_BYTES,
    ELEMENT_BYTES,
    HEADER,
    HELLO_BYTES,
    ready_bytes,
    vector_bytes,
)


def opened_values(one_round: Round) -> int:
    """Number of values that a round opens, which is the length of its shared vector."""
    return sum(release.opened for release in one_round.releases)


def is_bulk(one_round: Round) -> bool:
    """Whether a round's shares are added natively: they are too many for MPyC's arrays.

    Up to a frame's worth MPyC takes a fifth of a second; its arrays hold Python objects (0016).
    """
    return opened_values(one_round) > CHUNK_VALUES


def values_per_round(plan: Plan) -> tuple[int, ...]:
    """``opened_values`` of each round."""
    return tuple(map(opened_values, plan.rounds))


def predicted_bytes(plan: Plan) -> int:
    """Bytes that each party sends in the whole run, to all m − 1 peers together.

    Frame headers are counted; what TLS, TCP and IP add is not (it depends on the network).
    """
    frames = HEADER.size + HELLO_BYTES  # hello
    frames += HEADER.size + ready_bytes(len(plan.parties))
    for values in values_per_round(plan):
        frames += HEADER.size + 2 * vector_bytes(values)  # stored; shares, opening
    frames += HEADER.size + CONFIRMATION_BYTES
    return (len(plan.parties) - 1) * frames


def release_bytes(plan: Plan, release: Release) -> int:
    """Of ``predicted_bytes``, those for the values of one release: shared once, opened once."""
    return (len(plan.parties) - 1) * 2 * ELEMENT_BYTES * release.opened


def release_rounds(plan: Plan, release: Release) -> tuple[int, int]:
    """The message rounds, from 1, in which a release is shared and opened; after hello and ready.

    Raises:
        KeyError: the plan has no such release.
    """
    for one_round in plan.rounds:
        if release in one_round.releases:
            return 3 * one_round.number + 1, 3 * one_round.number + 2
    raise KeyError(release.query)


def predicted_rounds(plan: Plan) -> int:
    """Rounds of messages: hello, ready, confirming; stored, sharing, opening for each round."""
    return 3 + 3 * len(plan.rounds)
