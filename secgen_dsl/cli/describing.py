"""What `secgen describe` adds to a plan: approvals, a site's ledger, a finished run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from secgen_dsl.cli.description import subject_of_study
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.describe.subject import Approval, Attested, Execution, Spending, Subject
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.certificate import Certificate
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import decimal_text

if TYPE_CHECKING:
    from secgen_dsl.runtime.evidence.findings import Finding
    from secgen_dsl.runtime.evidence.site import Auditor


def approvals_of(bundle: Path, planned: PlannedStudy, consortium: Path) -> tuple[Approval, ...]:
    """The approvals in a bundle's folder, each verified with the officer's key.

    Raises:
        SecgenError: the consortium cannot be read, or lacks a party of the plan; SG709, a spec has
            no approvals.
    """
    from secgen_dsl.runtime.trust.approvals import check_approval, read_approvals, review
    from secgen_dsl.runtime.trust.consortium import read_consortium

    if not bundle.is_dir():
        raise fail(
            "SG709",
            "approvals lie in a bundle, and this is a spec",
            place=str(bundle),
            next_step="compile it, and describe the bundle that the sites approved",
        )
    entries = read_consortium(consortium).of_plan(planned.plan.parties)
    found = review(bundle, planned.verified.plan_sha256, sha256_of(planned.study), entries)
    signed_so: dict[str, bool] = {}
    known = {entry.name: entry for entry in entries}
    for place, one in read_approvals(bundle)[0].items():
        if one.party in known:
            try:
                own = one.plan_sha256, one.study_sha256
                check_approval(one, *own, known[one.party], place)
                signed_so.setdefault(one.party, True)
            except SecgenError:
                signed_so[one.party] = False

    def state(name: str) -> Literal["valid", "another", "unsigned", "missing"]:
        if name in found.approved:
            return "valid"
        if name in found.missing:
            return "missing"
        return "another" if signed_so.get(name, False) else "unsigned"

    return tuple(
        Approval(
            party=entry.name,
            officer=str(entry.officer),
            date=found.approved[entry.name].date if entry.name in found.approved else "",
            state=state(entry.name),
        )
        for entry in entries
    )


def spending_of(path: Path, planned: PlannedStudy, site: Path | None) -> Spending:
    """What the one ledger at a path says, and what this plan would add.

    Args:
        site: a site.toml whose policy counts; None: none.

    Raises:
        SecgenError: SG709, there are several; SG801 to SG803, it is none; SG418, no site.toml.
    """
    from secgen_dsl.cli.ledger import store_files
    from secgen_dsl.privacy.rounding import six_digits_up
    from secgen_dsl.privacy.spend import composed_epsilon, spend_of
    from secgen_dsl.runtime.database import read_ledger_file
    from secgen_dsl.runtime.site.description import Site

    files = store_files(path)
    if len(files) != 1:
        raise fail(
            "SG709",
            f"there are {len(files)} ledgers here, of several sites",
            place=str(path),
            next_step="give one site's store.sqlite: a document is of one site's ledger",
        )
    ledger = read_ledger_file(files[0])
    own = spend_of(planned.plan)
    spends = [*ledger.spends(), own]
    deltas = {planned.plan.program.privacy.delta}
    limit = None
    if site is not None:
        policy = Site(site, "").description.policy
        if policy.max_epsilon is not None and policy.delta is not None:
            limit = decimal_text(policy.delta), decimal_text(policy.max_epsilon)
            deltas.add(policy.delta)
    positive = sorted(delta for delta in deltas if delta > 0)
    return Spending(
        site=files[0].resolve().parent.name,
        earlier=tuple(
            (entry.date, entry.plan_sha256[:12], decimal_text(entry.spend.epsilon))
            for entry in ledger.entries
        ),
        debited=any(entry.plan_sha256 == planned.verified.plan_sha256 for entry in ledger.entries),
        after=tuple(
            (decimal_text(delta), six_digits_up(composed_epsilon(spends, delta)))
            for delta in positive
        ),
        limit=limit,
    )


def execution_of(
    results: Path, planned: PlannedStudy, consortium: Path | None, ledger: Path | None
) -> Execution:
    """What a folder of results says of the run, and whether an audit of it holds.

    Args:
        consortium: with the keys that signatures are checked with; None: those in the folder.
        ledger: of a site that ran; None: entries of ledgers are not looked up.

    Raises:
        SecgenError: SG531, it is no folder of results; SG709, of another plan.
    """
    from secgen_dsl.runtime.evidence import course
    from secgen_dsl.runtime.evidence.folder import find_runs
    from secgen_dsl.runtime.evidence.results import read_results
    from secgen_dsl.runtime.evidence.runs import audit_runs

    receipt = read_results(results)
    plan_sha256 = str(receipt.get("plan_sha256", ""))
    if plan_sha256 != planned.verified.plan_sha256:
        raise fail(
            "SG709",
            f"these are results of the plan {plan_sha256[:12]}…, and the document would be of "
            f"{planned.verified.plan_sha256[:12]}…",
            place=str(results),
            next_step="give the spec or bundle that was run",
        )
    sites, findings = audit_runs(find_runs(results), _auditor(planned, consortium, ledger))
    attested = {
        one.receipt.party: Attested(
            name=one.receipt.party,
            outcome=one.receipt.outcome,
            transcript_sha256=one.receipt.transcript_sha256,
            ledger_entry=one.receipt.ledger_entry,
            bytes_sent=one.receipt.bytes_sent,
        )
        for one in sites
        if one.receipt is not None
    }
    records = {one.name: one.transcript[1] for one in sites if one.transcript is not None}
    sent = receipt.get("bytes_sent")
    bytes_sent = {name: number for name, number in _table(sent).items() if isinstance(number, int)}
    return Execution(
        kind=_kind(receipt),
        date=str(receipt.get("date", "")),
        parties=tuple(
            attested.get(name, Attested(name, "", "", "", bytes_sent.get(name)))
            for name in planned.plan.parties
        ),
        files={name: str(digest) for name, digest in _table(receipt.get("files")).items()},
        records=tuple(records),
        deviations=tuple(
            f"{name}: {one}" for name, lines in records.items() for one in course.deviations(lines)
        ),
        held=sum(one.outcome == "holds" for one in findings),
        failed=_words_of(findings, "fails"),
        unchecked=_words_of(findings, "could not be checked"),
        keys_known=consortium is not None,
        invented=receipt.get("data") == "invented",
    )


def _auditor(planned: PlannedStudy, consortium: Path | None, ledger: Path | None) -> "Auditor":
    """Whoever audits a run of a plan that was verified just now; rows are not made again."""
    from secgen_dsl.backends.mpyc.generate import generate_program
    from secgen_dsl.cli.ledger import store_files
    from secgen_dsl.runtime.database import read_ledger_file
    from secgen_dsl.runtime.evidence.site import Auditor, Remade
    from secgen_dsl.runtime.trust.consortium import read_consortium
    from secgen_dsl.verifier import verify

    def verified(plan: Plan, _: Certificate | None) -> None:
        if sha256_of(plan) != planned.verified.plan_sha256:
            verify(plan)

    files = [] if ledger is None else store_files(ledger)
    return Auditor(
        consortium=None if consortium is None else read_consortium(consortium),
        ledgers=[read_ledger_file(path, read_only=True) for path in files],
        verify=verified,
        generate=generate_program,
        remake=lambda _: Remade(),
    )


def _kind(receipt: dict[str, Any]) -> Literal["field", "local", "single"]:
    if receipt.get("signed"):
        return "field"
    return "single" if receipt.get("backend") == "plaintext" else "local"


def _table(data: object) -> dict[str, Any]:
    return {str(name): entry for name, entry in data.items()} if isinstance(data, dict) else {}


def _words_of(findings: "Sequence[Finding]", outcome: str) -> tuple[str, ...]:
    """Each check once, with the sites it is about."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in findings:
        if one.outcome == outcome:
            found.setdefault((one.check, one.words), []).append(one.site)
    return tuple(
        f"{', '.join(dict.fromkeys(filter(None, sites))) or 'all sites'}: {check}"
        + (f" ({words})" if words else "")
        for (check, words), sites in found.items()
    )


