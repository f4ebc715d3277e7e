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
import contextlib
import secrets
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.runtime.evidence.transcript import Transcript
from secgen_dsl.runtime.network.check import Check
from secgen_dsl.runtime.network.faults import Faults, PeerError, phase_name
from secgen_dsl.runtime.network.frames import (
    ABORT_BYTES,
    CONFIRMATION_BYTES,
    HEADER,
    NO_SESSION,
    SALT_BYTES,
    Abort,
    FrameError,
    Header,
    Kind,
    check_header,
    chunks,
    elements_payload_bytes,
    kind_of,
    pack_elements,
    read_abort,
    read_elements,
    session_of,
)
from secgen_dsl.runtime.network.greeting import Greeting, Statement
from secgen_dsl.runtime.network.hello import session_name
from secgen_dsl.runtime.network.links import Endpoint, NotYet, log, routes
from secgen_dsl.runtime.openings import OpeningPermit
from secgen_dsl.runtime.trust.identity import verified

_ResultT = TypeVar("_ResultT")
_DIGEST_BYTES = 32
_FAREWELL_SECONDS = 2.0
"""How long a party that stops tries to tell the others why."""

_READING_OUT_SECONDS = 1.0
"""How long it still reads what they had sent before they knew."""

_PUBLIC = frozenset({"SG505", "SG506", "SG513", "SG514"})
"""Codes of faults that follow from opened values or the plan alone."""

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


@dataclass
class Peer:
    """A connection to one party, with the count of frames each way.

    Attributes:
        header: the next frame's header, being waited for.
        ready: the session that it last said to be ready for.
    """

    index: int
    name: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    nonce: bytes
    sent: int = 1  # the hellos
    received: int = 1
    header: asyncio.Task[bytes] = field(init=False)
    ready: bytes = b""

    def __post_init__(self) -> None:
        self.expect()

    def expect(self) -> None:
        """Begin to wait for the next frame."""
        self.header = asyncio.ensure_future(self.reader.readexactly(HEADER.size))

    def drop(self) -> None:
        """Close the connection at once."""
        self.header.cancel()
        self.writer.transport.abort()


@dataclass(frozen=True)
class Status:
    """How far the mesh is; public facts only.

    Attributes:
        connected: names of the peers that are there.
        sent: bytes handed to the connections so far, headers included, TLS's own not.
        missing: peer that is not there → why, as far as it is known.
    """

    connected: tuple[str, ...] = ()
    sent: int = 0
    missing: Mapping[str, str] = field(default_factory=dict)


