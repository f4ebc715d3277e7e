"""Audits runs: plan ↔ approvals ↔ transcripts ↔ opened values ↔ ledger ↔ results.

Every check has an outcome: it *holds*, it *fails*, or it *could not be checked* for want of a file.
Nothing is taken from a folder on trust: hashes are computed, signatures verified, the plan verified
and its program generated again.  What no file can show (whether a site's table was its own, whether
its noise was drawn as it should be) is not among the checks: ``docs/how-to/audit.md``.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import Node, sha256_of
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.privacy.spend import spend_of
from secgen_dsl.runtime.database import read_ledger_file
from secgen_dsl.runtime.evidence import course
from secgen_dsl.runtime.evidence.findings import Finding, Group, Report
from secgen_dsl.runtime.evidence.folder import (
    CERTIFICATE_FILE,
    CONSORTIUM_FILE,
    MEASUREMENTS_FILE,
    PLAN_FILE,
    PROGRAM_FILE,
    RECEIPT_FILE,
    ROSTER_FILE,
    SOURCES_FILE,
    STUDY_FILE,
    TRANSCRIPT_FILE,
)
from secgen_dsl.runtime.evidence.receipt import PartyReceipt
from secgen_dsl.runtime.evidence.roster import roster_of
from secgen_dsl.runtime.evidence.site import Auditor, Site
from secgen_dsl.runtime.ledger import Ledger
from secgen_dsl.runtime.regular import UnreadError, is_there, read_regular
from secgen_dsl.runtime.store import digest_of_opened
from secgen_dsl.runtime.trust import approvals
from secgen_dsl.runtime.trust.consortium import PartyEntry, consortium_of, roster_sha256


def audit_site(site: Site, auditor: Auditor) -> list[Finding]:
    """All checks of one site's evidence by itself."""
    report = Report(site.name)
    site.between_sites = site.between_sites or auditor.consortium is not None
    _receipt(site, report)
    _plan(site, report, auditor)
    entries = site.entries = _roster(site, report, auditor)
    _approvals(site, report, auditor, entries)
    _execution(site, report, entries)
    _opened(site, report)
    _ledger(site, report, auditor)
    return report.findings


def _readable(site: Site, report: Report, group: Group, node: Node | None, name: str) -> bool:
    """Note whether a file is there and is what it should be."""
    check = f"{name} is byte for byte as secgen writes it"
    if not site.has(name):
        report.lacks(group, check, f"{name} is not there", name)
        return False
    fault = site.folder.fault(name)
    if not fault and not site.is_exact(node, name):
        fault = "it is not: it was changed"
    return report.check(group, check, [fault] if fault else [], name)


def _receipt(site: Site, report: Report) -> None:
    if not _readable(site, report, "execution", site.receipt, RECEIPT_FILE):
        return
    assert site.receipt is not None  # noqa: S101 (read above)
    if not site.complete:
        report.check(
            "execution", "how the run ended", (), RECEIPT_FILE,
            f"stopped: {site.receipt.outcome}; no opened values are expected",
        )  # fmt: skip


def _plan(site: Site, report: Report, auditor: Auditor) -> None:
    plan, receipt = site.plan, site.receipt
    if not _readable(site, report, "plan", plan, PLAN_FILE) or plan is None:
        return
    if receipt is not None:
        same = receipt.plan_sha256 == sha256_of(plan) and receipt.parties == plan.parties
        faults = [] if same else [f"the receipt is of the plan {receipt.plan_sha256}"]
        report.check("plan", "the plan is the one that the receipt names", faults, PLAN_FILE)
    certificate = site.certificate
    if site.has(CERTIFICATE_FILE):
        _readable(site, report, "plan", certificate, CERTIFICATE_FILE)
    verifies = report.check(
        "plan",
        "the plan verifies again, and a second accountant confirms its budget",
        auditor.plan_faults(plan, certificate),
        PLAN_FILE,
    )
    if site.has(STUDY_FILE):
        readable = _readable(site, report, "plan", site.study, STUDY_FILE)
        if readable and receipt is not None and site.study is not None:
            same = sha256_of(site.study) == receipt.study_sha256
            faults = [] if same else [f"the receipt is of the study {receipt.study_sha256}"]
            report.check("plan", "the study is the one that the receipt names", faults, STUDY_FILE)
    else:
        report.lacks(
            "plan", "the study is the one that the receipt names", "study.json is not there",
            STUDY_FILE,
        )  # fmt: skip
    if verifies:
        _program(site, report, auditor, plan)
    else:
        site.plan = None  # what does not verify predicts nothing


