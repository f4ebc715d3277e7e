"""Outbound connections to a relay as bare sockets: straight, or through an HTTP proxy.

Every answer is read to its last byte and no further, so that TLS can begin on the socket.
"""

import asyncio
import base64
import re
import socket
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.runtime.trust.consortium import Address, read_address

_LONGEST_ANSWER = 16_384  # bytes of a proxy's answer to CONNECT
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_SCHEME = re.compile(rb"^proxy-authenticate:[ \t]*([a-z0-9-]{1,40})", re.IGNORECASE | re.MULTILINE)


class UnreachableError(SecgenError):
    """A connection failed in a way that may pass: another attempt is worth it."""


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        address: where it is.
        authorization: value of `Proxy-Authorization`; empty: none.  Never shown.
    """

    address: Address
    authorization: str = field(default="", repr=False)


def read_proxy(text: str) -> Proxy:
    """``http://[user:password@]host[:port]``; `http://` may be missing, the port is then 80.

    User and password are percent-encoded.

    Raises:
        SecgenError: SG528, it is nothing of the kind.  What was given is not repeated: it may hold
            a password.
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        address = Address(parts.hostname or "", 80 if parts.port is None else parts.port)
        read_address(str(address))
        if parts.scheme != "http" or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("another kind of address")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if ":" in user:
            raise ValueError("HTTP has no user with a colon")
    except ValueError:
        raise fail(
            "SG528",
            "the HTTP proxy's address is not http://host:port or http://user:secret@host:port",
            place="the address of the HTTP proxy, or HTTPS_PROXY",
            next_step="write it so, with %-codes for special characters of the password; other "
            "kinds of proxy (https, SOCKS) are not supported",
        ) from None
    if parts.username is None:
        return Proxy(address)
    # RFC 7617.
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Proxy(address, f"Basic {credentials}")


def proxy_from_environment(address: Address) -> str | None:
    """The proxy that HTTPS_PROXY (or https_proxy) names, unless NO_PROXY excepts ``address``.

    As Python's urllib reads them: on macOS and Windows the system's settings count where none of
    these variables is set.
    """
    from urllib.request import getproxies, proxy_bypass

    if proxy_bypass(str(address)):
        return None
    return getproxies().get("https") or None


def bound(address: Address, backlog: int) -> socket.socket:
    """A socket that listens on that address only; ``::`` takes IPv4 as well.

    Raises:
        OSError: the address or its port cannot be had.
    """
    family, _, _, _, target = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    dual = address.host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(target[:2], family=family, backlog=backlog, dualstack_ipv6=dual)


async def dial(
    address: Address, *, proxy: str | None, timeout: float, place: str = ""
) -> socket.socket:
    """A connected, non-blocking TCP socket to a relay.

    Args:
        address: of the relay; its name is looked up by the proxy if there is one.
        proxy: None, or as ``read_proxy`` reads it.
        timeout: seconds > 0, for all of it.
        place: of diagnostics; default: ``address``.

    Raises:
        UnreachableError: SG528, ``address`` or the proxy cannot be reached.
        SecgenError: SG528, the proxy refuses, or is none.
    """
    place = place or str(address)
    through = None if proxy is None else read_proxy(proxy)
    try:
        async with asyncio.timeout(timeout):
            if through is None:
                return await _connected(address)
            return await _tunnel(address, through, place)
    except TimeoutError:
        reason = f"no answer within {timeout:g} s"
    except EOFError:
        reason = "the proxy closed the connection without an answer"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if through is not None:
        raise UnreachableError(
            fail(
                "SG528",
                f"the relay {address} cannot be reached through the HTTP proxy {through.address}: "
                f"{reason}",
                place=place,
                next_step="see whether the proxy's address is right; HTTPS_PROXY names it, "
                "NO_PROXY excepts addresses from it",
            ).diagnostics
        )
    raise UnreachableError(
        fail(
            "SG528",
            f"the relay {address} cannot be reached: {reason}",
            place=place,
            next_step=f"ask who runs the relay whether `secgen relay` is up at {address}, and see "
            "whether the firewall of this site lets connections out to there; where only an HTTP "
            "proxy may go out, HTTPS_PROXY names it",
        ).diagnostics
    )


async def receive(sock: socket.socket, size: int) -> bytes:
    """Exactly ``size`` bytes.

    Raises:
        EOFError: the stream ended before.
        OSError: the connection broke.
    """
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < size:
        part = await loop.sock_recv(sock, size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def prepare(sock: socket.socket) -> None:
    """Never wait in a call, and ``keep_alive``."""
    sock.setblocking(False)
    keep_alive(sock)


def keep_alive(sock: socket.socket) -> None:
    """No delay of small messages, and notice of a far end that vanished (in about 2 minutes).

    What it sends each minute also keeps firewalls from forgetting a connection that is silent, for
    example while sites work on a later round.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):  # not on every system
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _connected(address: Address) -> socket.socket:
    """One of the host's addresses after the other; an address that is silent leaves time for the
    next.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    last = OSError("its name has no address")
    for number, (family, kind, protocol, _, target) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            prepare(sock)
            async with asyncio.timeout(None if number == len(found) - 1 else 5):
                await loop.sock_connect(sock, target)
        except OSError as error:  # also TimeoutError
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise last


async def _tunnel(address: Address, proxy: Proxy, place: str) -> socket.socket:
    """RFC 9110, 9.3.6."""
    sock = await _connected(proxy.address)
    try:
        lines = [f"CONNECT {address} HTTP/1.1", f"Host: {address}"]
        if proxy.authorization:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        request = "\r\n".join([*lines, "", ""]).encode()
        await asyncio.get_running_loop().sock_sendall(sock, request)
        answer = b""
        while not answer.endswith(b"\r\n\r\n") and len(answer) < _LONGEST_ANSWER:
            answer += await receive(sock, 1)
        _check_answer(answer, address, proxy, place)
    except BaseException:
        sock.close()
        raise
    return sock


def _check_answer(answer: bytes, address: Address, proxy: Proxy, place: str) -> None:
    found = _STATUS_LINE.fullmatch(answer.partition(b"\r\n")[0])
    if found is None or not answer.endswith(b"\r\n\r\n"):
        raise fail(
            "SG528",
            f"what answers at {proxy.address} is no HTTP proxy",
            place=place,
            next_step="HTTPS_PROXY names the proxy: see whether its port is right",
        )
    status = int(found[1])
    if 200 <= status < 300:
        return
    if status == 407:
        kinds = ", ".join(sorted({kind.decode().lower() for kind in _SCHEME.findall(answer)}))
        asks = f" (it asks for: {kinds})" if kinds else ""
        credentials = "refuses this user and password" if proxy.authorization else "asks for a user"
        raise fail(
            "SG528",
            f"the HTTP proxy {proxy.address} {credentials}: status 407{asks}",
            place=place,
            next_step="give http://user:secret@host:port as HTTPS_PROXY; secgen knows `basic` "
            f"only, so else the proxy has to let this machine through to {address} without",
        )
    if status in (502, 503, 504):
        raise UnreachableError(
            fail(
                "SG528",
                f"the HTTP proxy {proxy.address} does not reach the relay {address}: status "
                f"{status}",
                place=place,
                next_step=f"ask who runs the relay whether `secgen relay` is up at {address}, and "
                "who runs the proxy whether it may go out to there",
            ).diagnostics
        )
    raise fail(
        "SG528",
        f"the HTTP proxy {proxy.address} refuses to connect to {address}: status {status}",
        place=place,
        next_step=f"ask who runs the proxy to allow CONNECT to {address}; many proxies allow port "
        "443 only",
    )
