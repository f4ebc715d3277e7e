"""What `secgen doctor` checks: the consortium, the plan, this machine, the way to the others."""

import asyncio
import errno
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from secgen_dsl import __version__
from secgen_dsl.diagnostics.diagnostic import (
    Diagnostic,
    SecgenError,
    fail,
    nearest,
    printable,
)
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.runtime.network.check import NO_HASH
from secgen_dsl.runtime.network.diagnosis import Meeting, diagnose, words
from secgen_dsl.runtime.network.doctor import (
    MOST_PARTIES,
    Consultation,
    Standing,
    own_party_listens,
)
from secgen_dsl.runtime.network.links import Endpoint, listen
from secgen_dsl.runtime.network.meeting import ask, room_of
from secgen_dsl.runtime.trust.approvals import missing_approval, review
from secgen_dsl.runtime.trust.consortium import (
    Consortium,
    PartyEntry,
    read_address,
    read_consortium,
    roster_sha256,
)
from secgen_dsl.runtime.trust.identity import read_signer
from secgen_dsl.runtime.trust.validity import (
    certificate_faults,
    certificate_word,
    is_valid,
    timeout_faults,
)

if TYPE_CHECKING:
    from secgen_dsl.backends.mpyc.field import Machine
    from secgen_dsl.cli.study import PlannedStudy
    from secgen_dsl.runtime.ledger import Ledger

_RELAY_SECONDS = 10.0


@dataclass(frozen=True)
class Subject:
    """What is examined.

    Attributes:
        consortium: file of the consortium.
        name: of the party at this site; None: the file alone is examined.
        keys: folder of this machine's keys; given with ``name``.
        bundle: what is to run.
        site: the site's description.
        state: this site's folder, with its ledger.
        wait: seconds > 0 for the others to come.
        proxy: on the way to the relay; None: that of the environment.
    """

    consortium: Path
    name: str | None
    keys: Path | None
    bundle: Path | None
    site: Path | None
    state: Path | None
    wait: float
    proxy: str | None


@dataclass
class Examination:
    """What was found.

    Attributes:
        sites: site → check → a short word.
        notes: remarks that are no findings.
        roster: digest of all parties in the consortium's file, which people compare.
    """

    sites: dict[str, dict[str, str]] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    roster: str = ""

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """What fails within is a finding, and the examination goes on."""
        try:
            yield
        except SecgenError as error:
            self.diagnostics += error.diagnostics


def examine(subject: Subject, say: Callable[[str], None]) -> Examination:
    """Check all that the subject allows.

    Args:
        say: told what is waited for.

    Raises:
        SecgenError: SG521, the consortium's file cannot be used at all.
    """
    found = Examination()
    consortium = read_consortium(subject.consortium)
    found.roster = roster_sha256(sorted(consortium.party, key=lambda one: one.name))
    found.notes.append(f"roster      {found.roster}")
    found.notes.append("            as `secgen consortium` shows it: the same at all sites")
    planned = None
    if subject.bundle is not None:
        with found.collecting():
            planned = _planned(subject.bundle)
    # Without a plan there is no order of the parties: one that all sites have.
    entries = tuple(sorted(consortium.party, key=lambda one: one.name))
    if planned is not None:
        try:
            entries = consortium.of_plan(planned.plan.parties)
        except SecgenError as error:
            found.diagnostics += error.diagnostics
            planned = None
    now = datetime.now(UTC)
    found.diagnostics += certificate_faults(entries, now)
    found.diagnostics += timeout_faults(consortium.timeouts, str(subject.consortium))
    for entry in entries:
        found.sites[printable(entry.name)] = {
            "address": entry.address or "at the relay",
            "certificate": certificate_word(entry, now),
        }
    standing = Standing(__version__, NO_HASH, NO_HASH, roster_sha256(entries), 0)
    if planned is not None and subject.bundle is not None:
        standing = _standing(subject.bundle, planned, entries, found)
    if subject.name is None or subject.keys is None:
        return found
    machine = None
    with found.collecting():
        from secgen_dsl.backends.mpyc.field import machine_of

        consortium.entry(subject.name)
        machine = machine_of(subject.keys, subject.name, consortium)
    with found.collecting():
        _require_role(subject, planned, subject.name)
    _check_site(subject, planned, subject.name, found)
    if machine is not None and subject.name in (one.name for one in entries):
        with found.collecting():
            network = _Network(subject, consortium, entries, machine, standing, planned, found)
            network.examine(say)
    else:
        found.notes.append("the other sites were not asked: see the errors above all")
    return found


def _planned(bundle: Path) -> "PlannedStudy":
    """The verified plan of a bundle, with everything made again, as before an approval."""
    from secgen_dsl.backends.bundle import read_bundle
    from secgen_dsl.cli.bundling import bundle_of
    from secgen_dsl.cli.study import plan_of

    if not bundle.is_dir():
        read_bundle(bundle)  # says why it is none
    planned = plan_of(bundle)
    bundle_of(planned)  # asks the second accountant
    return planned


