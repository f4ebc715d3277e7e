"""Runs all parties of a plan on this machine, as processes of their own, and watches them.

A party that fails, dies or hangs ends the run for all, with a diagnostic that names it and its
phase; no process outlives the call.
"""

import contextlib
import hashlib
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from secgen_dsl.backends.mpyc.cost import predicted_rounds
from secgen_dsl.backends.mpyc.local import local_consortium
from secgen_dsl.backends.mpyc.messages import PartyConfig, PartyResult, Progress, read_line
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail, nearest
from secgen_dsl.ir.base import canonical_json
from secgen_dsl.ir.plan import Measurements, Plan

PARTY_COMMAND = (sys.executable, "-E", "-P", "-m", "secgen_dsl.backends.mpyc.party")

_GRACE_SECONDS = 3.0
"""How long the others may still say why, after the first party has failed."""

_START_SECONDS = 60.0
"""Silence beyond the parties' own timeout that ends a run; covers slow starts of processes."""

_CONSEQUENCES = frozenset({"SG504", "SG526"})
"""Codes by which a party reports that another one has gone."""

OnProgress = Callable[[Progress], None]
_Lines = queue.Queue[tuple[int, bytes | None]]


@dataclass(frozen=True)
class ProtocolResult:
    """A finished run.

    Attributes:
        measurements: the opened values, equal at all parties.
        bytes_sent: party → bytes sent to all its peers.
        debits: silo → hash of the entry of its ledger that paid.
        seconds: wall time from starting the processes to the last result.
        exchange_seconds: of these, from the moment when the last party was ready to connect.
        rounds: rounds of communication.
        receipts: party → the signed receipt in its private folder; its transcript is beside it.
    """

    measurements: Measurements
    bytes_sent: dict[str, int]
    debits: dict[str, str]
    seconds: float
    exchange_seconds: float
    rounds: int
    receipts: dict[str, Path]


@dataclass
class RunningParty:
    """One party's process and what is known of it."""

    name: str
    process: subprocess.Popen[bytes]
    follower: threading.Thread | None = None
    phase: str = "starting"
    result: PartyResult | None = None
    failure: SecgenError | None = None
    ended: bool = False


def run_protocol(
    plan: Plan,
    program_text: str,
    source_lines: Mapping[str, str],
    study_sha256: str,
    data_files: Mapping[str, Path],
    state: Path,
    *,
    on_progress: OnProgress,
    timeout: float,
    party_command: Sequence[str] = PARTY_COMMAND,
) -> ProtocolResult:
    """Run a plan with all its parties on this machine.

    Args:
        plan: verified by each party before it touches data.
        program_text: the bundle's generated program, which each party compares with its own.
        source_lines: marginal id → place of its statement, as given to ``generate_program``.
        study_sha256: hash of the study's prose.
        data_files: silo → its table or site.toml; helpers have none.
        state: folder of the parties' private folders; kept, so that a restart finds what was
            stored.
        on_progress: called from this thread for each phase of each party.
        timeout: seconds > 0 that a party waits for another one.
        party_command: how to start a party; tests bring their own.

    Raises:
        SecgenError: SG517 the data files are not those of the plan's silos; SG508 a party died or
            hung; SG509 the parties opened different values; or whatever a party reports.
    """
    _check_data_files(plan, data_files)
    start = time.monotonic()
    listeners = [_listener(len(plan.parties)) for _ in plan.parties]
    ports = [listener.getsockname()[1] for listener in listeners]
    lines: _Lines = queue.Queue()
    running: list[RunningParty] = []
    with contextlib.ExitStack() as stack:
        keys = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="secgen-keys-")))
        consortium = local_consortium(plan.parties, keys)
        for listener in listeners:
            stack.callback(listener.close)
        stack.callback(_stop, running)
        for index, name in enumerate(plan.parties):
            folder = private_folder(state, name)
            data_file = data_files.get(name)
            config = PartyConfig(
                format="secgen.party/2",
                index=index,
                plan=canonical_json(plan).decode(),
                study_sha256=study_sha256,
                program=program_text,
                source_lines=dict(source_lines),
                data_file=None if data_file is None else str(data_file.absolute()),
                state=str(folder),
                entries=consortium.entries(ports),
                key=str(consortium.keys[index]),
                certificate=str(consortium.certificates[index]),
                listener=listeners[index].fileno(),
                relay="",
                proxy="",
                approvals=(),
                connect_timeout=timeout,
                timeout=timeout,
                preparation=0.0,
            )
            party = start_party(name, folder, listeners[index].fileno(), party_command)
            running.append(party)
            listeners[index].close()  # else peers could reach a port whose party is gone
            party.follower = threading.Thread(
                target=_follow, args=(index, party, config, lines), daemon=True
            )
            party.follower.start()
        # Before the shares of a later round all parties are silent for as long as the plan says.
        longest = max(one_round.delay for one_round in plan.rounds)
        ready = _watch(running, lines, on_progress, timeout + longest)
    now = time.monotonic()
    return _agree(plan, running, seconds=now - start, exchange_seconds=now - ready)


