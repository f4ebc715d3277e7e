"""A simulation of distance: parties on this machine, as if their sites were far from each other.

A proxy in front of every port delays and paces what the parties send.  The model of a link:

- *Latency* is one way: a byte arrives that much later, and a question and its answer take twice as
  much.  Opening a connection takes one round trip before its first byte leaves, as TCP does.
- *Bandwidth* is that of a party's uplink, which all its connections share; downlinks are as wide as
  need be.  A byte takes 8 / bandwidth seconds of the uplink; headers of TCP/IP count nothing.
- *TCP's windows*: a connection may have 14,600 bytes on the way at first, and as many more as are
  acknowledged (RFC 5681 slow start, RFC 6928 initial window); after a pause it begins anew.  At
  most, what fills the link for a round trip, or 4 MB where bandwidth has no limit.

There is no loss, no jitter and no other traffic: a real network is slower, never faster.  Delays
are exact to about a millisecond.  The proxy passes some 500 MB/s on a core, which the parties lack
meanwhile: beyond about 1 Gbit/s in all it is the machine that is measured, not the distance.
"""

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

_INITIAL_WINDOW = 14_600  # bytes; RFC 6928
_SEGMENT = 1_460  # bytes; less room than this is not used
_LARGEST_WINDOW = 4_194_304  # bytes on the way, where bandwidth has no limit
_LARGEST_CHUNK = 65_536  # bytes
_CHUNK_SECONDS = 0.005  # of the uplink that a chunk takes at most, so that connections take turns
_AHEAD = 0.02  # seconds of the uplink that are promised in advance, so that it is never idle
_LEAST_TIMEOUT = 0.2  # seconds of silence after which a window begins anew, beside a round trip

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a reset instead of an orderly end

_LATENCY = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(ms|s)")
_BANDWIDTH = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(kbit|mbit|gbit)")
_LONGEST_LATENCY = 10.0  # seconds
_LEAST_BANDWIDTH, _MOST_BANDWIDTH = 10_000.0, 100e9  # bits per second


@dataclass(frozen=True)
class Distance:
    """How far sites are from each other.

    Attributes:
        latency: seconds ≥ 0, one way.
        bandwidth: bits per second of each party's uplink; None: no limit.
    """

    latency: float = 0.0
    bandwidth: float | None = None

    @property
    def window(self) -> int:
        """Bytes that a connection may have on the way in one direction."""
        if self.bandwidth is None:
            return _LARGEST_WINDOW
        in_a_round_trip = int(self.bandwidth / 8 * (2 * self.latency + 2 * _AHEAD))
        return min(_LARGEST_WINDOW, max(_INITIAL_WINDOW, in_a_round_trip))

    @property
    def chunk(self) -> int:
        """Bytes that are delayed as one."""
        if self.bandwidth is None:
            return _LARGEST_CHUNK
        return min(_LARGEST_CHUNK, max(_SEGMENT, int(self.bandwidth / 8 * _CHUNK_SECONDS)))


def read_latency(text: str) -> float:
    """Seconds one way, from ``50ms`` or ``0.05s``.

    Raises:
        ValueError: it is none, or more than 10 s.
    """
    found = _LATENCY.fullmatch(text)
    seconds = float(found[1]) / (1000 if found[2] == "ms" else 1) if found else -1.0
    if not 0 <= seconds <= _LONGEST_LATENCY:
        raise ValueError(f"{text!r} is no time from 0 to 10 s, for example 50ms or 0.05s")
    return seconds


def read_bandwidth(text: str) -> float:
    """Bits per second, from ``500kbit``, ``20mbit`` or ``1gbit`` (powers of 1000, a second).

    Raises:
        ValueError: it is none, or out of 10kbit to 100gbit.
    """
    found = _BANDWIDTH.fullmatch(text)
    units = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
    bits = float(found[1]) * units[found[2]] if found else -1.0
    if not _LEAST_BANDWIDTH <= bits <= _MOST_BANDWIDTH:
        raise ValueError(
            f"{text!r} is no bandwidth from 10kbit to 100gbit a second, for example 20mbit"
        )
    return bits