@dataclass(frozen=True)
class Additions:
    """What is described beside the plan.

    Attributes:
        against: the spec, bundle or results that were approved.
        consortium: with the officers' keys; the bundle's approvals are shown.
        ledger: of one site.
        site: a site.toml with a policy.
        results: of a finished run.
    """

    against: Path | None = None
    consortium: Path | None = None
    ledger: Path | None = None
    site: Path | None = None
    results: Path | None = None

    @property
    def names(self) -> str:
        """The options that were given, as a document's record has them."""
        given = {
            "--against": self.against,
            "--consortium": self.consortium,
            "--ledger": self.ledger,
            "--site": self.site,
            "--run": self.results,
        }
        return ", ".join(name for name, path in given.items() if path is not None)


def subject_with(
    planned: PlannedStudy, spec: Path, additions: Additions, day: str | None
) -> Subject:
    """What a description is about, with all that was asked to be added.

    Args:
        spec: as it was given: a spec or a bundle.
        day: of the document; None: today in UTC.

    Raises:
        SecgenError: SG709, the day is none, or an addition does not go with the plan; whatever the
            additions' own readers say.
    """
    from secgen_dsl.cli.comparison import sides_with
    from secgen_dsl.verifier.certify import certify

    certificate = certify(planned.plan, planned.verified, independent=True)
    subject = subject_of_study(planned, certificate, _day(day))
    changes: dict[str, Any] = {"additions": additions.names}
    if additions.against is not None:
        changes["against"] = sides_with(additions.against, planned)
    if additions.consortium is not None:
        changes["approvals"] = approvals_of(spec, planned, additions.consortium)
    if additions.ledger is not None:
        changes["spending"] = spending_of(additions.ledger, planned, additions.site)
    if additions.results is not None:
        changes["execution"] = execution_of(
            additions.results, planned, additions.consortium, additions.ledger
        )
    return replace(subject, **changes)


def _day(text: str | None) -> str:
    if not text:  # None: today; empty: the record of a document without a day
        return datetime.now(UTC).date().isoformat() if text is None else ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise fail(
            "SG709",
            f'"{text}" is no day',
            place="--date",
            next_step="write it as 2026-11-23",
        ) from error
