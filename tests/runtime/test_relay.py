"""The relay: who meets, who does not, and what it sees.  Real sockets, real TLS."""

import asyncio
import base64
import contextlib
import json
import secrets
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.runtime.network.dialling import (
    dial,
    proxy_from_environment,
    read_proxy,
    receive,
)
from secgen_dsl.runtime.network.meeting import (
    GREETING_BYTES,
    PREAMBLE_BYTES,
    Preamble,
    Role,
    Status,
    ask,
    digest_of,
    read_preamble,
    room_of,
)
from secgen_dsl.runtime.network.relay import Event, Limits, _Ration
from secgen_dsl.runtime.trust.consortium import Address
from secgen_dsl.runtime.trust.identity import fingerprint_of
from tests.runtime.meetings import (
    LOOPBACK,
    PLAN,
    End,
    HttpProxy,
    Running,
    Site,
    consortium_toml,
    free_port,
    new_site,
    over_tls,
    relay,
)
from tests.wording import assert_helpful

NORTH, SOUTH, EAST = SITES = tuple(new_site(name) for name in ("north", "south", "east"))
STRANGER = new_site("stranger")
WAITS, DIALS = Role.WAITS, Role.DIALS


async def pair(running: Running, one: Site = NORTH, other: Site = SOUTH) -> tuple[End, End]:
    async with asyncio.timeout(20):
        first, second = await asyncio.gather(
            running.meet(one, other, WAITS), running.meet(other, one, DIALS)
        )
    return first, second


async def refusal(meeting: object) -> str:
    """The one diagnostic of a meeting that fails: its place, message and next step."""
    with pytest.raises(SecgenError) as error:
        await meeting  # type: ignore[misc]
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "SG528"
    assert_helpful(diagnostic)
    return f"{diagnostic.place}: {diagnostic.message}; {diagnostic.next_step}"


def preamble(me: Site = NORTH, peer: Site = SOUTH, role: Role = WAITS) -> bytes:
    return Preamble(role, bytes(32), digest_of(me.entry), digest_of(peer.entry)).pack()


async def greeted(running: Running, data: bytes) -> tuple[socket.socket, bytes]:
    """By hand: send a preamble, and take the challenge."""
    loop = asyncio.get_running_loop()
    sock = await dial(running.address, proxy=None, timeout=20)
    await loop.sock_sendall(sock, data)
    greeting = await asyncio.wait_for(receive(sock, GREETING_BYTES), 20)
    return sock, greeting[8:]


async def hangs_up(sock: socket.socket) -> bool:
    """The far end closes without a byte."""
    try:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 1), 20) == b""
    except ConnectionError:
        return True
    finally:
        sock.close()


# -- what is meant ------------------------------------------------------------------------------


def test_tls_from_end_to_end_and_nothing_of_it_can_be_read_on_the_way(tmp_path: Path) -> None:
    said = [b"the shares of north " * 500, b"and those of south " * 70_000]

    async def tested() -> tuple[bytes, Running]:
        # Whoever forwards between a party and the relay sees what the relay sees.
        async with relay(SITES) as running, HttpProxy().running() as tap:
            proxy = f"http://{tap.address}"
            waits, dials = await asyncio.gather(
                running.socket(NORTH, SOUTH, WAITS, proxy=proxy),
                running.socket(SOUTH, NORTH, DIALS, proxy=proxy),
            )
            north, south = await asyncio.gather(
                over_tls(waits, NORTH.tls(SOUTH, tmp_path, server=True), server=True),
                over_tls(dials, SOUTH.tls(NORTH, tmp_path, server=False), server=False),
            )
            await north.says(said[0], south)
            await south.says(said[1], north)
            for end, peer in ((north, SOUTH), (south, NORTH)):
                tls = end.writer.get_extra_info("ssl_object")
                assert tls.version() == "TLSv1.3"
                shown = fingerprint_of(tls.getpeercert(binary_form=True))
                assert shown == peer.entry.fingerprint
                end.close()
            await running.until("parted")
            return b"".join(tap.seen), running

    passed, running = asyncio.run(tested())
    assert len(passed) > 2 * sum(map(len, said))  # twice: to the relay, and from it
    for data in said:
        assert data[:19] not in passed
    for name in (b"north", b"south", PLAN.encode(), bytes.fromhex(PLAN)):
        assert name not in passed
    (met,), (parted,) = running.said("met"), running.said("parted")
    assert set(met.parties) == {"north", "south"}
    assert sum(parted.sent) > sum(map(len, said))
    shown = "".join(one.as_text() + json.dumps(one.as_json()) for one in running.events)
    assert "shares" not in shown


