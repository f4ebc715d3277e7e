"""Entry scripts of malicious parties: shares and confirmations that the plan does not have.

Run as ``python -m tests.mpyc.attacks NAME``.  The party of index 1 attacks; the others, started by
the same command, are ordinary parties with the system's noise, so that only what is stored can
come back in a restart.
"""

import asyncio
import hashlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.backends.mpyc import party as party_module
from secgen_dsl.backends.mpyc.messages import read_config
from secgen_dsl.backends.mpyc.process import Lifeline, leave, private_output, run_party
from secgen_dsl.ir.plan import MERSENNE_61
from secgen_dsl.runtime.network.channel import Channel, Peer
from secgen_dsl.runtime.network.frames import Kind
from secgen_dsl.runtime.network.mesh import Mesh
from secgen_dsl.runtime.noise import SystemNoise
from secgen_dsl.runtime.store import ContributionStore
from secgen_dsl.verifier import verify

ATTACKER = 1
Row = NDArray[np.uint64]
Frames = Callable[[Channel, Peer, Kind, int, bytes], bytes | None]


def _moved(row: Row, by: int) -> Row:
    """Field elements, all changed by the same amount."""
    changed = (row.astype(object) + by) % MERSENNE_61
    return changed.astype(np.uint64)


def dealing(change: Callable[[list[Row]], list[Row]]) -> None:
    """Deal other shares than a polynomial's."""
    honest = party_module.split

    def split(values: NDArray[np.int64], threshold: int, parties: int) -> list[Row]:
        return change(honest(values, threshold, parties))

    setattr(party_module, "split", split)  # noqa: B010


def inconsistent() -> None:
    """One party is dealt something else, and the dealer goes on as if it had not been."""
    dealing(lambda rows: [*rows[:-1], _moved(rows[-1], 12_345)])


def followed() -> None:
    """The same, and the dealer keeps that share of its own which fits what it has dealt.

    Of three parties' shares any two lie on a line: with m = 2t + 1 this is a sharing of something
    else, an input like any other.
    """

    def change(rows: list[Row]) -> list[Row]:
        rows = [*rows[:-1], _moved(rows[-1], 2 * 12_345)]
        return [rows[0], _moved(rows[1], 12_345), *rows[2:]]

    dealing(change)


def deals_anew() -> None:
    """The dealing is of other values than in an earlier run, and what opens is not minded."""
    dealing(lambda rows: [_moved(row, 40) for row in rows])
    setattr(ContributionStore, "record_opened", lambda *_: None)  # noqa: B010


def sending(change: Frames) -> None:
    """Send other frames than the program has; None: never, and the connection stays open."""
    honest = Channel.send

    async def send(self: Channel, peer: Peer, kind: Kind, number: int, payload: bytes) -> None:
        changed = change(self, peer, kind, number, payload)
        if changed is None:
            await asyncio.Event().wait()
        else:
            await honest(self, peer, kind, number, changed)

    setattr(Channel, "send", send)  # noqa: B010


def _flipped(payload: bytes) -> bytes:
    return payload[:32] + bytes([payload[32] ^ 1]) + payload[33:]


def two_faced() -> None:
    """One party is sent the right share of the sum, and another one a wrong one."""
    sending(
        lambda _, peer, kind, __, payload: (
            _flipped(payload) if kind == Kind.OPENING and peer.index == 2 else payload
        )
    )


def withheld_from_all() -> None:
    """No share of the sum is sent, and the connection stays open."""
    sending(lambda _, __, kind, ___, payload: None if kind == Kind.OPENING else payload)


def withheld_from_one() -> None:
    """One party is sent no share of the sum."""
    sending(
        lambda _, peer, kind, __, payload: (
            None if kind == Kind.OPENING and peer.index == 2 else payload
        )
    )


def of_another_session() -> None:
    """The share of the sum has the name of another session."""

    def change(mesh: Channel, _: Peer, kind: Kind, __: int, payload: bytes) -> bytes:
        if kind == Kind.OPENING:
            mesh.session = b"an older session"
        return payload

    sending(change)


def of_another_sharing() -> None:
    """The share of the sum is one that fits other polynomials, as of an earlier session."""

    other = np.random.default_rng(1)

    def change(_: Channel, __: Peer, kind: Kind, ___: int, payload: bytes) -> bytes:
        if kind != Kind.OPENING:
            return payload
        numbers = other.integers(0, MERSENNE_61, (len(payload) - 32) // 8, dtype=np.uint64)
        return payload[:32] + numbers.astype("<u8").tobytes()

    sending(change)


def deals_to_one() -> None:
    """One party is sent its share of the dealing and can open; another one is not."""
    sending(
        lambda _, peer, kind, __, payload: (
            None if kind == Kind.SHARE and peer.index == 2 else payload
        )
    )


def never_ready() -> None:
    """Everybody is greeted, and nobody hears that it is ready."""
    sending(lambda _, __, kind, ___, payload: None if kind == Kind.READY else payload)


def ready_for_one() -> None:
    """One party hears that it is ready, and another gets bytes that no plan predicts."""
    sending(
        lambda _, peer, kind, __, payload: (
            b"\x80\x04." * 30 if kind == Kind.READY and peer.index == 2 else payload
        )
    )


def confirms_to_one() -> None:
    """One party is sent a confirmation, and another is not."""
    sending(
        lambda _, peer, kind, __, payload: (
            None if kind == Kind.CONFIRMATION and peer.index == 2 else payload
        )
    )


def confirms_other_values() -> None:
    """One party is sent a well signed confirmation of other values."""

    def change(mesh: Channel, peer: Peer, kind: Kind, _: int, payload: bytes) -> bytes:
        if kind != Kind.CONFIRMATION or peer.index != 2:
            return payload
        digest = bytes(32)
        signed = mesh.endpoint.signer.sign("confirmation", mesh.session + PLAN[0] + digest)
        return digest + signed

    sending(change)


PLAN: list[bytes] = []
"""The plan's hash, once the configuration is read."""

ATTACKS: dict[str, Callable[[], None]] = {
    "inconsistent": inconsistent,
    "followed": followed,
    "deals anew": deals_anew,
    "two-faced": two_faced,
    "withheld from all": withheld_from_all,
    "withheld from one": withheld_from_one,
    "another session": of_another_session,
    "another sharing": of_another_sharing,
    "deals to one": deals_to_one,
    "never ready": never_ready,
    "ready for one": ready_for_one,
    "confirms to one": confirms_to_one,
    "confirms other values": confirms_other_values,
}


def _stays() -> None:
    """An attacker that does not end by itself, so that the others must find out."""
    honest = Mesh.stop

    async def stop(self: Mesh, error: BaseException | None = None) -> None:
        await asyncio.sleep(60)
        await honest(self, error)

    setattr(Mesh, "stop", stop)  # noqa: B010


def main(arguments: Sequence[str]) -> int:
    """One party of a run; ``none`` attacks nobody."""
    channel = private_output()
    config: Any = read_config(sys.stdin.buffer.readline())
    lifeline = Lifeline()
    PLAN.append(hashlib.sha256(config.plan.encode()).digest())
    if config.index == ATTACKER and arguments[0] != "none":
        ATTACKS[arguments[0]]()
        _stays()
    return run_party(config, noise=SystemNoise(), verify=verify, channel=channel, lifeline=lifeline)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
