"""Streams to the other parties: who dials whom, TLS, and which party is at the other end.

Of two parties, the later in the plan dials the earlier; if nobody can dial that one, the other way
round; and where neither can be dialled, both meet at the consortium's relay.
"""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.runtime.network.admission import BACKLOG, Admission
from secgen_dsl.runtime.network.dialling import UnreachableError, bound, keep_alive
from secgen_dsl.runtime.network.meeting import Role, meet
from secgen_dsl.runtime.network.tls import party_at_other_end, tls_context
from secgen_dsl.runtime.trust.consortium import Address, PartyEntry
from secgen_dsl.runtime.trust.identity import Signer

HANDSHAKE_SECONDS = 15.0
"""Whoever does not finish TLS and its first message by then is dropped."""

FAREWELL_SECONDS = 2.0
"""How long a party that stops tries to tell another one why."""

_MEETING_SECONDS = 30.0
"""How long a party waits at the relay for another one before it says so and comes anew."""

MOST_OF_A_PARTY = 8
"""Connections of one party that are greeted at a time; one is what an honest party needs."""

STREAM_LIMIT = 2**20
"""Bytes that a stream buffers before it stops reading from its socket."""

log = logging.getLogger("secgen.network")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
OnStream = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class NotYet(Exception):  # noqa: N818 (no error: it is tried again)
    """A stream could not be had this time; its text says why.

    Attributes:
        next_step: what helps, where that is known; else empty.
    """

    def __init__(self, reason: str, next_step: str = "") -> None:
        super().__init__(reason)
        self.next_step = next_step


@dataclass(frozen=True)
class Route:
    """How two parties come together, seen from one of them.

    Attributes:
        peer: index of the other.
        dials: whether this party opens the connection, and TLS.
        relayed: whether they meet at the relay.
    """

    peer: int
    dials: bool
    relayed: bool


def routes(entries: Sequence[PartyEntry], index: int) -> tuple[Route, ...]:
    """The routes of a party to all others."""
    found = []
    for peer in range(len(entries)):
        if peer == index:
            continue
        earlier, later = sorted((peer, index))
        if entries[earlier].address:
            dialler, relayed = later, False
        elif entries[later].address:
            dialler, relayed = earlier, False
        else:
            dialler, relayed = later, True
        found.append(Route(peer, dials=dialler == index, relayed=relayed))
    return tuple(found)


