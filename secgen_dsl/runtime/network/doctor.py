"""What `secgen doctor` does on the network: it asks every other site, and answers those that ask.

A question and its answer are a ``Check`` each, on a connection of their own.  Nothing about data is
in it, no run is begun, and a waiting party goes on waiting.  Doctors ask one another again until
each knows of all that all have reached each other, so that none ends before the others know it.
"""

import asyncio
import contextlib
import hashlib
import socket
import ssl
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.runtime.network.check import (
    NO_HASH,
    Check,
    check_frame,
    clock,
    read_check_frame,
)
from secgen_dsl.runtime.network.frames import (
    HEADER,
    HELLO_BYTES,
    NO_SESSION,
    FrameError,
    Header,
    Kind,
    check_header,
    kind_of,
)
from secgen_dsl.runtime.network.hello import read_hello
from secgen_dsl.runtime.network.links import (
    HANDSHAKE_SECONDS,
    Endpoint,
    NotYet,
    Streams,
    reason_of,
    refuses_certificate,
)
from secgen_dsl.runtime.network.tls import party_at_other_end, tls_context
from secgen_dsl.runtime.trust.consortium import Address, PartyEntry

MOST_PARTIES = 64
"""What the bits of a ``Check`` can name."""

_ROOM = hashlib.sha256(b"secgen relay room of doctors 1").digest()
_BETWEEN_QUESTIONS = 0.4  # seconds
_LONGEST_PAUSE = 2.0
_CONNECTIONS_OF_A_SITE = 4


class Obstacle(StrEnum):
    """Why a site was not reached; as a table shows it."""

    UNTRIED = "not asked"
    DNS = "no DNS"
    REFUSED = "refused"
    NO_ANSWER = "no answer"
    NO_ROUTE = "no route"
    CUT_OFF = "cut off"
    NO_TLS = "no TLS"
    CERTIFICATE = "other certificate"
    EXPIRED = "expired"
    REFUSES = "refuses ours"
    PROTOCOL = "other protocol"
    RELAY = "not at the relay"


_TELLING = frozenset(
    {
        Obstacle.CERTIFICATE,
        Obstacle.EXPIRED,
        Obstacle.REFUSES,
        Obstacle.PROTOCOL,
        Obstacle.NO_TLS,
    }
)
"""Somebody answered: that this one has gone since says less."""


@dataclass(frozen=True)
class Standing:
    """What this site tells of itself; see ``Check``."""

    release: str
    plan_sha256: str
    study_sha256: str
    roster_sha256: str
    approved: int

    def check(self, reached: int) -> Check:
        """The same, of this moment."""
        return Check(
            waits_to_run=False,
            release=self.release,
            plan_sha256=self.plan_sha256,
            study_sha256=self.study_sha256,
            roster_sha256=self.roster_sha256,
            milliseconds=clock(),
            approved=self.approved,
            reached=reached,
        )


@dataclass
class Contact:
    """What is known of another site.

    Attributes:
        check: the last that it told; None: nothing yet.
        reached: this site has reached it, at its address or at the relay.
        has_called: it has reached this site.
        obstacle, reason: why it was not reached, the last time; in a word, in some words.
        fault: the same where whoever answers cannot be trusted.
        offset: seconds that its clock is ahead; None: not known.
        within: and how exactly that is known, in seconds.
        told: it has been told that this site has reached all that it can.
    """

    check: Check | None = None
    reached: bool = False
    has_called: bool = False
    obstacle: Obstacle = Obstacle.UNTRIED
    reason: str = "it was not tried"
    fault: Diagnostic | None = None
    offset: float | None = None
    within: float = float("inf")
    told: bool = False