def _standing(
    bundle: Path, planned: "PlannedStudy", entries: tuple[PartyEntry, ...], found: Examination
) -> Standing:
    plan, study = planned.verified.plan_sha256, sha256_of(planned.study)
    reviewed = review(bundle, plan, study, entries)
    found.diagnostics += [missing_approval(bundle, name) for name in reviewed.missing]
    found.diagnostics += reviewed.faults
    approved = 0
    for index, entry in enumerate(entries):
        approval = reviewed.approved.get(entry.name)
        word = "missing" if entry.name in reviewed.missing else "not valid"
        found.sites[printable(entry.name)]["approval"] = approval.date if approval else word
        approved |= (approval is not None) << index
    return Standing(__version__, plan, study, roster_sha256(entries), approved)


def _require_role(subject: Subject, planned: "PlannedStudy | None", name: str) -> None:
    """SG529: the plan has no such party, or a helper was given data."""
    if planned is None:
        return
    parties = planned.plan.parties
    if name not in parties:
        raise fail(
            "SG529",
            f'the plan has no party "{printable(name)}"',
            place="--party",
            next_step=nearest(name, parties) or f"its parties are {', '.join(parties)}",
        )
    if subject.site is not None and name in planned.plan.program.helpers:
        raise fail(
            "SG529",
            f'"{name}" is a helper of this study: it has no data',
            place="--site",
            next_step="leave out --site",
        )


def _check_site(
    subject: Subject, planned: "PlannedStudy | None", name: str, found: Examination
) -> None:
    """The state folder, its ledger, the description of the site, and its policy.  Reads no data."""
    from secgen_dsl.backends.bundle import require_writable
    from secgen_dsl.backends.mpyc.supervision import folder_of
    from secgen_dsl.runtime.database import read_ledger_file
    from secgen_dsl.runtime.ledger import Ledger, ledger_words
    from secgen_dsl.runtime.policy import Policy
    from secgen_dsl.runtime.site.debit import debit_of
    from secgen_dsl.runtime.site.description import Site

    ledger = Ledger(subject.site or Path(), (), ())
    if subject.state is not None:
        with found.collecting():
            require_writable(subject.state)
            store = folder_of(subject.state, name) / "store.sqlite"
            if store.exists():
                ledger = read_ledger_file(store)
                found.diagnostics += ledger.warnings()
                found.diagnostics += _behind(ledger)
            is_silo = planned is None or name not in planned.plan.program.helpers
            found.notes.append(
                f"ledger      {ledger_words(ledger, subject.state, is_silo=is_silo)}"
            )
    if subject.site is None:
        return
    with found.collecting():
        Site(subject.site, name)
        if not subject.site.is_file():
            raise fail(
                "SG418",
                "there is no such file",
                place=str(subject.site),
                next_step="give the site's site.toml or table",
            )
        if planned is None or name in planned.plan.program.helpers:
            return
        plan_sha256 = planned.verified.plan_sha256
        limits = Site(subject.site, "").description.policy != Policy()
        allows = "allows this plan" if limits else "has no [policy]: nothing is limited"
        if any(entry.plan_sha256 == plan_sha256 for entry in ledger.entries):
            if limits:
                allows = "is kept: this plan was debited before, and to go on with it costs nothing"
        else:
            debit_of(planned.plan, subject.site, name).check(ledger)
        found.notes.append(f"policy      {subject.site} {allows}")


def _behind(ledger: "Ledger") -> Iterator[Diagnostic]:
    """SG805: this machine's clock is behind the ledger."""
    today = datetime.now(UTC).date().isoformat()
    if ledger.entries and ledger.entries[-1].date > today:
        yield Diagnostic(
            "SG805",
            f"the clock says {today}, and the last entry is of {ledger.entries[-1].date}",
            "warning",
            place=str(ledger.path),
            next_step="set the machine's clock, and let it follow a time server (NTP)",
        )