@dataclass(frozen=True)
class Endpoint:
    """A party as the network sees it.

    Attributes:
        entries: all parties of the plan, in its order.
        index: this one.
        signer: the machine's key.
        key: its file.
        certificate: file of the certificate that goes with it.
        relay: where parties meet that cannot be dialled; None: nowhere.
        proxy: URL of the HTTP proxy on the way to the relay; None: none.
        room: 32 bytes that name the run to the relay (``meeting.room_of``).
    """

    entries: tuple[PartyEntry, ...]
    index: int
    signer: Signer
    key: Path
    certificate: Path
    relay: Address | None = None
    proxy: str | None = None
    room: bytes = bytes(32)

    def name(self, index: int) -> str:
        """Name of a party."""
        return self.entries[index].name

    async def dial(self, peer: int) -> Streams:
        """Open a connection to a party at its address, and see that it is that party.

        Raises:
            NotYet: nobody answers there.
            SecgenError: SG525, somebody else does.
        """
        address = self.entries[peer].reached_at()
        if address is None:
            raise NotYet("it has no address")
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                streams = await asyncio.open_connection(
                    address.host,
                    address.port,
                    ssl=self._client_context,
                    server_hostname="",
                    ssl_handshake_timeout=HANDSHAKE_SECONDS,
                    ssl_shutdown_timeout=1,
                    limit=STREAM_LIMIT,
                )
        except ssl.SSLCertVerificationError as error:
            raise self._stranger(peer, f"{address} shows {_shown(error)}") from error
        except (OSError, TimeoutError) as error:
            raise NotYet(f"{address}: {reason_of(error)}") from error
        keep_alive(streams[1].get_extra_info("socket"))
        self._require(peer, streams, str(address))
        return streams

    async def meet(
        self, peer: int, *, dials: bool, on_failure: Callable[[NotYet], None] = lambda _: None
    ) -> Streams:
        """Meet a party at the relay, and see that it is that party.

        Args:
            on_failure: told why an attempt failed, while others follow.

        Raises:
            NotYet: it is not there yet.
            SecgenError: SG525 somebody else is; SG528 the relay refuses this party.
        """
        if self.relay is None:
            raise NotYet("neither side can be dialled, and there is no relay")
        try:
            met = await meet(
                self.relay,
                proxy=self.proxy,
                signer=self.signer,
                room=self.room,
                me=self.entries[self.index],
                peer=self.entries[peer],
                role=Role.DIALS if dials else Role.WAITS,
                timeout=_MEETING_SECONDS,
                on_failure=lambda error: on_failure(_not_yet(error)),
            )
        except UnreachableError as error:
            raise _not_yet(error) from error
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                context = self._client_context if dials else self._server_context
                streams = await _secured(met, context, server=not dials)
        except ssl.SSLCertVerificationError as error:
            raise self._stranger(peer, f"behind the relay is {_shown(error)}") from error
        except (OSError, TimeoutError) as error:
            raise NotYet(f"at the relay {self.relay}: {reason_of(error)}") from error
        self._require(peer, streams, "the relay")
        return streams

    def serve(
        self,
        listener: socket.socket,
        on_stream: OnStream,
        on_stranger: Callable[[str, str], None] = lambda _, __: None,
    ) -> "asyncio.Task[None]":
        """Accept the connections of parties; who is none of them is dropped without a word.

        Args:
            listener: a bound socket that listens.
            on_stream: called with the party's index for each connection.
            on_stranger: called with the address of a host that shows a certificate which is no
                party's or cannot be used, and with what it shows.

        Returns:
            The task that does it; to be cancelled.
        """
        context = self._server_context
        held: Counter[int] = Counter()

        async def accepted(sock: socket.socket) -> None:
            try:
                sock.setblocking(False)
                async with asyncio.timeout(HANDSHAKE_SECONDS):
                    host = str(sock.getpeername()[0])
                    admission.taken()
                    reader, writer = await _secured(sock, context, server=True)
            except ssl.SSLCertVerificationError as error:
                on_stranger(host, _shown(error))
                return
            except (OSError, TimeoutError):
                return
            peer = party_at_other_end(writer.get_extra_info("ssl_object"), self.entries)
            if peer is None or peer == self.index:
                writer.transport.abort()
                return
            admission.known()
            if held[peer] >= MOST_OF_A_PARTY:
                writer.transport.abort()
                return
            keep_alive(writer.get_extra_info("socket"))
            held[peer] += 1
            try:
                await on_stream(peer, reader, writer)
            finally:
                held[peer] -= 1

        admission = Admission(accepted)
        return asyncio.get_running_loop().create_task(admission.run(listener))

    # Made once: files may have been used up by others when they are needed.

    @cached_property
    def _server_context(self) -> ssl.SSLContext:
        return tls_context(self.entries, self.key, self.certificate, server=True)

    @cached_property
    def _client_context(self) -> ssl.SSLContext:
        return tls_context(self.entries, self.key, self.certificate, server=False)

    def _require(self, peer: int, streams: Streams, where: str) -> None:
        found = party_at_other_end(streams[1].get_extra_info("ssl_object"), self.entries)
        if found != peer:
            streams[1].transport.abort()
            who = "another machine" if found is None else self.name(found)
            raise self._stranger(peer, f"{where} shows the certificate of {who}")

    def _stranger(self, peer: int, what: str) -> SecgenError:
        return fail(
            "SG525",
            f"whoever answers for {self.name(peer)} cannot be trusted: {what}",
            place=f"party {self.name(self.index)}, connecting",
            next_step=f"compare the address, fingerprint and date of {self.name(peer)}'s "
            "certificate in consortium.toml with that site, by telephone",
        )


async def _secured(sock: socket.socket, context: ssl.SSLContext, *, server: bool) -> Streams:
    """TLS over a connected socket."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=STREAM_LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    if server:
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            sock,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=1,
        )
    else:
        transport, _ = await loop.create_connection(
            lambda: protocol,
            sock=sock,
            ssl=context,
            server_hostname="",
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=1,
        )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _not_yet(error: SecgenError) -> NotYet:
    """What failed at the relay, as a reason to come again."""
    return NotYet(error.diagnostics[0].message, error.diagnostics[0].next_step)


def _shown(error: ssl.SSLCertVerificationError) -> str:
    """What is wrong with a certificate; any unknown one that signs itself is just another one."""
    if "self-signed" in error.verify_message or "unable to get" in error.verify_message:
        return "another certificate than consortium.toml has"
    return f"a certificate that cannot be used ({error.verify_message})"


def listen(address: Address) -> socket.socket:
    """A listening socket on the configured address only.

    Raises:
        SecgenError: SG501, the address cannot be used.
    """
    try:
        return bound(address, BACKLOG)
    except OSError as error:
        raise fail(
            "SG501",
            f"this machine cannot listen on {address}: {reason_of(error)}",
            place=f"{address}",
            next_step="see that the address is one of this machine's (`listen` in consortium.toml "
            "where it differs from `address`) and that no other process holds the port",
        ) from error


def reason_of(error: BaseException) -> str:
    """Why a connection failed, in a few words."""
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS failed").replace("_", " ").lower()
    if isinstance(error, socket.gaierror):
        return "its name is not known (DNS)"
    if isinstance(error, OSError) and error.errno:
        import os

        return os.strerror(error.errno).lower()
    return "the connection was closed"


def refuses_certificate(error: BaseException) -> bool:
    """Whether the other end ended TLS because of this party's certificate."""
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    return "ALERT" in reason and any(
        word in reason for word in ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
    )