def _program(site: Site, report: Report, auditor: Auditor, plan: Plan) -> None:
    check = "the program that ran is the one that this release generates from the plan"
    found = site.folder.read(PROGRAM_FILE)
    sources = site.sources
    if sources is None:
        words = f"{SOURCES_FILE}, with the places of the queries, is not there"
        if site.has(SOURCES_FILE):
            fault = site.folder.fault(SOURCES_FILE) or "they were changed"
            report.check("plan", check, [f"the places of the queries: {fault}"], SOURCES_FILE)
        else:
            report.lacks("plan", check, words, SOURCES_FILE)
        return
    own = auditor.generate(plan, sources).encode()
    faults = []
    if found is not None and found != own:
        faults.append(f"{PROGRAM_FILE} differs from it")
    if site.receipt is not None and site.receipt.program_sha256 != sha256(own).hexdigest():
        release = site.receipt.versions.get("secgen", "another release")
        faults.append(
            f"the receipt names another program than {PLAN_FILE} and {SOURCES_FILE} give, made by "
            f"secgen {release}"
        )
    report.check("plan", check, faults, PROGRAM_FILE)


def _roster(site: Site, report: Report, auditor: Auditor) -> tuple[PartyEntry, ...]:
    """The parties whose keys all signatures are checked with; empty if they are not known."""
    check = "the parties' certificates and officers are those that the receipt names"
    receipt, folder = site.receipt, site.folder
    if receipt is None:
        return ()
    rosters: dict[str, tuple[PartyEntry, ...]] = {}
    faults: list[str] = []
    if auditor.consortium is not None and not _is_known(site, report, auditor, receipt):
        return ()
    if site.has(ROSTER_FILE):
        _readable(site, report, "approvals", site.roster, ROSTER_FILE)
        if site.roster is not None:
            rosters[ROSTER_FILE] = site.roster.party
            if site.roster != roster_of(site.roster.party):
                faults.append(f"{ROSTER_FILE} was changed")
    try:
        if site.has(CONSORTIUM_FILE):
            path = folder.path(CONSORTIUM_FILE)
            own = consortium_of(read_regular(path), path)
            rosters[CONSORTIUM_FILE] = own.of_plan(receipt.parties)
        if auditor.consortium is not None:
            rosters["--consortium"] = auditor.consortium.of_plan(receipt.parties)
    except UnreadError as error:
        faults.append(f"{CONSORTIUM_FILE}: {error}")
    except SecgenError as error:
        faults += [one.message for one in error.diagnostics]
    faults += [
        f"{name} has others"
        for name, entries in rosters.items()
        if roster_sha256(entries) != receipt.roster_sha256
        or tuple(one.name for one in entries) != receipt.parties
    ]
    if not rosters and not faults:
        report.lacks("approvals", check, f"{CONSORTIUM_FILE} is not there", CONSORTIUM_FILE)
        return ()
    report.check("approvals", check, faults, next(iter(rosters), CONSORTIUM_FILE))
    if auditor.consortium is None:
        report.lacks(
            "approvals",
            _KNOWN,
            "only the folder's own list was used; give the consortium.toml that the sites agreed "
            "on with --consortium",
            "--consortium",
        )
    return () if faults else next(iter(rosters.values()))


_KNOWN = "these certificates and officers are those that the auditor knows"


def _is_known(site: Site, report: Report, auditor: Auditor, receipt: PartyReceipt) -> bool:
    """Note whether the auditor's consortium is the one of the run; if not, where they differ."""
    assert auditor.consortium is not None  # noqa: S101 (asked before)
    known = {one.name: one for one in auditor.consortium.party}
    entries = [known[name] for name in receipt.parties if name in known]
    faults = [f"--consortium has no party {name}" for name in receipt.parties if name not in known]
    if not faults and roster_sha256(entries) != receipt.roster_sha256:
        faults = list(_differences(known, site)) or [
            f"the run had others; which, {ROSTER_FILE} would tell, which is absent or was changed"
        ]
    return report.check("approvals", _KNOWN, faults, "--consortium")


def _differences(known: Mapping[str, PartyEntry], site: Site) -> Iterator[str]:
    """What the folder's own list of parties says otherwise than the auditor's."""
    for one in () if site.roster is None else site.roster.party:
        own = known.get(one.name)
        if own is not None and own.fingerprint != one.fingerprint:
            yield (
                f"{one.name} has the certificate {own.fingerprint} in --consortium, and "
                f"{one.fingerprint} in the run"
            )
        if own is not None and own.officer != one.officer:
            yield (
                f"{one.name} has the officer's key {own.officer} in --consortium, and "
                f"{one.officer} in the run"
            )


