"""The mesh against strangers and malicious parties: named errors, nothing run, nothing kept."""

import ast
import asyncio
import pickle
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from secgen_dsl.backends.mpyc.cost import predicted_bytes, values_per_round
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import MERSENNE_61
from secgen_dsl.runtime.frames import (
    HEADER,
    HELLO_BYTES,
    FrameError,
    Header,
    Hello,
    Kind,
    check_header,
    read_hello,
    share_payload_bytes,
)
from secgen_dsl.runtime.openings import OpeningsManifest
from secgen_dsl.runtime.transport import Mesh, Session

from .plans import plan_five

ROOT = Path(__file__).parents[2]
PLAN = plan_five()
VALUES = values_per_round(PLAN)
SESSION = Session(
    parties=("a", "b"),
    index=0,
    session=b"s" * 16,
    secrets=(b"", b"k" * 32),
    plan_sha256=sha256_of(PLAN),
    release="0.1.0",
    values=VALUES,
    modulus=MERSENNE_61,
    timeout=0.5,
    stored=0,
    opened=0,
)
Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def port_of(one: socket.socket) -> int:
    return int(one.getsockname()[1])


def hello(session: Session = SESSION, **changes: object) -> bytes:
    """The frame by which party b greets party a."""
    ours = Hello(
        sender=1,
        accepts=False,
        opened=session.opened,
        session=session.session,
        plan=bytes.fromhex(session.plan_sha256),
        release=session.release,
    )
    body = replace(ours, **changes).pack(session.secrets[1])  # type: ignore[arg-type]
    return Header(Kind.HELLO, 0, 1, 0, HELLO_BYTES).pack() + body


def elements(values: int) -> NDArray[np.uint64]:
    return np.arange(values, dtype=np.uint64)


def failure(attack: Attack, session: Session = SESSION) -> SecgenError:
    """What party a ends with when party b behaves as ``attack``."""

    async def run() -> None:
        one = listener()
        connecting = asyncio.ensure_future(Mesh.connect(session, one, [port_of(one), 0]))
        await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(one))
        attacking = asyncio.ensure_future(attack(reader, writer))
        try:
            mesh = await connecting
            try:
                await mesh.share(1, [elements(VALUES[0])] * 2)
                permit = OpeningsManifest(PLAN).permit(1, (("subtype", 4),))
                await mesh.open(permit, elements(VALUES[0]))
                await mesh.share(2, [elements(VALUES[1])] * 2)
            finally:
                mesh.abort()
        finally:
            attacking.cancel()
            writer.transport.abort()
            await asyncio.gather(attacking, return_exceptions=True)

    with pytest.raises(SecgenError) as caught:
        asyncio.run(run())
    return caught.value


def sending(*frames: bytes, then_close: bool = False) -> Attack:
    async def attack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for frame in frames:
            writer.write(frame)
        await writer.drain()
        if then_close:
            writer.close()
        await asyncio.sleep(30)

    return attack


def share_frame(payload: bytes, **changes: int) -> bytes:
    header = Header(Kind.SHARE, 1, 1, 1, len(payload))
    return replace(header, **changes).pack() + payload  # type: ignore[arg-type]


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_two_rounds_among_five_send_exactly_the_predicted_bytes() -> None:
    async def run() -> list[int]:
        listeners = [listener() for _ in range(5)]
        ports = [port_of(one) for one in listeners]

        async def party(index: int) -> int:
            secrets = tuple(bytes(sorted((index, other))) * 16 for other in range(5))
            session = replace(SESSION, parties=PLAN.parties, index=index, secrets=secrets)
            mesh = await Mesh.connect(session, listeners[index], ports)
            manifest = OpeningsManifest(PLAN)
            for number, opening in ((1, ("subtype", 4)), (2, ("subtype*cycle", 96))):
                rows = [elements(opening[1]) + np.uint64(100 * index + to) for to in range(5)]
                received = await mesh.share(number, rows)
                assert sorted(received) == [other for other in range(5) if other != index]
                for sender, row in received.items():
                    assert row[0] == 100 * sender + index
                permit = manifest.permit(number, (opening,))
                opened = await mesh.open(permit, elements(opening[1]) + np.uint64(index))
                assert all(row[0] == sender for sender, row in opened.items())
            await mesh.close()
            return mesh.bytes_sent

        return await asyncio.gather(*(party(index) for index in range(5)))

    assert asyncio.run(run()) == [predicted_bytes(PLAN)] * 5


