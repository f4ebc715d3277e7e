"""Starts the processes of parties, passes on what they say, and ends them.

A party that fails, dies or hangs is named with its phase; no process outlives the call.
"""

import contextlib
import hashlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from secgen_dsl.backends.mpyc.messages import PartyConfig, PartyResult, Progress, read_line
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail

PARTY_COMMAND = (sys.executable, "-E", "-P", "-m", "secgen_dsl.backends.mpyc.party")

_GRACE_SECONDS = 10.0
"""How long the others may still say why, after the first party has failed: whoever knows the cause
tells the others first (``gathering``)."""

_STOP_SECONDS = 3.0
"""How long a party may tell its peers that it stops, before its process is killed."""

_START_SECONDS = 60.0
"""Silence beyond the parties' own timeout that ends a run; covers slow starts of processes."""

_CONSEQUENCES = ("SG504", "SG526")
"""Codes by which a party reports that another one has gone, or has said that it stops."""

OnProgress = Callable[[Progress], None]
_Lines = queue.Queue[tuple[int, bytes | None]]


@dataclass
class RunningParty:
    """One party's process and what is known of it."""

    name: str
    process: subprocess.Popen[bytes]
    state: Path
    follower: threading.Thread | None = None
    phase: str = "starting"
    result: PartyResult | None = None
    failure: SecgenError | None = None
    ended: bool = False


def folder_of(state: Path, name: str) -> Path:
    """Where the folder of a party is; its name is readable, and never leaves ``state``."""
    readable = quote(name, safe="")[:60]
    # A hash of the (public) name keeps apart what shortening or a file system would join.
    return state.resolve() / f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def private_folder(state: Path, name: str) -> Path:
    """The folder of a party, made if absent, mode 0700.  Raises SecgenError SG512."""
    folder = folder_of(state, name)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise fail(
            "SG512",
            f"the state folder of {name} cannot be made: {error.strerror}",
            place=str(folder),
            next_step="choose a folder that can be written",
        ) from error
    return folder


class Supervisor:
    """Some parties' processes; use as a context manager, which leaves none of them behind.

    Args:
        on_progress: called from this thread for each phase of each party.
        command: how to start a party; tests bring their own.
    """

    def __init__(self, on_progress: OnProgress, command: Sequence[str] = PARTY_COMMAND) -> None:
        self._on_progress = on_progress
        self._command = command
        self._lines: _Lines = queue.Queue()
        self._running: list[RunningParty] = []

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _stop(self._running)

    def start(self, name: str, config: PartyConfig) -> None:
        """Start a party's process, in a group of its own.

        Raises:
            SecgenError: SG508.
        """
        listener = () if config.listener is None else (config.listener,)
        errors = os.open(
            Path(config.state) / "stderr.log", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600
        )
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=listener,
                start_new_session=True,  # a group of its own: it can be ended with all it started
            )
        except OSError as error:
            raise fail(
                "SG508",
                f"the process of {name} cannot be started: {error.strerror}",
                place=name,
                next_step="see that this installation of secgen is complete",
            ) from error
        finally:
            os.close(errors)
        party = RunningParty(name, process, Path(config.state))
        self._running.append(party)
        party.follower = threading.Thread(
            target=_follow,
            args=(len(self._running) - 1, party, config, self._lines),
            daemon=True,
        )
        party.follower.start()

    def results(self, silence: float) -> tuple[dict[str, PartyResult], float]:
        """Follow the parties until all have a result.

        Args:
            silence: seconds, beyond what a start takes, after which they count as hung.

        Returns:
            Party → its result, and when the last was ready to connect.

        Raises:
            SecgenError: the cause why one of them has none.
        """
        ready = _watch(self._running, self._lines, self._on_progress, silence)
        results = {one.name: one.result for one in self._running if one.result is not None}
        return results, ready


def _follow(index: int, party: RunningParty, config: PartyConfig, lines: _Lines) -> None:
    """Give a party its configuration and pass on its lines; runs in a thread of its own."""
    process = party.process
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a party is started with pipes")
    # It stays open: a party ends when its standard input does, should this process die.
    with contextlib.suppress(OSError):
        process.stdin.write(config.model_dump_json().encode() + b"\n")
        process.stdin.flush()
    for line in process.stdout:
        lines.put((index, line))
    lines.put((index, None))


