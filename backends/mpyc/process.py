"""The process of a party: from a configuration to a result line or a diagnostic.

A bundle is not code to run (PROTOCOL): the party verifies the plan, generates the program from it
with its own release, requires the bundle's bytes to be equal, and runs its own copy.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TextIO

from secgen_dsl.backends.mpyc.cost import predicted_bytes
from secgen_dsl.backends.mpyc.evidence import Evidence, new_run_folder, transcript_head
from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.backends.mpyc.messages import (
    PartyConfig,
    PartyResult,
    Progress,
    failure_line,
    progress_line,
    read_config,
    result_line,
)
from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.backends.mpyc.sharing import start_mpyc
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.base import canonical_json, read_node, sha256_of
from secgen_dsl.ir.plan import MERSENNE_61, Plan
from secgen_dsl.queries.table import SampleTable, empty_table
from secgen_dsl.runtime.evidence.folder import TRANSCRIPT_FILE
from secgen_dsl.runtime.evidence.receipt import COMPLETE
from secgen_dsl.runtime.evidence.transcript import Transcript
from secgen_dsl.runtime.ledger import Debit
from secgen_dsl.runtime.network.channel import Status
from secgen_dsl.runtime.network.links import Endpoint, listen
from secgen_dsl.runtime.network.meeting import room_of
from secgen_dsl.runtime.noise import NoiseSource, SystemNoise
from secgen_dsl.runtime.site.debit import debit_of
from secgen_dsl.runtime.store import ContributionStore, first_key
from secgen_dsl.runtime.trust.consortium import read_address
from secgen_dsl.runtime.trust.identity import read_signer

Verify = Callable[[Plan], object]

_FAREWELL_SECONDS = 2.5
_QUIET_SECONDS = 5.0
"""A line at most each so many seconds while phase and peers stay the same."""

_STOPPED = "SG901"
"""The outcome of a run that its operator stopped."""


def main() -> int:
    """An installed party: the system's noise, the installed verifier, the standard streams."""
    channel = private_output()
    try:
        config = read_config(sys.stdin.buffer.readline())
        from secgen_dsl.verifier import verify
    except SecgenError as error:
        _write(channel, failure_line(error))
        return 1
    lifeline = Lifeline()
    return run_party(config, noise=SystemNoise(), verify=verify, channel=channel, lifeline=lifeline)


def run_party(
    config: PartyConfig,
    *,
    noise: NoiseSource,
    verify: Verify,
    channel: TextIO,
    lifeline: "Lifeline",
) -> int:
    """Run one party from its configuration to its last line.

    Args:
        config: from the launcher or from `secgen party`.
        noise: where z comes from; an installed party's ``main`` knows only ``SystemNoise``.
        verify: raises SecgenError for a plan whose claims do not hold.
        channel: takes the JSON lines.
        lifeline: asks it to stop.

    Returns:
        The exit code: 0 after a result line, 1 after a line of diagnostics.  A fault that is no
        diagnostic is reported as SG516; its details, which may hold a site's data, go to
        ``party.log`` in the state folder and nowhere else.
    """
    os.umask(0o077)
    reporter = _Reporter(channel, f"party {config.index}")
    try:
        result = _run_party(config, noise, verify, reporter, lifeline)
    except asyncio.CancelledError:  # its launcher has ended, or the system ends the party
        stopped = fail(
            _STOPPED,
            f"{reporter.party} was stopped from outside while {reporter.phase}",
            place=reporter.party,
            next_step="the output of `secgen party`, or of its service (`journalctl -u`), says who "
            "stopped it, unless it was killed; start all parties again: a restart uses the "
            "contributions that are stored and costs no budget",
        )
        reporter.log.info("ended: %s", stopped)
        _write(channel, failure_line(stopped))
        return 1
    except SecgenError as error:
        reporter.log.info("ended: %s", error)
        _write(channel, failure_line(error))
        return 1
    except Exception:
        reporter.log.exception("fault in phase %r", reporter.phase)
        fault = fail(
            "SG516",
            f"{reporter.party} stopped by a fault of secgen while {reporter.phase}",
            place=reporter.party,
            next_step="the details are in party.log in that party's state folder; they may hold "
            "data, so look before passing them on",
        )
        _write(channel, failure_line(fault))
        return 1
    _write(channel, result_line(result))
    return 0


