"""What `secgen doctor` makes of what it has heard: words for a table, and diagnostics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from secgen_dsl.diagnostics.diagnostic import Diagnostic, Severity, printable
from secgen_dsl.runtime.network.check import NO_HASH, Check
from secgen_dsl.runtime.network.doctor import Contact, Obstacle, Standing, to_reach
from secgen_dsl.runtime.network.links import routes
from secgen_dsl.runtime.trust.consortium import PartyEntry

_CLOCK_WARNING, _CLOCK_ERROR = 5.0, 60.0  # seconds

_REMEDIES: Mapping[Obstacle, str] = {
    Obstacle.DNS: "see how the name is written in consortium.toml, and ask this site's IT whether "
    "its DNS knows it",
    Obstacle.REFUSED: "let {name} run `secgen doctor` or `secgen party` at the same time; if it "
    "does, its port forwarding leads elsewhere, or it listens on another port",
    Obstacle.NO_ANSWER: "a firewall on the way drops it, or the machine is off: {name} has to let "
    "in TCP {port} from here, and this site has to let it out",
    Obstacle.NO_ROUTE: "ask this site's IT for a way out to {address}",
    Obstacle.CUT_OFF: "something on the way hangs up, a firewall or a proxy: ask both sites' IT "
    "to let TCP {port} pass without inspection",
    Obstacle.NO_TLS: "something else than secgen answers at {address}: ask {name} for its address "
    "and port, and for no inspection of TLS on the way",
    Obstacle.PROTOCOL: "install the same release of secgen at all sites",
    Obstacle.RELAY: "let {name} run `secgen doctor` at the same time, and see that both sites "
    "reach the relay",
}


@dataclass(frozen=True)
class Meeting:
    """What is judged.

    Attributes:
        entries: all sites.
        index: this one.
        standing: what it tells.
        contacts: index → what is known of each other site.
        listens: this site's doctor has listened on its address.
        ordered: the entries are in a plan's order, so that it is known who dials whom.
        explained: sites of which something is known already that keeps this one from reaching them
            (an expired certificate; a relay that is not there).
    """

    entries: Sequence[PartyEntry]
    index: int
    standing: Standing
    contacts: Mapping[int, Contact]
    listens: bool
    ordered: bool
    explained: frozenset[int]

    def name(self, index: int) -> str:
        """Name of a site, to be shown."""
        return printable(self.entries[index].name)


def diagnose(meeting: Meeting) -> Iterator[Diagnostic]:
    """One diagnostic for each failure, site by site."""
    without_port = _without_port(meeting)
    for index in sorted(without_port):
        yield _needs_relay(meeting, index)
    for peer, contact in meeting.contacts.items():
        if peer not in meeting.explained and meeting.index not in meeting.explained:
            yield from _unreached(meeting, peer, contact, without_port)
        if contact.check is not None:
            yield from _other(meeting, peer, contact.check)
            yield from _approvals(meeting, peer, contact.check)
    yield from _clocks(meeting)


def words(meeting: Meeting, peer: int) -> dict[str, str]:
    """Check → a short word for one other site."""
    contact = meeting.contacts[peer]
    check, ours = contact.check, meeting.standing
    found = {"reached": _reached_word(meeting, peer), "calls us": _calls_word(meeting, peer)}
    if check is None:
        return found | dict.fromkeys(("release", "plan", "parties", "approvals", "clock"), "–")
    found["release"] = printable(check.release)
    both = NO_HASH not in (check.plan_sha256, ours.plan_sha256)
    plan = [check.plan_sha256, check.study_sha256] == [ours.plan_sha256, ours.study_sha256]
    found["plan"] = ("same" if plan else "other") if both else "–"
    comparable = _comparable(ours, check)
    alike = check.roster_sha256 == ours.roster_sha256
    found["parties"] = ("same" if alike else "other") if comparable else "–"
    held = check.approved.bit_count()
    found["approvals"] = f"{held} of {len(meeting.entries)}" if both and alike else "–"
    found["clock"] = "–" if contact.offset is None else f"{contact.offset:+z.1f} s"
    return found


def _comparable(ours: Standing, check: Check) -> bool:
    """Rosters are those of a plan's parties, in its order, or of the whole file."""
    return (ours.plan_sha256 == NO_HASH) == (check.plan_sha256 == NO_HASH)


def _reached_word(meeting: Meeting, peer: int) -> str:
    contact = meeting.contacts[peer]
    if contact.reached:
        return "yes" if meeting.entries[peer].address else "at the relay"
    if not _can_reach(meeting, meeting.index, peer):
        return "it calls"
    return contact.obstacle.value


