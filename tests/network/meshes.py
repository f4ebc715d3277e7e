"""Honest parties on the real mesh, and a peer with a valid certificate that does as it likes.

Real sockets, real TLS and real signatures throughout; only the numbers are invented.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import create_server, socket
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.backends.mpyc.local import LocalConsortium, local_consortium
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.ir.plan import MERSENNE_61
from secgen_dsl.runtime.evidence.transcript import Transcript
from secgen_dsl.runtime.network.check import NO_HASH, Check, clock
from secgen_dsl.runtime.network.frames import (
    CONFIRMATION_BYTES,
    HEADER,
    HELLO_BYTES,
    NO_SESSION,
    SALT_BYTES,
    Header,
    Kind,
    chunks,
    pack_elements,
)
from secgen_dsl.runtime.network.greeting import Statement
from secgen_dsl.runtime.network.hello import fresh_nonce, read_hello, session_name
from secgen_dsl.runtime.network.links import Endpoint
from secgen_dsl.runtime.network.mesh import Mesh, Session
from secgen_dsl.runtime.network.tls import tls_context
from secgen_dsl.runtime.openings import OpeningPermit
from secgen_dsl.runtime.trust.consortium import roster_sha256
from secgen_dsl.runtime.trust.identity import Signer, read_signer

OPENED = "ab" * 32
"""What all honest parties confirm."""

NAMES = ("a", "b", "c")


@dataclass(frozen=True)
class World:
    """A consortium and what its parties agree on.

    Attributes:
        local: keys and certificates.
        folder: where transcripts go.
        values: of each round.
        connect_timeout: seconds until all must be ready.
        timeout: seconds for any one wait.
    """

    local: LocalConsortium
    folder: Path
    values: tuple[int, ...] = (40, 30)
    connect_timeout: float = 20.0
    timeout: float = 20.0

    def statement(self, **changes: Any) -> Statement:
        """What an honest party's hellos say."""
        honest = Statement(
            plan_sha256="1" * 64,
            study_sha256="2" * 64,
            roster_sha256=roster_sha256(self.local.entries([1] * len(self.local.parties))),
            release="0.1.0",
            nonce=fresh_nonce(),
            begun=0,
            opened=("0" * 64,),
        )
        return replace(honest, **changes)

    def signer(self, index: int) -> Signer:
        """The key of a party's machine."""
        return read_signer(self.local.keys[index])

    def endpoint(self, index: int, ports: Sequence[int]) -> Endpoint:
        """A party as the network sees it."""
        return Endpoint(
            entries=self.local.entries(ports),
            index=index,
            signer=self.signer(index),
            key=self.local.keys[index],
            certificate=self.local.certificates[index],
        )

    def session(self, index: int, ports: Sequence[int], **changes: Any) -> Session:
        """What an honest party knows before it connects."""
        statement = changes.pop("statement", None) or self.statement()
        honest = Session(
            endpoint=self.endpoint(index, ports),
            statement=statement,
            values=self.values,
            modulus=MERSENNE_61,
            connect_timeout=self.connect_timeout,
            timeout=self.timeout,
            stored=0,
            check=lambda: Check(True, "0.1.0", NO_HASH, NO_HASH, NO_HASH, clock(), 0, 0),
        )
        return replace(honest, **changes)

    def client(self, index: int) -> ssl.SSLContext:
        """TLS settings of a party that dials."""
        return tls_context(
            self.local.entries([1] * len(self.local.parties)),
            self.local.keys[index],
            self.local.certificates[index],
            server=False,
        )


def world_of(folder: Path, parties: int = 2, **changes: Any) -> World:
    """A world of fresh keys; ``folder`` is made."""
    folder.mkdir(parents=True)
    return World(local_consortium(NAMES[:parties], folder), folder, **changes)


def listeners(count: int) -> tuple[list[socket], list[int]]:
    """Bound sockets of this machine, and their ports."""
    made = [create_server(("127.0.0.1", 0)) for _ in range(count)]
    return made, [int(one.getsockname()[1]) for one in made]


def closed_port() -> int:
    """A port where nobody listens."""
    with create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@dataclass
class Ended:
    """How a party's run went.

    Attributes:
        stored: it was told that all are ready, and would have stored and debited.
        complete: it has everybody's confirmation.
        failure: what it says; None: nothing.
        seconds: that it took.
        sums: for each round what was received, added up.
    """

    stored: bool = False
    complete: bool = False
    failure: SecgenError | None = None
    seconds: float = 0.0
    sums: list[int] = field(default_factory=list)

    @property
    def found(self) -> Diagnostic:
        """Its diagnostic."""
        assert self.failure is not None, "it ended well"
        (one,) = self.failure.diagnostics
        return one