def _approvals(site: Site, report: Report, auditor: Auditor, entries: Sequence[PartyEntry]) -> None:
    check = "every party's officer has approved this plan and study"
    receipt = site.receipt
    folder = site.folder.path(approvals.FOLDER)
    if receipt is None:
        return
    if not receipt.approvals and not is_there(folder):
        if site.between_sites:
            fault = "the party checked none, though this is a run between sites"
            report.check("approvals", check, [fault], RECEIPT_FILE)
            return
        report.lacks(
            "approvals", check, "the party checked none: a run on one machine is not approved",
            approvals.FOLDER,
        )  # fmt: skip
        return
    if not entries or not is_there(folder):
        lacking = CONSORTIUM_FILE if is_there(folder) else approvals.FOLDER
        report.lacks("approvals", check, f"{lacking} is not there, or does not hold", lacking)
        return
    found = approvals.review(folder.parent, receipt.plan_sha256, receipt.study_sha256, entries)
    faults = [f"{Path(one.place).name}: {one.message}" for one in found.faults]
    faults += [f"{name} has not approved" for name in found.missing]
    faults += [
        f"{name} approved on {one.date}, after the run of {receipt.date}"
        for name, one in found.approved.items()
        if one.date > receipt.date
    ]
    report.check("approvals", check, faults, approvals.FOLDER)
    hashes = sorted(sha256_of(one) for one in found.approved.values())
    faults = [] if hashes == sorted(receipt.approvals) else ["the party checked others"]
    report.check(
        "approvals", "these are the approvals that the party checked", faults, approvals.FOLDER
    )


def _execution(site: Site, report: Report, entries: Sequence[PartyEntry]) -> None:
    receipt = site.receipt
    if receipt is None:
        return
    check = "the receipt is signed by the party's machine"
    by_name = {one.name: one for one in entries}
    entry = by_name.get(receipt.party)
    if entry is None:
        report.lacks("execution", check, "the party's certificate is not known", CONSORTIUM_FILE)
    else:
        faults = []
        if receipt.certificate != entry.fingerprint:
            faults.append("it names another certificate")
        if not receipt.is_signed_by(entry.identity.public):
            faults.append("its signature is not that of this machine over what it says")
        report.check("execution", check, faults, RECEIPT_FILE)
    _transcript(site, report, receipt, entries)
    if site.folder.earlier:
        report.check(
            "execution", "earlier runs of this party", (), "",
            f"{site.folder.earlier} lie beside this one and were not audited",
        )  # fmt: skip


def _transcript(
    site: Site, report: Report, receipt: PartyReceipt, entries: Sequence[PartyEntry]
) -> None:
    data = site.folder.read(TRANSCRIPT_FILE)
    check = "the transcript is the one that the receipt names"
    if data is None and site.has(TRANSCRIPT_FILE):
        report.check("execution", check, [site.folder.fault(TRANSCRIPT_FILE)], TRANSCRIPT_FILE)
        return
    if data is None:
        report.lacks("execution", check, f"{TRANSCRIPT_FILE} is not there", TRANSCRIPT_FILE)
        return
    faults = [] if sha256(data).hexdigest() == receipt.transcript_sha256 else ["it was changed"]
    report.check("execution", check, faults, TRANSCRIPT_FILE)
    check = "the transcript is of this party, plan, study and roster"
    if site.transcript is None:
        report.check("execution", check, ["a line is none that a party writes"], TRANSCRIPT_FILE)
        return
    head, lines = site.transcript
    fields = ("party", "parties", "plan_sha256", "study_sha256", "roster_sha256")
    same = all(getattr(head, one) == getattr(receipt, one) for one in fields)
    same = same and head.secgen == receipt.versions.get("secgen")
    report.check("execution", check, [] if same else ["it is of another"], TRANSCRIPT_FILE)
    found, plan = site.connections, site.plan
    check = "exactly the frames that the plan predicts were sent and received"
    if plan is None or found is None:
        if plan is None:
            report.lacks(
                "execution", check, f"{PLAN_FILE} is not there, or does not hold", PLAN_FILE
            )
        else:
            report.check("execution", check, ["they are of no such plan"], TRANSCRIPT_FILE)
        return
    faults = [
        *course.course_faults(plan, found, complete=site.complete),
        *course.event_faults(lines, receipt),
    ]
    if site.complete and course.bytes_sent(found) != receipt.bytes_sent:
        faults.append("the receipt has another number of bytes sent")
    report.check("execution", check, faults, TRANSCRIPT_FILE, "; ".join(course.deviations(lines)))
    report.check(
        "execution",
        "nothing was sent before all that it follows from had arrived",
        course.order_faults(plan, lines, tuple(found)),
        TRANSCRIPT_FILE,
    )
    check = "every hello is signed, for this plan, and the session follows from them"
    if tuple(one.name for one in entries) != receipt.parties:
        report.lacks("execution", check, "the parties' certificates are not known", CONSORTIUM_FILE)
        return
    report.check("execution", check, course.hello_faults(found, receipt, entries), TRANSCRIPT_FILE)
    if site.complete:
        report.check(
            "opened values",
            "every other party has signed these opened values for this session",
            course.confirmation_faults(found, receipt, entries),
            RECEIPT_FILE,
        )


