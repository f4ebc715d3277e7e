"""What a party sent and received, frame by frame: for an auditor, without a single value.

A line of JSON for each frame: kind, peer, round, size, time, and the SHA-256 of its payload.
Frames of shares begin with 32 random bytes that only their two ends hold (``frames.SALT_BYTES``),
so their digests let nobody test a guess; those two can show by them that what was sent arrived.
Hellos and confirmations are kept whole: they hold public facts and a signature.
"""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.base import Node
from secgen_dsl.runtime.network.frames import Kind

FORMAT = "secgen.transcript/1"

_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _moment(text: str) -> str:
    datetime.fromisoformat(text)  # ValueError: no such day or hour
    return text


_Time = Annotated[
    str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"), AfterValidator(_moment)
]


class Head(Node):
    """The first line: whose transcript this is, of what."""

    format: Literal["secgen.transcript/1"]
    time: _Time
    plan_sha256: _Hash
    study_sha256: _Hash
    roster_sha256: _Hash
    party: str
    parties: tuple[str, ...]
    secgen: str


class Frame(Node):
    """A frame that was sent or received; see ``Transcript.frame``."""

    time: _Time
    way: Literal["sent", "received"]
    peer: str
    kind: Literal["hello", "ready", "stored", "share", "opening", "confirmation", "abort"]
    round: int = Field(ge=0)
    sequence: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: _Hash


class HelloEvent(Node):
    """A hello, whole: it holds public facts and a signature."""

    time: _Time
    event: Literal["hello to", "hello from"]
    peer: str
    hello: str = Field(pattern=r"^([0-9a-f]{2})*$")


class SessionEvent(Node):
    """All are ready for the session of this name."""

    time: _Time
    event: Literal["session"]
    session: str = Field(pattern=r"^[0-9a-f]{32}$")


class EndEvent(Node):
    """The last line."""

    time: _Time
    event: Literal["end"]
    outcome: str = Field(pattern=r"^(complete|SG\d{3})$")


Line: TypeAlias = Frame | HelloEvent | SessionEvent | EndEvent
_LINE: TypeAdapter[Line] = TypeAdapter(Line)


def read_transcript(data: bytes) -> tuple[Head, list[Line]]:
    """A transcript from its bytes.

    Raises:
        ValueError: a line is none that a party writes; says which.
    """
    lines = data.split(b"\n")
    if lines.pop() != b"" or not lines:
        raise ValueError("its last line is cut off")
    head: Head | None = None
    found: list[Line] = []
    for number, line in enumerate(lines, start=1):
        try:
            if _dumped(json.loads(line)) != line:
                raise ValueError("written otherwise")
            if number == 1:
                head = Head.model_validate_json(line)
            else:
                found.append(_LINE.validate_json(line))
        except (ValueError, ValidationError, RecursionError) as error:
            raise ValueError(f"its line {number} is none that a party writes") from error
    if head is None:
        raise ValueError("it has no first line")
    return head, found


class Transcript:
    """A new file, written as things happen; use as a context manager.

    Args:
        path: of the file, which must not exist; mode 0600.
        head: what the first line says: plan, study, party, parties, release.

    Raises:
        SecgenError: SG512, it cannot be written.
    """

    def __init__(self, path: Path, head: dict[str, object]) -> None:
        self.path = path
        self._digest = hashlib.sha256()
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            self._file = os.fdopen(descriptor, "wb", buffering=0)
        except OSError as error:
            raise _unwritten(path, error) from error
        self._write({"format": FORMAT, "time": _now(), **head})

    def __enter__(self) -> "Transcript":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        """Of all bytes written so far, 64 hex digits."""
        return self._digest.hexdigest()

    def frame(
        self,
        way: Literal["sent", "received"],
        peer: str,
        kind: Kind,
        number: int,
        sequence: int,
        payload: bytes,
    ) -> None:
        """Note a frame.

        Args:
            number: of the plan's round; 0: none.
            sequence: of the frame on its connection and way.
        """
        self._write(
            {
                "time": _now(),
                "way": way,
                "peer": peer,
                "kind": kind.name.lower(),
                "round": number,
                "sequence": sequence,
                "bytes": len(payload),
                "sha256": hashlib.sha256(payload).hexdigest(),
            }
        )

    def event(self, what: str, **facts: str | int) -> None:
        """Note something that is no frame: a session's name, a signed hello, how the run ended."""
        self._write({"time": _now(), "event": what, **facts})

    def _write(self, line: dict[str, object]) -> None:
        data = _dumped(line) + b"\n"
        try:
            if self._file.write(data) != len(data):
                raise OSError(28, "no space left on the device")
        except OSError as error:
            raise _unwritten(self.path, error) from error
        self._digest.update(data)


def _dumped(line: Any) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unwritten(path: Path, error: OSError) -> SecgenError:
    return fail(
        "SG512",
        f"the transcript cannot be written: {error.strerror}",
        place=str(path),
        next_step="see that the folder can be written and its disk has room, then start again",
    )