def test_whom_the_relay_pairs_is_not_believed(tmp_path: Path) -> None:
    """South poses as a relay that has east for north: TLS does not begin."""

    async def tested() -> None:
        async with relay(SITES) as running:
            waits, dials = await asyncio.gather(
                running.socket(NORTH, SOUTH, WAITS), running.socket(SOUTH, NORTH, DIALS)
            )
            ends = await asyncio.gather(
                over_tls(waits, NORTH.tls(EAST, tmp_path, server=True), server=True),
                over_tls(dials, SOUTH.tls(NORTH, tmp_path, server=False), server=False),
                return_exceptions=True,
            )
            assert isinstance(ends[0], ssl.SSLError)

    asyncio.run(tested())


@settings(max_examples=15, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=100_000), max_size=6), st.integers(0, 2**31))
def test_bytes_pass_unchanged_both_ways(chunks: list[bytes], size: int) -> None:
    data = secrets.token_bytes(size % 1_000_000)

    async def tested() -> None:
        async with relay(SITES) as running:
            north, south = await pair(running)
            await asyncio.gather(north.says(b"".join(chunks), south), south.says(data, north))
            # The end of one direction is passed on, and the other one stays open.
            north.writer.write_eof()
            assert await asyncio.wait_for(south.reader.read(1), 20) == b""
            await south.says(b"still here", north)
            south.writer.write_eof()
            await running.until("parted")
            (parted,) = running.said("parted")
            assert sorted(parted.sent) == sorted([len(b"".join(chunks)), len(data) + 10])
            assert parted.why == "ended"

    asyncio.run(tested())


def test_runs_and_pairs_do_not_mix() -> None:
    rooms = [room_of([one.entry for one in sites], PLAN) for sites in (SITES, (NORTH, SOUTH))]
    rooms.append(room_of([one.entry for one in SITES], "cd" * 32))
    assert len(set(rooms)) == 3

    async def tested() -> None:
        async with relay(SITES) as running:
            wanted = [
                (one, other, room)
                for room in rooms
                for one, other in ((NORTH, SOUTH), (NORTH, EAST), (SOUTH, EAST))
            ]
            waiting = [
                asyncio.create_task(running.meet(one, other, WAITS, room=room))
                for one, other, room in wanted
            ]
            await running.until("waits", len(wanted))
            for number, (one, other, room) in reversed(list(enumerate(wanted))):
                dialler = await running.meet(other, one, DIALS, room=room)
                await dialler.says(f"pair {number}".encode(), await waiting[number])

    asyncio.run(tested())


def test_a_slow_reader_slows_the_sender_and_nothing_piles_up() -> None:
    async def tested() -> int:
        async with relay(SITES) as running:
            north, south = await pair(running)
            south.reader._transport.pause_reading()  # type: ignore[attr-defined]
            north.writer.transport.set_write_buffer_limits(0)
            sent = 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    while sent < 1 << 30:
                        north.writer.write(bytes(1 << 20))
                        await north.writer.drain()
                        sent += 1 << 20
            # The other direction and other pairs go on.
            await south.says(b"I read nothing, but speak", north)
            one, other = await pair(running, NORTH, EAST)
            await one.says(bytes(3_000_000), other)
            return sent

    # What the kernel's buffers of four sockets hold, and no more.
    assert asyncio.run(tested()) < 64 << 20


# -- who is refused -----------------------------------------------------------------------------


