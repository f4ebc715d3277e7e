"""A full mesh of parties on loopback: strict frames, exact sizes, a timeout on every wait.

The mesh knows from the plan which frame comes next on every connection and refuses anything else,
both ways: what it sends, and what it is sent.  Each pair of parties authenticates by a secret of
its own that the launcher gives to those two, so that no party can pose as another and collect the
shares of both; mutual TLS between hospitals replaces it with the field issue.
"""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.runtime.frames import (
    HEADER,
    HELLO_BYTES,
    SALT_BYTES,
    FrameError,
    Header,
    Hello,
    Kind,
    check_header,
    opening_payload_bytes,
    pack_elements,
    read_elements,
    read_hello,
    share_payload_bytes,
)
from secgen_dsl.runtime.openings import OpeningPermit

_ResultT = TypeVar("_ResultT")
_UNKNOWN = "a process that is not a party of this run"


@dataclass(frozen=True)
class Session:
    """What every party of a run knows before it connects.

    Attributes:
        parties: names; a party's index is its position.
        index: this party.
        session: 16 random bytes that name the run.
        secrets: for each party the 32 random bytes that it shares with this one and nobody else;
            the own entry is unused.
        plan_sha256: 64 hex digits.
        release: version of secgen.
        values: for each round of the plan, the length of the shared vector.
        modulus: p, the field's prime.
        timeout: seconds > 0 that any one wait may last.
        stored: number of leading rounds whose contribution an earlier run of this party stored.
        opened: number of leading rounds that an earlier run of this party saw opened.
    """

    parties: tuple[str, ...]
    index: int
    session: bytes
    secrets: tuple[bytes, ...]
    plan_sha256: str
    release: str
    values: tuple[int, ...]
    modulus: int
    timeout: float
    stored: int
    opened: int


@dataclass
class _Peer:
    """A connection to one party, with the count of frames each way."""

    index: int
    name: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sent: int = 0
    received: int = 0