def _run_party(
    config: PartyConfig,
    noise: NoiseSource,
    verify: Verify,
    reporter: "_Reporter",
    lifeline: "Lifeline",
) -> PartyResult:
    state = Path(config.state)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    reporter.log_to(state / "party.log")
    plan = _read_plan(config)
    reporter.knows(plan.parties[config.index], predicted_bytes(plan))
    reporter.tell("verifying the plan")
    verify(plan)
    text, program = _own_program(config, plan, state)
    endpoint = endpoint_of(config, sha256_of(plan))
    listener = _listener(config, endpoint)
    with ContributionStore(state / "store.sqlite") as store:
        reporter.tell("preparing its noised counts")
        debit = _debit(config, plan, store)
        table = _read_table(config, plan, store)
        mpc = start_mpyc(config.index, len(plan.parties), plan.threshold)
        folder = new_run_folder(state)
        with Transcript(folder / TRANSCRIPT_FILE, transcript_head(config, plan)) as transcript:
            party = Party(
                config,
                plan,
                table=table,
                noise=noise,
                store=store,
                debit=debit,
                mpc=mpc,
                endpoint=endpoint,
                transcript=transcript,
                listener=listener,
                report=reporter.tell,
                started=reporter.started,
            )
            evidence = Evidence(config, plan, text, endpoint, folder, transcript)
            try:
                _run(program, party, reporter.log, lifeline)
            except SecgenError as error:
                evidence.write(party, error.diagnostics[0].code)
                raise
            except asyncio.CancelledError:
                evidence.write(party, _STOPPED)
                raise
            except BaseException:
                evidence.write(party, "SG516")
                raise
            receipt = evidence.write(party, COMPLETE)
        for warning in store.ledger().warnings():
            reporter.log.info("%s: %s", warning.code, warning.message)
        result = PartyResult(
            measurements=party.measurements(),
            bytes_sent=party.bytes_sent,
            debit=party.debit_sha256,
            receipt=str(receipt),
            transcript=str(transcript.path),
        )
    reporter.tell("done", Status(reporter.connected, result.bytes_sent))
    return result