def test_strangers_and_keys_of_others_are_not_admitted() -> None:
    async def tested() -> None:
        async with relay(SITES) as running:
            waiting = asyncio.create_task(running.meet(NORTH, SOUTH, WAITS))
            await running.until("waits")
            for me, key in ((STRANGER, STRANGER.signer), (SOUTH, STRANGER.signer)):
                said = await refusal(running.meet(me, NORTH, DIALS, signer=key))
                assert "does not admit this party" in said
                assert str(running.address) in said
                with pytest.raises(SecgenError, match="does not admit"):
                    await ask(running.address, proxy=None, signer=key, me=me.entry, timeout=20)
            said = await refusal(running.meet(SOUTH, STRANGER, DIALS))
            assert "does not know the other party's certificate" in said
            said = await refusal(running.meet(SOUTH, SOUTH, DIALS))
            assert "the other party" in said
            assert not running.said("met")
            # The relay's own log says why, a line for each.
            strangers = "no party of this relay's consortium.toml has its certificate"
            posing = "it shows the certificate of south and has not the key"
            told = [one for one in running.said("refused") if not one.parties]
            assert {one.why for one in told} == {strangers, posing}
            assert {one.address for one in told} == {LOOPBACK}
            south = [one for one in running.said("refused") if one.parties]
            assert [(one.parties, "peer" in one.why) for one in south] == [(("south",), True)] * 2
            assert f"south at {LOOPBACK} was refused: no other party" in south[0].as_text()
            # None of this has touched the one that waits.
            await (await running.meet(SOUTH, NORTH, DIALS)).says(b"hello", await waiting)

    asyncio.run(tested())


def test_a_party_can_ask_whether_it_is_admitted() -> None:
    async def tested() -> None:
        async with relay(SITES) as running:
            await ask(running.address, proxy=None, signer=NORTH.signer, me=NORTH.entry, timeout=20)
            assert running.events == []

    asyncio.run(tested())


def test_a_signature_counts_for_one_challenge_and_one_preamble() -> None:
    async def tested() -> None:
        loop = asyncio.get_running_loop()
        async with relay(SITES) as running:
            sock, challenge = await greeted(running, preamble())
            signature = NORTH.signer.sign("relay", challenge + preamble())
            await loop.sock_sendall(sock, signature)
            assert await receive(sock, 1) == bytes([Status.ADMITTED])
            # Replayed for a new challenge; for another peer; made for another purpose.
            again, fresh = await greeted(running, preamble())
            assert fresh != challenge
            await loop.sock_sendall(again, signature)
            assert await hangs_up(again)
            other, fresh = await greeted(running, preamble(peer=EAST))
            await loop.sock_sendall(other, NORTH.signer.sign("relay", fresh + preamble()))
            assert await hangs_up(other)
            hello, fresh = await greeted(running, preamble())
            await loop.sock_sendall(hello, NORTH.signer.sign("hello", fresh + preamble()))
            assert await hangs_up(hello)
            assert not running.said("left")
            sock.close()

    asyncio.run(tested())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"S",
        b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n",
        b"\x80\x04\x95" + bytes(200),
        preamble()[:-1],
        b"X" + preamble()[1:],
        preamble()[:7] + b"\x02" + preamble()[8:],
        preamble()[:8] + b"\x03" + preamble()[9:],
        preamble() + bytes(64),
        bytes(5_000_000),
    ],
    ids=["nothing", "byte", "http", "pickle", "short", "magic", "version", "role", "long", "large"],
)
def test_what_is_no_preamble_is_hung_up_on(data: bytes) -> None:
    async def tested() -> None:
        loop = asyncio.get_running_loop()
        async with relay(SITES, Limits(handshake=1)) as running:
            waiting = asyncio.create_task(running.meet(NORTH, SOUTH, WAITS))
            await running.until("waits")
            sock = await dial(running.address, proxy=None, timeout=20)
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(sock, data)
            with contextlib.suppress(ConnectionError):
                # At most the greeting, which tells nothing; then the end.
                received = 0
                while part := await asyncio.wait_for(loop.sock_recv(sock, 4096), 20):
                    received += len(part)
                assert received in (0, GREETING_BYTES)
            sock.close()
            await running.until("refused")
            await (await running.meet(SOUTH, NORTH, DIALS)).says(b"hello", await waiting)

    asyncio.run(tested())


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=PREAMBLE_BYTES, max_size=PREAMBLE_BYTES))
def test_only_preambles_are_read_as_such(data: bytes) -> None:
    with pytest.raises(ValueError, match="no preamble"):
        read_preamble(data)
    assert read_preamble(preamble()).pack() == preamble()


