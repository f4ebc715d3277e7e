"""The wire format: fixed headers, hello, field elements.  Pure functions; no sockets, no pickle.

A frame is a 20-byte header and a payload whose kind and length both ends know beforehand from the
plan.  Nothing read from a peer is ever interpreted beyond the fields below: payloads of shares are
unsigned integers on a checked length, so a hostile peer can send wrong numbers and nothing else.

The format is our own: MPyC's messages are unpickled by their receiver (PROTOCOL, fact 1).
"""

import hmac
import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

MAGIC = b"SGEN"
PROTOCOL_VERSION = 1
HEADER = struct.Struct("<4sBBHHHQ")
"""Magic, version, kind, round, sender, sequence, payload length: little-endian, unpadded."""

ELEMENT_BYTES = 8
"""A field element is a little-endian uint64."""

SALT_BYTES = 32
"""Fresh random bytes before the elements of every share frame.

The digest of a share frame, were it ever kept, would otherwise let its holder test guesses of
short vectors (PROTOCOL, Digests).
"""

_HELLO_BODY = struct.Struct("<HHBH16s32s32s")
_MAC_BYTES = 32
_MAC_DOMAIN = b"secgen hello, protocol 1\0"
HELLO_BYTES = _HELLO_BODY.size + _MAC_BYTES
_RELEASE_TEXT_BYTES = 32


class Kind(IntEnum):
    """What a frame carries."""

    HELLO = 1
    SHARE = 2
    OPENING = 3


class FrameError(ValueError):
    """A frame is not what the plan predicts.  Its text is for people and quotes no payload."""


@dataclass(frozen=True)
class Header:
    """The fixed part of a frame.

    Attributes:
        kind: what the payload is.
        round: number of the plan's round, from 1; 0 for a hello.
        sender: index of the sending party.
        sequence: position of the frame among those of this sender on this connection, from 0.
        length: bytes of the payload.
    """

    kind: Kind
    round: int
    sender: int
    sequence: int
    length: int

    def pack(self) -> bytes:
        """The header's ``HEADER.size`` bytes."""
        return HEADER.pack(
            MAGIC, PROTOCOL_VERSION, self.kind, self.round, self.sender, self.sequence, self.length
        )


def check_header(data: bytes, expected: Header) -> None:
    """Check that ``data`` is exactly the header that the plan predicts at this point.

    Raises:
        FrameError: it differs; says in which field, and both values.
    """
    if len(data) != HEADER.size:
        raise FrameError(f"the header has {len(data)} bytes instead of {HEADER.size}")
    magic, version, kind, number, sender, sequence, length = HEADER.unpack(data)
    if magic != MAGIC:
        raise FrameError("it does not begin as a frame of secgen")
    found = {
        "protocol version": (version, PROTOCOL_VERSION),
        "kind": (kind, int(expected.kind)),
        "round": (number, expected.round),
        "sender": (sender, expected.sender),
        "sequence number": (sequence, expected.sequence),
        "payload length": (length, expected.length),
    }
    for name, (value, wanted) in found.items():
        if value != wanted:
            raise FrameError(f"its {name} is {value} where the plan predicts {wanted}")


@dataclass(frozen=True)
class Hello:
    """The first message of every connection, in both directions.

    Attributes:
        sender: index of the sending party.
        accepts: whether the sender accepted the connection (else it opened it); in the hello so
            that nobody can answer a party with its own hello.
        opened: number of the plan's rounds that the sender saw opened in an earlier run.
        session: 16 bytes that name the run.
        plan: the plan's SHA-256, 32 bytes.
        release: version of the sender's secgen, at most 32 bytes of ASCII.
    """

    sender: int
    accepts: bool
    opened: int
    session: bytes
    plan: bytes
    release: str

    def pack(self, secret: bytes) -> bytes:
        """The hello's ``HELLO_BYTES`` bytes, authenticated under the secret of its two ends."""
        body = _HELLO_BODY.pack(
            PROTOCOL_VERSION,
            self.sender,
            self.accepts,
            self.opened,
            self.session,
            self.plan,
            self.release.encode("ascii")[:_RELEASE_TEXT_BYTES],
        )
        return body + _mac(secret, body)


def read_hello(payload: bytes, secret: bytes, session: bytes) -> Hello:
    """Read a hello and check that its sender holds the secret of this pair of parties.

    Args:
        payload: ``HELLO_BYTES`` bytes.
        secret: what only the two ends of this connection hold.
        session: the session's 16 bytes.

    Raises:
        FrameError: another protocol version or session, or a wrong authenticator.
    """
    if len(payload) != HELLO_BYTES:
        raise FrameError(f"the hello has {len(payload)} bytes instead of {HELLO_BYTES}")
    body, authenticator = payload[: _HELLO_BODY.size], payload[_HELLO_BODY.size :]
    version, sender, accepts, opened, found, plan, release = _HELLO_BODY.unpack(body)
    if version != PROTOCOL_VERSION:
        raise FrameError(f"it speaks protocol version {version}, this party {PROTOCOL_VERSION}")
    if found != session:
        raise FrameError(f"it belongs to session {found.hex()}, this party to {session.hex()}")
    if not hmac.compare_digest(authenticator, _mac(secret, body)):
        raise FrameError("its sender does not know the secret of this session")
    return Hello(
        sender=sender,
        accepts=bool(accepts),
        opened=opened,
        session=found,
        plan=plan,
        release=release.rstrip(b"\0").decode("ascii", "replace"),
    )


def share_payload_bytes(values: int) -> int:
    """Bytes of the payload of a share frame of so many field elements."""
    return SALT_BYTES + opening_payload_bytes(values)


def opening_payload_bytes(values: int) -> int:
    """Bytes of the payload of an opening frame of so many field elements."""
    return ELEMENT_BYTES * values


def pack_elements(elements: NDArray[np.uint64]) -> bytes:
    """Field elements as little-endian bytes."""
    return elements.astype("<u8", copy=False).tobytes()


def read_elements(payload: bytes, values: int, modulus: int) -> NDArray[np.uint64]:
    """Field elements from the bytes of a peer.

    Args:
        payload: ``ELEMENT_BYTES * values`` bytes.
        values: how many elements the plan predicts.
        modulus: p ≤ 2⁶⁴; every element must be below it.

    Raises:
        FrameError: another length, or an element that is not of the field.
    """
    if len(payload) != ELEMENT_BYTES * values:
        raise FrameError(f"it has {len(payload)} bytes where {ELEMENT_BYTES * values} belong")
    elements = np.frombuffer(payload, dtype="<u8").astype(np.uint64)
    if elements.size and int(elements.max()) >= modulus:
        raise FrameError("it holds a number that is not an element of the field")
    return elements


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, _MAC_DOMAIN + body, "sha256")
