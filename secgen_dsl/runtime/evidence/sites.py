"""Audits what several sites hold against each other, and a folder of results."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.program import decimal_text
from secgen_dsl.runtime.evidence.audit import Finding, Report, Site
from secgen_dsl.runtime.evidence.course import Connection
from secgen_dsl.runtime.evidence.folder import (
    PARTIES,
    RECEIPT_FILE,
    RESULTS_RECEIPT_FILE,
    TRANSCRIPT_FILE,
    listed,
    read_regular,
)
from secgen_dsl.runtime.evidence.receipt import COMPLETE
from secgen_dsl.runtime.evidence.results import is_signed_by, read_results, results_bytes
from secgen_dsl.runtime.evidence.transcript import Frame
from secgen_dsl.runtime.trust.identity import Certificate

_HASH = re.compile("[0-9a-f]{64}")
_CLOCKS_DIFFER = 5.0  # seconds


def audit_between(sites: Sequence[Site]) -> list[Finding]:
    """What several sites' evidence says of the same run."""
    report = Report("")
    known = [site for site in sites if site.receipt is not None]
    if not known:
        return []
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
        _frames(known, report)
    if absent:
        report.lacks(
            "all sites",
            "what was sent is what arrived, with every party",
            f"the folder of {', '.join(absent)} is not there",
            "RUN",
        )
    return report.findings


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


def audit_results(folder: Path, sites: Sequence[Site]) -> list[Finding]:
    """The ``receipt.json`` of a folder of results, and every file that it names.

    Args:
        sites: whose results these are; several for a run on one machine.
    """
    report = Report(sites[0].name if len(sites) == 1 else "")
    check = f"{RESULTS_RECEIPT_FILE} is byte for byte as secgen writes it"
    if not (folder / RESULTS_RECEIPT_FILE).exists():
        words = f"{RESULTS_RECEIPT_FILE} is not there"
        report.lacks("results", check, words, RESULTS_RECEIPT_FILE)
        return report.findings
    try:
        data = read_results(folder)
        exact = results_bytes(data) == read_regular(folder / RESULTS_RECEIPT_FILE)
    except (SecgenError, OSError, ValueError):
        report.check("results", check, ["it cannot be read"], RESULTS_RECEIPT_FILE)
        return report.findings
    faults = [] if exact else ["it was changed"]
    report.check("results", check, faults, RESULTS_RECEIPT_FILE)
    _signature(data, sites, report)
    report.check(
        "results",
        "receipt.json says the same as the parties' receipts and the plan",
        _contradictions(data, sites),
        RESULTS_RECEIPT_FILE,
    )
    _files(folder, data, report)
    return report.findings


def _signature(data: Mapping[str, Any], sites: Sequence[Site], report: Report) -> None:
    check = "receipt.json is signed by the party's machine, and so covers every file"
    site = sites[0]
    if len(sites) > 1 or site.receipt is None:
        report.lacks(
            "results", check, "a run on one machine signs no results: they are only consistent",
            RESULTS_RECEIPT_FILE,
        )  # fmt: skip
        return
    found = [one for one in site.entries if one.name == site.receipt.party]
    if not found:
        report.lacks("results", check, "the party's certificate is not known", "consortium.toml")
        return
    faults = []
    if not data.get("signed"):
        faults.append("it is not signed")
    elif not is_signed_by(dict(data), Certificate(found[0].certificate).public):
        faults.append("its signature is not that of this machine over what it says")
    if (data.get("party"), data.get("certificate")) != (
        site.receipt.party,
        site.receipt.certificate,
    ):
        faults.append("it is of another party or machine")
    report.check("results", check, faults, RESULTS_RECEIPT_FILE)


def _contradictions(data: Mapping[str, Any], sites: Sequence[Site]) -> Iterator[str]:
    """Where ``receipt.json`` and the rest of the evidence disagree."""
    debits, sent, versions = (
        _table(data, name) for name in ("ledger_entries", "bytes_sent", "versions")
    )
    for site in sites:
        receipt = site.receipt
        if site.plan is not None:
            privacy = site.plan.program.privacy
            if data.get("plan_sha256") != sha256_of(site.plan):
                yield "it is of another plan"
            budget = decimal_text(privacy.epsilon), decimal_text(privacy.delta)
            if (data.get("epsilon"), data.get("delta")) != budget:
                yield "its budget is not the plan's"
        if site.certificate is not None and data.get("certificate_sha256") != sha256_of(
            site.certificate
        ):
            yield "it is of another certificate"
        if receipt is None:
            continue
        if data.get("study_sha256") != receipt.study_sha256:
            yield "it is of another study"
        if debits.get(receipt.party, "") != receipt.ledger_entry:
            yield f"it has another entry of the ledger of {receipt.party}"
        if sent.get(receipt.party) != receipt.bytes_sent:
            yield f"it has another number of bytes sent by {receipt.party}"
        for name, version in versions.items():
            if receipt.versions.get(name, version) != version:
                yield f"it has another version of {name} than {receipt.party}"
        if data.get("data") != "given" or data.get("backend") != "mpyc":
            yield "it is of a run without parties, or of invented rows"
        if str(data.get("date")) < receipt.date:
            yield "it is older than the run"


def _table(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _files(folder: Path, data: Mapping[str, Any], report: Report) -> None:
    files = data.get("files")
    check = "every file that receipt.json names has the hash that it names"
    if not isinstance(files, dict) or not files:
        report.check("results", check, ["it names none"], RESULTS_RECEIPT_FILE)
        return
    faults = []
    for name, digest in files.items():
        fault = _file_fault(folder, str(name), digest)
        if fault:
            faults.append((str(name), fault))
    for name, fault in faults:
        report.check("results", check, [f"{name}: {fault}"], name)
    if not faults:
        report.check("results", check, (), RESULTS_RECEIPT_FILE, f"{len(files)} files")
    left_out = (PARTIES, RESULTS_RECEIPT_FILE)
    others = [one for one in listed(folder, lambda x: x in left_out) if one not in files]
    if others:
        report.lacks(
            "results",
            "every file of the folder is one that receipt.json names",
            f"nothing tells what these are: {', '.join(others[:5])}"
            + (f" and {len(others) - 5} more" if len(others) > 5 else ""),
            others[0],
        )


def _file_fault(folder: Path, name: str, digest: object) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or name != path.as_posix():
        return "no name of a file in this folder"
    if not isinstance(digest, str) or not _HASH.fullmatch(digest):
        return "no hash is named"
    try:
        found = sha256(read_regular(folder / name)).hexdigest()
    except (OSError, ValueError):
        return "it is not there"
    return "" if found == digest else "it was changed"
