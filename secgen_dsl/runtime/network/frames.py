"""The wire format: fixed headers, field elements, aborts.  Pure functions; no sockets, no pickle.

A frame is a header and a payload whose kind and length both ends know beforehand from the plan.
Nothing read from a peer is ever interpreted beyond the fields below: payloads of shares are
unsigned integers on a checked length, so a hostile peer can send wrong numbers and nothing else.

The format is our own: MPyC's messages are unpickled by their receiver (PROTOCOL, fact 1).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

MAGIC = b"SGEN"
PROTOCOL_VERSION = 3
HEADER = struct.Struct("<4sBBHHI16sQ")
"""Magic, version, kind, round, sender, sequence, session, payload length: little-endian."""

ELEMENT_BYTES = 8
"""A field element is a little-endian uint64."""

CHUNK_VALUES = 2**16
"""Longer vectors travel in frames of so many elements: neither end holds more of them in flight."""

SALT_BYTES = 32
"""Fresh random bytes before the elements of every frame of shares, that only its two ends see.

The digest of a share frame in a transcript would otherwise let its holder test guesses of short
vectors (PROTOCOL, Digests).
"""

SESSION_BYTES = 16
SIGNATURE_BYTES = 64
NONCE_BYTES = 32
RELEASE_BYTES = 32

HELLO_BODY = struct.Struct(f"<HHHBHH32s32s32s32s{NONCE_BYTES}s{RELEASE_BYTES}s")
HELLO_BYTES = HELLO_BODY.size + SIGNATURE_BYTES
CONFIRMATION_BYTES = 32 + SIGNATURE_BYTES
"""A digest and a signature."""

NO_SESSION = bytes(SESSION_BYTES)
"""Of frames before the session has a name."""


class Kind(IntEnum):
    """What a frame carries."""

    CHECK = 1
    HELLO = 2
    READY = 3
    SHARE = 4
    OPENING = 5
    CONFIRMATION = 6
    ABORT = 7
    STORED = 8


class FrameError(ValueError):
    """A frame is not what the plan predicts.  Its text is for people and quotes no payload."""


class VersionError(FrameError):
    """It is a frame of another version of this protocol."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"its protocol version is {version} where this release has {PROTOCOL_VERSION}"
        )


@dataclass(frozen=True)
class Header:
    """The fixed part of a frame.

    Attributes:
        kind: what the payload is.
        round: number of the plan's round, from 1; 0 where there is none.
        sender: index of the sending party.
        sequence: position of the frame among those of this sender on this connection, from 0.
        session: 16 bytes that name the session; zeros before it has a name.
        length: bytes of the payload.
    """

    kind: Kind
    round: int
    sender: int
    sequence: int
    session: bytes
    length: int

    def pack(self) -> bytes:
        """The header's ``HEADER.size`` bytes."""
        return HEADER.pack(
            MAGIC,
            PROTOCOL_VERSION,
            self.kind,
            self.round,
            self.sender,
            self.sequence,
            self.session,
            self.length,
        )


def kind_of(data: bytes) -> int:
    """The kind that a header states, if it is one of this protocol; checked by nothing else.

    Raises:
        FrameError: these bytes begin no frame of this protocol; VersionError: of this version.
    """
    if len(data) != HEADER.size:
        raise FrameError(f"the header has {len(data)} bytes instead of {HEADER.size}")
    magic, version, kind, *_ = HEADER.unpack(data)
    if magic != MAGIC:
        raise FrameError("it does not begin as a frame of secgen")
    if version != PROTOCOL_VERSION:
        raise VersionError(version)
    return int(kind)


def session_of(data: bytes) -> bytes:
    """The session that a header names."""
    return bytes(HEADER.unpack(data)[6])


def check_header(data: bytes, expected: Header) -> None:
    """Check that ``data`` is exactly the header that the plan predicts at this point.

    Raises:
        FrameError: it differs; says in which field, and both values.
    """
    kind_of(data)
    _, _, kind, number, sender, sequence, session, length = HEADER.unpack(data)
    found = {
        "kind": (kind, int(expected.kind)),
        "round": (number, expected.round),
        "sender": (sender, expected.sender),
        "session": (session.hex(), expected.session.hex()),
        "sequence number": (sequence, expected.sequence),
        "payload length": (length, expected.length),
    }
    for name, (value, wanted) in found.items():
        if value != wanted:
            raise FrameError(f"its {name} is {value} where the plan predicts {wanted}")


