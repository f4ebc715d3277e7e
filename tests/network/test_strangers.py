"""Who is no party, or poses as another one: the run of the honest parties completes."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from secgen_dsl.backends.mpyc.local import LocalConsortium
from secgen_dsl.runtime.network.admission import STRANGERS
from secgen_dsl.runtime.network.links import HANDSHAKE_SECONDS
from secgen_dsl.runtime.trust.consortium import Address
from secgen_dsl.runtime.trust.identity import (
    Certificate,
    new_certificate,
    new_signer,
    write_private,
)

from .meshes import (
    Ended,
    Wire,
    World,
    closed_port,
    failure,
    honest,
    honest_run,
    listeners,
    world_of,
)


def unchecked() -> ssl.SSLContext:
    """TLS of somebody who shows no certificate and believes everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def visit(port: int, context: ssl.SSLContext | None, data: bytes) -> bytes:
    """Say something, and what is answered: nothing, if the party is right."""
    heard = b""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=None if context is None else ""
        )
        with contextlib.suppress(OSError):
            writer.write(data)
            await writer.drain()
            heard = await asyncio.wait_for(reader.read(2000), 5)
        writer.transport.abort()
    return heard


Stranger = Callable[[World, int], Awaitable[bytes]]


async def junk(_: World, port: int) -> bytes:
    heard = await visit(port, None, b"GET / HTTP/1.1\r\n\r\n" + bytes(3000))
    return b"" if heard[:1] == b"\x15" else heard  # an alert of TLS says nothing


async def without_certificate(world: World, port: int) -> bytes:
    return await visit(port, unchecked(), await hello_of(world))


async def old_tls(world: World, port: int) -> bytes:
    context = unchecked()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(world.local.certificates[1], world.local.keys[1])
    return await visit(port, context, await hello_of(world))


async def certificate_of_nobody(world: World, port: int) -> bytes:
    context = unchecked()
    signer = new_signer()
    key, certificate = world.folder / f"{port}.key", world.folder / f"{port}.crt"
    write_private(key, signer.pem())
    certificate.write_text(new_certificate(signer, "party 1", "127.0.0.1", days=1).pem)
    context.load_cert_chain(certificate, key)
    return await visit(port, context, await hello_of(world))


async def hello_of(world: World) -> bytes:
    """A hello that party b has really signed: without its certificate it is worth nothing."""
    reader = asyncio.StreamReader()
    wire = Wire(world, 1, 0, reader, None)  # type: ignore[arg-type]
    return wire.hello()


@pytest.mark.parametrize("stranger", [junk, without_certificate, old_tls, certificate_of_nobody])
def test_strangers_hear_nothing_and_stop_nobody(tmp_path: Path, stranger: Stranger) -> None:
    world = world_of(tmp_path / "keys", parties=3)
    heard: list[bytes] = []

    async def strangers(ports: Sequence[int]) -> None:
        heard.extend(await asyncio.gather(*(stranger(world, port) for port in ports)))

    ended = asyncio.run(honest_run(world, strangers))
    assert [one.complete for one in ended] == [True] * 3
    assert heard in ([], [b""] * 3)


def test_hundreds_of_connections_that_never_finish(tmp_path: Path) -> None:
    world = world_of(tmp_path / "keys", parties=3, connect_timeout=60.0, timeout=60.0)
    held: list[socket.socket] = []

    async def strangers(ports: Sequence[int]) -> None:
        loop = asyncio.get_running_loop()
        for port in ports * 150:
            one = socket.socket()
            one.setblocking(False)
            held.append(one)
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(0.2):
                    await loop.sock_connect(one, ("127.0.0.1", port))
                    await loop.sock_sendall(one, b"\x16\x03\x01")  # TLS begins so

    try:
        ended = asyncio.run(honest_run(world, strangers))
    finally:
        for one in held:
            one.close()
    assert [one.complete for one in ended] == [True] * 3
    assert len(held) == 450


def test_strangers_make_place_for_a_party(tmp_path: Path) -> None:
    """They hold all places of those who are nobody yet, and do not wait to be sent away."""
    world = world_of(tmp_path / "keys", parties=2)

    async def run() -> Ended:
        (listener,), (port,) = listeners(1)
        first = asyncio.ensure_future(honest(world, 0, [port, port], listener))
        held = await asyncio.gather(
            *(asyncio.open_connection("127.0.0.1", port) for _ in range(2 * STRANGERS))
        )
        second = await honest(world, 1, [port, closed_port()], None)
        assert second.seconds < HANDSHAKE_SECONDS
        for _, writer in held:
            writer.close()
        return await first

    assert asyncio.run(run()).complete


