"""Gathers the parties of a run: TLS and hellos with every peer, until all are ready.

Sites start in whatever order; whoever breaks off may come back.  Nothing is stored or debited
before all are *ready*: each has then a hello of each, and all have named the session alike.
"""

import asyncio
import contextlib
import socket
from collections import Counter, defaultdict
from collections.abc import Coroutine, Sequence
from typing import Any

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.runtime.network.channel import Channel, Peer, arrived
from secgen_dsl.runtime.network.faults import PeerError
from secgen_dsl.runtime.network.frames import (
    HEADER,
    Abort,
    FrameError,
    Header,
    Kind,
    kind_of,
    read_nonces,
    ready_bytes,
    session_of,
)
from secgen_dsl.runtime.network.greeting import Greeting, Statement
from secgen_dsl.runtime.network.hello import session_name
from secgen_dsl.runtime.network.links import NotYet, Streams, log, routes

_NOT_CALLED = "it has not called"

_FIRST = (Kind.STORED, Kind.SHARE)
"""What comes after "ready"."""

_LINGER_SECONDS = 3.0
"""How long a party that stops before all were ready waits for those whom it has not told why."""

_HEARTBEAT_SECONDS = 10.0
"""How often it says for whom it waits."""

MOST_OFTEN = 1_000
"""A peer that comes, or says that it is ready, more often than this before a run is refused:
nobody fills another's disk with transcripts."""


