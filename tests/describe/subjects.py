"""What a document is about, made from a spec: a plan, its certificate, its messages."""

from pathlib import Path

from secgen_dsl.backends.mpyc.cost import opened_values, predicted_bytes, predicted_rounds
from secgen_dsl.cli.study import plan_of
from secgen_dsl.describe.subject import Message, Subject
from secgen_dsl.ir.plan import Plan
from secgen_dsl.runtime.network.frames import (
    CONFIRMATION_BYTES,
    HEADER,
    HELLO_BYTES,
    ready_bytes,
    vector_bytes,
)
from secgen_dsl.verifier.certify import certify

DATE = "2026-01-31"


def subject_of(spec: Path) -> Subject:
    """The subject of a spec, or of a bundle's folder."""
    planned = plan_of(spec)
    return Subject(
        plan=planned.plan,
        study=planned.study,
        certificate=certify(planned.plan, planned.verified, independent=False),
        sources=planned.sources,
        spec_name=spec.name,
        spec_text=planned.source.text,
        messages=messages_of(planned.plan),
        date=DATE,
    )


def messages_of(plan: Plan) -> tuple[Message, ...]:
    """What each party sends to each other one, in order."""
    found = [
        Message("hello", 1, 0, HEADER.size + HELLO_BYTES),
        Message("ready", 2, 0, HEADER.size + ready_bytes(len(plan.parties))),
    ]
    for one_round in plan.rounds:
        size = vector_bytes(opened_values(one_round))
        for number, (kind, bytes_) in enumerate(
            (("stored", HEADER.size), ("share", size), ("opening", size))
        ):
            found.append(Message(kind, 3 * one_round.number + number, one_round.number, bytes_))
    last = predicted_rounds(plan)
    found.append(Message("confirmation", last, 0, HEADER.size + CONFIRMATION_BYTES))
    assert (len(plan.parties) - 1) * sum(each.size for each in found) == predicted_bytes(plan)
    assert [each.step for each in found] == list(range(1, last + 1))
    return tuple(found)