class Consultation:
    """Asks all other sites how they stand.

    Args:
        endpoint: this site.
        standing: what it tells.
        listener: this site's bound socket; None: it does not listen.
        run_room: 32 bytes that name the run to the relay, if no party of this site can be waiting
            there: it would be sent away.  None: at the relay only doctors are met.

    Attributes:
        contacts: index of each other site → what is known of it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        standing: Standing,
        listener: socket.socket | None,
        run_room: bytes | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._standing = standing
        self._listener = listener
        self._run_room = run_room
        self._complete = asyncio.Event()
        self._served: dict[int, set[asyncio.Task[None]]] = {}
        self.contacts = {
            peer: Contact() for peer in range(len(endpoint.entries)) if peer != endpoint.index
        }

    async def hold(self, seconds: float) -> None:
        """Ask and answer until all is known, or the time is over.

        Raises:
            SecgenError: SG522, the key or certificate cannot be used.
        """
        endpoint = self._endpoint
        entries, me = endpoint.entries, endpoint.index
        server = None
        if self._listener is not None:
            server = endpoint.serve(self._listener, self._serve)
        work: list[Coroutine[Any, Any, None]] = []
        for peer in self.contacts:
            if entries[peer].address:
                work.append(self._keep_asking(peer))
            elif not entries[me].address:
                work.append(self._keep_meeting(peer, _ROOM))
                if self._run_room is not None:
                    work.append(self._keep_meeting(peer, self._run_room))
        tasks = [asyncio.create_task(each) for each in work]
        over = asyncio.create_task(self._complete.wait())
        try:
            self._look()
            async with asyncio.timeout(seconds):
                waiting: set[asyncio.Task[Any]] = {over, *tasks}
                while not over.done():
                    done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    for each in done:
                        each.result()
        except TimeoutError:
            pass
        finally:
            ending = [*tasks, over, *(task for each in self._served.values() for task in each)]
            if server is not None:
                ending.append(server)
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            await asyncio.sleep(0)  # whoever waited for one of them goes on

    def reached(self) -> int:
        """Bit i: this site has reached site i."""
        return sum(1 << peer for peer, one in self.contacts.items() if one.reached)

    # -- asking ------------------------------------------------------------------------------

    async def _keep_asking(self, peer: int) -> None:
        """Ask a site at its address, again and again until both know all of each other."""
        pause = _BETWEEN_QUESTIONS
        while not self._is_settled(peer):
            contact = self.contacts[peer]
            if contact.obstacle == Obstacle.UNTRIED:  # what is told if the time ends it
                contact.obstacle = Obstacle.NO_ANSWER
                contact.reason = f"{self._endpoint.entries[peer].address}: no answer"
            try:
                streams = await self._endpoint.dial(peer)
                await self._ask(peer, streams)
                pause = _BETWEEN_QUESTIONS
            except NotYet as reason:
                self._failed(peer, _obstacle_of(reason), str(reason))
                pause = min(2 * pause, _LONGEST_PAUSE)
            except SecgenError as error:
                fault = error.diagnostics[0]
                self._failed(peer, _distrust(error), fault.message, fault)
                pause = _LONGEST_PAUSE
            await asyncio.sleep(pause)

    async def _keep_meeting(self, peer: int, room: bytes) -> None:
        """Meet a site at the relay, again and again until both know all of each other."""
        endpoint = replace(self._endpoint, room=room)
        entries, me = endpoint.entries, endpoint.index
        # Doctors may have other plans, whose orders of the parties differ.
        later = entries[me].fingerprint > entries[peer].fingerprint
        dials = later if room == _ROOM else me > peer
        self._failed(peer, Obstacle.RELAY, "it has not come to the relay")  # if the time ends it
        while not self._is_settled(peer):
            try:
                streams = await endpoint.meet(peer, dials=dials)
                if dials:
                    await self._ask(peer, streams)
                else:
                    await self._answer(peer, *streams, relayed=True)
            except NotYet as reason:
                self._failed(peer, Obstacle.RELAY, str(reason))
            except SecgenError as error:
                fault = error.diagnostics[0]
                trusted = fault.code != "SG525"
                obstacle = Obstacle.RELAY if trusted else _distrust(error)
                self._failed(peer, obstacle, fault.message, None if trusted else fault)
                if room != _ROOM:
                    return  # another process of this site is there: it is left alone
                await asyncio.sleep(_LONGEST_PAUSE)
            await asyncio.sleep(_BETWEEN_QUESTIONS)

    async def _ask(self, peer: int, streams: Streams) -> None:
        """One question.  Raises NotYet."""
        reader, writer = streams
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                says_all = self._row_is_full()
                sent = clock()
                writer.write(check_frame(self._standing.check(self.reached())))
                await writer.drain()
                theirs = await read_check_frame(reader)
                received = clock()
        except FrameError as error:
            self._failed(peer, Obstacle.PROTOCOL, str(error))
            return
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            if isinstance(error, ssl.SSLError) and refuses_certificate(error):
                self._failed(peer, Obstacle.REFUSES, reason_of(error))
                return
            # Servers of asyncio send no alert: they close, in order and without a byte.
            if isinstance(error, asyncio.IncompleteReadError) and not error.partial:
                self._failed(peer, Obstacle.REFUSES, "it hung up when it had seen it")
                return
            raise NotYet(f"it hung up: {reason_of(error)}") from error
        finally:
            writer.transport.abort()
        contact = self.contacts[peer]
        contact.reached = True
        if not self._endpoint.entries[peer].address:  # met at the relay: that is both ways
            contact.has_called = True
        if not theirs.waits_to_run:
            contact.told |= says_all
        within = abs(received - sent) / 2000
        if within < contact.within:
            contact.offset = (theirs.milliseconds - (sent + received) / 2) / 1000
            contact.within = within
        self._learn(contact, theirs)

    def _failed(
        self, peer: int, obstacle: Obstacle, reason: str, fault: Diagnostic | None = None
    ) -> None:
        contact = self.contacts[peer]
        if obstacle in _TELLING or contact.obstacle not in _TELLING:
            contact.obstacle, contact.reason, contact.fault = obstacle, reason, fault

    # -- answering ---------------------------------------------------------------------------

    async def _serve(
        self, peer: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        served = self._served.setdefault(peer, set())
        if len(served) >= _CONNECTIONS_OF_A_SITE:
            writer.transport.abort()
            return
        # A task of its own: the server's would say so if it were cancelled at the end.
        task = asyncio.create_task(self._answer(peer, reader, writer, relayed=False))
        served.add(task)
        await asyncio.wait([task])
        served.discard(task)
        if not task.cancelled() and not isinstance(task.exception(), NotYet):
            task.result()

    async def _answer(
        self,
        peer: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        relayed: bool,
    ) -> None:
        """Answer a doctor; a party's hello is read and left without an answer: it comes again.

        Raises:
            NotYet: it has gone, or says nothing that is known.
        """
        contact = self.contacts[peer]
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                header = await reader.readexactly(HEADER.size)
                if kind_of(header) == Kind.HELLO:
                    check_header(header, replace(_HELLO, sender=HEADER.unpack(header)[4]))
                    theirs = self._read_hello(peer, await reader.readexactly(HELLO_BYTES))
                else:
                    theirs = await read_check_frame(reader, header)
                    ahead = (theirs.milliseconds - clock()) / 1000
                    if contact.offset is None:  # without what the way took
                        contact.offset = ahead
                    says_all = self._row_is_full()
                    writer.write(check_frame(self._standing.check(self.reached())))
                    await writer.drain()
                    contact.told |= says_all
                    # Who asked closes: what was written has arrived by then.
                    with contextlib.suppress(OSError):
                        await reader.read(1)
        except FrameError as error:
            self._failed(peer, Obstacle.PROTOCOL, str(error))
            raise NotYet(str(error)) from error
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise NotYet(reason_of(error)) from error
        finally:
            writer.transport.abort()
        contact.has_called = True
        contact.reached |= relayed
        self._learn(contact, theirs)

    def _read_hello(self, peer: int, payload: bytes) -> Check:
        """What a party that waits to run has said: it has all approvals, and no clock is told."""
        hello = read_hello(payload, self._endpoint.entries[peer].identity.public)
        return Check(
            waits_to_run=True,
            release=hello.release,
            plan_sha256=hello.plan_sha256,
            study_sha256=hello.study_sha256,
            roster_sha256=hello.roster_sha256,
            milliseconds=clock(),
            approved=2 ** len(self._endpoint.entries) - 1,
            reached=0,
        )

    # -- whether all is known ----------------------------------------------------------------

    def _learn(self, contact: Contact, check: Check) -> None:
        if contact.check is None or self._worth(check) >= self._worth(contact.check):
            contact.check = check
        self._look()

    def _worth(self, check: Check) -> int:
        """A site may have both, a party that waits and a doctor; which of them tells more.

        A doctor knows whom it has reached.  But of the plan, one without a bundle knows nothing.
        """
        if check.waits_to_run:
            return 1
        lacks_plan = check.plan_sha256 == NO_HASH != self._standing.plan_sha256
        return 0 if lacks_plan else 2

    def _look(self) -> None:
        if self._row_is_full() and all(map(self._is_settled, self.contacts)):
            self._complete.set()

    def _row_is_full(self) -> bool:
        wanted = to_reach(self._endpoint.entries, self._endpoint.index)
        return wanted & self.reached() == wanted

    def _is_settled(self, peer: int) -> bool:
        """Whether nothing more is to be learnt from a site, or to be told to it."""
        entries, me = self._endpoint.entries, self._endpoint.index
        contact = self.contacts[peer]
        check = contact.check
        if check is None or (to_reach(entries, me) >> peer & 1 and not contact.reached):
            return False
        calls = bool(to_reach(entries, peer) >> me & 1)
        if check.waits_to_run:  # it dials those before it, and nobody else
            calls = calls and peer > me and check.plan_sha256 == self._standing.plan_sha256
        if calls and self._listens(peer) and not contact.has_called:
            return False
        if check.waits_to_run:
            return True
        wanted = to_reach(entries, peer)
        alike = check.roster_sha256 == self._standing.roster_sha256
        return contact.told and (not alike or check.reached & wanted == wanted)

    def _listens(self, peer: int) -> bool:
        entries = self._endpoint.entries
        met = not entries[peer].address and not entries[self._endpoint.index].address
        return met or self._listener is not None


def to_reach(entries: Sequence[PartyEntry], index: int) -> int:
    """Bit i: site ``index`` can reach site i in principle, at its address or at the relay."""
    return sum(
        1 << peer
        for peer, one in enumerate(entries)
        if peer != index and (one.address or not entries[index].address)
    )


async def own_party_listens(endpoint: Endpoint, address: Address) -> bool:
    """Whether it is this site's own machine key that answers at ``address``."""
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            _, writer = await asyncio.open_connection(
                address.host,
                address.port,
                ssl=tls_context(endpoint.entries, endpoint.key, endpoint.certificate, server=False),
                server_hostname="",
            )
    except (OSError, TimeoutError):
        return False
    found = party_at_other_end(writer.get_extra_info("ssl_object"), endpoint.entries)
    writer.transport.abort()
    return found == endpoint.index


_HELLO = Header(Kind.HELLO, 0, 0, 0, NO_SESSION, HELLO_BYTES)


def _obstacle_of(reason: NotYet) -> Obstacle:
    error = reason.__cause__
    if isinstance(error, TimeoutError):
        return Obstacle.NO_ANSWER
    if isinstance(error, socket.gaierror):
        return Obstacle.DNS
    if isinstance(error, ConnectionRefusedError):
        return Obstacle.REFUSED
    if isinstance(error, ssl.SSLError):
        return Obstacle.NO_TLS
    if isinstance(error, OSError) and not isinstance(error, ConnectionError) and error.errno:
        return Obstacle.NO_ROUTE
    return Obstacle.CUT_OFF


def _distrust(error: SecgenError) -> Obstacle:
    cause = error.__cause__
    expired = isinstance(cause, ssl.SSLCertVerificationError) and "expired" in cause.verify_message
    return Obstacle.EXPIRED if expired else Obstacle.CERTIFICATE
