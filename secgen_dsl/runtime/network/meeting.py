"""How a party meets another one at a relay: the preamble, and the party's side of it.

Both parties connect outbound.  Numbers of bytes are fixed, and each side reads exactly so many:

    party → relay   magic 7, version 1, role 1, room 32, SHA-256 of own and peer's certificate 64
    relay → party   magic 7, version 1, challenge 32
    party → relay   64: Ed25519 of the machine's key over challenge and preamble, domain "relay"
    relay → party   a status of 1 byte, then another one when the peer has come (``Status``)

After PAIRED every byte is the parties' own: mutual TLS from end to end.  The relay is not
authenticated, and need not be: what passes it is safe whoever it is.
"""

import asyncio
import hashlib
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.runtime.network.dialling import UnreachableError, dial, receive
from secgen_dsl.runtime.trust.consortium import Address, PartyEntry, roster_sha256
from secgen_dsl.runtime.trust.identity import Signer

MAGIC = b"SGRELAY"
VERSION = 1
DIGEST_BYTES = 32

_PREAMBLE = struct.Struct("<7sBB32s32s32s")
_GREETING = struct.Struct("<7sB32s")
PREAMBLE_BYTES = _PREAMBLE.size
GREETING_BYTES = _GREETING.size

_BETWEEN_ATTEMPTS = 1.0  # seconds
_DROPS = 3  # attempts after which a relay that hangs up is taken at its word
_HANDSHAKE = 20.0  # seconds that a relay may take; its own limit is shorter


class Role(IntEnum):
    """What a party wants of the relay."""

    ASKS = 0  # only whether it is admitted
    WAITS = 1  # the server's end of TLS
    DIALS = 2  # the client's end


class Status(IntEnum):
    """What the relay says to a party that it knows."""

    ADMITTED = 1  # the peer is not there yet
    PAIRED = 2  # from here on, the peer speaks
    FULL = 3
    NO_SUCH_PEER = 4
    SAME_ROLE = 5
    REPLACED = 6
    LATE = 7


@dataclass(frozen=True)
class Preamble:
    """Who wants to meet whom, and where.

    Attributes:
        role: see ``Role``.
        room: 32 bytes, see ``room_of``.
        me: SHA-256 of the party's certificate, 32 bytes; likewise ``peer``.
    """

    role: Role
    room: bytes
    me: bytes
    peer: bytes

    def pack(self) -> bytes:
        """The ``PREAMBLE_BYTES`` on the wire."""
        return _PREAMBLE.pack(MAGIC, VERSION, self.role, self.room, self.me, self.peer)


def read_preamble(data: bytes) -> Preamble:
    """Read ``PREAMBLE_BYTES``.

    Raises:
        ValueError: it is no preamble of this version.
    """
    magic, version, role, room, me, peer = _PREAMBLE.unpack(data)
    if magic != MAGIC:
        raise ValueError("it sent no preamble: it is no party of secgen")
    if version != VERSION:
        raise ValueError(f"it speaks version {version} of the protocol, this relay {VERSION}")
    if role not in set(Role):
        raise ValueError("it sent no preamble with a known role")
    return Preamble(Role(role), room, me, peer)


def pack_greeting(challenge: bytes) -> bytes:
    """What a relay answers to a preamble."""
    return _GREETING.pack(MAGIC, VERSION, challenge)


def digest_of(party: PartyEntry) -> bytes:
    """The 32 bytes of a party's fingerprint."""
    return bytes.fromhex(party.fingerprint.removeprefix("sha256:"))


def room_of(parties: Sequence[PartyEntry], plan_sha256: str) -> bytes:
    """What the parties of one run have in common, and those of another one do not: 32 bytes.

    Args:
        parties: of the plan, in its order.
        plan_sha256: 64 hex digits.
    """
    digests = bytes.fromhex(roster_sha256(parties)) + bytes.fromhex(plan_sha256)
    return hashlib.sha256(b"secgen relay room 1" + digests).digest()


async def meet(
    relay: Address,
    *,
    proxy: str | None,
    signer: Signer,
    room: bytes,
    me: PartyEntry,
    peer: PartyEntry,
    role: Role,
    timeout: float,
    on_failure: Callable[[SecgenError], None] = lambda _: None,
) -> socket.socket:
    """Wait at a relay until a peer has come.

    What may pass (a relay that is not up yet or is started anew) is tried again until the time is
    over.

    Args:
        relay: where.
        proxy: None, or an HTTP proxy as ``dialling.read_proxy`` reads it.
        signer: the machine's key, that of ``me``'s certificate.
        room: ``room_of`` the run.
        me: this party.
        peer: the other one.
        role: WAITS or DIALS; the peer has the other one.
        timeout: seconds > 0, for all of it.
        on_failure: told why an attempt failed, before the next one.

    Returns:
        A connected, non-blocking socket on which nothing of the peer has been read: TLS begins, as
        server where ``role`` is WAITS (`loop.connect_accepted_socket`), as client where it is DIALS
        (`loop.create_connection(sock=…)`).

    Raises:
        SecgenError: SG528, with what failed: the relay or proxy cannot be reached or refuses, or
            the peer did not come.
    """
    place = f"party {me.name}, meeting {peer.name} at the relay {relay}"
    preamble = Preamble(role, room, digest_of(me), digest_of(peer))
    visit = _Visit(relay, proxy, signer, preamble, place)
    failure: SecgenError | None = None
    drops = 0
    try:
        async with asyncio.timeout(timeout):
            while True:
                try:
                    sock, status = await visit.enter()
                    failure = None
                    return await visit.wait(sock, status)
                except _DroppedError as error:
                    failure = error
                    drops += 1
                    if drops == _DROPS:
                        raise
                except UnreachableError as error:
                    failure = error
                on_failure(failure)
                await asyncio.sleep(_BETWEEN_ATTEMPTS)
    except TimeoutError:
        pass
    raise failure or UnreachableError(
        fail(
            "SG528",
            f"{peer.name} did not come to the relay {relay} within {timeout:g} s",
            place=place,
            next_step=f"see whether {peer.name} has started, with the same plan and "
            "consortium.toml, and reaches the relay",
        ).diagnostics
    )