def _calls_word(meeting: Meeting, peer: int) -> str:
    contact = meeting.contacts[peer]
    if contact.has_called:
        return "yes" if meeting.entries[meeting.index].address else "at the relay"
    if not _can_reach(meeting, peer, meeting.index):
        return "we call"
    if not meeting.listens or (contact.check is not None and contact.check.waits_to_run):
        return "not tried"
    return "no"


def _can_reach(meeting: Meeting, index: int, peer: int) -> bool:
    return bool(to_reach(meeting.entries, index) >> peer & 1)


def _has_to_dial(meeting: Meeting, index: int, peer: int) -> bool:
    """Whether a run fails unless ``index`` reaches ``peer``."""
    if not meeting.ordered:
        return True
    return any(
        route.peer == peer and (route.dials or route.relayed)
        for route in routes(meeting.entries, index)
    )


def _reached_by(meeting: Meeting, peer: int) -> tuple[set[int], set[int]]:
    """Who has reached a site, and who has tried and told."""
    reached, tried = set(), set()
    for index in range(len(meeting.entries)):
        if index == peer or not _can_reach(meeting, index, peer):
            continue
        if index == meeting.index:
            tried.add(index)
            if meeting.contacts[peer].reached:
                reached.add(index)
            continue
        contact = meeting.contacts[index]
        check = contact.check
        if peer == meeting.index and contact.has_called:
            tried.add(index)
            reached.add(index)
        elif (
            check is not None
            and not check.waits_to_run
            and check.roster_sha256 == meeting.standing.roster_sha256
        ):
            tried.add(index)
            if check.reached >> peer & 1:
                reached.add(index)
    return reached, tried


def _without_port(meeting: Meeting) -> set[int]:
    """Sites that are up, have an address, and that nobody else has reached there."""
    found = set()
    for index, entry in enumerate(meeting.entries):
        if not entry.address or index in meeting.explained:
            continue
        reached, tried = _reached_by(meeting, index)
        if index == meeting.index:
            up = meeting.listens and any(one.reached for one in meeting.contacts.values())
            trusted = True
        else:
            contact = meeting.contacts[index]
            up = contact.has_called
            trusted = contact.obstacle in (
                Obstacle.REFUSED,
                Obstacle.NO_ANSWER,
                Obstacle.NO_ROUTE,
                Obstacle.CUT_OFF,
            )
        if up and trusted and tried and not reached:
            found.add(index)
    return found


def _needs_relay(meeting: Meeting, index: int) -> Diagnostic:
    entry, name = meeting.entries[index], meeting.name(index)
    others = [peer for peer in range(len(meeting.entries)) if peer != index]
    needed = any(_has_to_dial(meeting, peer, index) for peer in others)
    later = "" if needed else "; in this plan no site has to reach it"
    return _about(
        "SG555",
        index,
        meeting,
        f"{name} is up, and no other site reaches it at {entry.address}{later}",
        f"let in TCP {entry.address.rpartition(':')[2]} at {name}'s firewall; where nothing may "
        "come in: leave out its address in consortium.toml, and give a [relay], at all sites",
        "error" if needed else "warning",
    )


def _unreached(
    meeting: Meeting, peer: int, contact: Contact, without_port: set[int]
) -> Iterator[Diagnostic]:
    name, entry = meeting.name(peer), meeting.entries[peer]
    if not contact.reached and peer not in without_port:
        if _can_reach(meeting, meeting.index, peer):
            yield _not_reached(meeting, peer, contact)
        elif not contact.has_called:
            yield _about(
                "SG551",
                peer,
                meeting,
                f"{name} has no address, and has not called this site"
                + ("" if meeting.listens else ", which does not listen"),
                f"let {name} run `secgen doctor` at the same time; if it does, see its message",
            )
    quiet = (
        contact.check is not None
        and not contact.check.waits_to_run
        and not contact.has_called
        and meeting.listens
        and _can_reach(meeting, peer, meeting.index)
    )
    if quiet and meeting.index not in without_port:
        yield _about(
            "SG551",
            peer,
            meeting,
            f"{name} is up and has not reached this site, which others have",
            f"see what `secgen doctor` says at {name}; its firewall has to let out TCP "
            f"{meeting.entries[meeting.index].address.rpartition(':')[2]}",
            "error" if _has_to_dial(meeting, peer, meeting.index) else "warning",
        )
    if contact.reached and contact.obstacle is Obstacle.REFUSES and not entry.address:
        yield _refuses(meeting, peer, contact)