class Mesh:
    """Connections to all peers of a session; made by ``Mesh.connect``.

    Attributes:
        bytes_sent: bytes handed to the connections so far, headers included, TLS's own not.
        confirmations: party → its signature over the opened values, once all have confirmed.
    """

    def __init__(
        self, session: Session, transcript: Transcript, on_status: Callable[[Status], None]
    ) -> None:
        endpoint = session.endpoint
        self._session = session
        self._endpoint = endpoint
        self._transcript = transcript
        self._on_status = on_status
        self._faults = Faults(
            tuple(one.name for one in endpoint.entries), endpoint.index, session.timeout
        )
        self._peers: dict[int, Peer] = {}
        self._reasons: dict[int, str] = {}
        self._changed = asyncio.Event()
        self._name = NO_SESSION
        self._steps = [
            (kind, number)
            for number in range(1, len(session.values) + 1)
            for kind in (Kind.SHARE, Kind.OPENING)
        ]
        self._at: tuple[Kind, int] = (Kind.HELLO, 0)
        self.bytes_sent = 0
        self.confirmations: dict[str, str] = {}

    @property
    def session(self) -> bytes:
        """The session's 16 bytes; zeros until all were ready."""
        return self._name

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
        try:
            await mesh._connect(listener)
        except BaseException as error:
            await mesh.stop(error)
            raise
        return mesh

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

    async def confirm(self, opened_sha256: str) -> None:
        """Sign a digest of all opened values, and wait for everybody's signature.

        Raises:
            SecgenError: SG509 a peer opened other values; SG503, SG504 or SG526.
        """
        if self._steps:
            raise _refused("a confirmation before every round was opened")
        self._at = (Kind.CONFIRMATION, 0)
        digest = bytes.fromhex(opened_sha256)
        signed = self._name + bytes.fromhex(self._session.statement.plan_sha256) + digest
        endpoint = self._endpoint
        payload = digest + endpoint.signer.sign("confirmation", signed)

        async def exchange(peer: Peer) -> None:
            received = await self._receive(peer, Kind.CONFIRMATION, 0, CONFIRMATION_BYTES)
            signature = received[_DIGEST_BYTES:]
            public = endpoint.entries[peer.index].identity.public
            if not verified(public, "confirmation", self._name_for(received), signature):
                raise self._faults.malformed(
                    peer.index, Kind.CONFIRMATION, 0, "its signature is not that of its machine"
                )
            if received[:_DIGEST_BYTES] != digest:
                raise self._faults.differs(peer.index)
            self.confirmations[peer.name] = signature.hex()

        peers = list(self._peers.values())
        await _together(
            [self._send(peer, Kind.CONFIRMATION, 0, payload) for peer in peers]
            + [exchange(peer) for peer in peers]
        )

    async def close(self) -> None:
        """Close every connection in order; a peer that has sent something more is an error.

        Raises:
            SecgenError: SG503.
        """
        surplus = [peer for peer in self._peers.values() if _arrived(peer)]
        if surplus:
            raise self._faults.malformed(
                surplus[0].index, Kind.CONFIRMATION, 0, "it sends more than the plan predicts"
            )
        await self._leave()

    async def stop(self, error: BaseException | None = None) -> None:
        """Tell the peers that this party stops, as far as they can be told, and leave."""
        if not self._peers:
            return
        if isinstance(error, PeerError):
            abort = error.abort
        else:
            code = error.diagnostics[0].code if isinstance(error, SecgenError) else ""
            # What is about no public value is not told: it could depend on this site's data.
            abort = Abort(code if code in _PUBLIC else "SG526", *self._at, None)
        with contextlib.suppress(TimeoutError, OSError, SecgenError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await asyncio.gather(
                    *(
                        self._send(peer, Kind.ABORT, 0, abort.pack())
                        for peer in self._peers.values()
                    ),
                    return_exceptions=True,
                )
        # A connection that is closed with bytes unread is reset, and takes the word along.
        reading = [asyncio.ensure_future(_read_out(peer)) for peer in self._peers.values()]
        _, pending = await asyncio.wait(reading, timeout=_READING_OUT_SECONDS)
        for task in pending:
            task.cancel()
        await self._leave()

    # -- connecting -------------------------------------------------------------------------

    async def _connect(self, listener: socket.socket | None) -> None:
        endpoint = self._endpoint
        loop = asyncio.get_running_loop()
        fault: asyncio.Future[None] = loop.create_future()
        tasks: set[asyncio.Task[None]] = set()
        session = self._session
        greeting = Greeting(
            endpoint,
            session.statement,
            session.stored,
            len(session.values),
            self._faults,
            session.check,
        )

        def finished(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not task.cancelled() and task.exception() is not None and not fault.done():
                fault.set_exception(task.exception() or RuntimeError("unreachable"))

        def begin(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            task = loop.create_task(work)
            tasks.add(task)
            task.add_done_callback(finished)
            return task

        async def accept(
            index: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await asyncio.wait([begin(self._greet(greeting, index, reader, writer, dials=False))])

        server = None
        for route in routes(endpoint.entries, endpoint.index):
            self._reasons[route.peer] = "it has not called"
            if route.dials or route.relayed:
                begin(self._keep_reaching(greeting, route.peer, route.dials, route.relayed))
        if listener is not None:
            server = await endpoint.serve(listener, accept)
        agreement = begin(self._agree())
        try:
            async with asyncio.timeout(self._session.connect_timeout):
                await asyncio.wait([agreement, fault], return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise self._faults.absent(self._missing(), self._session.connect_timeout) from None
        finally:
            if server is not None:
                server.close()
            for task in tuple(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if fault.done():
            fault.result()
        agreement.result()
        self._transcript.event("session", session=self._name.hex())

    async def _keep_reaching(
        self, greeting: Greeting, peer: int, dials: bool, relayed: bool
    ) -> None:
        """Connect to a peer, again and again as long as it is not there."""
        pause = 0.1
        while True:
            if peer not in self._peers:
                try:
                    if relayed:
                        streams = await self._endpoint.meet(peer, dials=dials)
                    else:
                        streams = await self._endpoint.dial(peer)
                    await self._greet(greeting, peer, *streams, dials=dials)
                    pause = 0.1
                except NotYet as reason:
                    self._reasons[peer] = str(reason)
                    self._tell()
                    pause = min(2 * pause, 5.0)
            await asyncio.sleep(pause)

    async def _greet(
        self,
        greeting: Greeting,
        index: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        dials: bool,
    ) -> None:
        try:
            exchanged = await greeting.exchange(index, reader, writer, dials=dials)
        except NotYet as reason:
            self._reasons[index] = str(reason)
            return
        if exchanged is None:  # it only checked
            return
        sent, received, theirs = exchanged
        self._lose(index)  # who comes again has given up its earlier connection
        peer = Peer(index, self._endpoint.name(index), reader, writer, theirs.nonce)
        self._peers[index] = peer
        self.bytes_sent += HEADER.size + len(sent)
        self._transcript.frame("sent", peer.name, Kind.HELLO, 0, 0, sent)
        self._transcript.event("hello to", peer=peer.name, hello=sent.hex())
        self._transcript.frame("received", peer.name, Kind.HELLO, 0, 0, received)
        self._transcript.event("hello from", peer=peer.name, hello=received.hex())
        log.info("%s is connected", peer.name)
        self._changed.set()
        self._tell()

    async def _agree(self) -> None:
        """Wait until every peer is there and ready for the same session."""
        others = len(self._endpoint.entries) - 1
        announced = b""
        while True:
            self._changed.clear()
            if len(self._peers) == others:
                name = self._session_name()
                if name != announced:
                    announced = name
                    self._name = name
                    await _together(
                        [self._send(peer, Kind.READY, 0, b"") for peer in self._peers.values()]
                    )
                if all(peer.ready == name for peer in self._peers.values()):
                    return
            else:
                announced = b""
            waiting = [peer for peer in self._peers.values() if not self._is_ahead(peer)]
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait(
                    [changed, *(peer.header for peer in waiting)],
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                changed.cancel()
            for peer in waiting:
                here = self._peers.get(peer.index) is peer
                if here and peer.header.done() and not self._is_ahead(peer):
                    await self._take_early(peer)

    async def _take_early(self, peer: Peer) -> None:
        """A frame, or the end of a connection, before all are ready."""
        try:
            data = peer.header.result()
        except (asyncio.IncompleteReadError, OSError):
            self._reasons[peer.index] = "it was connected and has broken off"
            self._lose(peer.index)
            return
        try:
            kind = kind_of(data)
        except FrameError as error:
            raise self._malformed(peer, Kind.READY, 0, error) from error
        if kind == Kind.ABORT:
            await self._take_abort(peer, data)
        self._expect_header(
            peer, data, Header(Kind.READY, 0, peer.index, peer.received, session_of(data), 0)
        )
        peer.received += 1
        peer.ready = session_of(data)
        self._transcript.frame("received", peer.name, Kind.READY, 0, peer.received - 1, b"")
        peer.expect()

    def _is_ahead(self, peer: Peer) -> bool:
        """Whether a peer that is ready has sent its first share, which is for later."""
        if not peer.ready or peer.ready != self._name or not _arrived(peer):
            return False
        with contextlib.suppress(FrameError):
            return kind_of(peer.header.result()) == Kind.SHARE
        return False

    def _session_name(self) -> bytes:
        statement, endpoint = self._session.statement, self._endpoint
        nonces = [
            statement.nonce if index == endpoint.index else self._peers[index].nonce
            for index in range(len(endpoint.entries))
        ]
        return session_name(statement.hello(0, 0, accepts=False), nonces)

    def _lose(self, index: int) -> None:
        peer = self._peers.pop(index, None)
        if peer is not None:
            log.info("%s has gone", peer.name)
            peer.drop()
            self._changed.set()
            self._tell()

    def _missing(self) -> dict[int, str]:
        """Who is not there or not ready, and why."""
        found = {
            index: reason for index, reason in self._reasons.items() if index not in self._peers
        }
        return found or {
            index: "it is connected here, but not with every other party"
            for index, peer in self._peers.items()
            if peer.ready != self._name
        }

    # -- frames -----------------------------------------------------------------------------

    def _take_step(self, kind: Kind, number: int) -> int:
        """The length of the vector of the plan's next frames, if these are they."""
        if not self._steps or self._steps[0] != (kind, number):
            raise _refused(f"a frame of {kind.name.lower()} in round {number} is not the next")
        self._at = self._steps.pop(0)
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
                await self._send(peer, kind, number, payload)

        async def take(peer: Peer) -> None:
            for start, end in chunks(values):
                payload = await self._receive(
                    peer, kind, number, elements_payload_bytes(end - start)
                )
                try:
                    elements = read_elements(payload, end - start, self._session.modulus)
                except FrameError as error:
                    raise self._malformed(peer, kind, number, error) from error
                sink(peer.index, start, end, elements)

        peers = list(self._peers.values())
        # Everybody sends and receives at once: nobody's full buffer can hold up another.
        await _together([give(peer) for peer in peers] + [take(peer) for peer in peers])

    async def _send(self, peer: Peer, kind: Kind, number: int, payload: bytes) -> None:
        header = Header(kind, number, self._endpoint.index, peer.sent, self._name, len(payload))
        sequence = peer.sent
        peer.sent += 1
        try:
            async with asyncio.timeout(self._session.timeout):
                peer.writer.write(header.pack() + payload)
                self.bytes_sent += HEADER.size + len(payload)
                await peer.writer.drain()
        except TimeoutError:
            raise self._faults.late(peer.index, kind, number) from None
        except OSError as error:
            await self._see_why(peer)
            raise self._faults.gone(peer.index, kind, number) from error
        self._transcript.frame("sent", peer.name, kind, number, sequence, payload)
        self._tell()

    async def _receive(self, peer: Peer, kind: Kind, number: int, length: int) -> bytes:
        try:
            async with asyncio.timeout(self._session.timeout):
                data = await asyncio.shield(peer.header)  # what comes too late is still looked at
                if kind_of(data) == Kind.ABORT:
                    await self._take_abort(peer, data)
                expected = Header(kind, number, peer.index, peer.received, self._name, length)
                self._expect_header(peer, data, expected)
                payload = await peer.reader.readexactly(length)
        except TimeoutError:
            # It may have waited for another as long as this party has for it, and say so just now.
            await self._see_why(peer)
            raise self._faults.late(peer.index, kind, number) from None
        except FrameError as error:
            raise self._malformed(peer, kind, number, error) from error
        except asyncio.IncompleteReadError as error:
            within = bool(error.partial)
            raise self._faults.gone(peer.index, kind, number, within=within) from error
        except OSError as error:
            raise self._faults.gone(peer.index, kind, number) from error
        self._transcript.frame("received", peer.name, kind, number, peer.received, payload)
        peer.received += 1
        peer.expect()
        return payload

    async def _take_abort(self, peer: Peer, data: bytes) -> None:
        """Raise what a peer's abort says."""
        # It may not have named the session, or otherwise; TLS tells whose it is.
        header = Header(Kind.ABORT, 0, peer.index, peer.received, session_of(data), ABORT_BYTES)
        self._expect_header(peer, data, header)
        try:
            payload = await peer.reader.readexactly(ABORT_BYTES)
            abort = read_abort(payload, len(self._endpoint.entries))
        except FrameError as error:
            raise self._malformed(peer, Kind.ABORT, 0, error) from error
        self._transcript.frame("received", peer.name, Kind.ABORT, 0, peer.received, payload)
        raise self._faults.aborted(peer.index, abort)

    async def _see_why(self, peer: Peer) -> None:
        """A peer cannot be written to: if it has said why it stopped, raise that."""
        await asyncio.wait([peer.header], timeout=1)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, FrameError):
            if peer.header.done() and kind_of(peer.header.result()) == Kind.ABORT:
                await self._take_abort(peer, peer.header.result())

    def _expect_header(self, peer: Peer, data: bytes, expected: Header) -> None:
        try:
            check_header(data, expected)
        except FrameError as error:
            raise self._malformed(peer, expected.kind, expected.round, error) from error

    def _malformed(self, peer: Peer, kind: Kind, number: int, error: FrameError) -> PeerError:
        return self._faults.malformed(peer.index, kind, number, str(error))

    def _name_for(self, confirmation: bytes) -> bytes:
        """What a confirmation's signature is over: session, plan, digest."""
        plan = bytes.fromhex(self._session.statement.plan_sha256)
        return self._name + plan + confirmation[:_DIGEST_BYTES]

    async def _leave(self) -> None:
        """Close all connections; what was sent is still delivered, as far as peers take it."""
        for peer in self._peers.values():
            peer.header.cancel()
            peer.writer.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await asyncio.gather(
                    *(peer.writer.wait_closed() for peer in self._peers.values()),
                    return_exceptions=True,
                )
        self.abort()

    def abort(self) -> None:
        """Drop every connection at once."""
        for peer in self._peers.values():
            peer.drop()

    def status(self) -> Status:
        """How far it is."""
        connected = tuple(self._peers[index].name for index in sorted(self._peers))
        missing = {
            self._endpoint.name(index): reason
            for index, reason in sorted(self._reasons.items())
            if index not in self._peers
        }
        return Status(connected, self.bytes_sent, missing)

    def _tell(self) -> None:
        self._on_status(self.status())


async def _read_out(peer: Peer) -> None:
    """Read and drop what still comes from a peer, until it closes its connection."""
    peer.header.cancel()
    await asyncio.wait([peer.header])
    with contextlib.suppress(OSError):
        while await peer.reader.read(2**16):
            pass


def _arrived(peer: Peer) -> bool:
    return peer.header.done() and not peer.header.cancelled() and peer.header.exception() is None


async def _together(coroutines: Sequence[Coroutine[Any, Any, _ResultT]]) -> list[_ResultT]:
    """Run all; at the first failure cancel the others and raise it."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _refused(what: str) -> SecgenError:
    return fail(
        "SG506",
        f"a frame that the plan does not predict was not sent: {what}",
        place="messages of the plan",
        next_step="nothing was sent; report this, the program departs from the approved plan",
    )