def read_release(data: bytes) -> str:
    """The version of secgen that a peer states, in ``RELEASE_BYTES`` bytes filled up with zeros.

    Raises:
        FrameError: it is no printable ASCII: it will be shown on terminals.
    """
    text = data.rstrip(b"\0")
    if not all(0x20 < byte < 0x7F for byte in text):
        raise FrameError("its release is no version of secgen")
    return text.decode("ascii")


def chunks(values: int) -> Iterator[tuple[int, int]]:
    """(first, past the last) element of each frame of a vector; one empty frame if it is empty."""
    for start in range(0, max(values, 1), CHUNK_VALUES):
        yield start, min(start + CHUNK_VALUES, values)


def elements_payload_bytes(values: int) -> int:
    """Bytes of the payload of one frame with so many field elements."""
    return SALT_BYTES + ELEMENT_BYTES * values


def vector_bytes(values: int) -> int:
    """Bytes of all frames, headers included, that carry a vector of so many elements."""
    return sum(HEADER.size + elements_payload_bytes(end - start) for start, end in chunks(values))


def pack_elements(salt: bytes, elements: NDArray[np.uint64]) -> bytes:
    """Field elements as little-endian bytes, after ``SALT_BYTES`` of salt."""
    return salt + elements.astype("<u8", copy=False).tobytes()


def read_elements(payload: bytes, values: int, modulus: int) -> NDArray[np.uint64]:
    """Field elements from the bytes of a peer.

    Args:
        payload: ``elements_payload_bytes(values)`` bytes.
        values: how many elements the plan predicts.
        modulus: p ≤ 2⁶⁴; every element must be below it.

    Raises:
        FrameError: another length, or an element that is not of the field.
    """
    wanted = elements_payload_bytes(values)
    if len(payload) != wanted:
        raise FrameError(f"it has {len(payload)} bytes where {wanted} belong")
    elements = np.frombuffer(payload, dtype="<u8", offset=SALT_BYTES).astype(np.uint64)
    if elements.size and int(elements.max()) >= modulus:
        raise FrameError("it holds a number that is not an element of the field")
    return elements


def ready_bytes(parties: int) -> int:
    """Bytes of the payload of a "ready": the nonce of every party's hello, as the sender has it."""
    return NONCE_BYTES * parties


def read_nonces(payload: bytes) -> tuple[bytes, ...]:
    """The nonces in the payload of a "ready", in the order of the parties."""
    return tuple(
        payload[start : start + NONCE_BYTES] for start in range(0, len(payload), NONCE_BYTES)
    )


_ABORT = struct.Struct("<5sBHHH")
ABORT_BYTES = _ABORT.size
_NOBODY = 0xFFFF

OWN_FAULT = "SG526"
"""Code of an abort whose reason is told to nobody: it could depend on a site's data."""

ABORT_CODES = frozenset(
    {
        *("SG502", "SG503", "SG504", "SG505", "SG506", "SG509", "SG513", "SG518"),
        *("SG525", OWN_FAULT, "SG527"),
    }
)
"""All reasons that are ever told or understood."""


@dataclass(frozen=True)
class Abort:
    """Why a party stops the run; from a fixed list, so that no data can show in it.

    Attributes:
        code: of its diagnostic, one of ``ABORT_CODES``.
        kind: what it was sending or waiting for.
        round: the plan's round, 0 before the first.
        blamed: index of the party that it blames; None: nobody in particular.
        told_by: index of the party whose abort it passes on; None: it says so itself.
    """

    code: str
    kind: Kind
    round: int
    blamed: int | None
    told_by: int | None = None

    def pack(self) -> bytes:
        """The payload's ``ABORT_BYTES`` bytes."""
        blamed, told_by = (
            _NOBODY if index is None else index for index in (self.blamed, self.told_by)
        )
        return _ABORT.pack(self.code.encode("ascii"), self.kind, self.round, blamed, told_by)


def read_abort(payload: bytes, parties: int) -> Abort:
    """An abort from the bytes of a peer.

    Raises:
        FrameError: it is none.
    """
    if len(payload) != ABORT_BYTES:
        raise FrameError(f"it has {len(payload)} bytes where {ABORT_BYTES} belong")
    code, kind, number, *named = _ABORT.unpack(payload)
    if code.decode("ascii", "replace") not in ABORT_CODES:
        raise FrameError("it gives a reason that this release does not know")
    if kind not in set(Kind) or any(index >= parties and index != _NOBODY for index in named):
        raise FrameError("it blames something that this release does not know")
    blamed, told_by = (None if index == _NOBODY else index for index in named)
    return Abort(code.decode("ascii"), Kind(kind), number, blamed, told_by)
