"""The first message of every connection: what both ends must agree on, signed by the machine.

TLS has authenticated both ends already; the signature is evidence for those who were not there.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from secgen_dsl.runtime.network.frames import (
    HELLO_BODY,
    HELLO_BYTES,
    NONCE_BYTES,
    PROTOCOL_VERSION,
    RELEASE_BYTES,
    SESSION_BYTES,
    FrameError,
    VersionError,
    read_release,
)
from secgen_dsl.runtime.trust.identity import Signer, verified


@dataclass(frozen=True)
class Hello:
    """What a party states about itself and its study to one other party.

    Attributes:
        sender: index of the sending party.
        receiver: index of the party that it is for, so that nobody can pass it on.
        accepts: whether the sender accepted the connection (else it opened it).
        begun: number of the plan's rounds in which the sender dealt shares, or was about to, in an
            earlier run.
        opened: number of rounds whose opened values it holds.
        opened_sha256: digest of these (public) values, 64 hex digits.
        plan_sha256: 64 hex digits.
        study_sha256: 64 hex digits.
        roster_sha256: of the parties as the sender knows them, 64 hex digits.
        nonce: 32 fresh random bytes of the sender's, the same to all peers.
        release: version of the sender's secgen, at most 32 bytes of ASCII.
    """

    sender: int
    receiver: int
    accepts: bool
    begun: int
    opened: int
    opened_sha256: str
    plan_sha256: str
    study_sha256: str
    roster_sha256: str
    nonce: bytes
    release: str

    def pack(self, signer: Signer) -> bytes:
        """The hello's ``HELLO_BYTES`` bytes, signed."""
        body = HELLO_BODY.pack(
            PROTOCOL_VERSION,
            self.sender,
            self.receiver,
            self.accepts,
            self.begun,
            self.opened,
            bytes.fromhex(self.opened_sha256),
            bytes.fromhex(self.plan_sha256),
            bytes.fromhex(self.study_sha256),
            bytes.fromhex(self.roster_sha256),
            self.nonce,
            self.release.encode("ascii")[:RELEASE_BYTES],
        )
        return body + signer.sign("hello", body)


def read_hello(payload: bytes, public: str) -> Hello:
    """Read a hello and check its signature.

    Args:
        payload: ``HELLO_BYTES`` bytes.
        public: the machine's public key, that of the certificate which TLS has checked.

    Raises:
        FrameError: another length or protocol version, or a wrong signature; a release that is
            no text.
    """
    if len(payload) != HELLO_BYTES:
        raise FrameError(f"the hello has {len(payload)} bytes instead of {HELLO_BYTES}")
    body, signature = payload[: HELLO_BODY.size], payload[HELLO_BODY.size :]
    version, *values = HELLO_BODY.unpack(body)
    if version != PROTOCOL_VERSION:
        raise VersionError(version)
    if not verified(public, "hello", body, signature):
        raise FrameError("its signature is not that of the party's machine")
    sender, receiver, accepts, begun, opened, *digests, nonce, release = values
    return Hello(
        sender=sender,
        receiver=receiver,
        accepts=bool(accepts),
        begun=begun,
        opened=opened,
        opened_sha256=digests[0].hex(),
        plan_sha256=digests[1].hex(),
        study_sha256=digests[2].hex(),
        roster_sha256=digests[3].hex(),
        nonce=nonce,
        release=read_release(release),
    )


def fresh_nonce() -> bytes:
    """A nonce from the system's generator."""
    return secrets.token_bytes(NONCE_BYTES)


def session_name(hello: Hello, nonces: Sequence[bytes]) -> bytes:
    """The 16 bytes that name a session: every party's fresh nonce goes in, in the plan's order.

    A frame of an earlier session therefore never passes for one of this.
    """
    digest = hashlib.sha256(b"secgen session 2")
    for text in (hello.plan_sha256, hello.study_sha256, hello.roster_sha256):
        digest.update(bytes.fromhex(text))
    for nonce in nonces:
        digest.update(nonce)
    return digest.digest()[:SESSION_BYTES]