def _watch(
    running: Sequence[RunningParty], lines: _Lines, on_progress: OnProgress, timeout: float
) -> float:
    """Follow the parties until all have a result; return when the last was ready to connect.

    Raises:
        SecgenError: the cause why one of them has none.
    """
    ready = time.monotonic()
    silence = timeout + _START_SECONDS
    deadline: float | None = None
    while not all(party.ended for party in running):
        now = time.monotonic()
        wait = silence if deadline is None else deadline - now
        try:
            index, line = lines.get(timeout=max(wait, 0.0))
        except queue.Empty:
            if deadline is None:
                raise _silent(running, silence) from None
            break
        party = running[index]
        if line is None:
            _end(party)
        else:
            message = _message(line)
            if isinstance(message, Progress):
                if message.phase == "connecting" != party.phase:
                    ready = time.monotonic()
                party.phase = message.phase
                on_progress(message)
            elif isinstance(message, PartyResult):
                party.result = message
            elif message is not None:
                party.failure = message
        if party.failure is not None and deadline is None:
            deadline = time.monotonic() + _GRACE_SECONDS
        if party.failure is not None and not _is_consequence(party.failure):
            break  # the cause itself: nothing that the others could add matters
    causes = [party.failure for party in running if party.failure is not None]
    if causes:
        causes.sort(key=_distance_from_cause)
        raise causes[0]
    return ready


def _end(party: RunningParty) -> None:
    """A party's output has ended: see how."""
    party.ended = True
    code = party.process.wait()
    if party.failure is not None or (code == 0 and party.result is not None):
        return
    how = f"ended with exit code {code}"
    if code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    killed = ""
    if code == -signal.SIGKILL:  # it leaves no word behind; a full memory does the same
        killed = "; why it was killed, the system's log tells (`journalctl -k`): short of memory?"
    party.failure = fail(
        "SG508",
        f"the process of {party.name} {how} while {party.phase}",
        place=party.name,
        next_step=f"see {party.state / 'party.log'} and stderr.log beside it{killed}; then run "
        "again: a restart uses the contributions that are stored and costs no budget",
    )


def _message(line: bytes) -> Progress | PartyResult | SecgenError | None:
    try:
        return read_line(line)
    except ValueError:
        return None  # no line of ours; a party without a result is noticed when it ends


def _is_consequence(error: SecgenError) -> bool:
    return _distance_from_cause(error) > 0


def _distance_from_cause(error: SecgenError) -> int:
    """0: it is one; greater: it tells of what others did."""
    code = error.diagnostics[0].code
    return 1 + _CONSEQUENCES.index(code) if code in _CONSEQUENCES else 0


def _silent(running: Sequence[RunningParty], seconds: float) -> SecgenError:
    waiting = [f"{party.name} ({party.phase})" for party in running if not party.ended]
    return fail(
        "SG508",
        f"nothing was heard for {seconds:g} s from {', '.join(waiting)}",
        place=waiting[0],
        next_step="the machine may be overloaded; run again, with a longer timeout if need be",
    )


def _stop(running: Sequence[RunningParty]) -> None:
    """End whatever still runs, with everything it started, and wait for it."""
    left = [party for party in running if party.process.poll() is None]
    for party in left:
        # It tells its peers that it stops, and ends; see process.Lifeline.
        if party.process.stdin is not None:
            with contextlib.suppress(OSError):
                party.process.stdin.close()
    deadline = time.monotonic() + _STOP_SECONDS
    for party in left:
        with contextlib.suppress(subprocess.TimeoutExpired):
            party.process.wait(max(0.0, deadline - time.monotonic()))
    for party in running:
        if party.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(party.process.pid, signal.SIGKILL)
    for party in running:
        party.process.wait()
        if party.follower is not None:
            party.follower.join(_STOP_SECONDS)
        for stream in (party.process.stdin, party.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
