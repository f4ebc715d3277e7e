"""Frames to and from the peers of a session: exact headers, a timeout on every wait, a record.

What the parts of a run share: who is connected, how the session is called, and what is being done.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.runtime.evidence.transcript import Transcript
from secgen_dsl.runtime.network.faults import Faults, PeerError
from secgen_dsl.runtime.network.frames import (
    ABORT_BYTES,
    HEADER,
    NO_SESSION,
    OWN_FAULT,
    Abort,
    FrameError,
    Header,
    Kind,
    check_header,
    kind_of,
    read_abort,
    session_of,
)
from secgen_dsl.runtime.network.hello import Hello
from secgen_dsl.runtime.network.links import FAREWELL_SECONDS, Endpoint

_READING_OUT_SECONDS = 1.0
"""How long it still reads what they had sent before they knew."""

_PUBLIC = frozenset({"SG505", "SG506", "SG513"})
"""Codes of faults that follow from opened values or the plan alone."""


@dataclass
class Peer:
    """A connection to one party, with the count of frames each way.

    Attributes:
        header: the next frame's header, being waited for.
        body: the payload of a "ready", being waited for; None: none is.
        hello: what it said of itself.
        nonces: of all parties' hellos, as it has them: what it last said to be ready for.
        ready: the session that follows from them.
    """

    index: int
    name: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    hello: Hello
    sent: int = 1  # the hellos
    received: int = 1
    header: asyncio.Task[bytes] = field(init=False)
    body: asyncio.Task[bytes] | None = None
    nonces: tuple[bytes, ...] = ()
    ready: bytes = b""

    def __post_init__(self) -> None:
        self.expect()

    def expect(self) -> None:
        """Begin to wait for the next frame."""
        self.header = asyncio.ensure_future(self.reader.readexactly(HEADER.size))

    def expect_body(self, length: int) -> None:
        """Begin to wait for the payload of the frame whose header is there."""
        self.body = asyncio.ensure_future(self.reader.readexactly(length))

    @property
    def coming(self) -> "asyncio.Task[bytes]":
        """What is being waited for."""
        return self.header if self.body is None else self.body

    def drop(self) -> None:
        """Close the connection at once."""
        self.coming.cancel()
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


class Channel:
    """The connections to all peers of a session.

    Args:
        endpoint: the parties, and this one's keys.
        rounds: of the plan.
        timeout: seconds > 0 that any one wait may last.
        transcript: takes every frame.
        on_status: called when a peer has come or gone, and as bytes are sent.

    Attributes:
        faults: makes this party's diagnostics about others.
        peers: index → who is connected.
        reasons: index → why a peer is not there, as far as it is known.
        session: the session's 16 bytes; zeros until all were ready.
        at: what this party does now: kind of frame, and round.
        bytes_sent: bytes handed to the connections so far, headers included, TLS's own not.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        rounds: int,
        timeout: float,
        transcript: Transcript,
        on_status: Callable[[Status], None],
    ) -> None:
        self.endpoint = endpoint
        self.transcript = transcript
        self.faults = Faults(tuple(one.name for one in endpoint.entries), endpoint.index, timeout)
        self.peers: dict[int, Peer] = {}
        self.reasons: dict[int, str] = {}
        self.session = NO_SESSION
        self.at: tuple[Kind, int] = (Kind.HELLO, 0)
        self.bytes_sent = 0
        self._rounds = rounds
        self._timeout = timeout
        self._on_status = on_status

    async def send(self, peer: Peer, kind: Kind, number: int, payload: bytes) -> None:
        """Send a frame, and wait until the connection takes it.

        Raises:
            SecgenError: SG504 the peer has gone or takes nothing; SG526 it has stopped.
        """
        header = Header(kind, number, self.endpoint.index, peer.sent, self.session, len(payload))
        sequence = peer.sent
        peer.sent += 1
        try:
            async with asyncio.timeout(self._timeout):
                peer.writer.write(header.pack() + payload)
                self.bytes_sent += HEADER.size + len(payload)
                await peer.writer.drain()
        except TimeoutError:
            raise self.faults.late(peer.index, kind, number) from None
        except OSError as error:
            await self._see_why(peer)
            raise self.faults.gone(peer.index, kind, number) from error
        self.transcript.frame("sent", peer.name, kind, number, sequence, payload)
        self.tell()

    async def receive(self, peer: Peer, kind: Kind, number: int, length: int) -> bytes:
        """The payload of the frame that must be next, of exactly that length.

        Raises:
            SecgenError: SG503 it is another frame; SG504 none came; SG526 the peer has stopped.
        """
        try:
            async with asyncio.timeout(self._timeout):
                data = await asyncio.shield(peer.header)  # what comes too late is still looked at
                if kind_of(data) == Kind.ABORT:
                    await self.take_abort(peer, data)
                expected = Header(kind, number, peer.index, peer.received, self.session, length)
                self.expect_header(peer, data, expected)
                payload = await peer.reader.readexactly(length)
        except TimeoutError:
            # It may have waited for another as long as this party has for it, and say so just now.
            await self._see_why(peer)
            raise self.faults.late(peer.index, kind, number) from None
        except FrameError as error:
            raise self.malformed(peer, kind, number, error) from error
        except asyncio.IncompleteReadError as error:
            within = bool(error.partial)
            raise self.faults.gone(peer.index, kind, number, within=within) from error
        except OSError as error:
            raise self.faults.gone(peer.index, kind, number) from error
        self.transcript.frame("received", peer.name, kind, number, peer.received, payload)
        peer.received += 1
        peer.expect()
        return payload

    async def take_abort(self, peer: Peer, data: bytes) -> None:
        """Raise what a peer's abort says."""
        # It may not have named the session, or otherwise; TLS tells whose it is.
        header = Header(Kind.ABORT, 0, peer.index, peer.received, session_of(data), ABORT_BYTES)
        self.expect_header(peer, data, header)
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                payload = await peer.reader.readexactly(ABORT_BYTES)
            abort = read_abort(payload, len(self.endpoint.entries))
            if abort.told_by in (peer.index, self.endpoint.index):
                abort = replace(abort, told_by=None)  # it cannot be passing that on
            if abort.round > self._rounds:
                raise FrameError("it blames a round that the plan does not have")
        except (TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            # That it stops it has said.
            unknown = Abort(OWN_FAULT, *self.at, None)
            raise self.faults.aborted(peer.index, unknown, self.at) from error
        except FrameError as error:
            raise self.malformed(peer, Kind.ABORT, 0, error) from error
        self.transcript.frame("received", peer.name, Kind.ABORT, 0, peer.received, payload)
        raise self.faults.aborted(peer.index, abort, self.at)

    def expect_header(self, peer: Peer, data: bytes, expected: Header) -> None:
        """Raises SecgenError SG503 if a header is not the one that is expected."""
        try:
            check_header(data, expected)
        except FrameError as error:
            raise self.malformed(peer, expected.kind, expected.round, error) from error

    def malformed(self, peer: Peer, kind: Kind, number: int, error: FrameError) -> PeerError:
        """SG503: the peer sent what the plan does not predict."""
        return self.faults.malformed(peer.index, kind, number, str(error))

    async def stop(self, error: BaseException | None = None) -> None:
        """Tell the peers that this party stops, as far as they can be told, and leave."""
        if not self.peers:
            return
        if isinstance(error, PeerError):
            abort = error.abort
        else:
            code = error.diagnostics[0].code if isinstance(error, SecgenError) else ""
            # What is about no public value is not told: it could depend on this site's data.
            abort = Abort(code if code in _PUBLIC else OWN_FAULT, *self.at, None)
        await self.tell_why(list(self.peers.values()), abort)
        await self.leave()

    async def tell_why(self, peers: Sequence[Peer], abort: Abort) -> None:
        """Send an abort to peers, as far as they take it."""
        if not peers:
            return
        with contextlib.suppress(TimeoutError, OSError, SecgenError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await asyncio.gather(
                    *(self.send(peer, Kind.ABORT, 0, abort.pack()) for peer in peers),
                    return_exceptions=True,
                )
        # A connection that is closed with bytes unread is reset, and takes the word along.
        reading = [asyncio.ensure_future(_read_out(peer)) for peer in peers]
        _, pending = await asyncio.wait(reading, timeout=_READING_OUT_SECONDS)
        for task in pending:
            task.cancel()

    def abort(self) -> None:
        """Drop every connection at once."""
        for peer in self.peers.values():
            peer.drop()

    def status(self) -> Status:
        """How far it is."""
        connected = tuple(self.peers[index].name for index in sorted(self.peers))
        missing = {
            self.endpoint.name(index): reason
            for index, reason in sorted(self.reasons.items())
            if index not in self.peers
        }
        return Status(connected, self.bytes_sent, missing)

    def tell(self) -> None:
        """Pass on how far it is."""
        self._on_status(self.status())

    async def _see_why(self, peer: Peer) -> None:
        """A peer cannot be written to: if it has said why it stopped, raise that."""
        await asyncio.wait([peer.header], timeout=1)
        if says_abort(peer):
            await self.take_abort(peer, peer.header.result())

    async def leave(self) -> None:
        """Close all connections; what was sent is still delivered, as far as peers take it."""
        for peer in self.peers.values():
            peer.coming.cancel()
            peer.writer.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await asyncio.gather(
                    *(peer.writer.wait_closed() for peer in self.peers.values()),
                    return_exceptions=True,
                )
        self.abort()


async def _read_out(peer: Peer) -> None:
    """Read and drop what still comes from a peer, until it closes its connection."""
    peer.coming.cancel()
    await asyncio.wait([peer.coming])
    with contextlib.suppress(OSError):
        while await peer.reader.read(2**16):
            pass


def arrived(peer: Peer) -> bool:
    """Whether the next frame of a peer has begun to arrive."""
    return peer.header.done() and not peer.header.cancelled() and peer.header.exception() is None


def says_abort(peer: Peer) -> bool:
    """Whether the next frame of a peer has arrived and says that it stops."""
    try:
        return arrived(peer) and kind_of(peer.header.result()) == Kind.ABORT
    except FrameError:
        return False
