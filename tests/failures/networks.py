"""Networks that can be cut: namespaces of the machine, or proxies that stop forwarding."""

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from itertools import count

from tests.failures.sites import LOOPBACK, free_port

_NUMBERS = count()


class Namespaces:
    """Each site in a network namespace of its own, on one bridge; a cable can be pulled.

    Raises:
        OSError: this machine, or this user, cannot make them.
    """

    def __init__(self, names: Sequence[str]) -> None:
        prefix = f"sg{os.getpid() % 100_000}n{next(_NUMBERS)}"
        self._hub = f"{prefix}h"
        self.namespaces = {name: f"{prefix}-{number}" for number, name in enumerate(names)}
        self.addresses = {name: f"10.213.7.{n}:7443" for n, name in enumerate(names, start=1)}
        try:
            self._make()
        except OSError:
            self.remove()
            raise

    def _make(self) -> None:
        _ip("netns", "add", self._hub)
        _ip("-n", self._hub, "link", "add", "name", "br0", "type", "bridge")
        _ip("-n", self._hub, "link", "set", "br0", "up")
        for name, inside in self.namespaces.items():
            port = self._port(name)
            _ip("netns", "add", inside)
            _ip(
                "link", "add", "name", "eth0", "netns", inside,
                "type", "veth", "peer", "name", port, "netns", self._hub,
            )  # fmt: skip
            _ip("-n", self._hub, "link", "set", port, "master", "br0", "up")
            address = self.addresses[name].partition(":")[0]
            _ip("-n", inside, "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", inside, "link", "set", device, "up")

    def cut(self, name: str) -> None:
        """Pull a site's cable: packets vanish, nobody is told."""
        _ip("-n", self._hub, "link", "set", self._port(name), "down")

    def mend(self, name: str) -> None:
        """Put the cable back."""
        _ip("-n", self._hub, "link", "set", self._port(name), "up")

    def remove(self) -> None:
        """Take everything away."""
        for name in (*self.namespaces.values(), self._hub):
            with contextlib.suppress(OSError):
                _ip("netns", "del", name)

    def _port(self, name: str) -> str:
        return f"port{list(self.namespaces).index(name)}"


def _ip(*arguments: str) -> None:
    try:
        subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise OSError(f"ip {' '.join(arguments)}: {error.stderr.strip()}") from error


class StoppableProxy:
    """Forwards TCP to a port on loopback until it is cut: then bytes vanish, nobody is told."""

    def __init__(self) -> None:
        self.behind = free_port()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.address = f"{LOOPBACK}:{self._listener.getsockname()[1]}"
        self._flows = threading.Event()
        self._flows.set()
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """From now on nothing passes."""
        self._flows.clear()

    def mend(self) -> None:
        """What comes anew passes again."""
        self._flows.set()

    def close(self) -> None:
        """Accept nothing more."""
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection((LOOPBACK, self.behind))
                except OSError:
                    near.close()
                    continue
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError), one, other:
            while data := one.recv(65_536):
                if not self._flows.is_set():
                    while one.recv(65_536):
                        pass
                    self._flows.wait(60)  # nor does the end pass
                    return
                other.sendall(data)
            if not self._flows.is_set():
                self._flows.wait(60)


@contextlib.contextmanager
def namespaces(names: Sequence[str]) -> Iterator[Namespaces]:
    """A network of its own.  Raises OSError where there can be none."""
    network = Namespaces(names)
    try:
        yield network
    finally:
        network.remove()