class SimulatedDistance:
    """Proxies between parties of this machine; a context manager.

    It works in a thread of its own.  What is listened on is on 127.0.0.1 only.
    """

    def __init__(self, listening_ports: Sequence[int], distance: Distance) -> None:
        """Prepare.

        Args:
            listening_ports: of the parties, in their order, on 127.0.0.1; each is dialled when a
                connection to it has come.
            distance: between any two of them.
        """
        self._ports = tuple(listening_ports)
        self._distance = distance
        self._listeners: dict[tuple[int, int], socket.socket] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def ports_for(self, dialler: int) -> tuple[int, ...]:
        """The ports of 127.0.0.1 on which a party reaches the others.

        Args:
            dialler: index of the party that dials.

        Returns:
            For each party a port; for the dialler itself its own one.
        """
        return tuple(
            port if index == dialler else self._listeners[dialler, index].getsockname()[1]
            for index, port in enumerate(self._ports)
        )

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: there are not enough ports.
        """
        parties = range(len(self._ports))
        try:
            for dialler in parties:
                for index in parties:
                    if index != dialler:
                        self._listeners[dialler, index] = socket.create_server(("127.0.0.1", 0))
        except OSError:
            for listener in self._listeners.values():
                listener.close()
            raise
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result()

    def stop(self) -> None:
        """Drop every connection, and end the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # -- in the thread ------------------------------------------------------------------------

    async def _begin(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._uplinks = [_Uplink(self._distance.bandwidth) for _ in self._ports]
        for (dialler, index), listener in self._listeners.items():
            listener.setblocking(False)
            self._spawn(self._accept(dialler, index, listener))

    async def _end(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._listeners.values():
            listener.close()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, dialler: int, index: int, listener: socket.socket) -> None:
        while True:
            await asyncio.sleep(0)
            try:
                near, _ = await self._loop.sock_accept(listener)
            except OSError:  # the caller has gone, or too many files are open
                await asyncio.sleep(0.1)
                continue
            self._spawn(self._connect(dialler, index, near))

    async def _connect(self, dialler: int, index: int, near: socket.socket) -> None:
        """SYN and its answer take a round trip; the dialler's ACK, and its data, arrive after."""
        latency = self._distance.latency
        with near, socket.socket() as far:
            for sock in (near, far):
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            out = _Direction(near, far, self._uplinks[dialler], self._distance)
            back = _Direction(far, near, self._uplinks[index], self._distance)
            try:
                async with asyncio.TaskGroup() as group:
                    await asyncio.sleep(2 * latency)
                    group.create_task(out.take())
                    await asyncio.sleep(latency)
                    await self._loop.sock_connect(far, ("127.0.0.1", self._ports[index]))
                    group.create_task(out.deliver())
                    group.create_task(back.take())
                    group.create_task(back.deliver())
            except* OSError:  # one end broke off: so does the other
                for sock in (near, far):
                    with contextlib.suppress(OSError):
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


class _Uplink:
    """A party's way out, in the order in which its bytes come."""

    def __init__(self, bandwidth: float | None) -> None:
        self._seconds_a_byte = 0.0 if bandwidth is None else 8 / bandwidth
        self._free = 0.0

    def send(self, now: float, size: int) -> float:
        """Put bytes on it; the time at which the last one has left."""
        self._free = max(now, self._free) + size * self._seconds_a_byte
        return self._free

    def ahead(self, now: float) -> float:
        """Seconds to wait before more is taken: the sender is slowed down, nothing piles up."""
        return self._free - now - _AHEAD


class _Direction:
    """What one end of a connection sends."""

    def __init__(
        self, source: socket.socket, sink: socket.socket, uplink: _Uplink, distance: Distance
    ) -> None:
        self._source, self._sink = source, sink
        self._uplink, self._distance = uplink, distance
        self._loop = asyncio.get_running_loop()
        self._on_the_way: deque[tuple[float, bytes]] = deque()  # when it arrives
        self._acknowledged: deque[tuple[float, int]] = deque()  # when the sender knows it
        self._changed = asyncio.Condition()
        self._window = min(_INITIAL_WINDOW, distance.window)
        self._flight = 0
        self._last = 0.0

    async def take(self) -> None:
        """Take what the source sends, as the window and the uplink allow, until it ends."""
        while True:
            await _readable(self._source)
            size = self._distance.chunk
            try:
                if self._source.recv(1, socket.MSG_PEEK):  # an end needs no room
                    size = min(size, await self._room())
                data = self._source.recv(size)
            except BlockingIOError:  # a selector may err
                continue
            now = self._loop.time()
            self._last = self._uplink.send(now, len(data))
            self._flight += len(data)
            async with self._changed:
                self._on_the_way.append((self._last + self._distance.latency, data))
                self._changed.notify_all()
            if not data:
                return
            # Not less than 0: other connections of the uplink take turns.
            await asyncio.sleep(max(0.0, self._uplink.ahead(now)))

    async def deliver(self) -> None:
        """Hand on what was taken, when it arrives."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._on_the_way)
                due, data = self._on_the_way.popleft()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if not data:
                self._sink.shutdown(socket.SHUT_WR)
                return
            await self._loop.sock_sendall(self._sink, data)
            async with self._changed:
                known = self._loop.time() + self._distance.latency
                self._acknowledged.append((known, len(data)))
                self._changed.notify_all()

    async def _room(self) -> int:
        """Bytes that the window has room for, when there is any."""
        while True:
            now = self._loop.time()
            while self._acknowledged and self._acknowledged[0][0] <= now:
                size = self._acknowledged.popleft()[1]
                self._flight -= size
                self._window = min(self._window + size, self._distance.window)
            silence = _LEAST_TIMEOUT + 2 * self._distance.latency
            if not self._flight and now - self._last > silence:
                self._window = min(_INITIAL_WINDOW, self._distance.window)
            room = self._window - self._flight
            if room >= _SEGMENT:
                return room
            async with self._changed:
                await self._changed.wait_for(lambda: self._acknowledged)
            await asyncio.sleep(max(0.0, self._acknowledged[0][0] - self._loop.time()))


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sock, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sock)
