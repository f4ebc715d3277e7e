"""What `secgen describe` adds to a plan: approvals, a site's ledger, a finished run."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secgen_dsl.cli.description import subject_of_study
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.describe.subject import Approval, Attested, Execution, Spending, Subject
from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.base import read_node, sha256_of
from secgen_dsl.ir.program import decimal_text

if TYPE_CHECKING:
    from secgen_dsl.runtime.evidence.folder import RunFolder


def approvals_of(bundle: Path, planned: PlannedStudy, consortium: Path) -> tuple[Approval, ...]:
    """The approvals in a bundle's folder, each verified with the officer's key.

    Raises:
        SecgenError: the consortium cannot be read, or lacks a party of the plan; SG709, a spec has
            no approvals.
    """
    from secgen_dsl.runtime.trust.approvals import review
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
    officers = {entry.name: entry.officer for entry in entries}
    return tuple(
        Approval(
            party=name,
            officer=str(officers[name]),
            date=found.approved[name].date if name in found.approved else "",
            state="valid"
            if name in found.approved
            else "missing"
            if name in found.missing
            else "another",
        )
        for name in planned.plan.parties
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
        site=files[0].parent.name,
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


def execution_of(results: Path, planned: PlannedStudy) -> Execution:
    """What a folder of results says of the run.

    Raises:
        SecgenError: SG531, it is no folder of results; SG709, of another plan.
    """
    from secgen_dsl.runtime.evidence.folder import find_runs
    from secgen_dsl.runtime.evidence.results import read_results

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
    kind = {"mpyc": "local", "plaintext": "single"}.get(str(receipt.get("backend")), "local")
    if receipt.get("signed"):
        kind = "field"
    bytes_sent: dict[str, Any] = dict(receipt.get("bytes_sent", {}))
    attested: dict[str, Attested] = {}
    deviations: list[str] = []
    for run in find_runs(results):
        one = _attested(run)
        if one is not None:
            attested[one.name] = one
            deviations += [f"{one.name}: {each}" for each in _deviations(run)]
    return Execution(
        kind=kind,  # type: ignore[arg-type]
        date=str(receipt.get("date", "")),
        plan_sha256=plan_sha256,
        parties=tuple(
            attested.get(name, Attested(name, "", "", "", int(bytes_sent.get(name, 0))))
            for name in planned.plan.parties
        ),
        files={str(name): str(digest) for name, digest in dict(receipt["files"]).items()},
        deviations=tuple(deviations),
        invented=receipt.get("data") == "invented",
    )


def _attested(run: "RunFolder") -> Attested | None:
    from secgen_dsl.runtime.evidence.folder import RECEIPT_FILE
    from secgen_dsl.runtime.evidence.receipt import PartyReceipt

    data = run.read(RECEIPT_FILE)
    if data is None:
        return None
    try:
        receipt = read_node(PartyReceipt, data)
    except ValueError:
        return None  # an audit says what is wrong with it
    return Attested(
        name=receipt.party,
        outcome=receipt.outcome,
        transcript_sha256=receipt.transcript_sha256,
        ledger_entry=receipt.ledger_entry,
        bytes_sent=receipt.bytes_sent,
    )


def _deviations(run: "RunFolder") -> Iterator[str]:
    from secgen_dsl.runtime.evidence import course
    from secgen_dsl.runtime.evidence.folder import TRANSCRIPT_FILE
    from secgen_dsl.runtime.evidence.transcript import read_transcript

    data = run.read(TRANSCRIPT_FILE)
    if data is None:
        return
    try:
        _, lines = read_transcript(data)
    except ValueError:
        yield "its transcript cannot be read"
        return
    yield from course.deviations(lines)


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
        changes["execution"] = execution_of(additions.results, planned)
    return replace(subject, **changes)


def _day(text: str | None) -> str:
    if text is None:
        return datetime.now(UTC).date().isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise fail(
            "SG709",
            f'"{text}" is no day',
            place="--date",
            next_step="write it as 2026-11-23",
        ) from error
