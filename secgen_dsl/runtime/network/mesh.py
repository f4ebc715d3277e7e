"""A full mesh of parties: strict frames, exact sizes, a timeout on every wait.

The mesh knows from the plan which frame comes next on every connection and refuses anything else,
both ways: what it sends, and what it is sent.  A run goes through these phases:

* *connecting*: TLS and hellos with every peer, in whatever order the sites start; whoever breaks
  off may come back.  Nothing is stored or debited before all are *ready*: each has then a hello of
  each, and all have named the session alike.
* *exchanging*: shares and openings, as the plan has them, in frames of bounded size.
* *confirming*: every party signs a digest of the opened values, and has everybody's signature
  before it uses them.

A party that stops tells the others why (``Abort``), so that all end soon and with the same reason.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.runtime.evidence.transcript import Transcript
from secgen_dsl.runtime.network.channel import Channel, Peer, Status, arrived, says_abort
from secgen_dsl.runtime.network.check import Check
from secgen_dsl.runtime.network.faults import phase_name
from secgen_dsl.runtime.network.frames import (
    CONFIRMATION_BYTES,
    SALT_BYTES,
    FrameError,
    Kind,
    chunks,
    elements_payload_bytes,
    pack_elements,
    read_elements,
)
from secgen_dsl.runtime.network.gathering import Gathering
from secgen_dsl.runtime.network.greeting import Greeting, Statement
from secgen_dsl.runtime.network.links import Endpoint
from secgen_dsl.runtime.openings import OpeningPermit
from secgen_dsl.runtime.trust.identity import verified

_DIGEST_BYTES = 32

Sink = Callable[[int, int, int, NDArray[np.uint64]], None]
"""Takes a received chunk: peer, first element, past the last, elements."""


@dataclass(frozen=True)
class Session:
    """What a party knows of a run before it connects.

    Attributes:
        endpoint: the parties, and this one's keys.
        statement: what its hellos say.
        values: for each round of the plan, the length of the shared vector.
        modulus: p, the field's prime.
        connect_timeout: seconds > 0 until all parties must be ready.
        timeout: seconds > 0 that any one wait may last from then on.
        stored: number of leading rounds whose contribution an earlier run of this party stored.
        check: what it answers a doctor.
    """

    endpoint: Endpoint
    statement: Statement
    values: tuple[int, ...]
    modulus: int
    connect_timeout: float
    timeout: float
    stored: int
    check: Callable[[], Check]


class Mesh:
    """Connections to all peers of a session; made by ``Mesh.connect``.

    Attributes:
        confirmations: party → its signature over the opened values, once all have confirmed.
    """

    def __init__(
        self, session: Session, transcript: Transcript, on_status: Callable[[Status], None]
    ) -> None:
        self._session = session
        self._endpoint = session.endpoint
        self._channel = Channel(
            session.endpoint, len(session.values), session.timeout, transcript, on_status
        )
        self._steps = [
            (kind, number)
            for number in range(1, len(session.values) + 1)
            for kind in (Kind.SHARE, Kind.OPENING)
        ]
        self.confirmations: dict[str, str] = {}

    @property
    def bytes_sent(self) -> int:
        """Bytes handed to the connections so far, headers included, TLS's own not."""
        return self._channel.bytes_sent

    @property
    def session(self) -> bytes:
        """The session's 16 bytes; zeros until all were ready."""
        return self._channel.session

    def status(self) -> Status:
        """How far it is."""
        return self._channel.status()

    async def stop(self, error: BaseException | None = None) -> None:
        """Tell the peers that this party stops, as far as they can be told, and leave."""
        await self._channel.stop(error)

    def abort(self) -> None:
        """Drop every connection at once."""
        self._channel.abort()

    @classmethod
    async def connect(
        cls,
        session: Session,
        listener: socket.socket | None,
        transcript: Transcript,
        on_status: Callable[[Status], None] = lambda _: None,
    ) -> "Mesh":
        """Connect to every peer, exchange hellos, and wait until all are ready.

        Args:
            listener: this party's bound socket, closed when all are ready; None: it has no address.
            on_status: called when a peer has come or gone, and as bytes are sent.

        Raises:
            SecgenError: SG502 a peer's plan, study, release or opened values differ; SG503 a
                malformed frame; SG504 some were not ready in time; SG518 this party's store lost
                what it contributed to a round that was opened; SG525 a peer shows another
                certificate; SG526 a peer stopped; SG527 it knows the parties by other keys.
        """
        mesh = cls(session, transcript, on_status)
        channel = mesh._channel
        greeting = Greeting(
            session.endpoint,
            session.statement,
            session.stored,
            len(session.values),
            channel.faults,
            session.check,
        )
        gathering = Gathering(channel, greeting, session.statement, session.connect_timeout)
        try:
            await gathering.connect(listener)
        except BaseException as error:
            await mesh.stop(error)
            raise
        return mesh

    async def stored(self, number: int) -> None:
        """Say that this party's contribution to a round is durable, and wait until all say so.

        Whoever then deals knows that every contribution exists; should one be lost later, the
        hello of any honest dealer tells its owner not to draw another.

        Raises:
            SecgenError: SG503, SG504 or SG526 as in ``connect``.
        """
        self._channel.at = (Kind.STORED, number)

        async def hear(peer: Peer) -> None:
            await self._channel.receive(peer, Kind.STORED, number, 0)

        peers = list(self._channel.peers.values())
        await self._with_peers(
            [self._channel.send(peer, Kind.STORED, number, b"") for peer in peers],
            [(peer, hear(peer)) for peer in peers],
        )

    async def share(self, number: int, rows: Sequence[NDArray[np.uint64]], sink: Sink) -> None:
        """Send row j of a dealing to party j, and receive this party's row of every peer's.

        Args:
            number: the round.
            rows: one vector of field elements for each party; this party's own is not sent.
            sink: given what arrives, chunk by chunk; those of a peer in order.

        Raises:
            SecgenError: SG503, SG504 or SG526 as in ``connect``; SG506 the frame is not the plan's
                next.
        """
        values = self._take_step(Kind.SHARE, number)
        await self._exchange(Kind.SHARE, number, rows, values, sink)

    async def open(self, permit: OpeningPermit, elements: NDArray[np.uint64], sink: Sink) -> None:
        """Send this party's share of the sum to every peer, and receive theirs.

        Args:
            permit: from the plan's openings manifest; spent here.
            elements: ``permit.values`` field elements.
            sink: given what arrives.

        Raises:
            SecgenError: SG506 the permit is spent or is not for the plan's next frame; SG503,
                SG504 or SG526 as in ``connect``.
        """
        values = self._take_step(Kind.OPENING, permit.round)
        if values != permit.values:
            raise _refused(f"{permit.values} values instead of {values}")
        permit.use()
        rows = [elements] * len(self._endpoint.entries)
        await self._exchange(Kind.OPENING, permit.round, rows, values, sink)

    def compare_with_hellos(self, number: int, opened_sha256: str) -> None:
        """See that what the first ``number`` rounds opened is what peers have of an earlier run.

        To be asked before it is recorded: two stores that hold different values go together never
        again.

        Raises:
            SecgenError: SG513.
        """
        for peer in self._channel.peers.values():
            if peer.hello.opened == number and peer.hello.opened_sha256 != opened_sha256:
                raise self._channel.faults.other_opening(peer.index, number)

    async def confirm(self, opened_sha256: str) -> None:
        """Sign a digest of all opened values, and wait for everybody's signature.

        Raises:
            SecgenError: SG509 a peer opened other values; SG503, SG504 or SG526.
        """
        if self._steps:
            raise _refused("a confirmation before every round was opened")
        self._channel.at = (Kind.CONFIRMATION, 0)
        digest = bytes.fromhex(opened_sha256)
        endpoint = self._endpoint
        # What is signed: the session, the plan, the digest.
        context = self._channel.session + bytes.fromhex(self._session.statement.plan_sha256)
        payload = digest + endpoint.signer.sign("confirmation", context + digest)

        async def exchange(peer: Peer) -> None:
            received = await self._channel.receive(peer, Kind.CONFIRMATION, 0, CONFIRMATION_BYTES)
            theirs, signature = received[:_DIGEST_BYTES], received[_DIGEST_BYTES:]
            public = endpoint.entries[peer.index].identity.public
            if not verified(public, "confirmation", context + theirs, signature):
                raise self._channel.faults.malformed(
                    peer.index, Kind.CONFIRMATION, 0, "its signature is not that of its machine"
                )
            if theirs != digest:
                raise self._channel.faults.differs(peer.index)
            self.confirmations[peer.name] = signature.hex()

        peers = list(self._channel.peers.values())
        await self._with_peers(
            [self._channel.send(peer, Kind.CONFIRMATION, 0, payload) for peer in peers],
            [(peer, exchange(peer)) for peer in peers],
        )

    async def close(self) -> None:
        """Close every connection in order; a peer that has sent something more is an error.

        Raises:
            SecgenError: SG503, SG526.
        """
        for peer in self._channel.peers.values():
            if not arrived(peer):
                continue
            if says_abort(peer):
                await self._channel.take_abort(peer, peer.header.result())
            raise self._channel.faults.malformed(
                peer.index, Kind.CONFIRMATION, 0, "it sends more than the plan predicts"
            )
        await self._channel.leave()

    def _take_step(self, kind: Kind, number: int) -> int:
        """The length of the vector of the plan's next frames, if these are they."""
        if not self._steps or self._steps[0] != (kind, number):
            raise _refused(f"a frame of {kind.name.lower()} in round {number} is not the next")
        self._channel.at = self._steps.pop(0)
        return self._session.values[number - 1]

    async def _exchange(
        self,
        kind: Kind,
        number: int,
        rows: Sequence[NDArray[np.uint64]],
        values: int,
        sink: Sink,
    ) -> None:
        phase = phase_name(kind, number)
        for row in rows:
            if row.shape != (values,) or row.dtype != np.uint64:
                raise _refused(f"{row.size} elements instead of {values} for {phase}")

        async def give(peer: Peer) -> None:
            for start, end in chunks(values):
                salt = secrets.token_bytes(SALT_BYTES)
                payload = pack_elements(salt, rows[peer.index][start:end])
                await self._channel.send(peer, kind, number, payload)

        async def take(peer: Peer) -> None:
            for start, end in chunks(values):
                payload = await self._channel.receive(
                    peer, kind, number, elements_payload_bytes(end - start)
                )
                try:
                    elements = read_elements(payload, end - start, self._session.modulus)
                except FrameError as error:
                    raise self._channel.malformed(peer, kind, number, error) from error
                sink(peer.index, start, end, elements)

        peers = list(self._channel.peers.values())
        await self._with_peers(
            [give(peer) for peer in peers], [(peer, take(peer)) for peer in peers]
        )

    async def _with_peers(
        self,
        gives: Sequence[Coroutine[Any, Any, None]],
        takes: Sequence[tuple[Peer, Coroutine[Any, Any, None]]],
    ) -> None:
        """Send to everybody and receive from everybody at once, and end as soon as one stops.

        Nobody's full buffer can hold up another.  A peer that has sent all of its frames may still
        stop while others have not: it says why, or its connection ends.
        """
        tasks = [asyncio.ensure_future(give) for give in gives]
        watching = []
        for peer, take in takes:
            taken = asyncio.ensure_future(take)
            tasks.append(taken)
            watching.append(asyncio.ensure_future(self._watch(peer, taken)))
        try:
            while not all(task.done() for task in tasks):
                running = [task for task in (*tasks, *watching) if not task.done()]
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in (*tasks, *watching):
                task.cancel()
            await asyncio.gather(*tasks, *watching, return_exceptions=True)

    async def _watch(self, peer: Peer, taken: asyncio.Task[None]) -> None:
        """See whether a peer stops after it has sent what this step takes from it."""
        await asyncio.wait([taken])
        await asyncio.wait([peer.header])
        if says_abort(peer):
            await self._channel.take_abort(peer, peer.header.result())
        if (
            not arrived(peer) and self._channel.at[0] != Kind.CONFIRMATION
        ):  # after that one it may go
            raise self._channel.faults.gone(peer.index, *self._channel.at)


def _refused(what: str) -> SecgenError:
    return fail(
        "SG506",
        f"a frame that the plan does not predict was not sent: {what}",
        place="messages of the plan",
        next_step="nothing was sent; report this, the program departs from the approved plan",
    )