def row(number: int, index: int, to: int, values: int) -> NDArray[np.uint64]:
    """What party ``index`` sends to party ``to``: numbers that others can compute."""
    return np.arange(values, dtype=np.uint64) + np.uint64(1000 * number + 100 * index + 10 * to)


async def honest(
    world: World,
    index: int,
    ports: Sequence[int],
    listener: socket | None,
    on_mesh: Callable[[Mesh], None] = lambda _: None,
    opened: str = OPENED,
    break_with: BaseException | None = None,
    **changes: Any,
) -> Ended:
    """An honest party's whole run.

    Args:
        on_mesh: given the mesh once all are ready.
        opened: digest that it confirms.
        break_with: what it raises before it opens the first round.
        changes: of its ``Session``.
    """
    ended = Ended()
    start = time.monotonic()
    path = world.folder / f"{index}-{time.monotonic_ns()}.jsonl"
    with Transcript(path, {}) as transcript:
        try:
            session = world.session(index, ports, **changes)
            mesh = await Mesh.connect(session, listener, transcript)
            ended.stored = True
            on_mesh(mesh)
            try:
                await _steps(world, mesh, index, ended, break_with)
                await mesh.confirm(opened)
                await mesh.close()
                ended.complete = True
            except BaseException as error:
                await mesh.stop(error)
                raise
        except SecgenError as error:
            ended.failure = error
    ended.seconds = time.monotonic() - start
    return ended


async def _steps(
    world: World, mesh: Mesh, index: int, ended: Ended, break_with: BaseException | None
) -> None:
    parties = len(world.local.parties)
    for number, values in enumerate(world.values, start=1):
        total = 0

        def take(_: int, __: int, ___: int, elements: NDArray[np.uint64]) -> None:
            nonlocal total
            total += int(elements.sum(dtype=object)) if elements.size else 0

        await mesh.share(number, [row(number, index, to, values) for to in range(parties)], take)
        if break_with is not None:
            raise break_with
        permit = OpeningPermit(number, (("sums", values),))
        await mesh.open(permit, row(number, index, 0, values), take)
        ended.sums.append(total)


