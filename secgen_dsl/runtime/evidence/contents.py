"""Audits a folder of results: its ``receipt.json``, and every file that is or should be there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.program import decimal_text
from secgen_dsl.runtime.evidence.findings import Finding, Report
from secgen_dsl.runtime.evidence.folder import (
    CERTIFICATE_FILE,
    CONSORTIUM_FILE,
    DESCRIPTION_FILE,
    MEASURED_TABLE_FILE,
    PARTIES,
    PRIVATE_FILES,
    RESULTS_RECEIPT_FILE,
    STUDY_FILE,
    listed,
)
from secgen_dsl.runtime.evidence.results import is_signed_by, read_results, results_bytes
from secgen_dsl.runtime.evidence.site import Auditor, Site
from secgen_dsl.runtime.regular import (
    MOST_HASHED_BYTES,
    UnreadError,
    hash_regular,
    is_there,
    read_regular,
)
from secgen_dsl.runtime.trust import approvals
from secgen_dsl.runtime.trust.identity import Certificate

MOST_FOLDER_BYTES = 32_000_000_000
"""Of a folder's files together: two of synthetic rows, and whatever else."""

_HASH = re.compile("[0-9a-f]{64}")
FIELD_FILES = (
    *sorted(PRIVATE_FILES), STUDY_FILE, CERTIFICATE_FILE, CONSORTIUM_FILE, approvals.FOLDER,
    DESCRIPTION_FILE, MEASURED_TABLE_FILE, RESULTS_RECEIPT_FILE,
)  # fmt: skip


_STOPPED_FILES = PRIVATE_FILES | {STUDY_FILE, CERTIFICATE_FILE, CONSORTIUM_FILE}
_APPROVAL = re.compile(rf"{approvals.FOLDER}/[^/]+\.json")


def audit_results(folder: Path, sites: Sequence[Site], auditor: Auditor) -> list[Finding]:
    """The ``receipt.json`` of a folder of results, and every file that is or should be there.

    Args:
        sites: whose results these are, already audited; several for a run on one machine.
    """
    report = Report(sites[0].name if len(sites) == 1 else "")
    between = any(one.between_sites for one in sites)
    digests = _Digests(folder)
    if any(one.receipt is not None and not one.complete for one in sites):
        _stopped(folder, report, between=between)
    elif between and not sites[0].is_evidence_only:
        _required(folder, sites, report)
    _remade(digests, sites, auditor, report)
    check = f"{RESULTS_RECEIPT_FILE} is byte for byte as secgen writes it"
    if not is_there(folder / RESULTS_RECEIPT_FILE):
        words = f"{RESULTS_RECEIPT_FILE} is not there"
        report.lacks("results", check, words, RESULTS_RECEIPT_FILE)
        return report.findings
    try:
        data = read_results(folder)
        exact = results_bytes(data) == read_regular(folder / RESULTS_RECEIPT_FILE)
    except SecgenError as error:
        faults = [one.message for one in error.diagnostics]
        report.check("results", check, faults, RESULTS_RECEIPT_FILE)
        return report.findings
    except UnreadError as error:  # it changed meanwhile
        report.check("results", check, [str(error)], RESULTS_RECEIPT_FILE)
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
    _files(digests, data, report, between=between)
    return report.findings


def _stopped(folder: Path, report: Report, *, between: bool) -> None:
    """Whether a stopped run's folder shows no results; its values have a check of their own."""
    left = (PARTIES,) if not between else ()
    others = [
        name
        for name in listed(folder, lambda one: one in left)
        if name not in _STOPPED_FILES and not _APPROVAL.fullmatch(name)
    ]
    check = "a stopped run leaves nothing but its evidence"
    report.check("results", check, [f"{name} is there" for name in others], ", ".join(others[:3]))


def _required(folder: Path, sites: Sequence[Site], report: Report) -> None:
    """Whether all files are there that `secgen party` leaves, in one folder."""
    site = sites[0]
    needed = list(FIELD_FILES)
    if site.plan is not None and site.plan.program.samples is not None:
        needed += [f"synthetic.{kind}" for kind in dict.fromkeys(site.plan.program.samples.formats)]
    absent = [name for name in needed if not is_there(folder / name)]
    check = "the folder holds every file that a run between sites leaves"
    faults = [f"{name} is not there" for name in absent]
    faults += [
        f"the evidence of {one.name} lies in another folder"
        for one in sites
        if one.folder.evidence != folder
    ]
    report.check("results", check, faults, ", ".join(absent[:3]))


def _remade(digests: "_Digests", sites: Sequence[Site], auditor: Auditor, report: Report) -> None:
    """Whether description, tables and samples follow from the plan and the opened values."""
    site = next((one for one in sites if one.opened_hold and one.plan is not None), None)
    if site is None or site.is_evidence_only:
        return
    made = auditor.remake(site)
    for name in sorted({*made.sha256, *made.lacking}):
        check = f"{name} follows from the plan and the opened values"
        if name in made.lacking:
            report.lacks("results", check, made.lacking[name], name)
            continue
        fault = digests.fault(name, made.sha256[name])
        if fault and name in made.uncertain and is_there(digests.folder / name):
            report.lacks("results", check, f"other bytes: {made.uncertain[name]}", name)
        else:
            report.check("results", check, [fault] if fault else [], name)


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


def _files(digests: "_Digests", data: Mapping[str, Any], report: Report, *, between: bool) -> None:
    files = data.get("files")
    check = "every file that receipt.json names has the hash that it names"
    if not isinstance(files, dict) or not files:
        report.check("results", check, ["it names none"], RESULTS_RECEIPT_FILE)
        return
    faults = []
    for name, digest in files.items():
        fault = digests.fault(str(name), digest)
        if fault:
            faults.append((str(name), fault))
    for name, fault in faults:
        report.check("results", check, [f"{name}: {fault}"], name)
    if not faults:
        report.check("results", check, (), RESULTS_RECEIPT_FILE, f"{len(files)} files")
    # Private folders of parties are what a run on one machine leaves there, and no other.
    left_out = (RESULTS_RECEIPT_FILE,) if between else (PARTIES, RESULTS_RECEIPT_FILE)
    others = [one for one in listed(digests.folder, lambda x: x in left_out) if one not in files]
    check = "every file of the folder is one that receipt.json names"
    words = f"nothing tells what these are: {', '.join(others[:5])}" + (
        f" and {len(others) - 5} more" if len(others) > 5 else ""
    )
    if between:
        report.check("results", check, [words] if others else [], ", ".join(others[:1]))
    elif others:
        report.lacks("results", check, words, others[0])


class _Digests:
    """Hashes of a folder's files: each is read once, and all together up to a limit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._room = MOST_FOLDER_BYTES
        self._known: dict[str, str] = {}

    def fault(self, name: str, digest: object) -> str:
        """Why a file is not the one of that hash, in words that follow its name; empty if it is."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or name != path.as_posix():
            return "no name of a file in this folder"
        if not isinstance(digest, str) or not _HASH.fullmatch(digest):
            return "no hash is named"
        try:
            found = self._hash(name)
        except ValueError as error:  # also a name with a null character
            return str(error)
        return "" if found == digest else "it was changed"

    def _hash(self, name: str) -> str:
        if name not in self._known:
            size = (self.folder / name).lstat().st_size if is_there(self.folder / name) else 0
            if self._room < size <= MOST_HASHED_BYTES:
                raise UnreadError(
                    f"with it the folder has more than {MOST_FOLDER_BYTES // 10**9} GB, the most "
                    "that is read"
                )
            self._known[name] = hash_regular(self.folder / name)
            self._room -= size
        return self._known[name]
