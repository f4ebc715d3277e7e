"""Parties, a relay and a proxy for tests: real sockets on loopback."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from secgen_dsl.runtime.network.meeting import Role, meet, room_of
from secgen_dsl.runtime.network.relay import Event, Limits, RelayServer, listening
from secgen_dsl.runtime.trust.consortium import Address, PartyEntry
from secgen_dsl.runtime.trust.identity import Signer, new_certificate, new_signer

PLAN = "ab" * 32
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Site:
    """A party with its machine's key."""

    entry: PartyEntry
    signer: Signer

    def tls(self, peer: "Site", folder: Path, *, server: bool) -> ssl.SSLContext:
        """Mutual TLS 1.3 with one peer, known by its certificate."""
        purpose = ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT
        context = ssl.SSLContext(purpose)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=peer.entry.certificate)
        certificate, key = folder / f"{self.entry.name}.crt", folder / f"{self.entry.name}.key"
        certificate.write_text(self.entry.certificate)
        key.write_bytes(self.signer.pem())
        context.load_cert_chain(certificate, key)
        return context


def new_site(name: str) -> Site:
    signer = new_signer()
    certificate = new_certificate(signer, name, None, 30)
    entry = PartyEntry(
        name=name,
        fingerprint=certificate.fingerprint,
        certificate=certificate.pem,
        officer=new_signer().public,
    )
    return Site(entry, signer)


def consortium_toml(sites: tuple[Site, ...], relay: Address) -> str:
    lines = ['format = "secgen.consortium/1"', "[relay]", f'address = "{relay}"']
    for site in sites:
        one = site.entry
        lines += ["[[party]]", f'name = "{one.name}"', f'fingerprint = "{one.fingerprint}"']
        lines += [f'officer = "{one.officer}"', f'certificate = """\n{one.certificate}"""']
    return "\n".join(lines) + "\n"


class Running:
    """A relay for some sites in this process.

    Attributes:
        address: where it listens.
        events: what it said.
    """

    def __init__(self, sites: tuple[Site, ...], address: Address) -> None:
        self.sites = sites
        self.address = address
        self.events: list[Event] = []
        self.room = room_of([one.entry for one in sites], PLAN)

    def said(self, event: str) -> list[Event]:
        return [one for one in self.events if one.event == event]

    async def until(self, event: str, times: int = 1) -> None:
        """Until it has said something so often."""
        async with asyncio.timeout(20):
            while len(self.said(event)) < times:
                await asyncio.sleep(0.005)

    async def meet(
        self,
        me: Site,
        peer: Site,
        role: Role,
        *,
        at: Address | None = None,
        proxy: str | None = None,
        signer: Signer | None = None,
        room: bytes = b"",
        timeout: float = 20,
    ) -> "End":
        sock = await self.socket(
            me, peer, role, at=at, proxy=proxy, signer=signer, room=room, timeout=timeout
        )
        return End(*await asyncio.open_connection(sock=sock))

    async def socket(
        self,
        me: Site,
        peer: Site,
        role: Role,
        *,
        at: Address | None = None,
        proxy: str | None = None,
        signer: Signer | None = None,
        room: bytes = b"",
        timeout: float = 20,
    ) -> socket.socket:
        return await meet(
            at or self.address,
            proxy=proxy,
            signer=signer or me.signer,
            room=room or self.room,
            me=me.entry,
            peer=peer.entry,
            role=role,
            timeout=timeout,
        )


@dataclass(frozen=True)
class End:
    """One end of a stream."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def says(self, data: bytes, other: "End") -> None:
        """What one end writes arrives at the other."""
        self.writer.write(data)
        async with asyncio.timeout(20):  # read while it is written: buffers on the way are small
            _, arrived = await asyncio.gather(
                self.writer.drain(), other.reader.readexactly(len(data))
            )
        assert arrived == data

    def close(self) -> None:
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def relay(
    sites: tuple[Site, ...], limits: Limits | None = None, port: int = 0
) -> AsyncIterator[Running]:
    listener = listening(Address(LOOPBACK, port))
    running = Running(sites, Address(LOOPBACK, listener.getsockname()[1]))
    server = RelayServer([one.entry for one in sites], running.events.append, limits)
    serving = asyncio.create_task(server.serve(listener))
    try:
        yield running
        assert not serving.done()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def free_port() -> int:
    with listening(Address(LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def over_tls(sock: socket.socket, context: ssl.SSLContext, *, server: bool) -> End:
    """As the parties do it."""
    if not server:
        return End(*await asyncio.open_connection(sock=sock, ssl=context, server_hostname=""))
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=context)
    return End(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


class HttpProxy:
    """A little HTTP proxy that knows CONNECT, notes what is asked and records what passes.

    Attributes:
        answer: sent instead of a connection.
        credentials: value of Proxy-Authorization that it asks for.
    """

    def __init__(self, answer: bytes = b"", credentials: str = "") -> None:
        self.answer, self.credentials = answer, credentials
        self.heads: list[bytes] = []
        self.seen: list[bytes] = []
        self.address = Address(LOOPBACK, 1)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["HttpProxy"]:
        server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.address = Address(LOOPBACK, server.sockets[0].getsockname()[1])
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            wanted = f"Proxy-Authorization: {self.credentials}\r\n".encode()
            if self.answer:
                writer.write(self.answer)
            elif self.credentials and wanted not in head:
                writer.write(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b"Proxy-Authenticate: Negotiate\r\nproxy-authenticate: Basic realm=x\r\n\r\n"
                )
            else:
                host, _, port = head.split()[1].decode().rpartition(":")
                far_reader, far_writer = await asyncio.open_connection(host, int(port))
                writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
                await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            self.seen.append(data)
            writer.write(data)
            await writer.drain()
        writer.close()
