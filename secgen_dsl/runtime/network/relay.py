"""The relay: parties that cannot be dialled meet here, and their bytes pass as they are.

What the relay knows: which parties of its consortium meet, when, and how many bytes pass.  Not what
they are: the parties' TLS runs from end to end (``meeting``).  Nothing that a client sends makes it
hold more than a fixed number of bytes a connection, of which there is a fixed number.
"""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from secgen_dsl.diagnostics.diagnostic import fail, printable
from secgen_dsl.runtime.network.admission import BACKLOG, STRANGERS, Admission
from secgen_dsl.runtime.network.dialling import bound, prepare, receive
from secgen_dsl.runtime.network.frames import SIGNATURE_BYTES
from secgen_dsl.runtime.network.meeting import (
    DIGEST_BYTES,
    PREAMBLE_BYTES,
    Preamble,
    Role,
    Status,
    digest_of,
    pack_greeting,
    read_preamble,
)
from secgen_dsl.runtime.trust.consortium import Address, PartyEntry
from secgen_dsl.runtime.trust.identity import verified

_BUFFER = 65_536  # bytes held of a pair in each direction
_LINES, _PERIOD = 10, 60.0  # events about refusals, at most, in so many seconds

_Seat = tuple[bytes, bytes, bytes]  # room, whose, for whom


@dataclass(frozen=True)
class Event:
    """What happened.  Names of parties, addresses, sizes and times only.

    Attributes:
        event: `waits`, `left`, `met`, `parted` or `refused`.
        parties: the one that waits or waited, and the one that it waits for; the two that met; or
            the one that is refused.
        room: the beginning of the room's digest, to tell runs apart.
        why: a wait or a pair ended, or somebody was refused.
        sent: bytes that each of the two has sent.
        seconds: that the pair lasted.
        address: IP address of whoever is refused.
        unlisted: refusals since the last such event that had none of their own: there are only so
            many a minute, so that nobody fills the disk of the relay.
    """

    event: str
    parties: tuple[str, ...] = ()
    room: str = ""
    why: str = ""
    sent: tuple[int, ...] = ()
    seconds: float = 0.0
    address: str = ""
    unlisted: int = 0

    def as_json(self) -> dict[str, object]:
        """What there is to say, as plain JSON data."""
        return {name: value for name, value in asdict(self).items() if value}

    def as_text(self) -> str:
        """The same in words."""
        match self.event:
            case "waits":
                text = f"{self.parties[0]} waits for {self.parties[1]} (run {self.room})"
            case "left":
                text = f"{self.parties[0]} waits no longer for {self.parties[1]}: {self.why}"
            case "met":
                text = f"{self.parties[0]} and {self.parties[1]} met (run {self.room})"
            case "parted":
                text = (
                    f"{self.parties[0]} and {self.parties[1]} parted (run {self.room}): {self.why} "
                    f"after {self.seconds:g} s, {self.sent[0]:,} bytes and {self.sent[1]:,} back"
                )
            case _:
                who = f"{self.parties[0]} at {self.address}" if self.parties else self.address
                text = f"{who} was refused: {self.why}"
                if self.unlisted:
                    text += f" ({self.unlisted:,} more were refused since the last such line)"
        return printable(text)


@dataclass(frozen=True)
class Limits:
    """What a relay holds at most.

    Attributes:
        handshake: seconds until a connection has said and proved whose it is.
        idle: seconds that a party may wait for its peer, and a pair may be silent.
        strangers: connections that have not proved yet whose they are; one more ends the oldest.
        admitted: connections of all parties; ``strangers + admitted`` stays below the usual limit
            of 1024 open files.
        of_a_party: connections of one party, so that none can take all places.
    """

    handshake: float = 10.0
    idle: float = 3600.0
    strangers: int = STRANGERS
    admitted: int = 800
    of_a_party: int = 96