def test_pickles_are_bytes_like_any_others(tmp_path: Path) -> None:
    path = tmp_path / "executed"
    bomb = pickle.dumps(Bomb(path))
    right_length = bomb.ljust(share_payload_bytes(VALUES[0]), b".")[: share_payload_bytes(4)]
    for attack in (
        sending(bomb),
        sending(hello(), bomb),
        sending(hello(), share_frame(bomb)),
        sending(hello(), share_frame(right_length)),
    ):
        assert failure(attack).diagnostics[0].code in {"SG503", "SG504"}
    assert not path.exists()
    pickle.loads(bomb)  # noqa: S301 (our own: shows that the bomb works)
    assert path.exists()


@pytest.mark.parametrize("where", ["secgen_dsl/runtime", "backends"])
def test_no_module_of_the_network_knows_pickle(where: str) -> None:
    for path in (ROOT / where).rglob("*.py"):
        names = {
            name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [getattr(node, "module", ""), *(alias.name for alias in node.names)]
        }
        assert names.isdisjoint({"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"})


GOOD = b"\0" * share_payload_bytes(VALUES[0])


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (share_frame(GOOD, length=2**63), "payload length"),
        (share_frame(GOOD, length=len(GOOD) - 8), "payload length"),
        (share_frame(GOOD, kind=3), "kind"),
        (share_frame(GOOD, kind=77), "kind"),
        (share_frame(GOOD, round=2), "round"),
        (share_frame(GOOD, sender=0), "sender"),
        (share_frame(GOOD, sequence=0), "sequence"),
        (hello(), "kind"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(40), "does not begin"),
        (share_frame(GOOD[:-8] + struct.pack("<Q", MERSENNE_61)), "not an element"),
        (share_frame(GOOD[:-8] + b"\xff" * 8), "not an element"),
    ],
)
def test_a_malformed_share_names_the_peer_and_the_phase(frame: bytes, words: str) -> None:
    (found,) = failure(sending(hello(), frame)).diagnostics
    assert found.code == "SG503"
    assert found.message.startswith("b sent")
    assert words in found.message
    assert found.place == "party a, sharing in round 1"


def test_a_frame_too_many_is_noticed_later() -> None:
    opening = Header(Kind.OPENING, 1, 1, 2, 8 * VALUES[0]).pack() + bytes(8 * VALUES[0])
    (found,) = failure(sending(hello(), share_frame(GOOD), opening, opening)).diagnostics
    assert (found.code, found.place) == ("SG503", "party a, sharing in round 2")


@pytest.mark.parametrize("cut", [0, 7, HEADER.size, HEADER.size + 20])
def test_a_truncated_frame(cut: int) -> None:
    (found,) = failure(sending(hello(), share_frame(GOOD)[:cut], then_close=True)).diagnostics
    assert found.code == "SG504"
    assert "b closed its connection" in found.message


def test_a_silent_peer_is_not_waited_for_for_ever() -> None:
    (found,) = failure(sending(hello())).diagnostics
    assert (found.code, found.place) == ("SG504", "party a, sharing in round 1")
    assert "b did not answer within 0.5 s" in found.message
    (found,) = failure(sending()).diagnostics
    assert found.code == "SG504"
    assert "no hello from b" in found.message


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (hello(replace(SESSION, session=b"t" * 16)), f"belongs to session {(b't' * 16).hex()}"),
        (hello(replace(SESSION, secrets=(b"", b"x" * 32))), "does not know the secret"),
        (hello(plan=b"\1" * 32), f"its plan is {'01' * 32}, this party's {SESSION.plan_sha256}"),
        (hello(release="0.0.9"), "it runs secgen 0.0.9, this party 0.1.0"),
        (hello(accepts=True), "as if it were this party"),
        (hello(sender=0), "its frame names party 1"),
        (hello()[:-1] + b"\0", "does not know the secret"),
    ],
)
def test_a_hello_of_another_session(frame: bytes, words: str) -> None:
    (found,) = failure(sending(frame)).diagnostics
    assert found.code == "SG502"
    assert words in found.message


