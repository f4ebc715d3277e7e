"""Distance on loopback: what arrives, when at the earliest, and who shares a way out."""

import asyncio
import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.cli.distance import distance_options
from secgen_dsl.runtime.network.distance import (
    Distance,
    SimulatedDistance,
    read_bandwidth,
    read_latency,
)


@contextlib.contextmanager
def far(
    distance: Distance, parties: int = 3
) -> Iterator[tuple[list[socket.socket], SimulatedDistance]]:
    with contextlib.ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(parties)
        ]
        for listener in listeners:
            listener.settimeout(20)
        ports = [listener.getsockname()[1] for listener in listeners]
        yield listeners, stack.enter_context(SimulatedDistance(ports, distance))


def dialled(distance: SimulatedDistance, dialler: int, index: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", distance.ports_for(dialler)[index]), timeout=20)


def connected(
    listeners: list[socket.socket], distance: SimulatedDistance, dialler: int, index: int
) -> tuple[socket.socket, socket.socket]:
    near = dialled(distance, dialler, index)
    far_end, _ = listeners[index].accept()
    far_end.settimeout(20)
    return near, far_end


def read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            break
        data += part
    return data


def test_questions_and_answers_take_a_round_trip_each() -> None:
    with far(Distance(latency=0.04)) as (listeners, distance):
        begun = time.monotonic()
        near, far_end = connected(listeners, distance, 2, 0)
        with near, far_end:
            # A round trip until the dialler may send, and the way of what it sends.
            for number in range(5):
                near.sendall(bytes([number]))
                assert read(far_end, 1) == bytes([number])
                far_end.sendall(bytes([number]))
                assert read(near, 1) == bytes([number])
        assert time.monotonic() - begun >= (2 + 5 * 2) * 0.04


def test_who_answers_first_waits_for_the_connection_too() -> None:
    with far(Distance(latency=0.05)) as (listeners, distance):
        begun = time.monotonic()
        with dialled(distance, 1, 0) as near:
            far_end, _ = listeners[0].accept()
            assert time.monotonic() - begun >= 3 * 0.05
            with far_end:
                far_end.sendall(b"hello")
                assert read(near, 5) == b"hello"
                assert time.monotonic() - begun >= 4 * 0.05


def test_bytes_take_their_time_on_the_uplink() -> None:
    with far(Distance(bandwidth=4e6)) as (listeners, distance):
        near, far_end = connected(listeners, distance, 1, 0)
        with near, far_end:
            for sender, receiver in ((near, far_end), (far_end, near)):
                data = secrets.token_bytes(200_000)
                begun = time.monotonic()
                writing = threading.Thread(target=sender.sendall, args=(data,))
                writing.start()
                assert read(receiver, len(data)) == data
                assert time.monotonic() - begun >= 200_000 * 8 / 4e6
                writing.join()


def test_connections_of_a_party_share_its_uplink_and_those_of_others_do_not() -> None:
    size, bandwidth = 100_000, 4e6
    alone = size * 8 / bandwidth

    def seconds(pairs: list[tuple[int, int]]) -> float:
        with far(Distance(bandwidth=bandwidth), 5) as (listeners, distance):
            ends = [connected(listeners, distance, *pair) for pair in pairs]
            # The one that was dialled sends: its uplink is what counts.
            threads = [
                threading.Thread(target=far_end.sendall, args=(bytes(size),)) for _, far_end in ends
            ]
            threads += [threading.Thread(target=read, args=(near, size)) for near, _ in ends]
            begun = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for near, far_end in ends:
                near.close()
                far_end.close()
            return time.monotonic() - begun

    shared = seconds([(1, 0), (2, 0), (3, 0), (4, 0)])
    assert shared >= 4 * alone
    # Four parties send at once, on four uplinks.
    assert seconds([(1, 0), (2, 1), (3, 2), (4, 3)]) < shared


def test_a_window_opens_slowly() -> None:
    """14,600 bytes leave at once; what is more waits for a round trip."""
    with far(Distance(latency=0.05)) as (listeners, distance):
        near, far_end = connected(listeners, distance, 1, 0)
        with near, far_end:
            for size, ways in ((14_600, 1), (40_000, 3)):
                time.sleep(0.5)  # after silence it begins anew
                begun = time.monotonic()
                near.sendall(bytes(size))
                read(far_end, size)
                assert time.monotonic() - begun >= ways * 0.05


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 200_000), min_size=1, max_size=6),
    st.sampled_from([Distance(), Distance(0.002), Distance(0.001, 1e9), Distance(0, 200e6)]),
)
def test_bytes_arrive_unchanged_both_ways(sizes: list[int], distance: Distance) -> None:
    chunks = [secrets.token_bytes(size) for size in sizes]

    def send(sock: socket.socket) -> None:
        for chunk in chunks:
            sock.sendall(chunk)
        sock.shutdown(socket.SHUT_WR)

    with far(distance, 2) as (listeners, simulated):
        near, far_end = connected(listeners, simulated, 1, 0)
        with near, far_end:
            threads = [threading.Thread(target=send, args=(sock,)) for sock in (near, far_end)]
            for thread in threads:
                thread.start()
            total = sum(sizes)
            received: list[bytes] = []
            reading = threading.Thread(target=lambda: received.append(read(near, total + 1)))
            reading.start()
            received.append(read(far_end, total + 1))
            for thread in (*threads, reading):
                thread.join()
    assert received == [b"".join(chunks)] * 2