class Mesh:
    """Connections to all peers of a session; made by ``Mesh.connect``.

    Attributes:
        bytes_sent: bytes handed to the sockets so far, headers included.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._peers: dict[int, _Peer] = {}
        self._steps = [
            (kind, number)
            for number in range(1, len(session.values) + 1)
            for kind in (Kind.SHARE, Kind.OPENING)
        ]
        self.bytes_sent = 0

    @classmethod
    async def connect(
        cls, session: Session, listener: socket.socket, ports: Sequence[int]
    ) -> "Mesh":
        """Connect to every peer and exchange hellos.

        Party i opens the connections to the parties before it and accepts those after it.

        Args:
            session: this party's session.
            listener: its listening socket, on 127.0.0.1; closed when all peers have connected.
            ports: for each party the port on which it listens.

        Raises:
            SecgenError: SG501 a peer cannot be reached; SG502 a peer's plan, version or session
                differs or its authenticator is wrong; SG503 a malformed frame; SG504 a peer closed
                or was not there in time; SG518 this party's store lost what it contributed to a
                round that was opened.
        """
        mesh = cls(session)
        try:
            await mesh._connect(listener, ports)
        except BaseException:
            mesh.abort()
            raise
        return mesh

    async def share(
        self, number: int, rows: Sequence[NDArray[np.uint64]]
    ) -> dict[int, NDArray[np.uint64]]:
        """Send row j of a dealing to party j, and receive this party's row of every peer's.

        Args:
            number: the round.
            rows: one vector of field elements for each party; this party's own is not sent.

        Returns:
            For each peer the received vector.

        Raises:
            SecgenError: SG503 or SG504 as in ``connect``; SG506 the frame is not the plan's next.
        """
        values = self._take_step(Kind.SHARE, number)
        payloads = {
            peer: secrets.token_bytes(SALT_BYTES) + pack_elements(rows[peer])
            for peer in self._peers
        }
        received = await self._exchange(
            Kind.SHARE, number, payloads, share_payload_bytes(values), f"sharing in round {number}"
        )
        return self._elements(received, SALT_BYTES, values, f"sharing in round {number}")

    async def open(
        self, permit: OpeningPermit, elements: NDArray[np.uint64]
    ) -> dict[int, NDArray[np.uint64]]:
        """Send this party's share of the sum to every peer, and receive theirs.

        Args:
            permit: from the plan's openings manifest; spent here.
            elements: ``permit.values`` field elements.

        Returns:
            For each peer the received vector.

        Raises:
            SecgenError: SG506 the permit is spent or is not for the plan's next frame; SG503 or
                SG504 as in ``connect``.
        """
        values = self._take_step(Kind.OPENING, permit.round)
        if values != permit.values:
            raise _refused(f"{permit.values} values instead of {values}")
        permit.use()
        payload = pack_elements(elements)
        phase = f"opening round {permit.round}"
        received = await self._exchange(
            Kind.OPENING,
            permit.round,
            dict.fromkeys(self._peers, payload),
            opening_payload_bytes(values),
            phase,
        )
        return self._elements(received, 0, values, phase)

    async def close(self) -> None:
        """Close every connection in order; a peer that still sends something is an error.

        Raises:
            SecgenError: SG503, a peer sent more than the plan predicts.
        """
        for peer in self._peers.values():
            with contextlib.suppress(OSError):
                peer.writer.write_eof()
        try:
            await _together([self._expect_end(peer) for peer in self._peers.values()])
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop every connection at once."""
        for peer in self._peers.values():
            peer.writer.transport.abort()

    # -- connecting -------------------------------------------------------------------------

    async def _connect(self, listener: socket.socket, ports: Sequence[int]) -> None:
        session = self._session
        me, parties = session.index, len(session.parties)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        tasks: set[asyncio.Task[None]] = set()

        def finished(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if task.cancelled() or done.done():
                return
            error = task.exception()
            if error is not None:
                done.set_exception(error)
            elif len(self._peers) == parties - 1:
                done.set_result(None)

        def begin(greeting: Coroutine[Any, Any, None]) -> None:
            task = loop.create_task(greeting)
            tasks.add(task)
            task.add_done_callback(finished)

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            begin(self._accept(reader, writer))

        server = await asyncio.start_server(accepted, sock=listener)
        try:
            for index in range(me):
                begin(self._reach(index, ports[index]))
            try:
                async with asyncio.timeout(session.timeout):
                    await done
            except TimeoutError:
                missing = [
                    name
                    for index, name in enumerate(session.parties)
                    if index != me and index not in self._peers
                ]
                raise fail(
                    "SG504",
                    f"no hello from {', '.join(missing)} within {session.timeout:g} s",
                    place=self._place("connecting"),
                    next_step="see whether that party started and could read its data, then run "
                    "again; a larger timeout helps where a table is very large",
                ) from None
        finally:
            server.close()
            for task in tuple(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _reach(self, index: int, port: int) -> None:
        name = self._session.parties[index]
        try:
            async with asyncio.timeout(self._session.timeout):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except (OSError, TimeoutError) as error:
            raise fail(
                "SG501",
                f"{name} cannot be reached on port {port} of this machine",
                place=self._place("connecting"),
                next_step="its process has probably ended: see its own message",
            ) from error
        await self._greet(reader, writer, accepts=False, expected=index)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._greet(reader, writer, accepts=True, expected=None)

    async def _greet(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        accepts: bool,
        expected: int | None,
    ) -> None:
        session = self._session
        stranger = _UNKNOWN if expected is None else session.parties[expected]
        peer = _Peer(-1 if expected is None else expected, stranger, reader, writer)
        try:
            # Who calls speaks first: the answer takes the secret that goes with the caller, and a
            # stranger gets none.
            if not accepts:
                await self._send_hello(peer, accepts=False)
            hello = await self._receive_hello(peer)
            self._check_hello(hello, peer, accepts=accepts)
            peer.index, peer.name = hello.sender, session.parties[hello.sender]
            if accepts:
                await self._send_hello(peer, accepts=True)
            if peer.index in self._peers:
                raise self._mismatch(peer, f"{peer.name} is connected already")
        except BaseException:
            writer.transport.abort()
            raise
        self._peers[peer.index] = peer

    async def _send_hello(self, peer: _Peer, *, accepts: bool) -> None:
        session = self._session
        ours = Hello(
            sender=session.index,
            accepts=accepts,
            opened=session.opened,
            session=session.session,
            plan=bytes.fromhex(session.plan_sha256),
            release=session.release,
        )
        payload = ours.pack(session.secrets[peer.index])
        await self._send(peer, Kind.HELLO, 0, payload, "the hello")

    async def _receive_hello(self, peer: _Peer) -> Hello:
        session = self._session
        # Who accepts does not know yet who calls: the header's sender is checked by the hello.
        data = await self._read(peer, HEADER.size, "the hello")
        sender = peer.index if peer.index >= 0 else HEADER.unpack(data)[4]
        header = Header(Kind.HELLO, 0, sender, 0, HELLO_BYTES)
        try:
            check_header(data, header)
        except FrameError as error:
            raise self._malformed(peer, "the hello", error) from error
        peer.received += 1
        if not sender < len(session.parties) or (peer.index < 0 and sender <= session.index):
            raise self._mismatch(peer, f"no party of index {sender} connects here")
        payload = await self._read(peer, HELLO_BYTES, "the hello")
        try:
            hello = read_hello(payload, session.secrets[sender], session.session)
        except FrameError as error:
            raise self._mismatch(peer, f"its hello is refused: {error}") from error
        if hello.sender != sender:
            raise self._mismatch(peer, f"its frame names party {sender}, its hello {hello.sender}")
        return hello

    def _check_hello(self, hello: Hello, peer: _Peer, *, accepts: bool) -> None:
        session = self._session
        if hello.accepts == accepts:
            raise self._mismatch(peer, "it answers as if it were this party")
        peer.name = session.parties[hello.sender]
        if hello.release != session.release:
            raise self._mismatch(
                peer, f"it runs secgen {hello.release}, this party {session.release}"
            )
        if hello.plan.hex() != session.plan_sha256:
            raise self._mismatch(
                peer, f"its plan is {hello.plan.hex()}, this party's {session.plan_sha256}"
            )

        if hello.opened > len(session.values):
            raise self._mismatch(peer, f"it took part in opening {hello.opened} rounds")
        if hello.opened > session.stored:
            # An opening takes a contribution of every party, so this one had made its own.  A
            # second one would be a second spend, that no later check could undo.
            raise fail(
                "SG518",
                f"{peer.name} took part in opening {hello.opened} rounds of the plan; this party's "
                f"store holds what it contributed to {session.stored} only",
                place=self._place("the hello"),
                next_step="nothing was sent: bring the lost store back, or make and approve a new "
                "plan, which is a new debit of the budget",
            )

    # -- frames -----------------------------------------------------------------------------

    def _take_step(self, kind: Kind, number: int) -> int:
        """The length of the vector of the plan's next frame, if it is this one."""
        if not self._steps or self._steps[0] != (kind, number):
            raise _refused(f"a frame of {kind.name.lower()} in round {number} is not the next")
        self._steps.pop(0)
        return self._session.values[number - 1]

    async def _exchange(
        self, kind: Kind, number: int, payloads: Mapping[int, bytes], length: int, phase: str
    ) -> dict[int, bytes]:
        for payload in payloads.values():
            if len(payload) != length:
                raise _refused(f"{len(payload)} bytes instead of {length} for {phase}")
        peers = list(self._peers.values())
        # Everybody sends and receives at once: nobody's full buffer can hold up another.
        sending = asyncio.ensure_future(
            _together(
                [self._send(peer, kind, number, payloads[peer.index], phase) for peer in peers]
            )
        )
        try:
            received = await _together(
                [self._receive(peer, kind, number, length, phase) for peer in peers]
            )
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return {peer.index: payload for peer, payload in zip(peers, received, strict=True)}

    async def _send(self, peer: _Peer, kind: Kind, number: int, payload: bytes, phase: str) -> None:
        header = Header(kind, number, self._session.index, peer.sent, len(payload))
        frame = header.pack() + payload
        peer.sent += 1
        try:
            async with asyncio.timeout(self._session.timeout):
                peer.writer.write(frame)
                self.bytes_sent += len(frame)
                await peer.writer.drain()
        except TimeoutError:
            raise self._late(peer, phase) from None
        except OSError as error:
            raise self._gone(peer, phase) from error

    async def _receive(
        self, peer: _Peer, kind: Kind, number: int, length: int, phase: str
    ) -> bytes:
        expected = Header(kind, number, peer.index, peer.received, length)
        data = await self._read(peer, HEADER.size, phase)
        try:
            check_header(data, expected)
        except FrameError as error:
            raise self._malformed(peer, phase, error) from error
        peer.received += 1
        return await self._read(peer, length, phase)

    async def _read(self, peer: _Peer, length: int, phase: str) -> bytes:
        try:
            async with asyncio.timeout(self._session.timeout):
                return await peer.reader.readexactly(length)
        except TimeoutError:
            raise self._late(peer, phase) from None
        except asyncio.IncompleteReadError as error:
            raise self._gone(peer, phase, within=bool(error.partial)) from error
        except OSError as error:
            raise self._gone(peer, phase) from error

    def _elements(
        self, received: Mapping[int, bytes], skip: int, values: int, phase: str
    ) -> dict[int, NDArray[np.uint64]]:
        elements = {}
        for index, payload in received.items():
            try:
                elements[index] = read_elements(payload[skip:], values, self._session.modulus)
            except FrameError as error:
                raise self._malformed(self._peers[index], phase, error) from error
        return elements

    async def _expect_end(self, peer: _Peer) -> None:
        surplus = b""
        # Everything needed has arrived: a peer that is slow to leave, or gone, changes nothing.
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._session.timeout):
                surplus = await peer.reader.read(1)
        if surplus:
            raise self._malformed(
                peer, "closing", FrameError("it sends more than the plan predicts")
            )

    # -- what is said -------------------------------------------------------------------------

    def _place(self, phase: str) -> str:
        return f"party {self._session.parties[self._session.index]}, {phase}"

    def _mismatch(self, peer: _Peer, what: str) -> SecgenError:
        return fail(
            "SG502",
            f"{peer.name} is not in the same session: {what}",
            place=self._place("the hello"),
            next_step="give every party the same bundle and the same version of secgen",
        )

    def _malformed(self, peer: _Peer, phase: str, error: FrameError) -> SecgenError:
        return fail(
            "SG503",
            f"{peer.name} sent a frame that the plan does not predict: {error}",
            place=self._place(phase),
            next_step="nothing of it was used; see that nobody else uses the port, and that every "
            "party runs an unmodified secgen",
        )

    def _late(self, peer: _Peer, phase: str) -> SecgenError:
        return fail(
            "SG504",
            f"{peer.name} did not answer within {self._session.timeout:g} s",
            place=self._place(phase),
            next_step="see that party's own message, then run again: a restart uses the "
            "contributions that are stored and costs no budget",
        )

    def _gone(self, peer: _Peer, phase: str, *, within: bool = False) -> SecgenError:
        where = "in the middle of a frame" if within else "before its frame"
        return fail(
            "SG504",
            f"{peer.name} closed its connection {where}",
            place=self._place(phase),
            next_step="see that party's own message, then run again: a restart uses the "
            "contributions that are stored and costs no budget",
        )


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