def _opened(site: Site, report: Report) -> None:
    receipt, plan = site.receipt, site.plan
    if receipt is None:
        return
    check = "the measurements are the opened values that the receipt names"
    if not site.complete:
        faults = ["there are measurements"] if site.has(MEASUREMENTS_FILE) else []
        report.check("opened values", "a stopped run leaves no values", faults, MEASUREMENTS_FILE)
        return
    measurements = site.measurements
    _readable(site, report, "opened values", measurements, MEASUREMENTS_FILE)
    if measurements is None:
        return
    faults = []
    if sha256_of(measurements) != receipt.measurements_sha256:
        faults.append("their hash is another")
    if measurements.plan_sha256 != receipt.plan_sha256:
        faults.append("they are of another plan")
    if plan is None:
        report.lacks(
            "opened values", check, f"{PLAN_FILE} is not there, or does not hold", PLAN_FILE
        )
        return
    faults += _value_faults(plan, measurements, receipt)
    site.opened_hold = report.check("opened values", check, faults, MEASUREMENTS_FILE)


def _value_faults(plan: Plan, measurements: Measurements, receipt: PartyReceipt) -> Iterator[str]:
    """Whether values have the plan's shape, its field's range, and the receipt's digest."""
    found = [(one.query, len(one.values)) for one in measurements.measurements]
    if found != [(one.query, one.opened) for one in plan.releases()]:
        yield "they are not the plan's releases, each with its number of values"
        return
    half = plan.modulus // 2
    if any(abs(value) > half for one in measurements.measurements for value in one.values):
        yield "a value is none of the plan's field"
        return
    values = {one.query: one.values for one in measurements.measurements}
    rounds = [
        np.array([v for release in one.releases for v in values[release.query]], dtype=np.int64)
        for one in plan.rounds
    ]
    if digest_of_opened(rounds) != receipt.opened_sha256:
        yield "the digest of the opened values is another"


def _ledger(site: Site, report: Report, auditor: Auditor) -> None:
    receipt, plan = site.receipt, site.plan
    if receipt is None or plan is None:
        return
    check = "the site's ledger holds the entry that the receipt names, for this plan and its cost"
    silo = receipt.party in {one.name for one in plan.program.silos}
    if not silo or not receipt.ledger_entry:
        faults = []
        if silo and site.complete:
            faults.append("the receipt names no entry: nothing paid for the run")
        if not silo and receipt.ledger_entry:
            faults.append("the receipt of a helper names an entry")
        words = "nothing was debited" if silo else "a helper has no patients and no debit"
        report.check("ledger", check, faults, RECEIPT_FILE, words)
        return
    ledgers = list(auditor.ledgers)
    store = site.folder.store()
    if store is not None:
        try:
            ledgers.append(read_ledger_file(store, read_only=True))
        except SecgenError as error:
            report.check("ledger", check, [one.message for one in error.diagnostics], str(store))
            return
    for ledger in ledgers:
        if receipt.ledger_entry in ledger.hashes:
            auditor.used.add(ledger.path)
            faults = list(_entry_faults(ledger, receipt, plan))
            report.check("ledger", check, faults, str(ledger.path))
            return
    if store is not None:
        report.check("ledger", check, ["the ledger does not hold this entry"], str(store))
    else:
        report.lacks(
            "ledger", check, "the site's store.sqlite is not there; give it with --ledger",
            "store.sqlite",
        )  # fmt: skip


def _entry_faults(ledger: Ledger, receipt: PartyReceipt, plan: Plan) -> Iterator[str]:
    entry = ledger.entries[ledger.hashes.index(receipt.ledger_entry)]
    if (entry.plan_sha256, entry.parties) != (receipt.plan_sha256, plan.parties):
        yield "the entry is of another plan or other parties"
    if entry.spend != spend_of(plan):
        yield "the entry has another cost than the plan"
    if entry.date > receipt.date:
        yield f"the entry is of {entry.date}, after the run"


def audit_ledgers(auditor: Auditor) -> list[Finding]:
    """Whether every given ledger holds the entry of a run; after all sites were audited."""
    report = Report("")
    for ledger in auditor.ledgers:
        if ledger.path not in auditor.used:
            check = "every ledger that was given holds the entry of one of these runs"
            report.check("ledger", check, ["it holds none"], str(ledger.path))
    return report.findings
