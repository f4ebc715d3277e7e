"""Audits what several sites hold against each other."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.runtime.evidence.course import Connection
from secgen_dsl.runtime.evidence.findings import Finding, Report
from secgen_dsl.runtime.evidence.folder import (
    CONSORTIUM_FILE,
    RECEIPT_FILE,
    RESULTS_RECEIPT_FILE,
    TRANSCRIPT_FILE,
)
from secgen_dsl.runtime.evidence.receipt import COMPLETE, PartyReceipt
from secgen_dsl.runtime.evidence.results import read_results
from secgen_dsl.runtime.evidence.site import Site
from secgen_dsl.runtime.evidence.transcript import Frame
from secgen_dsl.runtime.regular import is_there

_OWN_FILES = frozenset({RECEIPT_FILE, TRANSCRIPT_FILE, CONSORTIUM_FILE})
"""Of results: each site has its own.  Addresses and timeouts of a consortium.toml may differ."""

_OWN_FACTS = frozenset(
    {
        "files", "party", "certificate", "signature", "date", "versions", "ledger_entries",
        "bytes_sent",
    }
)  # fmt: skip
"""Of a ``receipt.json``: likewise."""

_CLOCKS_DIFFER = 5.0  # seconds


def audit_between(sites: Sequence[Site]) -> list[Finding]:
    """What several sites' evidence says of the same run."""
    report = Report("")
    known = [site for site in sites if site.receipt is not None]
    _results(sites, report)
    if not known:
        return report.findings
    receipts = [site.receipt for site in known if site.receipt is not None]
    first = receipts[0]
    absent = [name for name in first.parties if name not in {one.party for one in receipts}]
    if len(known) > 1:
        fields = {
            "parties": "parties", "plan_sha256": "plan", "study_sha256": "study",
            "roster_sha256": "certificates and officers", "program_sha256": "program",
            "session": "session",
        }  # fmt: skip
        opened = {"opened_sha256": "opened values", "measurements_sha256": "measurements"}
        faults = []
        if len({one.party for one in receipts}) != len(receipts):
            faults.append("two folders are of the same party")
        faults += [
            f"{one.party} has another {what} than {first.party}"
            for one in receipts[1:]
            for name, what in fields.items()
            if getattr(one, name) != getattr(first, name)
        ]
        # Who was stopped has none: that, and why, is said of the site itself.
        complete = [one for one in receipts if one.outcome == COMPLETE]
        faults += [
            f"{one.party} has other {what} than {complete[0].party}"
            for one in complete[1:]
            for name, what in opened.items()
            if getattr(one, name) != getattr(complete[0], name)
        ]
        faults += [
            f"{one.party} checked other approvals than {first.party}"
            for one in receipts[1:]
            if sorted(one.approvals) != sorted(first.approvals)
        ]
        report.check(
            "all sites", "plan, study, parties, session and opened values are the same", faults,
            RECEIPT_FILE,
        )  # fmt: skip
        _versions(receipts, report)
        _stopped(receipts, report)
        _frames(known, report)
    if absent:
        report.lacks(
            "all sites",
            "what was sent is what arrived, with every party",
            f"the folder of {absent[0]} is not there"
            if len(absent) == 1
            else f"the folders of {', '.join(absent)} are not there",
            "RUN",
        )
    return report.findings


def _versions(receipts: Sequence[PartyReceipt], report: Report) -> None:
    """Remark where sites name other versions of a package: nobody but the site knows its own."""
    remarks = []
    for package in sorted({name for one in receipts for name in one.versions}):
        named: dict[str, list[str]] = {}
        for one in receipts:
            named.setdefault(one.versions.get(package, "none"), []).append(one.party)
        if len(named) > 1:
            parts = [f"{version} at {', '.join(names)}" for version, names in named.items()]
            remarks.append(f"{package}: {'; '.join(parts)}")
    if remarks:
        check = "the versions of packages, as each site names its own"
        report.check("all sites", check, (), RECEIPT_FILE, "; ".join(remarks))


def _stopped(receipts: Sequence[PartyReceipt], report: Report) -> None:
    """Who was stopped after it had opened and confirmed the values may have made results of them.

    That can be honest: another party's confirmation did not arrive.
    """
    for stopped in receipts:
        holders = [
            one.party
            for one in receipts
            if one.outcome == COMPLETE != stopped.outcome
            and one.session == stopped.session
            and stopped.party in one.confirmations
        ]
        if holders:
            report.lacks(
                "all sites",
                f"{stopped.party} has made no other results of the opened values",
                f"{stopped.party} says that {stopped.outcome} stopped it, but it had opened the "
                f"values: {', '.join(holders)} completed the session with its confirmation",
                f"the results of {stopped.party}",
            )