class _Network:
    """The part of an examination that needs the network."""

    def __init__(
        self,
        subject: Subject,
        consortium: Consortium,
        entries: tuple[PartyEntry, ...],
        machine: "Machine",
        standing: Standing,
        planned: "PlannedStudy | None",
        found: Examination,
    ) -> None:
        self._subject = subject
        self._consortium = consortium
        self._standing = standing
        self._planned = planned
        self._found = found
        self._without_relay = False
        self._index = [one.name for one in entries].index(subject.name or "")
        relay = consortium.relay
        address = None if relay is None else read_address(relay.address)
        proxy = subject.proxy
        if proxy is None and address is not None:
            from secgen_dsl.runtime.network.dialling import proxy_from_environment

            proxy = proxy_from_environment(address)
        self._endpoint = Endpoint(
            entries=entries,
            index=self._index,
            signer=read_signer(machine.key),
            key=machine.key,
            certificate=machine.certificate,
            relay=address,
            proxy=proxy,
        )

    def examine(self, say: Callable[[str], None]) -> None:
        """Ask the others, and add what was found.

        Raises:
            SecgenError: SG521, SG522.
        """
        entries = self._endpoint.entries
        if len(entries) > MOST_PARTIES:
            raise fail(
                "SG521",
                f"secgen doctor asks at most {MOST_PARTIES} sites; there are {len(entries)}",
                place=str(self._subject.consortium),
                next_step="give --bundle: only the parties of its plan are asked then",
            )
        listener = self._listener()
        others = f"{len(entries) - 1} other {'site' if len(entries) == 2 else 'sites'}"
        say(f"asking {others}, for up to {self._subject.wait:g} s")
        begun = time.monotonic()
        try:
            consultation = asyncio.run(self._ask(listener))
        finally:
            if listener is not None:
                listener.close()
        taken = time.monotonic() - begun
        self._found.notes.append(f"network     {others} asked for {taken:.1f} s")
        now = datetime.now(UTC)
        meeting = Meeting(
            entries=entries,
            index=self._index,
            standing=self._standing,
            contacts=consultation.contacts,
            listens=listener is not None,
            ordered=self._planned is not None,
            explained=frozenset(
                index
                for index, one in enumerate(entries)
                if not is_valid(one, now) or (self._without_relay and self._meets(one))
            ),
        )
        self._found.diagnostics += diagnose(meeting)
        for index, entry in enumerate(entries):
            told = self._found.sites[printable(entry.name)]
            told |= self._own_words() if index == self._index else words(meeting, index)

    async def _ask(self, listener: socket.socket | None) -> Consultation:
        consultation = Consultation(self._endpoint, self._standing, listener, self._run_room())
        asked = asyncio.create_task(self._ask_relay())
        await consultation.hold(self._subject.wait)
        await asked
        return consultation

    async def _ask_relay(self) -> None:
        """SG528: the relay does not admit this party; a warning where it is not needed."""
        endpoint = self._endpoint
        me = endpoint.entries[self._index]
        if endpoint.relay is None:
            return
        try:
            await ask(
                endpoint.relay,
                proxy=endpoint.proxy,
                signer=endpoint.signer,
                me=me,
                timeout=min(_RELAY_SECONDS, self._subject.wait),
            )
            self._found.notes.append(f"relay       {endpoint.relay} admits {me.name}")
        except SecgenError as error:
            self._without_relay = True
            meets = any(map(self._meets, endpoint.entries))
            self._found.diagnostics += [
                each if meets else _as_warning(each) for each in error.diagnostics
            ]

    def _meets(self, other: PartyEntry) -> bool:
        """Whether this site and another one meet at the relay."""
        me = self._endpoint.entries[self._index]
        return other is not me and not me.address and not other.address

    def _listener(self) -> socket.socket | None:
        """This site's bound socket; None where there is no address, or it cannot be had."""
        address = self._endpoint.entries[self._index].listens_on()
        if address is None:
            return None
        try:
            return listen(address)
        except SecgenError as error:
            cause = error.__cause__
            number = cause.errno if isinstance(cause, OSError) else None
            taken = number == errno.EADDRINUSE
            if taken and asyncio.run(own_party_listens(self._endpoint, address)):
                self._found.notes.append(
                    f"listens on  {address}: a party or doctor of this site does already; who "
                    "reaches it was not tested"
                )
                return None
            self._found.diagnostics.append(
                Diagnostic(
                    "SG556",
                    error.diagnostics[0].message,
                    place=f"site {printable(self._subject.name or '')}, {address}",
                    next_step=_REMEDIES.get(number or 0, error.diagnostics[0].next_step),
                )
            )
            return None

    def _run_room(self) -> bytes | None:
        """Where parties of this run wait at the relay, if none of this site can be among them."""
        state = self._subject.state
        if self._planned is None or state is None or self._endpoint.relay is None:
            return None
        if state.exists():
            from secgen_dsl.cli.execution import one_run_at_a_time

            try:
                with one_run_at_a_time(state.absolute(), "--state"):
                    pass
            except SecgenError:
                return None
        return room_of(self._endpoint.entries, self._standing.plan_sha256)

    def _own_words(self) -> dict[str, str]:
        standing = self._standing
        has_plan = standing.plan_sha256 != NO_HASH
        return {
            "reached": "this site",
            "calls us": "–",
            "release": standing.release,
            "plan": standing.plan_sha256[:8] if has_plan else "–",
            "parties": standing.roster_sha256[:8],
            "approvals": f"{standing.approved.bit_count()} of {len(self._endpoint.entries)}"
            if has_plan
            else "–",
            "clock": datetime.now(UTC).strftime("%H:%M:%S"),
        }


_REMEDIES = {
    errno.EADDRINUSE: "another process holds the port: end it, or choose another port with "
    "`listen` in consortium.toml",
    errno.EADDRNOTAVAIL: "the address is none of this machine's: set `listen` in consortium.toml, "
    "for example 0.0.0.0 and the port, where a router passes the port on",
    errno.EACCES: "ports below 1024 need the right to them: choose another one, or give the "
    "account CAP_NET_BIND_SERVICE",
}


def _as_warning(diagnostic: Diagnostic) -> Diagnostic:
    return replace(diagnostic, severity="warning")