def test_connections_with_a_valid_certificate_that_never_say_hello(tmp_path: Path) -> None:
    world = world_of(tmp_path / "keys", parties=3, connect_timeout=60.0, timeout=60.0)

    async def strangers(ports: Sequence[int]) -> None:
        wires: list[Wire] = []
        try:
            with contextlib.suppress(OSError):  # nobody listens any more when the run is done
                for _ in range(15):
                    wires.append(await Wire.dial(world, ports[0], me=2))
            assert wires
            await asyncio.sleep(60)
        finally:
            for wire in wires:
                wire.close()

    ended = asyncio.run(honest_run(world, strangers))
    assert [one.complete for one in ended] == [True] * 3


def test_a_party_poses_as_another(tmp_path: Path) -> None:
    """TLS has shown that it is c: b's hello on its connection is refused, and c is named."""
    world = world_of(tmp_path / "keys", parties=3)

    async def pose(me: int, signer: int) -> Ended:
        (listener,), (port,) = listeners(1)
        ports = [port, closed_port(), closed_port()]
        running = asyncio.ensure_future(honest(world, 0, ports, listener))
        wire = await Wire.dial(world, port, me=2)
        wire.me = me
        await wire.send(wire.hello(signer=world.signer(signer)))
        ended = await running
        wire.close()
        return ended

    found = asyncio.run(pose(1, 2)).found
    assert (found.code, found.place) == ("SG503", "party a, the hello")
    assert found.message.startswith("c sent a frame")
    assert "its sender is 1 where the plan predicts 2" in found.message
    found = failure(world, lambda wire: wire.send(wire.hello(sender=2)))
    assert (found.code, found.message[:2]) == ("SG502", "b ")


def expired(local: LocalConsortium, index: int, folder: Path) -> LocalConsortium:
    """The same consortium, in which the certificate of one party has expired."""
    key = serialization.load_pem_private_key(local.keys[index].read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    yesterday = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(yesterday - timedelta(days=9))
        .not_valid_after(yesterday)
        .sign(key, None)
    )
    pem = made.public_bytes(serialization.Encoding.PEM).decode()
    path = folder / f"expired-{index}.crt"
    path.write_text(pem)
    certificates = [*local.made]
    certificates[index] = Certificate(pem)
    paths = [*local.certificates]
    paths[index] = path
    return LocalConsortium(
        local.parties, local.officers, tuple(certificates), local.keys, tuple(paths)
    )


@pytest.mark.parametrize("index", [0, 2])
def test_a_certificate_that_has_expired(tmp_path: Path, index: int) -> None:
    fresh = world_of(tmp_path / "keys", parties=3, connect_timeout=2.0, timeout=2.0)
    local = expired(fresh.local, index, tmp_path)
    world = World(local, fresh.folder, connect_timeout=2.0, timeout=2.0)
    ended = asyncio.run(honest_run(world))
    assert not any(one.stored for one in ended)
    if index == 2:  # it dials, and is refused
        found = ended[2].found
        assert found.code in {"SG504", "SG525"}
        assert "expired" in found.message
        assert "a (" in found.message or "a refuses this party's certificate" in found.message
        for one in ended[:2]:
            # Which of the two is the first to miss c is a matter of chance.
            assert one.found.code in {"SG504", "SG526"}
            assert "c (it has not called" in one.found.message or "from c" in one.found.message
    else:  # it is dialled
        assert {one.found.code for one in ended[1:]} <= {"SG525", "SG526"}
        said = " ".join(one.found.message for one in ended[1:])
        assert "whoever answers for a cannot be trusted" in said
        assert "expired" in said


def test_another_party_answers_at_an_address(tmp_path: Path) -> None:
    """Addresses of a and b mixed up: c says so, and the others hear why."""
    world = world_of(tmp_path / "keys", parties=3, connect_timeout=5.0, timeout=2.0)

    async def mixed() -> list[Ended]:
        made, ports = listeners(3)
        turned = [ports[1], ports[1], ports[2]]
        return list(
            await asyncio.gather(
                honest(world, 0, ports, made[0]),
                honest(world, 1, ports, made[1]),
                honest(world, 2, turned, made[2]),
            )
        )

    ended = asyncio.run(mixed())
    found = ended[2].found
    assert (found.code, found.place) == ("SG525", "party c, connecting")
    assert "whoever answers for a cannot be trusted" in found.message
    assert "shows the certificate of b" in found.message
    assert not any(one.stored for one in ended)
    assert all(one.found.code in {"SG504", "SG526"} for one in ended[:2])


def test_a_relay_that_is_down_is_named(tmp_path: Path) -> None:
    world = world_of(tmp_path / "world", connect_timeout=1.0)
    relay = Address("127.0.0.1", closed_port())
    endpoint = world.endpoint(0, [1, 1])
    hidden = tuple(one.model_copy(update={"address": ""}) for one in endpoint.entries)
    endpoint = replace(endpoint, entries=hidden, relay=relay)
    found = asyncio.run(honest(world, 0, [1, 1], None, endpoint=endpoint)).found
    assert found.code == "SG504"
    assert f"b (the relay {relay} cannot be reached: " in found.message
    assert f"ask who runs the relay whether `secgen relay` is up at {relay}" in found.next_step