async def honest_run(
    world: World, strangers: Callable[[Sequence[int]], Awaitable[object]] | None = None
) -> list[Ended]:
    """All parties, honest, and perhaps strangers who know the ports."""
    made, ports = listeners(len(world.local.parties))
    disturbing = None
    if strangers is not None:
        disturbing = asyncio.ensure_future(strangers(ports))
        await asyncio.sleep(0.3)  # they come first
    ended = await asyncio.gather(
        *(honest(world, index, ports, one) for index, one in enumerate(made))
    )
    if disturbing is not None:
        disturbing.cancel()
        for outcome in await asyncio.gather(disturbing, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome
    return ended


class Wire:
    """A connection of a peer with a valid certificate, who sends whatever a test wants.

    Attributes:
        sent: every frame that it sent, whole.
    """

    def __init__(
        self,
        world: World,
        me: int,
        victim: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        dials: bool = True,
    ) -> None:
        self.world, self.me, self.victim = world, me, victim
        self.reader, self.writer = reader, writer
        self.dials = dials
        self.statement = world.statement()
        self.nonces: Sequence[bytes] = ()
        self.session = NO_SESSION
        self.sequence = 0
        self.sent: list[bytes] = []

    @classmethod
    async def dial(cls, world: World, port: int, me: int = 1, victim: int = 0) -> "Wire":
        """Open a connection with the certificate of party ``me``."""
        streams = await asyncio.open_connection(
            "127.0.0.1", port, ssl=world.client(me), server_hostname=""
        )
        return cls(world, me, victim, *streams)

    def frame(self, kind: Kind, number: int = 0, payload: bytes = b"", **changes: Any) -> bytes:
        """The right frame at this point, or with another header."""
        session = NO_SESSION if kind == Kind.HELLO else self.session
        header = Header(kind, number, self.me, self.sequence, session, len(payload))
        return replace(header, **changes).pack() + payload

    async def send(self, *frames: bytes) -> None:
        """Send bytes."""
        for one in frames:
            self.sent.append(one)
            self.sequence += 1
            self.writer.write(one)
        await self.writer.drain()

    async def receive(self) -> tuple[int, bytes]:
        """The victim's next frame: kind, payload."""
        header = await self.reader.readexactly(HEADER.size)
        length = int(HEADER.unpack(header)[-1])
        return int(HEADER.unpack(header)[2]), await self.reader.readexactly(length)

    def hello(self, signer: Signer | None = None, **changes: Any) -> bytes:
        """The frame by which it greets the victim, or another one."""
        body = self.statement.hello(self.me, self.victim, accepts=not self.dials)
        payload = replace(body, **changes).pack(signer or self.world.signer(self.me))
        return self.frame(Kind.HELLO, 0, payload)

    async def greet(self) -> None:
        """Exchange hellos as an honest party."""
        await self.send(self.hello())
        kind, payload = await self.receive()
        assert kind == Kind.HELLO, "the victim greets"
        assert len(payload) == HELLO_BYTES
        entries = self.world.local.entries([1] * len(self.world.local.parties))
        theirs = read_hello(payload, entries[self.victim].identity.public)
        self.join([theirs.nonce, self.statement.nonce])

    def join(self, nonces: Sequence[bytes]) -> None:
        """Be in the session that follows from these nonces."""
        self.nonces = nonces
        self.session = session_name(self.statement.hello(0, 0, accepts=False), nonces)

    def vector(self, kind: Kind, number: int, values: int | None = None) -> list[bytes]:
        """The right frames of a vector."""
        count = self.world.values[number - 1] if values is None else values
        numbers = row(number, self.me, self.victim, count)
        frames = []
        for start, end in chunks(count):
            payload = pack_elements(bytes(SALT_BYTES), numbers[start:end])
            frames.append(self.frame(kind, number, payload, sequence=self.sequence + len(frames)))
        return frames

    def confirmation(self, opened: str = OPENED, signer: Signer | None = None) -> bytes:
        """The right confirmation, or of other values, or by another key."""
        digest = bytes.fromhex(opened)
        signed = self.session + bytes.fromhex(self.statement.plan_sha256) + digest
        signature = (signer or self.world.signer(self.me)).sign("confirmation", signed)
        assert len(digest + signature) == CONFIRMATION_BYTES
        return self.frame(Kind.CONFIRMATION, 0, digest + signature)

    async def until(self, phase: str) -> None:
        """Behave as an honest party until just before ``phase``."""
        for name in PHASES[: PHASES.index(phase)]:
            if name == "hello":
                await self.greet()
            else:
                frames = self.right(name)
                await self.send(*frames)
                for _ in frames:  # in step with the victim, who sends as many
                    await self.receive()

    def right(self, phase: str) -> list[bytes]:
        """The frames of a phase, as an honest party sends them."""
        if phase == "hello":
            return [self.hello()]
        if phase == "ready":
            return [self.frame(Kind.READY, 0, b"".join(self.nonces))]
        if phase == "confirmation":
            return [self.confirmation()]
        kind = Kind.SHARE if phase.startswith("share") else Kind.OPENING
        return self.vector(kind, int(phase[-1]))

    def close(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()


PHASES = ("hello", "ready", "share 1", "opening 1", "share 2", "opening 2", "confirmation")

PLACES = {
    "hello": "the hello",
    "ready": "getting ready",
    "share 1": "sharing in round 1",
    "opening 1": "opening round 1",
    "share 2": "sharing in round 2",
    "opening 2": "opening round 2",
    "confirmation": "confirming the opened values",
}

Attack = Callable[[Wire], Awaitable[None]]


async def victim(world: World, attack: Attack, **changes: Any) -> Ended:
    """How party a ends when party b dials it and behaves as ``attack``."""
    (listener,), (port,) = listeners(1)
    ports = [port] + [closed_port()] * (len(world.local.parties) - 1)
    running = asyncio.ensure_future(honest(world, 0, ports, listener, **changes))
    await asyncio.sleep(0)
    wire = await Wire.dial(world, port)
    attacking = asyncio.ensure_future(_attack(attack, wire))
    try:
        ended = await running
    finally:
        attacking.cancel()
        for outcome in await asyncio.gather(attacking, return_exceptions=True):
            if isinstance(outcome, AssertionError):  # the victim may hang up: no other is a fault
                raise outcome
        wire.close()
    assert ended.seconds < world.connect_timeout + 2 * world.timeout + 10
    return ended


async def _attack(attack: Attack, wire: Wire) -> None:
    await attack(wire)
    await asyncio.sleep(60)  # and says no more


def failure(world: World, attack: Attack, **changes: Any) -> Diagnostic:
    """What party a says; it must have failed."""
    return asyncio.run(victim(world, attack, **changes)).found
