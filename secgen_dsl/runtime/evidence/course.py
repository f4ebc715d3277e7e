"""The course of a run as its transcript tells it, held against what the plan predicts.

With every peer a party exchanges, on a connection: hellos; that it is ready, once or, if somebody
had to come again, more often; then for each round that
all is stored, its shares and its part of the opening, in
chunks; a confirmation.  Kinds, rounds, sizes and sequence numbers are all known from the plan.
Who breaks off before all are ready may come again: an earlier connection ends after its hello or
after "ready".  A run that is stopped ends anywhere, as a rule with an abort.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from secgen_dsl.ir.plan import Plan
from secgen_dsl.runtime.evidence.receipt import COMPLETE, PartyReceipt, is_signature
from secgen_dsl.runtime.evidence.transcript import (
    EndEvent,
    Frame,
    HelloEvent,
    Line,
    SessionEvent,
)
from secgen_dsl.runtime.network.frames import (
    ABORT_BYTES,
    CONFIRMATION_BYTES,
    HEADER,
    HELLO_BYTES,
    FrameError,
    chunks,
    elements_payload_bytes,
    ready_bytes,
)
from secgen_dsl.runtime.network.hello import Hello, read_hello, session_name
from secgen_dsl.runtime.trust.consortium import PartyEntry

_WAYS = ("sent", "received")

_Step = tuple[str, int]
"""Kind and round."""


@dataclass(frozen=True)
class Connection:
    """What went over one connection with a peer.

    Attributes:
        sent: frames in order; likewise ``received``.
        hello_to: the hello that was sent, whole; likewise ``hello_from``.
    """

    sent: tuple[Frame, ...]
    received: tuple[Frame, ...]
    hello_to: bytes
    hello_from: bytes

    def frames(self, way: str) -> tuple[Frame, ...]:
        """The frames of one way."""
        return self.sent if way == "sent" else self.received


Connections = Mapping[str, Sequence[Connection]]
"""Peer → its connections, in order."""


def predicted(plan: Plan) -> list[tuple[_Step, int]]:
    """Kind, round and bytes of payload of each frame after "ready", to or from every peer."""
    found: list[tuple[_Step, int]] = []
    for one_round in plan.rounds:
        values = sum(release.opened for release in one_round.releases)
        sizes = [elements_payload_bytes(end - start) for start, end in chunks(values)]
        found.append((("stored", one_round.number), 0))
        found += [(("share", one_round.number), size) for size in sizes]
        found += [(("opening", one_round.number), size) for size in sizes]
    return [*found, (("confirmation", 0), CONFIRMATION_BYTES)]


def connections(lines: Sequence[Line], peers: Sequence[str]) -> dict[str, list[Connection]]:
    """The frames of a transcript by peer and connection.

    Raises:
        ValueError: a frame of somebody else, before a hello, or a hello that is not there whole.
    """
    frames: dict[str, list[dict[str, list[Frame]]]] = {peer: [] for peer in peers}
    hellos: dict[str, list[dict[str, bytes]]] = {peer: [] for peer in peers}
    before: Line | None = None
    for line in lines:
        if isinstance(line, Frame | HelloEvent) and line.peer not in frames:
            raise ValueError(f'"{line.peer}" is no other party of the plan')
        if isinstance(line, HelloEvent):
            way = {"hello to": "sent", "hello from": "received"}[line.event]
            payload = bytes.fromhex(line.hello)
            if not (
                isinstance(before, Frame)
                and (before.way, before.peer, before.kind) == (way, line.peer, "hello")
                and before.sha256 == hashlib.sha256(payload).hexdigest()
                and before.bytes == len(payload)
            ):
                raise ValueError(f"the hello {line.event[6:]} {line.peer} is not the frame's")
            hellos[line.peer][-1][line.event] = payload
        elif isinstance(before, Frame) and before.kind == "hello":
            raise ValueError(f"a hello of {before.peer} is not there whole")
        if isinstance(line, Frame):
            if (line.way, line.kind) == ("sent", "hello"):
                frames[line.peer].append({way: [] for way in _WAYS})
                hellos[line.peer].append({})
            elif not frames[line.peer]:
                raise ValueError(f"{line.peer}: a frame before its hello")
            frames[line.peer][-1][line.way].append(line)
        before = line
    found: dict[str, list[Connection]] = {}
    for peer in peers:
        found[peer] = [
            Connection(
                tuple(one["sent"]),
                tuple(one["received"]),
                texts.get("hello to", b""),
                texts.get("hello from", b""),
            )
            for one, texts in zip(frames[peer], hellos[peer], strict=True)
        ]
    return found


def course_faults(plan: Plan, found: Connections, *, complete: bool) -> Iterator[str]:
    """Where frames are not those that the plan predicts: kind, round, size, sequence, how many."""
    wanted = predicted(plan)
    ready = ready_bytes(len(plan.parties))
    for peer, all_of_peer in found.items():
        if complete and not all_of_peer:
            yield f"{peer}: no connection"
        for number, connection in enumerate(all_of_peer, start=1):
            last = number == len(all_of_peer)
            for way in _WAYS:
                fault = _course_fault(connection.frames(way), wanted, last, complete, ready)
                if fault:
                    yield f"{peer}, {way}: {fault}"


def _course_fault(
    frames: Sequence[Frame],
    wanted: Sequence[tuple[_Step, int]],
    last: bool,
    complete: bool,
    size_of_ready: int,
) -> str:
    for place, frame in enumerate(frames):
        if frame.sequence != place:
            return f"frame {place} has sequence number {frame.sequence}"
    if not frames or (frames[0].kind, frames[0].round, frames[0].bytes) != (
        "hello",
        0,
        HELLO_BYTES,
    ):
        return "it does not begin with a hello"
    rest = list(frames[1:])
    if rest and rest[-1].kind == "abort":
        abort = rest.pop()
        if complete or (abort.round, abort.bytes) != (0, ABORT_BYTES):
            return "an abort that does not belong there"
    ready = 0
    while ready < len(rest) and rest[ready].kind == "ready":
        if (rest[ready].round, rest[ready].bytes) != (0, size_of_ready):
            return f'frame {rest[ready].sequence} is no "ready"'
        ready += 1
    after = rest[ready:]
    if after and not (last and ready):
        return f'frame {after[0].sequence} before "ready", or on a connection that was given up'
    for frame, (step, size) in zip(after, wanted, strict=False):
        if (frame.kind, frame.round, frame.bytes) != (*step, size):
            return (
                f"frame {frame.sequence} is {frame.kind} of round {frame.round} with {frame.bytes} "
                f"bytes; the plan predicts {step[0]} of round {step[1]} with {size}"
            )
    if len(after) > len(wanted):
        return f"{len(after) - len(wanted)} frames more than the plan predicts"
    if complete and last and len(after) < len(wanted):
        return f"{len(wanted) - len(after)} frames fewer than the plan predicts"
    return ""


def order_faults(plan: Plan, lines: Sequence[Line], peers: Sequence[str]) -> Iterator[str]:
    """Whether nothing was sent before everything that it depends on had arrived from all."""
    steps = list(dict.fromkeys(step for step, _ in predicted(plan)))
    left = {step: dict.fromkeys(peers, 0) for step in steps}
    for step, _ in predicted(plan):
        for peer in peers:
            left[step][peer] += 1
    named = False
    for line in lines:
        if isinstance(line, SessionEvent):
            named = True
        if not isinstance(line, Frame) or (line.kind, line.round) not in left:
            continue
        step = (line.kind, line.round)
        if line.way == "received":
            left[step][line.peer] = left[step].get(line.peer, 0) - 1
            continue
        before = steps[: steps.index(step)]
        if not named or any(count > 0 for one in before for count in left[one].values()):
            yield (
                f"{line.kind} of round {line.round} was sent to {line.peer} before all had arrived "
                "that it follows from"
            )
            return


def event_faults(lines: Sequence[Line], receipt: PartyReceipt) -> Iterator[str]:
    """Whether the session has one name, the receipt's, and the end is the receipt's outcome."""
    named = [line.session for line in lines if isinstance(line, SessionEvent)]
    ends = [line.outcome for line in lines if isinstance(line, EndEvent)]
    if len(named) > 1 or (not named and receipt.outcome == COMPLETE):
        yield f"the session is named {len(named)} times"
    elif named and named[0] != receipt.session:
        yield f"the session is {named[0]}, in the receipt {receipt.session}"
    if ends != [receipt.outcome] or not isinstance(lines[-1], EndEvent):
        yield f'its last line does not say that the outcome is "{receipt.outcome}"'


def hello_faults(
    found: Connections, receipt: PartyReceipt, entries: Sequence[PartyEntry]
) -> Iterator[str]:
    """Whether every hello is signed, for this plan, study and roster, and names the session."""
    index = {one.name: number for number, one in enumerate(entries)}
    own = index[receipt.party]
    last: dict[int, Hello] = {}
    for peer, all_of_peer in found.items():
        for connection in all_of_peer:
            ends = {
                "to": (connection.hello_to, own, index[peer]),
                "from": (connection.hello_from, index[peer], own),
            }
            for way, (payload, sender, receiver) in ends.items():
                try:
                    hello = read_hello(payload, entries[sender].identity.public)
                except FrameError as error:
                    yield f"the hello {way} {peer}: {error}"
                    continue
                last[sender] = hello
                stated = (
                    hello.plan_sha256, hello.study_sha256, hello.roster_sha256, hello.sender,
                    hello.receiver,
                )  # fmt: skip
                if stated != (
                    receipt.plan_sha256, receipt.study_sha256, receipt.roster_sha256, sender,
                    receiver,
                ):  # fmt: skip
                    yield f"the hello {way} {peer} is for another plan, study, roster or party"
                if hello.release != receipt.versions.get("secgen"):
                    yield f"the hello {way} {peer} is of secgen {hello.release}"
    if len(last) == len(entries):
        name = session_name(last[own], [last[number].nonce for number in range(len(entries))])
        if receipt.session not in (name.hex(), "0" * 32):
            yield "the session's name does not follow from the nonces of the hellos"
    elif set(receipt.session) != {"0"}:
        yield "the session has a name, without a hello of every party"


def confirmation_faults(
    found: Connections, receipt: PartyReceipt, entries: Sequence[PartyEntry]
) -> Iterator[str]:
    """Whether every peer has signed the opened values, and its frame was that signature."""
    opened = bytes.fromhex(receipt.opened_sha256)
    signed = bytes.fromhex(receipt.session + receipt.plan_sha256) + opened
    if set(receipt.confirmations) != set(found):
        yield "the confirmations are not those of all other parties"
    for entry in entries:
        text = receipt.confirmations.get(entry.name)
        if text is None:
            continue
        if not is_signature(entry.identity.public, "confirmation", signed, text):
            yield f"{entry.name} did not sign these opened values for this session"
            continue
        payload = hashlib.sha256(opened + bytes.fromhex(text)).hexdigest()
        arrived = [
            frame.sha256
            for connection in found.get(entry.name, ())
            for frame in connection.received
            if frame.kind == "confirmation"
        ]
        if arrived != [payload]:
            yield f"the confirmation of {entry.name} is not the frame that arrived"


def bytes_sent(found: Connections) -> int:
    """Of all frames sent, headers included."""
    return sum(
        HEADER.size + frame.bytes
        for all_of_peer in found.values()
        for connection in all_of_peer
        for frame in connection.sent
    )


def deviations(lines: Sequence[Line]) -> Iterator[str]:
    """What went otherwise than in a smooth run, in words."""
    hellos: dict[str, int] = {}
    for line in lines:
        if isinstance(line, Frame) and line.kind == "abort":
            yield f"an abort was {line.way} {'to' if line.way == 'sent' else 'from'} {line.peer}"
        if isinstance(line, Frame) and (line.way, line.kind) == ("received", "hello"):
            hellos[line.peer] = hellos.get(line.peer, 0) + 1
    yield from (f"{peer} came {count} times" for peer, count in hellos.items() if count > 1)