def test_those_who_connect_and_say_nothing_do_not_keep_parties_out() -> None:
    async def tested() -> None:
        loop = asyncio.get_running_loop()
        limits = Limits(handshake=30, strangers=8)
        async with relay(SITES, limits) as running:
            waiting = asyncio.create_task(running.meet(NORTH, SOUTH, WAITS))
            await running.until("waits")
            silent = [await dial(running.address, proxy=None, timeout=20) for _ in range(40)]
            for sock in silent[-8:]:
                await loop.sock_sendall(sock, preamble()[:50])  # and no more, ever
            dialler = await running.meet(SOUTH, NORTH, DIALS)
            await dialler.says(b"hello", await waiting)
            # The oldest ones went, long before their time.
            assert all([await hangs_up(sock) for sock in silent[:30]])
            for sock in silent:
                sock.close()

    asyncio.run(tested())


def test_a_silent_stranger_is_hung_up_on_in_time() -> None:
    async def tested() -> None:
        async with relay(SITES, Limits(handshake=0.2)) as running:
            assert await hangs_up(await dial(running.address, proxy=None, timeout=20))
            sock, _ = await greeted(running, preamble())
            assert await hangs_up(sock)

    asyncio.run(tested())


def test_a_flood_of_strangers_does_not_fill_the_log() -> None:
    async def tested() -> None:
        async with relay(SITES) as running:
            for _ in range(60):
                sock = await dial(running.address, proxy=None, timeout=20)
                sock.send(bytes(PREAMBLE_BYTES))
                sock.close()
            await running.until("refused", 10)
            # What parties are told is still said.
            await refusal(running.meet(SOUTH, STRANGER, DIALS))
            assert [len(one.parties) for one in running.said("refused")] == [0] * 10 + [1]
            assert {one.why for one in running.events[:10]} <= {
                "it sent no preamble: it is no party of secgen",
                "it hung up before it had said and proved whose it is",
            }

    asyncio.run(tested())


def test_what_was_left_out_of_the_log_is_counted() -> None:
    ration = _Ration()
    assert [ration.take(0.1 * n) for n in range(13)] == [0] * 10 + [None] * 3
    assert [ration.take(60.0 + n) for n in range(2)] == [3, 0]
    said = Event("refused", why="it hung up", address="192.0.2.7", unlisted=1234).as_text()
    assert (
        said
        == "192.0.2.7 was refused: it hung up (1,234 more were refused since the last such line)"
    )


def test_one_party_cannot_take_all_places() -> None:
    async def tested() -> None:
        async with relay(SITES, Limits(of_a_party=3)) as running:
            waiting = [
                asyncio.create_task(running.meet(NORTH, SOUTH, WAITS, room=bytes([n]) * 32))
                for n in range(3)
            ]
            await running.until("waits", 3)
            said = await refusal(running.meet(NORTH, EAST, WAITS))
            assert "as many connections of this party as it may" in said
            for end in await pair(running, SOUTH, EAST):
                end.close()
            await running.until("parted")
            for task in waiting:
                task.cancel()
            await running.until("left", 3)
            await pair(running, NORTH, EAST)

    asyncio.run(tested())


# -- waiting ------------------------------------------------------------------------------------


def test_who_left_is_not_met_and_a_newer_connection_takes_the_place() -> None:
    async def tested() -> None:
        async with relay(SITES) as running:
            gone = asyncio.create_task(running.meet(NORTH, SOUTH, WAITS))
            await running.until("waits")
            gone.cancel()
            await running.until("left")
            older = asyncio.create_task(running.meet(NORTH, SOUTH, WAITS))
            await running.until("waits", 2)
            newer = asyncio.create_task(running.meet(NORTH, SOUTH, WAITS))
            assert "newer connection of this party" in await refusal(older)
            south = await running.meet(SOUTH, NORTH, DIALS)
            await south.says(b"hello", await newer)
            assert [one.why for one in running.said("left")] == ["it left", "replaced"]

    asyncio.run(tested())