def test_a_slow_reader_slows_the_sender() -> None:
    with far(Distance(0.001, 50e9), 2) as (listeners, distance):
        near, far_end = connected(listeners, distance, 1, 0)
        with near, far_end:
            near.settimeout(1)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 1 << 30:
                    sent += near.send(bytes(1 << 20))
            assert sent < 64 << 20
            assert read(far_end, sent) == bytes(sent)


def test_an_end_that_breaks_off_is_noticed_and_harms_no_other() -> None:
    with far(Distance(0.005)) as (listeners, distance):
        near, far_end = connected(listeners, distance, 1, 0)
        other, other_end = connected(listeners, distance, 2, 0)
        near.sendall(b"x")
        far_end.close()  # with something unread: a reset
        with pytest.raises(OSError):  # noqa: PT011, PT012 - reset or broken pipe
            for _ in range(1000):
                near.sendall(b"x")
                time.sleep(0.005)
        near.close()
        with other, other_end:
            other.sendall(b"hello")
            assert read(other_end, 5) == b"hello"


def test_a_port_on_which_nobody_listens_ends_the_connection() -> None:
    with far(Distance(0.005)) as (listeners, distance):
        listeners[0].close()
        with dialled(distance, 1, 0) as near, contextlib.suppress(ConnectionError):
            assert near.recv(1) == b""


def test_ports() -> None:
    with far(Distance()) as (listeners, distance):
        own = [listener.getsockname()[1] for listener in listeners]
        ports = [distance.ports_for(index) for index in range(3)]
        for index in range(3):
            assert ports[index][index] == own[index]
        every = [port for each in ports for port in each]
        assert len(set(every)) == 9
        used = set(every) - set(own)
    for port in used:  # and are free again
        with socket.socket() as sock:
            assert sock.connect_ex(("127.0.0.1", port)) != 0


def test_asyncio_and_many_connections() -> None:
    """Ten parties, each with all others, as a mesh opens them."""

    async def tested(listeners: list[socket.socket], distance: SimulatedDistance) -> int:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(10_000))
            writer.close()

        servers = [await asyncio.start_server(echo, sock=each) for each in listeners]

        async def ask(dialler: int, index: int) -> int:
            port = distance.ports_for(dialler)[index]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            data = secrets.token_bytes(10_000)
            writer.write(data)
            assert await reader.read(-1) == data
            writer.close()
            return 1

        wanted = [ask(i, j) for i in range(10) for j in range(i)]
        answered = await asyncio.wait_for(asyncio.gather(*wanted), 60)
        for server in servers:
            server.close()
        return sum(answered)

    with far(Distance(0.01, 100e6), 10) as (listeners, distance):
        assert asyncio.run(tested(listeners, distance)) == 45


def test_values_of_the_options() -> None:
    assert read_latency("50ms") == read_latency("0.05s") == 0.05
    assert read_latency("0ms") == 0
    assert read_bandwidth("500kbit") == 500e3
    assert read_bandwidth("20mbit") == 20e6
    assert read_bandwidth("1.5gbit") == 1.5e9


@pytest.mark.parametrize(
    "text", ["", "50", "ms", "-1ms", "50 ms", "11s", "1e2ms", "50MS", "nan", ".5s", "5μs", "٣ms"]
)
def test_values_that_are_no_latency(text: str) -> None:
    with pytest.raises(ValueError, match=r"for example 50ms or 0\.05s"):
        read_latency(text)


@pytest.mark.parametrize(
    "text", ["", "20", "20mb", "20Mbit", "0mbit", "9kbit", "101gbit", "-1mbit"]
)
def test_values_that_are_no_bandwidth(text: str) -> None:
    with pytest.raises(ValueError, match="for example 20mbit"):
        read_bandwidth(text)


def test_the_options_of_a_command() -> None:
    @click.command()
    @distance_options
    def tried(distance: Distance | None) -> None:
        click.echo(repr(distance))

    def said(*arguments: str) -> str:
        return CliRunner().invoke(tried, arguments).output

    assert said() == "None\n"
    assert said("--latency", "50ms") == f"{Distance(0.05)!r}\n"
    both = said("--latency", "50ms", "--bandwidth", "20mbit")
    assert both == f"{Distance(0.05, 20e6)!r}\n"
    assert "'20' is no bandwidth from 10kbit to 100gbit" in said("--bandwidth", "20")
