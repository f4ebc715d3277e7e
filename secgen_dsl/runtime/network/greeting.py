"""The exchange of hellos on a new connection, and everything that two parties must agree on."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from secgen_dsl.runtime.network.check import Check, check_frame, read_check_frame
from secgen_dsl.runtime.network.faults import Faults, PeerError
from secgen_dsl.runtime.network.frames import (
    ABORT_BYTES,
    HEADER,
    HELLO_BYTES,
    NO_SESSION,
    Abort,
    FrameError,
    Header,
    Kind,
    VersionError,
    check_header,
    kind_of,
)
from secgen_dsl.runtime.network.hello import Hello, read_hello
from secgen_dsl.runtime.network.links import (
    FAREWELL_SECONDS,
    HANDSHAKE_SECONDS,
    Endpoint,
    NotYet,
    log,
    reason_of,
    refuses_certificate,
)

_OTHER_BUNDLE = (
    "give every party the same bundle, as it was approved; `secgen plan A --against B` says what "
    "differs between the bundles of two sites; nothing was sent and nothing was spent"
)


@dataclass(frozen=True)
class Statement:
    """What a party's hellos say.

    Attributes:
        plan_sha256: 64 hex digits.
        study_sha256: 64 hex digits.
        roster_sha256: of all parties as this one knows them.
        release: version of secgen.
        nonce: 32 fresh random bytes.
        begun: number of leading rounds in which an earlier run of it dealt, or was about to.
        opened: digests of the opened values of the first 0, 1, … rounds that it holds.
    """

    plan_sha256: str
    study_sha256: str
    roster_sha256: str
    release: str
    nonce: bytes
    begun: int
    opened: tuple[str, ...]

    def hello(self, sender: int, receiver: int, *, accepts: bool) -> Hello:
        """The hello to one party."""
        return Hello(
            sender=sender,
            receiver=receiver,
            accepts=accepts,
            begun=self.begun,
            opened=len(self.opened) - 1,
            opened_sha256=self.opened[-1],
            plan_sha256=self.plan_sha256,
            study_sha256=self.study_sha256,
            roster_sha256=self.roster_sha256,
            nonce=self.nonce,
            release=self.release,
        )


class Greeting:
    """Greets one peer after another.

    Args:
        endpoint: this party.
        statement: what its hellos say.
        stored: number of leading rounds whose contribution it has stored.
        rounds: of the plan.
        faults: of this party.
        check: makes the answer to a doctor.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        statement: Statement,
        stored: int,
        rounds: int,
        faults: Faults,
        check: Callable[[], Check],
    ) -> None:
        self._endpoint = endpoint
        self._statement = statement
        self._stored = stored
        self._rounds = rounds
        self._faults = faults
        self._check = check
        self._asked: set[int] = set()

    async def exchange(
        self,
        peer: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        dials: bool,
    ) -> tuple[bytes, bytes, Hello] | None:
        """Exchange hellos on a connection whose TLS has shown that the peer is at its end.

        Who dials speaks first.  Each end sends its hello before it judges the other's, so that
        both can show both values.

        Returns:
            The hello that was sent, the one received, and what that says; None: the peer only
            asked how this party stands, and has been told.

        Raises:
            NotYet: the connection broke.
            SecgenError: SG502, SG503, SG513, SG518, SG525, SG527.
        """
        me = self._endpoint.index
        sent = self._statement.hello(me, peer, accepts=not dials).pack(self._endpoint.signer)
        frame = Header(Kind.HELLO, 0, me, 0, NO_SESSION, HELLO_BYTES).pack() + sent
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                if dials:
                    writer.write(frame)
                    await writer.drain()
                header = await reader.readexactly(HEADER.size)
                try:
                    kind = kind_of(header)
                except VersionError:
                    if not dials:  # so that the other end, too, can show both versions
                        writer.write(frame)
                        await writer.drain()
                    raise
                if not dials and kind == Kind.CHECK:
                    await self._answer(peer, reader, writer, header)
                    return None
                check_header(header, Header(Kind.HELLO, 0, peer, 0, NO_SESSION, HELLO_BYTES))
                received = await reader.readexactly(HELLO_BYTES)
                if not dials:
                    writer.write(frame)
                    await writer.drain()
            hello = read_hello(received, self._endpoint.entries[peer].identity.public)
            self._judge(hello, peer, dials=dials)
        except VersionError as error:
            writer.close()
            raise self._faults.mismatch(peer, str(error)) from error
        except FrameError as error:
            writer.close()
            raise self._faults.malformed(peer, Kind.HELLO, 0, str(error)) from error
        except PeerError:
            raise  # whoever hears of it says why, and closes the connection (``say_why``)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            writer.transport.abort()
            if isinstance(error, ssl.SSLError) and refuses_certificate(error):
                raise self._faults.refused(peer, reason_of(error)) from error
            if dials and _closed_at_once(error):
                # Asyncio's TLS closes without the alert that would say so (CPython 3.11 to 3.13).
                raise NotYet(
                    "it closed the connection without a hello: it may hold another certificate of "
                    "this party, or find this one expired"
                ) from error
            raise NotYet(f"the hello was cut off: {reason_of(error)}") from error
        except BaseException:
            writer.transport.abort()
            raise
        return sent, received, hello

    def _judge(self, hello: Hello, peer: int, *, dials: bool) -> None:
        """Compare a hello with this party's own."""
        ours = self._statement
        if (hello.sender, hello.receiver, hello.accepts) != (peer, self._endpoint.index, dials):
            raise self._faults.mismatch(peer, "its hello is for another connection")
        stated = {
            "it runs secgen": (hello.release, ours.release),
            "its plan is": (hello.plan_sha256, ours.plan_sha256),
            "its study is": (hello.study_sha256, ours.study_sha256),
        }
        for what, (theirs, own) in stated.items():
            if theirs != own:
                raise self._faults.mismatch(
                    peer,
                    f"{what} {theirs}, this party's {own}",
                    next_step="" if what == "it runs secgen" else _OTHER_BUNDLE,
                )
        if hello.roster_sha256 != ours.roster_sha256:
            raise self._faults.mismatch(
                peer,
                f"its digest of the plan's parties is {hello.roster_sha256}, this party's "
                f"{ours.roster_sha256}",
                "SG527",
                "some site's consortium.toml has another certificate or officer of a party: run "
                "`secgen consortium` with the file of each site, and compare `roster` and the "
                "lines of the parties by telephone; nothing was sent and nothing was spent",
            )
        if not hello.opened <= hello.begun <= self._rounds:
            raise self._faults.mismatch(peer, f"it has dealt shares in {hello.begun} rounds")
        if hello.begun > self._stored:
            # It dealt when all had said that they have stored, so this one had, too.  A second
            # contribution would be a second spend, that no later check could undo.
            raise self._faults.lost(peer, hello.begun, self._stored)
        if hello.opened < len(ours.opened) and hello.opened_sha256 != ours.opened[hello.opened]:
            raise self._faults.mismatch(
                peer,
                f"what {hello.opened} rounds opened is {hello.opened_sha256}, here "
                f"{ours.opened[hello.opened]}",
                "SG513",
                "some party's store is of another run of the same plan, or what it says is not "
                "so: let `secgen audit` compare the sites; nothing was sent",
            )

    async def say_why(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, abort: Abort
    ) -> None:
        """Tell a peer, whose hello this party does not accept, before the connection is closed."""
        frame = Header(Kind.ABORT, 0, self._endpoint.index, 1, NO_SESSION, ABORT_BYTES).pack()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                writer.write(frame + abort.pack())
                await writer.drain()
                # Closed with bytes unread it would be reset, and take the word along.
                while await reader.read(2**16):
                    pass
        writer.close()

    async def _answer(
        self, peer: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, header: bytes
    ) -> None:
        try:
            await read_check_frame(reader, header)
        except FrameError as error:  # whatever a doctor says, the run is not disturbed
            writer.close()
            raise NotYet(f"it asked how this party stands: {error}") from error
        if peer not in self._asked:  # nobody fills another's disk
            log.info("%s asked how this party stands", self._endpoint.name(peer))
            self._asked.add(peer)
        writer.write(check_frame(self._check()))
        await writer.drain()
        writer.close()


def _closed_at_once(error: BaseException) -> bool:
    if isinstance(error, asyncio.IncompleteReadError):
        return not error.partial
    return isinstance(error, ConnectionError)