def _results(sites: Sequence[Site], report: Report) -> None:
    """Whether sites' public results are the same, by what each one's ``receipt.json`` names.

    A site can sign other rows with its own key; that its files have the hashes that it signed is
    checked for each folder.
    """
    check = "the sites' results are the same: samples, tables, description, certificate"
    facts: dict[str, dict[str, str]] = {}
    unread: list[str] = []
    # A run on one machine has one folder of results.
    for folder, site in {site.folder.results: site for site in sites}.items():
        if is_there(folder / RESULTS_RECEIPT_FILE) or site.complete:
            try:
                facts[site.name] = _public(read_results(folder))
            except SecgenError:  # why is said of the folder itself
                unread.append(site.name)
    if not facts or len(facts) + len(unread) < 2 or not any(one.between_sites for one in sites):
        return
    if unread:
        words = f"{RESULTS_RECEIPT_FILE} of {', '.join(unread)} is not there or cannot be read"
        report.lacks("all sites", check, words, RESULTS_RECEIPT_FILE)
    if len(facts) < 2:
        return
    faults: list[str] = []
    for what in sorted({what for found in facts.values() for what in found}):
        groups: dict[str, list[str]] = {}
        for name, found in facts.items():
            groups.setdefault(found.get(what, ""), []).append(name)
        if len(groups) > 1:
            # The most common first; who is right is not known.
            ranked = sorted(groups.values(), key=len, reverse=True)
            first, *others = (", ".join(names) for names in ranked)
            faults.append(f"{what} is another at {' and another at '.join(others)} than at {first}")
    report.check("all sites", check, faults, RESULTS_RECEIPT_FILE)


def _public(data: Mapping[str, Any]) -> dict[str, str]:
    """What every site's results should hold alike: file or fact → hash or value."""
    files = data.get("files")
    found = {
        str(name): str(digest)
        for name, digest in (files.items() if isinstance(files, dict) else ())
        if name not in _OWN_FILES
    }
    found |= {
        f'"{name}" of {RESULTS_RECEIPT_FILE}': str(value)
        for name, value in data.items()
        if name not in _OWN_FACTS
    }
    return found


def _frames(sites: Sequence[Site], report: Report) -> None:
    check = "every frame arrived as it was sent, in the same order"
    unread = [site.name for site in sites if site.connections is None]
    if unread:
        words = f"the plan or transcript of {', '.join(unread)} cannot be read"
        report.lacks("all sites", check, words, TRANSCRIPT_FILE)
    by_name = {site.name: site for site in sites if site.connections is not None}
    faults: list[str] = []
    early = 0.0
    for sender in by_name.values():
        for receiver in by_name.values():
            if sender is receiver:
                continue
            sent = (sender.connections or {}).get(receiver.name, [])
            arrived = (receiver.connections or {}).get(sender.name, [])
            strict = sender.complete and receiver.complete
            fault = _difference(sent, arrived, strict=strict)
            if fault:
                faults.append(f"{sender.name} to {receiver.name}: {fault}")
            early = max([early, *_early(sent, arrived)])
    if len(by_name) > 1:
        remark = f"clocks differ: a frame arrived {early:.1f} s before it was sent"
        report.check(
            "all sites", check, faults, TRANSCRIPT_FILE, remark if early > _CLOCKS_DIFFER else ""
        )


def _difference(sent: Sequence[Connection], arrived: Sequence[Connection], *, strict: bool) -> str:
    """How what arrived differs from what was sent; each connection is known by its first hello."""
    ours = {one.sent[0].sha256: one for one in sent if one.sent}
    for connection in arrived:
        frames = connection.received
        if not frames:
            continue
        other = ours.get(frames[0].sha256)
        if other is None:
            # Who breaks off may have sent a hello without noting that it was sent.
            if strict and connection is arrived[-1]:
                return "the hello of the last connection is not the one that was sent"
            continue
        for one, two in zip(other.sent, frames, strict=False):
            if _facts(one) != _facts(two):
                return f"frame {one.sequence} ({one.kind}, round {one.round}) differs"
        if strict and connection is arrived[-1] and len(other.sent) != len(frames):
            return f"{len(other.sent)} frames were sent and {len(frames)} arrived"
    return ""


def _facts(frame: Frame) -> tuple[str, int, int, int, str]:
    return frame.kind, frame.round, frame.sequence, frame.bytes, frame.sha256


def _early(sent: Sequence[Connection], arrived: Sequence[Connection]) -> Iterator[float]:
    """Seconds by which frames arrived before they were sent: clocks that differ."""
    times = {_facts(frame): frame.time for one in sent for frame in one.sent}
    for connection in arrived:
        for frame in connection.received:
            if _facts(frame) in times and frame.kind != "ready":
                later = datetime.fromisoformat(times[_facts(frame)])
                yield (later - datetime.fromisoformat(frame.time)).total_seconds()