def _check_data_files(plan: Plan, data_files: Mapping[str, Path]) -> None:
    silos = [silo.name for silo in plan.program.silos]
    for name in data_files:
        if name not in silos:
            raise fail(
                "SG517",
                f"a data file was given for {name!r}, which is no silo of this study",
                place="data files",
                next_step=nearest(name, silos) or f"the silos are {', '.join(silos)}",
            )
    missing = [name for name in silos if name not in data_files]
    if missing:
        raise fail(
            "SG517",
            f"no data file was given for {', '.join(missing)}",
            place="data files",
            next_step="give each silo its own table: --data SILO=FILE",
        )


def _listener(backlog: int) -> socket.socket:
    """A listening socket of this machine alone, on a port that the system chose."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise fail(
            "SG501",
            "no port of 127.0.0.1 can be opened for the parties",
            place="this machine",
            next_step="see that this machine allows local connections",
        ) from error
    return listener


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


def start_party(
    name: str, folder: Path, listener: int | None, command: Sequence[str]
) -> RunningParty:
    """Start a party's process, in a group of its own.

    Args:
        listener: descriptor of a socket bound for it; None: it binds its own.

    Raises:
        SecgenError: SG508.
    """
    errors = os.open(folder / "stderr.log", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            pass_fds=() if listener is None else (listener,),
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
    return RunningParty(name, process)


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
                party.phase = message.phase
                if message.phase == "connecting":
                    ready = time.monotonic()
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
        causes.sort(key=_is_consequence)
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
    party.failure = fail(
        "SG508",
        f"the process of {party.name} {how} while {party.phase}",
        place=party.name,
        next_step="see stderr.log and party.log in its state folder, then run again: a restart "
        "uses the contributions that are stored and costs no budget",
    )


def _message(line: bytes) -> Progress | PartyResult | SecgenError | None:
    try:
        return read_line(line)
    except ValueError:
        return None  # no line of ours; a party without a result is noticed when it ends


def _is_consequence(error: SecgenError) -> bool:
    return all(diagnostic.code in _CONSEQUENCES for diagnostic in error.diagnostics)


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
    for party in running:
        if party.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(party.process.pid, signal.SIGKILL)
    for party in running:
        party.process.wait()
        if party.follower is not None:
            party.follower.join(_GRACE_SECONDS)
        for stream in (party.process.stdin, party.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _agree(
    plan: Plan, running: Sequence[RunningParty], *, seconds: float, exchange_seconds: float
) -> ProtocolResult:
    results = {party.name: party.result for party in running if party.result is not None}
    measurements = {result.measurements for result in results.values()}
    if len(results) != len(plan.parties) or len(measurements) != 1:
        raise fail(
            "SG509",
            "the parties do not agree on the opened values, so none are used",
            place="all parties",
            next_step="report this: a party that runs unmodified secgen cannot differ",
        )
    return ProtocolResult(
        measurements=measurements.pop(),
        bytes_sent={name: result.bytes_sent for name, result in results.items()},
        debits={name: result.debit for name, result in results.items() if result.debit},
        seconds=seconds,
        exchange_seconds=exchange_seconds,
        rounds=predicted_rounds(plan),
        receipts={name: Path(result.receipt) for name, result in results.items()},
    )