def test_who_speaks_before_the_peer_has_come_is_hung_up_on() -> None:
    async def tested() -> None:
        loop = asyncio.get_running_loop()
        async with relay(SITES) as running:
            sock, challenge = await greeted(running, preamble())
            signature = NORTH.signer.sign("relay", challenge + preamble())
            await loop.sock_sendall(sock, signature)
            assert await receive(sock, 1) == bytes([Status.ADMITTED])
            await loop.sock_sendall(sock, b"too early")
            assert await hangs_up(sock)

    asyncio.run(tested())


def test_two_that_both_wait_are_told() -> None:
    async def tested() -> None:
        async with relay(SITES) as running:
            first = asyncio.create_task(running.meet(NORTH, SOUTH, WAITS))
            await running.until("waits")
            assert "both parties wait" in await refusal(running.meet(SOUTH, NORTH, WAITS))
            await (await running.meet(SOUTH, NORTH, DIALS)).says(b"hello", await first)

    asyncio.run(tested())


def test_a_peer_that_does_not_come_is_named() -> None:
    async def tested() -> None:
        async with relay(SITES, Limits(idle=0.2)) as running:
            said = await refusal(running.meet(NORTH, SOUTH, WAITS, timeout=0.5))
            assert "did not come before the relay's limit" in said
        async with relay(SITES) as running:
            said = await refusal(running.meet(NORTH, SOUTH, WAITS, timeout=0.5))
            assert "party north, meeting south at the relay" in said
            assert f"south did not come to the relay {running.address} within 0.5 s" in said

    asyncio.run(tested())


def test_a_pair_that_is_silent_or_broken_off_parts() -> None:
    async def tested() -> None:
        async with relay(SITES, Limits(idle=0.3)) as running:
            north, _ = await pair(running)
            assert await asyncio.wait_for(north.reader.read(), 20) == b""
            await running.until("parted")
            north, south = await pair(running)
            north.close()
            await asyncio.wait_for(south.reader.read(), 20)
            south.close()
            await running.until("parted", 2)
            assert running.said("parted")[0].why == "silent"

    asyncio.run(tested())


def test_a_relay_that_is_started_late_or_anew_is_found() -> None:
    async def tested() -> None:
        port = free_port()
        later = Running(SITES, Address(LOOPBACK, port))
        waiting = asyncio.create_task(later.meet(NORTH, SOUTH, WAITS))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        async with relay(SITES, port=port) as first:
            await first.until("waits")
        async with relay(SITES, port=port) as second:
            south = await later.meet(SOUTH, NORTH, DIALS)
            await south.says(b"hello", await waiting)
            assert second.said("met")
        said = await refusal(later.meet(NORTH, SOUTH, WAITS, timeout=0.5))
        assert f"the relay {later.address} cannot be reached: " in said
        assert f"is up at {later.address}" in said

    asyncio.run(tested())


# -- through a proxy ----------------------------------------------------------------------------