class Gathering:
    """Connects a party to all others.

    Args:
        channel: takes the peers.
        greeting: exchanges hellos.
        statement: what this party's hellos say.
        timeout: seconds > 0 until all must be ready.
    """

    def __init__(
        self, channel: Channel, greeting: Greeting, statement: Statement, timeout: float
    ) -> None:
        self._channel = channel
        self._endpoint = channel.endpoint
        self._greeting = greeting
        self._statement = statement
        self._timeout = timeout
        self._comings: Counter[int] = Counter()
        self._readies: Counter[int] = Counter()
        self._gone: dict[int, bytes] = {}
        self._announced: set[bytes] = set()
        self._agreed = False
        self._ending: Abort | None = None
        self._told: set[int] = set()
        self._refused: list[tuple[int, Streams]] = []
        self._remedies: defaultdict[int, str] = defaultdict(str)
        self._changed = asyncio.Event()

    async def connect(self, listener: socket.socket | None) -> None:
        """Connect to every peer, exchange hellos, and wait until all are ready.

        Args:
            listener: this party's bound socket, closed when all are ready; None: it has no address.

        Raises:
            SecgenError: as ``Mesh.connect``.
        """
        endpoint = self._endpoint
        loop = asyncio.get_running_loop()
        fault: asyncio.Future[None] = loop.create_future()
        fault.add_done_callback(lambda _: fault.exception())  # it may come after the timeout
        tasks: set[asyncio.Task[None]] = set()

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
            await asyncio.wait([begin(self._greet(index, reader, writer, dials=False))])

        server = None
        for route in routes(endpoint.entries, endpoint.index):
            self._channel.reasons[route.peer] = _NOT_CALLED
            if route.dials or route.relayed:
                begin(self._keep_reaching(route.peer, route.dials, route.relayed))
        if listener is not None:
            server = endpoint.serve(listener, accept, self._stranger)
        agreement = begin(self._agree())
        try:
            await self._wait_for(agreement, fault)
            if fault.done():
                agreement.cancel()
                await self._linger(fault.exception())
        finally:
            ending = [*tasks] if server is None else [*tasks, server]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            for _, (_, writer) in self._refused:
                writer.close()
        if fault.done():
            fault.result()
        agreement.result()
        self._channel.transcript.event("session", session=self._channel.session.hex())

    async def _wait_for(
        self, agreement: "asyncio.Task[None]", fault: "asyncio.Future[None]"
    ) -> None:
        """Until all are ready or something is wrong.  Raises SecgenError SG502 or SG504: late."""
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.wait([agreement, fault], return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            others = self._other_hellos()
            if others:
                raise self._channel.faults.other_hellos(others) from None
            everybody = len(self._channel.peers) == len(self._endpoint.entries) - 1
            kind = Kind.READY if everybody else Kind.HELLO
            missing = self._missing()
            remedy = next((self._remedies[peer] for peer in missing if self._remedies[peer]), "")
            raise self._channel.faults.absent(missing, self._timeout, kind, remedy) from None

    async def _keep_reaching(self, peer: int, dials: bool, relayed: bool) -> None:
        """Connect to a peer, again and again as long as it is not there."""
        pause = 0.1
        while True:
            if peer not in self._channel.peers and peer not in self._told:
                try:
                    streams = await self._reach(peer, dials, relayed)
                    self._remedies.pop(peer, None)
                    await self._greet(peer, *streams, dials=dials)
                    pause = 0.1
                except NotYet as reason:
                    self._not_yet(peer, reason)
                    pause = min(2 * pause, 5.0)
            await asyncio.sleep(pause)

    def _not_yet(self, peer: int, reason: NotYet) -> None:
        self._channel.reasons[peer] = str(reason)
        self._remedies[peer] = reason.next_step
        self._channel.tell()

    async def _reach(self, peer: int, dials: bool, relayed: bool) -> Streams:
        try:
            if relayed:
                return await self._endpoint.meet(
                    peer, dials=dials, on_failure=lambda reason: self._not_yet(peer, reason)
                )
            return await self._endpoint.dial(peer)
        except SecgenError as error:
            if error.diagnostics[0].code != "SG525":
                raise
            # Who has answered for this peer is no secret of this site: the others are told.
            raise PeerError(error.diagnostics[0], Abort("SG525", Kind.HELLO, 0, peer)) from error

    async def _greet(
        self,
        index: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        dials: bool,
    ) -> None:
        # If it failed before, that says more.
        if self._channel.reasons.get(index, "").startswith(_NOT_CALLED):
            self._channel.reasons[index] = "it is there, but its hello is not"
        try:
            exchanged = await self._greeting.exchange(index, reader, writer, dials=dials)
        except NotYet as reason:
            self._channel.reasons[index] = str(reason)
            return
        except PeerError:
            self._refused.append((index, (reader, writer)))
            raise
        if exchanged is None:  # it only checked
            return
        if self._agreed:  # all were ready: who comes now is too late
            writer.transport.abort()
            return
        sent, received, theirs = exchanged
        self._comings[index] += 1
        if self._comings[index] > MOST_OFTEN:
            raise self._channel.faults.malformed(index, Kind.HELLO, 0, "it comes again and again")
        self._lose(index)  # who comes again has given up its earlier connection
        peer = Peer(index, self._endpoint.name(index), reader, writer, theirs)
        self._channel.peers[index] = peer
        self._channel.bytes_sent += HEADER.size + len(sent)
        self._channel.transcript.frame("sent", peer.name, Kind.HELLO, 0, 0, sent)
        self._channel.transcript.event("hello to", peer=peer.name, hello=sent.hex())
        self._channel.transcript.frame("received", peer.name, Kind.HELLO, 0, 0, received)
        self._channel.transcript.event("hello from", peer=peer.name, hello=received.hex())
        log.info("%s is connected", peer.name)
        if self._ending is not None:
            self._told.add(index)
            await self._channel.tell_why([peer], self._ending)
        self._changed.set()
        self._channel.tell()

    async def _linger(self, fault: BaseException | None) -> None:
        """Tell those who are there why this party stops, and those who come in the next seconds.

        A peer that is told nothing waits as long as it may for this party.
        """
        if not isinstance(fault, PeerError):
            return  # told when the connections are closed, in no more words than are public
        self._ending = fault.abort
        peers = [peer for peer in self._channel.peers.values() if peer.index not in self._told]
        self._told.update(peer.index for peer in peers)
        self._told.update(index for index, _ in self._refused)
        await asyncio.gather(
            self._channel.tell_why(peers, fault.abort),
            *(self._greeting.say_why(*streams, fault.abort) for _, streams in self._refused),
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while len(self._told) < len(self._endpoint.entries) - 1:
                    self._changed.clear()
                    await self._changed.wait()
        for peer in list(self._channel.peers.values()):
            self._lose(peer.index)

    def _stranger(self, host: str, shown: str) -> None:
        """Somebody has called with a certificate that is no party's: perhaps a party's new one."""
        for index, reason in self._channel.reasons.items():
            if reason.startswith(_NOT_CALLED):
                self._channel.reasons[index] = (
                    f"{_NOT_CALLED}; somebody at {host} has, and showed {shown}"
                )
        self._channel.tell()

    async def _agree(self) -> None:
        """Wait until every peer is there and ready for the same session."""
        others = len(self._endpoint.entries) - 1
        announced = b""
        while True:
            self._changed.clear()
            if len(self._channel.peers) == others:
                nonces = self._nonces()
                name = self._named_by(nonces)
                if name != announced:
                    announced = name
                    self._announced.add(name)
                    self._channel.session = name
                    self._channel.at = (Kind.READY, 0)
                    # One may go or come while this is being said: it is said of these.
                    ready = b"".join(nonces)
                    peers = list(self._channel.peers.values())
                    await _together([self._say_ready(peer, ready) for peer in peers])
                    continue
                if all(peer.ready == name for peer in self._channel.peers.values()):
                    self._agreed = True
                    return
            else:
                announced = b""
            waiting = [peer for peer in self._channel.peers.values() if not self._is_ahead(peer)]
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait(
                    [changed, *(peer.coming for peer in waiting)],
                    return_when=asyncio.FIRST_COMPLETED,
                    timeout=_HEARTBEAT_SECONDS,
                )
            finally:
                changed.cancel()
            self._channel.tell()
            for peer in waiting:
                here = self._channel.peers.get(peer.index) is peer
                if not here or not peer.coming.done():
                    continue
                if peer.body is not None:
                    self._take_ready(peer, peer.body)
                elif not self._is_ahead(peer):
                    await self._take_early(peer)

    async def _say_ready(self, peer: Peer, nonces: bytes) -> None:
        try:
            await self._channel.send(peer, Kind.READY, 0, nonces)
        except PeerError as error:
            if error.abort.code != "SG504":
                raise
            self._break_off(peer)  # it may come back

    def _break_off(self, peer: Peer) -> None:
        if self._channel.peers.get(peer.index) is peer:
            self._channel.reasons[peer.index] = "it was connected and has broken off"
            self._lose(peer.index)

    async def _take_early(self, peer: Peer) -> None:
        """A frame, or the end of a connection, before all are ready."""
        try:
            data = peer.header.result()
        except (asyncio.IncompleteReadError, OSError):
            self._break_off(peer)
            return
        try:
            kind = kind_of(data)
        except FrameError as error:
            raise self._channel.malformed(peer, Kind.READY, 0, error) from error
        if kind == Kind.ABORT:
            await self._channel.take_abort(peer, data)
        if kind in _FIRST and peer.ready == session_of(data) and peer.ready in self._announced:
            # It had everybody's word when this party had not, and one is gone since.
            for index, nonce in self._gone.items():
                if peer.nonces[index] == nonce:
                    raise self._channel.faults.left(index, peer.name)
        length = ready_bytes(len(self._endpoint.entries))
        self._channel.expect_header(
            peer, data, Header(Kind.READY, 0, peer.index, peer.received, session_of(data), length)
        )
        self._readies[peer.index] += 1
        # It says so anew whenever another one comes again.
        if self._readies[peer.index] > MOST_OFTEN * len(self._endpoint.entries):
            often = FrameError("it says again and again that it is ready")
            raise self._channel.malformed(peer, Kind.READY, 0, often)
        peer.expect_body(length)

    def _take_ready(self, peer: Peer, body: "asyncio.Task[bytes]") -> None:
        """The payload of a "ready", or the end of a connection in its midst."""
        try:
            payload = body.result()
        except (asyncio.IncompleteReadError, OSError):
            self._break_off(peer)
            return
        peer.body = None
        session = session_of(peer.header.result())
        nonces = read_nonces(payload)
        if self._named_by(nonces) != session:
            other = FrameError("its session does not follow from the nonces")
            raise self._channel.malformed(peer, Kind.READY, 0, other)
        if (nonces[peer.index], nonces[self._endpoint.index]) != (
            peer.hello.nonce,
            self._statement.nonce,
        ):
            other = FrameError("its nonces are not those of the hellos on this connection")
            raise self._channel.malformed(peer, Kind.READY, 0, other)
        peer.nonces, peer.ready = nonces, session
        self._channel.transcript.frame("received", peer.name, Kind.READY, 0, peer.received, payload)
        peer.received += 1
        peer.expect()

    def _is_ahead(self, peer: Peer) -> bool:
        """Whether a peer that is ready has sent its next frame, which is for later."""
        if not peer.ready or peer.ready != self._channel.session or not arrived(peer):
            return False
        with contextlib.suppress(FrameError):
            return kind_of(peer.header.result()) in _FIRST
        return False

    def _nonces(self) -> list[bytes]:
        """Of all parties' hellos, as this one has them; empty where a peer is not there."""
        known = {index: peer.hello.nonce for index, peer in self._channel.peers.items()}
        known[self._endpoint.index] = self._statement.nonce
        return [known.get(index, b"") for index in range(len(self._endpoint.entries))]

    def _named_by(self, nonces: Sequence[bytes]) -> bytes:
        return session_name(self._statement.hello(0, 0, accepts=False), nonces)

    def _lose(self, index: int) -> None:
        peer = self._channel.peers.pop(index, None)
        if peer is not None:
            log.info("%s has gone", peer.name)
            self._gone[index] = peer.hello.nonce
            peer.drop()
            self._changed.set()
            self._channel.tell()

    def _other_hellos(self) -> dict[int, set[int]]:
        """Party → peers who are ready with another hello of it than this one has."""
        found: dict[int, set[int]] = {}
        own = self._nonces()
        for peer in self._channel.peers.values():
            for index, nonce in enumerate(peer.nonces):
                if own[index] and nonce != own[index]:
                    found.setdefault(index, set()).add(peer.index)
        return found

    def _missing(self) -> dict[int, str]:
        """Who is not there or not ready, and why."""
        found = {
            index: reason
            for index, reason in self._channel.reasons.items()
            if index not in self._channel.peers
        }
        within = {
            index: "it has stopped in the middle of a message"
            for index, peer in self._channel.peers.items()
            if peer.body is not None
        }
        return (
            found
            or within
            or {
                index: "it is connected here, but not with every other party"
                for index, peer in self._channel.peers.items()
                if peer.ready != self._channel.session
            }
        )


async def _together(coroutines: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all; at the first failure cancel the others and raise it."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