def test_an_unknown_index_and_a_second_connection() -> None:
    body = Hello(5, False, 0, SESSION.session, bytes.fromhex(SESSION.plan_sha256), "0.1.0")
    header = Header(Kind.HELLO, 0, 5, 0, HELLO_BYTES)
    (found,) = failure(sending(header.pack() + body.pack(SESSION.secrets[1]))).diagnostics
    assert (found.code, "index 5" in found.message) == ("SG502", True)


def test_no_party_poses_as_another() -> None:
    """c holds its own secrets only; as b it would get both shares of a's values."""
    session = replace(SESSION, parties=("a", "b", "c"), secrets=(b"", b"ab" * 16, b"ac" * 16))
    body = Hello(1, False, 0, session.session, bytes.fromhex(session.plan_sha256), "0.1.0")
    frame = Header(Kind.HELLO, 0, 1, 0, HELLO_BYTES).pack() + body.pack(session.secrets[2])
    (found,) = failure(sending(frame), session).diagnostics
    assert found.code == "SG502"
    assert "does not know the secret" in found.message


def test_a_party_that_lost_its_store_shares_nothing() -> None:
    (found,) = failure(sending(hello(opened=1))).diagnostics
    assert found.code == "SG518"
    assert "b took part in opening 1 rounds of the plan" in found.message
    (found,) = failure(sending(hello(opened=1)), replace(SESSION, stored=1)).diagnostics
    assert found.code == "SG504"  # it goes on, and waits for b's share


def test_a_stranger_gets_no_hello() -> None:
    heard: list[bytes] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1))

    assert failure(silent).diagnostics[0].code == "SG504"
    assert heard in ([], [b""])


def test_a_peer_that_is_not_there() -> None:
    async def run() -> None:
        gone, one = listener(), listener()
        port = port_of(gone)
        gone.close()
        await Mesh.connect(replace(SESSION, index=1), one, [port, port_of(one)])

    with pytest.raises(SecgenError, match="SG501 a cannot be reached"):
        asyncio.run(run())


def test_the_mesh_sends_only_the_next_frame_of_the_plan() -> None:
    mesh = Mesh(SESSION)
    permit = OpeningsManifest(PLAN).permit(1, (("subtype", 4),))
    with pytest.raises(SecgenError, match="SG506"):
        asyncio.run(mesh.open(permit, elements(4)))
    with pytest.raises(SecgenError, match="SG506"):
        asyncio.run(mesh.share(2, []))
    asyncio.run(mesh.share(1, []))  # to no peers
    with pytest.raises(SecgenError, match="SG506"):
        asyncio.run(mesh.share(1, []))
    asyncio.run(mesh.open(permit, elements(4)))
    asyncio.run(mesh.share(2, []))
    with pytest.raises(SecgenError, match="SG506"):
        asyncio.run(mesh.open(permit, elements(4)))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=2 * HEADER.size), st.binary(max_size=HELLO_BYTES + 8))
def test_random_bytes_are_never_a_frame(header: bytes, payload: bytes) -> None:
    with pytest.raises(FrameError):
        check_header(header, Header(Kind.SHARE, 1, 1, 1, 64))
    with pytest.raises(FrameError):
        read_hello(payload, SESSION.secrets[1], SESSION.session)


@settings(max_examples=15, deadline=None)
@given(st.binary(min_size=HEADER.size, max_size=300))
def test_random_bytes_end_in_a_named_error(junk: bytes) -> None:
    for frames in ((junk,), (hello(), junk)):
        found = failure(sending(*frames, then_close=True)).diagnostics[0]
        assert found.code in {"SG503", "SG504"}
