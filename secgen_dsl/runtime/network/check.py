"""What `secgen doctor` asks of a party, and what a party or another doctor answers.

Both ends have shown the consortium's certificates before a byte of it is read.
"""

import asyncio
import struct
import time
from dataclasses import dataclass

from secgen_dsl.runtime.network.frames import (
    HEADER,
    NO_SESSION,
    RELEASE_BYTES,
    FrameError,
    Header,
    Kind,
    read_release,
)
from secgen_dsl.runtime.network.frames import check_header as _check_header

_BODY = struct.Struct("<B32s32s32s32sQQQ")
CHECK_BYTES = _BODY.size

# Who asks is told by the certificate: indices differ between sites that have other plans.
_HEADER = Header(Kind.CHECK, 0, 0, 0, NO_SESSION, CHECK_BYTES)

NO_HASH = "0" * 64
"""For a plan or study that its sender was not given."""


@dataclass(frozen=True)
class Check:
    """What a site states when somebody looks whether all agree.

    Attributes:
        waits_to_run: a `secgen party` answers; else a doctor.
        release: version of secgen.
        plan_sha256: 64 hex digits, ``NO_HASH`` if it has no bundle.
        study_sha256: the same.
        roster_sha256: of the parties as it knows them.
        milliseconds: its clock, since 1970 in UTC.
        approved: bit i: it holds a valid approval of party i of the roster.
        reached: bit i: it has reached party i of the roster, at its address or at the relay.
    """

    waits_to_run: bool
    release: str
    plan_sha256: str
    study_sha256: str
    roster_sha256: str
    milliseconds: int
    approved: int
    reached: int

    def pack(self) -> bytes:
        """Its ``CHECK_BYTES`` bytes."""
        return _BODY.pack(
            self.waits_to_run,
            self.release.encode("ascii")[:RELEASE_BYTES],
            bytes.fromhex(self.plan_sha256),
            bytes.fromhex(self.study_sha256),
            bytes.fromhex(self.roster_sha256),
            self.milliseconds,
            self.approved,
            self.reached,
        )


def read_check(payload: bytes) -> Check:
    """A check from the bytes of a peer.

    Raises:
        FrameError: another length, or a release that is no text.
    """
    if len(payload) != CHECK_BYTES:
        raise FrameError(f"it has {len(payload)} bytes where {CHECK_BYTES} belong")
    waits, release, plan, study, roster, milliseconds, approved, reached = _BODY.unpack(payload)
    return Check(
        waits_to_run=bool(waits),
        release=read_release(release),
        plan_sha256=plan.hex(),
        study_sha256=study.hex(),
        roster_sha256=roster.hex(),
        milliseconds=milliseconds,
        approved=approved,
        reached=reached,
    )


def clock() -> int:
    """This machine's clock, in milliseconds since 1970 in UTC."""
    return time.time_ns() // 1_000_000


def check_frame(check: Check) -> bytes:
    """The frame by which a party asks or answers."""
    return _HEADER.pack() + check.pack()


async def read_check_frame(reader: asyncio.StreamReader, header: bytes | None = None) -> Check:
    """The check that a peer sends.

    Args:
        header: the frame's header, if it has been read.

    Raises:
        FrameError: another frame.
        asyncio.IncompleteReadError, OSError: the connection ended.
    """
    data = await reader.readexactly(HEADER.size) if header is None else header
    _check_header(data, _HEADER)
    return read_check(await reader.readexactly(CHECK_BYTES))