def _not_reached(meeting: Meeting, peer: int, contact: Contact) -> Diagnostic:
    name, address = meeting.name(peer), meeting.entries[peer].address
    if contact.fault is not None:
        return contact.fault
    if contact.obstacle is Obstacle.REFUSES:
        return _refuses(meeting, peer, contact)
    needed = contact.check is None or _has_to_dial(meeting, meeting.index, peer)
    remedy = _REMEDIES.get(contact.obstacle, _REMEDIES[Obstacle.NO_ANSWER])
    code = "SG552" if contact.obstacle is Obstacle.PROTOCOL else "SG551"
    return _about(
        code,
        peer,
        meeting,
        f"{name} was not reached: {printable(contact.reason)}",
        remedy.format(name=name, address=address, port=address.rpartition(":")[2]),
        "error" if needed else "warning",
    )


def _refuses(meeting: Meeting, peer: int, contact: Contact) -> Diagnostic:
    return _about(
        "SG525",
        peer,
        meeting,
        f"{meeting.name(peer)} seems to refuse this site's certificate: {contact.reason}",
        f"the consortium.toml of {meeting.name(peer)} holds another certificate of "
        f"{meeting.name(meeting.index)}: compare {meeting.entries[meeting.index].fingerprint} "
        "with it by telephone",
    )


def _other(meeting: Meeting, peer: int, check: Check) -> Iterator[Diagnostic]:
    """SG552, SG527: what a site has that is not what this one has."""
    ours, name = meeting.standing, meeting.name(peer)
    if check.release != ours.release:
        yield _about(
            "SG552",
            peer,
            meeting,
            f"{name} runs secgen {printable(check.release)}, this site {ours.release}",
            "install the same release of secgen at all sites",
        )
    for what, theirs, own in (
        ("plan", check.plan_sha256, ours.plan_sha256),
        ("study", check.study_sha256, ours.study_sha256),
    ):
        if NO_HASH not in (theirs, own) and theirs != own:
            yield _about(
                "SG552",
                peer,
                meeting,
                f"the {what} of {name} is {theirs}, that of this site {own}",
                "give all sites the same bundle, as it was approved; `secgen plan A --against B` "
                "says what differs between the bundles of two sites",
            )
    if _comparable(ours, check) and check.roster_sha256 != ours.roster_sha256:
        kind = "parties" if ours.plan_sha256 == NO_HASH else "plan's parties"
        yield _about(
            "SG527",
            peer,
            meeting,
            f"the digest of the {kind} at {name} is {check.roster_sha256}, that of this site "
            f"{ours.roster_sha256}",
            "some site's consortium.toml has another party, certificate or officer: run `secgen "
            "consortium` with the file of each site, and compare `roster` and the lines of the "
            "parties by telephone",
        )


def _approvals(meeting: Meeting, peer: int, check: Check) -> Iterator[Diagnostic]:
    """SG523: approvals of this very plan that a site does not hold."""
    ours = meeting.standing
    alike = (check.plan_sha256, check.study_sha256, check.roster_sha256) == (
        ours.plan_sha256,
        ours.study_sha256,
        ours.roster_sha256,
    )
    if ours.plan_sha256 == NO_HASH or not alike:
        return
    absent = [k for k in range(len(meeting.entries)) if not check.approved >> k & 1]
    if absent:
        listed = ", ".join(map(meeting.name, absent))
        yield _about(
            "SG523",
            peer,
            meeting,
            f"{meeting.name(peer)} does not hold a valid approval of {listed}",
            f"send it there; it goes into `approvals` of the bundle at {meeting.name(peer)}",
        )


def _clocks(meeting: Meeting) -> Iterator[Diagnostic]:
    """SG553: clocks that differ; of this site alone, if all others agree against it."""
    known = {peer: one.offset for peer, one in meeting.contacts.items() if one.offset is not None}
    middle = median(known.values()) if known else 0.0
    agree = all(abs(offset - middle) <= _CLOCK_WARNING for offset in known.values())
    if len(known) > 1 and agree and abs(middle) > _CLOCK_WARNING:
        known = {meeting.index: -middle}
    for index, offset in known.items():
        if abs(offset) > _CLOCK_WARNING:
            name = meeting.name(index)
            other = "those of the others" if index == meeting.index else "this site's"
            way = "ahead of" if offset > 0 else "behind"
            yield _about(
                "SG553",
                index,
                meeting,
                f"the clock of {name} is {abs(offset):.0f} s {way} {other}",
                f"set the clock of {name}, and let it follow a time server (NTP)",
                "error" if abs(offset) > _CLOCK_ERROR else "warning",
            )


def _about(
    code: str,
    index: int,
    meeting: Meeting,
    message: str,
    next_step: str,
    severity: Severity = "error",
) -> Diagnostic:
    return Diagnostic(
        code, message, severity, place=f"site {meeting.name(index)}", next_step=next_step
    )