async def ask(
    relay: Address, *, proxy: str | None, signer: Signer, me: PartyEntry, timeout: float
) -> None:
    """See in one attempt whether a relay can be reached and admits this party.

    Raises:
        SecgenError: SG528, as ``meet``.
    """
    own = digest_of(me)
    preamble = Preamble(Role.ASKS, bytes(DIGEST_BYTES), own, own)
    visit = _Visit(relay, proxy, signer, preamble, f"party {me.name}, the relay {relay}")
    try:
        async with asyncio.timeout(timeout):
            sock, status = await visit.enter()
    except TimeoutError:
        raise visit.dropped(f"did not answer within {timeout:g} s") from None
    sock.close()
    if status != Status.ADMITTED:
        raise visit.refusal(status)


class _DroppedError(UnreachableError):
    """The relay hung up without a word: what it does to strangers, and when too many come."""


class _Visit:
    """One party at one relay."""

    def __init__(
        self, relay: Address, proxy: str | None, signer: Signer, preamble: Preamble, place: str
    ) -> None:
        self._relay, self._proxy, self._signer = relay, proxy, signer
        self._preamble = preamble
        self._place = place

    async def enter(self) -> tuple[socket.socket, int]:
        """A socket, and what the relay says first to a party that it knows."""
        sock = await dial(self._relay, proxy=self._proxy, timeout=_HANDSHAKE, place=self._place)
        greeted = False
        try:
            async with asyncio.timeout(_HANDSHAKE):
                loop = asyncio.get_running_loop()
                preamble = self._preamble.pack()
                await loop.sock_sendall(sock, preamble)
                magic, version, challenge = _GREETING.unpack(await receive(sock, GREETING_BYTES))
                if magic != MAGIC:
                    raise self._no_relay()
                if version != VERSION:
                    raise self._other_version(version)
                greeted = True
                await loop.sock_sendall(sock, self._signer.sign("relay", challenge + preamble))
                return sock, (await receive(sock, 1))[0]
        except TimeoutError:
            sock.close()
            raise self.dropped(f"did not answer within {_HANDSHAKE:g} s") from None
        except (EOFError, OSError):
            sock.close()
            if greeted:
                raise self.dropped("does not admit this party") from None
            raise self.dropped("hung up at once: it is none, or a full one") from None
        except BaseException:
            sock.close()
            raise

    async def wait(self, sock: socket.socket, status: int) -> socket.socket:
        """The same socket when the peer has come."""
        try:
            if status == Status.ADMITTED:
                status = (await receive(sock, 1))[0]
            if status != Status.PAIRED:
                raise self.refusal(status)
        except (EOFError, OSError):
            sock.close()
            raise UnreachableError(
                fail(
                    "SG528",
                    f"the relay {self._relay} closed the connection while this party waited",
                    place=self._place,
                    next_step="ask who runs the relay what its log says, and whether it is up",
                ).diagnostics
            ) from None
        except BaseException:
            sock.close()
            raise
        return sock

    def refusal(self, status: int) -> SecgenError:
        """Why a relay that knows this party does not let it wait."""
        told = {
            Status.FULL: (
                "the relay holds as many connections of this party as it may",
                "end earlier runs that still wait there",
            ),
            Status.NO_SUCH_PEER: (
                "the relay does not know the other party's certificate",
                "give the relay the same consortium.toml, and start it again",
            ),
            Status.SAME_ROLE: (
                "both parties wait there for the other one to begin",
                "give all sites the same consortium.toml",
            ),
            Status.REPLACED: (
                "a newer connection of this party took its place at the relay",
                "see whether the party was started twice",
            ),
            Status.LATE: (
                "the other party did not come before the relay's limit",
                "see whether it has started; `secgen relay --idle` sets the limit",
            ),
        }
        known = {int(each): words for each, words in told.items()}
        if status not in known:
            return self._no_relay()
        message, next_step = known[status]
        refused = fail("SG528", message, place=self._place, next_step=next_step)
        return UnreachableError(refused.diagnostics) if status == Status.LATE else refused

    def dropped(self, what: str) -> _DroppedError:
        """The relay hung up, or is silent."""
        error = fail(
            "SG528",
            f"the relay {self._relay} {what}",
            place=self._place,
            next_step="ask who runs the relay what its log says of this site's address, and "
            "whether it has the same consortium.toml, with the certificate that goes with this "
            "machine's key",
        )
        return _DroppedError(error.diagnostics)

    def _no_relay(self) -> SecgenError:
        return fail(
            "SG528",
            f"what answers at {self._relay} is no relay of secgen",
            place=self._place,
            next_step="see whether [relay] in consortium.toml has the address of `secgen relay`, "
            "and that no firewall on the way answers for it",
        )

    def _other_version(self, version: int) -> SecgenError:
        return fail(
            "SG528",
            f"the relay speaks version {version} of its protocol, this party version {VERSION}",
            place=self._place,
            next_step="install the same release of secgen at the relay and at all sites",
        )