def test_a_proxy_with_a_password() -> None:
    async def tested() -> None:
        credentials = "Basic " + base64.b64encode(b"u ser:h@dden:1").decode()
        async with relay(SITES) as running, HttpProxy(credentials=credentials).running() as proxy:
            given = f"http://u%20ser:h%40dden%3A1@{proxy.address}"
            waiting = asyncio.create_task(running.meet(NORTH, SOUTH, WAITS, proxy=given))
            south = await running.meet(SOUTH, NORTH, DIALS, proxy=given)
            await south.says(b"hello", await waiting)
            assert proxy.heads[0].startswith(
                f"CONNECT {running.address} HTTP/1.1\r\nHost: {running.address}\r\n".encode()
            )
            for wanted, asks in (
                (f"http://a:h%40dden@{proxy.address}", "refuses this user"),
                (f"{proxy.address}", "asks for a user"),
            ):
                said = await refusal(running.meet(NORTH, SOUTH, WAITS, proxy=wanted))
                assert asks in said
                assert "407 (it asks for: basic, negotiate)" in said
                assert "dden" not in said

    asyncio.run(tested())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nSECRETS!!", "refuses to connect"),
        (b"HTTP/1.0 405 \r\n\r\n", "status 405"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "does not reach"),
        (b"HTTP/2 200\r\n\r\n", "is no HTTP proxy"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "is no HTTP proxy"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "is no HTTP proxy"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, "is no HTTP proxy"),
        (b"HTTP/1.1 200 OK\r\n", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"<html>this is a page, no relay</html>" * 2, "no relay of"),
    ],
    ids=["403", "405", "502", "http2", "number", "ssh", "large", "cut", "page"],
)
def test_proxies_that_refuse(answer: bytes, says: str) -> None:
    async def tested() -> None:
        async with relay(SITES) as running, HttpProxy(answer).running() as proxy:
            given = f"http://me:hidden@{proxy.address}"
            said = await refusal(running.meet(NORTH, SOUTH, WAITS, proxy=given, timeout=1.5))
            assert says in said
            assert "hidden" not in said
            assert "SECRETS" not in said

    asyncio.run(tested())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://p:1",
        "socks5://p:1",
        "http://p:0",
        "http://p:99999",
        "http://",
        "http://a b:1",
        "http://p:1/path",
        "http://u%3Av:hidden@p:1",
        "http://[::1:80",
        "http://p\r\nX: y:1",
    ],
)
def test_addresses_of_proxies_that_are_none(text: str) -> None:
    with pytest.raises(SecgenError) as error:
        read_proxy(text)
    (diagnostic,) = error.value.diagnostics
    assert_helpful(diagnostic)
    assert "hidden" not in str(error.value)


def test_addresses_of_proxies() -> None:
    assert read_proxy("http://proxy.example.org:3128").address == Address("proxy.example.org", 3128)
    assert read_proxy("proxy:3128/").address == Address("proxy", 3128)
    assert read_proxy("http://[::1]").address == Address("::1", 80)
    proxy = read_proxy("http://user:hidden@proxy")
    assert base64.b64decode(proxy.authorization.split()[1]) == b"user:hidden"
    assert proxy.authorization.split()[1] not in repr(proxy)


def test_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    relay_address = Address("relay.example.org", 443)
    assert proxy_from_environment(relay_address) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert proxy_from_environment(relay_address) == "http://proxy:3128"
    monkeypatch.setenv("NO_PROXY", "localhost,.example.org")
    assert proxy_from_environment(relay_address) is None
    assert proxy_from_environment(Address("relay.example.com", 443)) == "http://proxy:3128"


# -- the command --------------------------------------------------------------------------------


def test_the_command(tmp_path: Path) -> None:
    address = Address(LOOPBACK, free_port())
    path = tmp_path / "consortium.toml"
    path.write_text(consortium_toml(SITES, address))
    command = [sys.executable, "-m", "secgen_dsl.cli.main", "relay", "--consortium", str(path)]
    with subprocess.Popen(
        [*command, "--listen", str(address), "--log-json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["event"] == "listens"
            taken = subprocess.run(
                [*command, "--listen", str(address)], capture_output=True, text=True, check=False
            )
            assert taken.returncode == 1
            assert "SG528" in taken.stderr

            async def tested() -> None:
                running = Running(SITES, address)
                north, south = await pair(running)
                await north.says(bytes(100_000), south)
                north.writer.write_eof()
                south.writer.write_eof()
                await asyncio.wait_for(north.reader.read(), 20)
                await asyncio.wait_for(south.reader.read(), 20)

            asyncio.run(tested())
            lines = [json.loads(process.stdout.readline()) for _ in range(3)]
            process.send_signal(signal.SIGTERM)
            assert json.loads(process.stdout.readline())["event"] == "stopped"
            assert process.wait(20) == 0
        finally:
            process.kill()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert [line["event"] for line in lines] == ["waits", "met", "parted"]
    assert sorted(lines[2]["sent"]) == [0, 100_000]
    assert set(lines[1]["parties"]) == {"north", "south"}
