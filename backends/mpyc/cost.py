"""What a run will cost in messages, from the plan alone; needs neither MPyC nor data.

A run sends these bytes exactly: sizes depend on the plan, never on anybody's data.
"""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class PredictedMessage:
    """What each party sends to each other one at one point of a run.

    Attributes:
        kind: ``hello``, ``ready``, ``stored``, ``share``, ``opening`` or ``confirmation``.
        step: the round of messages, from 1.
        round: the plan's round, from 1; 0 where there is none.
        bytes: to one other party, of all its frames with their headers.
    """

    kind: str
    step: int
    round: int
    bytes: int


def predicted_messages(plan: Plan) -> tuple[PredictedMessage, ...]:
    """All messages of a run, in order.

    Frame headers are counted; what TLS, TCP and IP add is not (it depends on the network).
    """
    found = [
        PredictedMessage("hello", 1, 0, HEADER.size + HELLO_BYTES),
        PredictedMessage("ready", 2, 0, HEADER.size + ready_bytes(len(plan.parties))),
    ]
    for one_round, values in zip(plan.rounds, values_per_round(plan), strict=True):
        step, number = 3 * one_round.number, one_round.number
        found += [
            PredictedMessage("stored", step, number, HEADER.size),
            PredictedMessage("share", step + 1, number, vector_bytes(values)),
            PredictedMessage("opening", step + 2, number, vector_bytes(values)),
        ]
    last = predicted_rounds(plan)
    return (*found, PredictedMessage("confirmation", last, 0, HEADER.size + CONFIRMATION_BYTES))


def predicted_bytes(plan: Plan) -> int:
    """Bytes that each party sends in the whole run, to all m − 1 peers together."""
    return (len(plan.parties) - 1) * sum(one.bytes for one in predicted_messages(plan))


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