class _Reporter:
    """Writes progress lines and the local log; a line at most each second within a phase.

    Attributes:
        started: when it was made, as ``time.monotonic`` counts.
        log: the party's local log.
        party: its name.
        phase: what it does now.
        connected: names of the peers that are there.
    """

    def __init__(self, channel: TextIO, party: str) -> None:
        self._channel = channel
        self.started = time.monotonic()
        self._expected = 0
        self._told = 0.0
        self.log = logging.getLogger("secgen")
        self.log.propagate = False
        self.log.setLevel(logging.INFO)
        self.party = party
        self.phase = "starting"
        self.connected: tuple[str, ...] = ()

    def log_to(self, path: Path) -> None:
        """Where the local log is."""
        handler = logging.FileHandler(path, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self.log.addHandler(handler)

    def knows(self, party: str, expected: int) -> None:
        """The party's name, and how many bytes it will send."""
        self.party, self._expected = party, expected

    def tell(self, phase: str, status: Status = Status()) -> None:  # noqa: B008 (frozen)
        """Say how far it is."""
        now = time.monotonic()
        same = phase == self.phase and status.connected == self.connected
        if same and now - self._told < _QUIET_SECONDS:
            return
        self.phase, self.connected, self._told = phase, status.connected, now
        progress = Progress(
            party=self.party,
            phase=phase,
            bytes=status.sent,
            expected=self._expected,
            connected=status.connected,
            missing=status.missing,
            elapsed=now - self.started,
        )
        self.log.info("%s: %d bytes sent, %.3f s", phase, status.sent, progress.elapsed)
        _write(self._channel, progress_line(progress))


def private_output() -> TextIO:
    """The standard output for JSON lines alone; whatever else prints goes to standard error."""
    sys.stdout.flush()
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


class Lifeline:
    """Ends this process when its standard input ends: a party does not outlive its launcher.

    SIGTERM, which systemd sends to all processes of a service, does the same.  While the party is
    among others it first tells them that it stops.
    """

    def __init__(self) -> None:
        self._stop: Callable[[], object] | None = None
        signal.signal(
            signal.SIGTERM, lambda *_: threading.Thread(target=self._end, daemon=True).start()
        )
        threading.Thread(target=self._watch, daemon=True).start()

    def before_end(self, stop: Callable[[], object]) -> None:
        """What to call from another thread; the process has then two seconds more."""
        self._stop = stop

    def _watch(self) -> None:
        # The descriptor, not sys.stdin: a thread that waits inside a buffered reader holds its
        # lock when the interpreter closes it.
        while os.read(0, 1):
            pass
        self._end()

    def _end(self) -> None:
        if self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._stop()
            time.sleep(_FAREWELL_SECONDS)
        os._exit(1)


def leave(code: int) -> NoReturn:
    """End the process at once: everything is written, and an orderly end of all libraries takes
    up to a second in which the launcher waits."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


def _read_plan(config: PartyConfig) -> Plan:
    try:
        plan = read_node(Plan, config.plan)
        canonical = canonical_json(plan)
    except ValueError as error:  # not of the model, or numbers beyond JSON's exact range
        raise fail(
            "SG515",
            "the plan cannot be read by this release of secgen",
            place="plan.json",
            next_step="compile the bundle again with the release that all parties use",
        ) from error
    if canonical != config.plan.encode():
        raise fail(
            "SG515",
            "the plan is not in canonical form, so its hash is not what the sites approved",
            place="plan.json",
            next_step="use the bundle's plan.json as it was written",
        )
    if plan.modulus != MERSENNE_61 or not 0 <= config.index < len(plan.parties):
        raise _not_ours("its field or party is unknown")
    if tuple(one.name for one in config.entries) != plan.parties:
        raise _not_ours("the parties that it was started with are not those of the plan")
    return plan


def _not_ours(what: str) -> SecgenError:
    return fail(
        "SG515",
        f"this plan is not one that this party can run: {what}",
        place="plan.json",
        next_step="compile the bundle again with this release of secgen",
    )


def endpoint_of(config: PartyConfig, plan_sha256: str) -> Endpoint:
    """The party as the network sees it.  Raises SecgenError SG522, SG515."""
    entries = config.entries
    return Endpoint(
        entries=entries,
        index=config.index,
        signer=read_signer(Path(config.key)),
        key=Path(config.key),
        certificate=Path(config.certificate),
        relay=read_address(config.relay) if config.relay else None,
        proxy=config.proxy or None,
        room=room_of(entries, plan_sha256),
    )


def _listener(config: PartyConfig, endpoint: Endpoint) -> socket.socket | None:
    if config.listener is not None:
        return socket.socket(fileno=config.listener)
    address = endpoint.entries[config.index].listens_on()
    return None if address is None else listen(address)


def _own_program(config: PartyConfig, plan: Plan, state: Path) -> tuple[str, ModuleType]:
    """Generate this party's own program, compare it with the bundle's, and load it."""
    text = generate_program(plan, config.source_lines)
    if text != config.program:
        raise fail(
            "SG510",
            "the bundle's program is not the one that this release generates from the plan",
            place="party_program.py",
            next_step="compile the bundle again, and do not change its files",
        )
    path = state / "program.py"
    path.write_text(text, encoding="utf-8")  # for people, and for the lines of a traceback
    module = ModuleType("secgen_generated_program")
    # From the text itself: an import would prefer cached bytecode that somebody put beside the
    # file, in a state folder that came from elsewhere.
    exec(compile(text, str(path), "exec"), module.__dict__)  # noqa: S102 (our own text)
    return text, module


def _debit(config: PartyConfig, plan: Plan, store: ContributionStore) -> Debit | None:
    """What the plan costs this site, if its policy allows it; asked before any data is read."""
    if config.data_file is None:
        return None
    debit = debit_of(plan, Path(config.data_file), plan.parties[config.index])
    store.check(first_key(plan, config.index), debit)
    return debit


def _read_table(config: PartyConfig, plan: Plan, store: ContributionStore) -> SampleTable:
    program = plan.program
    if config.data_file is None:
        return empty_table(program)
    from secgen_dsl.runtime.site.read import read_site

    name = plan.parties[config.index]
    people, report = read_site(program, Path(config.data_file), store.site_key(), name)
    # For the site's own eyes: what was missing, unknown or left out.  It never leaves the folder.
    local = Path(config.state) / "reading.json"
    with os.fdopen(os.open(local, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(report), file, indent=1)
    return people


def _run(program: ModuleType, party: Party, log: logging.Logger, lifeline: Lifeline) -> None:
    from mpyc.runtime import mpc

    # MPyC binds its futures to the loop that it found when it was imported.
    loop: asyncio.AbstractEventLoop = mpc._loop
    loop.set_exception_handler(lambda _, context: log.info("loop: %s", context.get("message")))

    async def protocol() -> None:
        try:
            await program.protocol(party)
        except BaseException as error:
            await party.stop(error)
            raise

    try:
        running = loop.create_task(protocol())
        lifeline.before_end(lambda: loop.call_soon_threadsafe(running.cancel))
        loop.run_until_complete(running)
    finally:
        # One more turn, so that dropped connections are closed before the process ends.
        with contextlib.suppress(RuntimeError):
            loop.run_until_complete(asyncio.sleep(0))


def _write(channel: TextIO, line: str) -> None:
    # A launcher that has gone away is no reason to fail differently.
    with contextlib.suppress(OSError):
        channel.write(line + "\n")
        channel.flush()