@dataclass(eq=False)
class _Guest:
    """A connection that has proved whose it is.

    Attributes:
        outcome: why its wait ended: a status, or None where it has left.
        parted: its pair has parted; set by the task of the one that came later.
    """

    name: str
    peer: str
    address: str
    sock: socket.socket
    preamble: Preamble
    outcome: asyncio.Future[Status | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    parted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def seat(self) -> _Seat:
        return (self.preamble.room, self.preamble.me, self.preamble.peer)

    @property
    def opposite(self) -> _Seat:
        return (self.preamble.room, self.preamble.peer, self.preamble.me)

    @property
    def room(self) -> str:
        """The beginning of the room's digest, to tell runs apart."""
        return self.preamble.room.hex()[:8]


class _Ration:
    """At most ``_LINES`` events in ``_PERIOD``; counts those that it leaves out."""

    def __init__(self) -> None:
        self._begun, self._given, self._left_out = float("-inf"), 0, 0

    def take(self, now: float) -> int | None:
        """None: no event; else how many were left out since the last one.

        Args:
            now: seconds of a clock that never goes back.
        """
        if now - self._begun >= _PERIOD:
            self._begun, self._given = now, 0
        if self._given == _LINES:
            self._left_out += 1
            return None
        self._given += 1
        left_out, self._left_out = self._left_out, 0
        return left_out


def listening(address: Address) -> socket.socket:
    """A socket that listens on ``address``.

    Raises:
        SecgenError: SG528, the port cannot be opened.
    """
    try:
        return bound(address, BACKLOG)
    except OSError as error:
        raise fail(
            "SG528",
            f"the relay cannot listen on {address}: {error.strerror or type(error).__name__}",
            place=str(address),
            next_step="give an address of this machine and a port that is free; ports below 1024 "
            "need the right to them, see docs/how-to/no-inbound-port.md",
        ) from None


class RelayServer:
    """Pairs parties of a consortium and copies their bytes."""

    def __init__(
        self,
        parties: Sequence[PartyEntry],
        say: Callable[[Event], None],
        limits: Limits | None = None,
    ) -> None:
        self._parties = {digest_of(one): (one.name, one.identity.public) for one in parties}
        self._say = say
        self._limits = limits or Limits()
        self._admission = Admission(self._serve, self._limits.strangers, self._refuse_oldest)
        self._waiting: dict[_Seat, _Guest] = {}
        self._connections: dict[bytes, int] = {}
        # Strangers cannot use up what is to be said of parties.
        self._strange, self._known_ones = _Ration(), _Ration()

    async def serve(self, listener: socket.socket) -> None:
        """Serve until cancelled; then every connection ends.

        Args:
            listener: listens; closed here.
        """
        await self._admission.run(listener)

    def _refuse_oldest(self, sock: socket.socket) -> None:
        most = self._limits.strangers
        self._refused(_host_of(sock), f"{most} others have not said either whose they are")

    async def _serve(self, sock: socket.socket) -> None:
        address = _host_of(sock)
        try:
            prepare(sock)
            async with asyncio.timeout(self._limits.handshake):
                guest = await self._known(sock, address)
        except TimeoutError:
            seconds = f"{self._limits.handshake:g} s"
            self._refused(address, f"it did not say and prove within {seconds} whose it is")
            return
        except (OSError, EOFError):
            self._refused(address, "it hung up before it had said and proved whose it is")
            return
        except ValueError as error:
            self._refused(address, str(error))
            return
        self._admission.known()
        try:
            with contextlib.suppress(OSError):
                await self._admit(guest)
        finally:
            sock.close()

    async def _known(self, sock: socket.socket, address: str) -> _Guest:
        """The handshake.

        Raises:
            ValueError: it is no party.
            EOFError, OSError: it has gone.
        """
        data = await receive(sock, PREAMBLE_BYTES)
        challenge = secrets.token_bytes(DIGEST_BYTES)
        # Sent to whoever speaks another version, too: it says which one is spoken here.
        await asyncio.get_running_loop().sock_sendall(sock, pack_greeting(challenge))
        preamble = read_preamble(data)
        signature = await receive(sock, SIGNATURE_BYTES)
        # Looked up only here, so that a stranger does not learn who is in the consortium.
        name, public = self._parties.get(preamble.me, ("", ""))
        if not name:
            raise ValueError("no party of this relay's consortium.toml has its certificate")
        if not verified(public, "relay", challenge + data, signature):
            raise ValueError(f"it shows the certificate of {name} and has not the key")
        peer, _ = self._parties.get(preamble.peer, ("", ""))
        return _Guest(name, peer, address, sock, preamble)

    async def _admit(self, guest: _Guest) -> None:
        me, role = guest.preamble.me, guest.preamble.role
        held = self._connections.get(me, 0)
        full = sum(self._connections.values()) >= self._limits.admitted
        if role is Role.ASKS:
            _tell(guest, Status.ADMITTED)
            return
        if not guest.peer or guest.preamble.peer == me:
            what = "no other party of this relay's consortium.toml has the certificate of its peer"
            self._turn_away(guest, Status.NO_SUCH_PEER, what)
            return
        if full or held >= self._limits.of_a_party:
            what = f"it holds {held} connections" + (", and all parties too many" if full else "")
            self._turn_away(guest, Status.FULL, what)
            return
        self._connections[me] = held + 1
        try:
            earlier = self._waiting.get(guest.seat)
            if earlier is not None:
                self._release(earlier, Status.REPLACED)
            opposite = self._waiting.get(guest.opposite)
            if opposite is None:
                await self._wait(guest)
            elif opposite.preamble.role is role:
                what = f"{guest.peer} also waits for the other one to begin"
                self._turn_away(guest, Status.SAME_ROLE, what)
            else:
                self._release(opposite, Status.PAIRED)
                try:
                    await self._pair(opposite, guest)
                finally:
                    opposite.parted.set()
        finally:
            self._connections[me] -= 1

    async def _wait(self, guest: _Guest) -> None:
        """Until a peer has come; its task then does the rest."""
        _tell(guest, Status.ADMITTED)
        self._waiting[guest.seat] = guest
        # Who waits has nothing to say: what can be read is its end, or a breach of the protocol.
        # No byte is taken from the socket here.
        loop = asyncio.get_running_loop()
        loop.add_reader(guest.sock, self._release, guest, None)
        names = (guest.name, guest.peer)
        self._say(Event("waits", names, guest.room))
        try:
            async with asyncio.timeout(self._limits.idle):
                await asyncio.shield(guest.outcome)
        except TimeoutError:
            self._release(guest, Status.LATE)
        finally:
            self._release(guest, None)
        outcome = guest.outcome.result()
        if outcome is Status.PAIRED:
            await guest.parted.wait()
            return
        why = "it left" if outcome is None else outcome.name.lower()
        self._say(Event("left", names, guest.room, why))
        if outcome is not None:
            _tell(guest, outcome)

    def _release(self, guest: _Guest, outcome: Status | None) -> None:
        """End a wait, once."""
        if guest.outcome.done():
            return
        asyncio.get_running_loop().remove_reader(guest.sock)
        if self._waiting.get(guest.seat) is guest:
            del self._waiting[guest.seat]
        guest.outcome.set_result(outcome)

    async def _pair(self, one: _Guest, other: _Guest) -> None:
        """Copy between two parties until both have ended, one breaks off, or both are silent."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        # First to the one that waited: if it has just vanished, the other one is not told that it
        # is there.
        _tell(one, Status.PAIRED)
        _tell(other, Status.PAIRED)
        names = (one.name, other.name)
        self._say(Event("met", names, one.room))
        sent = [0, 0]
        why = "ended"
        try:
            async with asyncio.timeout(self._limits.idle) as limit:
                # Neither direction is left alone with the sockets: both have ended after this.
                ends = await asyncio.gather(
                    self._copy(one.sock, other.sock, sent, 0, limit),
                    self._copy(other.sock, one.sock, sent, 1, limit),
                    return_exceptions=True,
                )
            if any(ends):
                why = "broken off"
        except TimeoutError:
            why = "silent"
        finally:
            seconds = round(loop.time() - begun, 3)
            self._say(Event("parted", names, one.room, why, tuple(sent), seconds))

    async def _copy(
        self,
        source: socket.socket,
        sink: socket.socket,
        sent: list[int],
        direction: int,
        limit: asyncio.Timeout,
    ) -> None:
        """One direction.  The next bytes are taken when the last ones have been handed on, so that
        a slow reader slows the sender down and nothing piles up here.
        """
        loop = asyncio.get_running_loop()
        buffer = memoryview(bytearray(_BUFFER))
        try:
            while size := await loop.sock_recv_into(source, buffer):
                await loop.sock_sendall(sink, buffer[:size])
                sent[direction] += size
                limit.reschedule(loop.time() + self._limits.idle)
                await asyncio.sleep(0)  # a fast pair leaves room for the others
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for sock in (source, sink):  # wakes the other direction, too
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            raise

    def _turn_away(self, guest: _Guest, status: Status, why: str) -> None:
        """Refuse a party.  Raises OSError: it has gone."""
        self._refused(guest.address, why, guest.name)
        _tell(guest, status)

    def _refused(self, address: str, why: str, *party: str) -> None:
        """Say that somebody was refused, unless that was said too often of late."""
        ration = self._known_ones if party else self._strange
        unlisted = ration.take(asyncio.get_running_loop().time())
        if unlisted is not None:
            self._say(Event("refused", party, why=why, address=address, unlisted=unlisted))


def _host_of(sock: socket.socket) -> str:
    """The IP address at the other end."""
    try:
        return str(sock.getpeername()[0])
    except OSError:
        return "somebody who has gone"


def _tell(guest: _Guest, status: Status) -> None:
    """Raises OSError: it has gone.  The socket holds a few bytes at most, so none waits here."""
    guest.sock.send(bytes([status]))
