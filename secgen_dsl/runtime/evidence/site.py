"""One party's files of a run, read for an audit, and what the audit is made with."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import Node, canonical_json, pretty_json, read_node, sha256_of
from secgen_dsl.ir.certificate import Certificate
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.ir.program import Study
from secgen_dsl.runtime.evidence import course
from secgen_dsl.runtime.evidence.folder import (
    CERTIFICATE_FILE,
    MEASUREMENTS_FILE,
    PLAN_FILE,
    PRIVATE_FILES,
    RECEIPT_FILE,
    RESULTS_RECEIPT_FILE,
    ROSTER_FILE,
    SOURCES_FILE,
    STUDY_FILE,
    TRANSCRIPT_FILE,
    RunFolder,
)
from secgen_dsl.runtime.evidence.receipt import COMPLETE, PartyReceipt
from secgen_dsl.runtime.evidence.results import read_results
from secgen_dsl.runtime.evidence.roster import Roster
from secgen_dsl.runtime.evidence.transcript import Head, Line, read_transcript
from secgen_dsl.runtime.ledger import Ledger
from secgen_dsl.runtime.regular import is_there
from secgen_dsl.runtime.trust.consortium import Consortium, PartyEntry

_NodeT = TypeVar("_NodeT", bound=Node)


@dataclass(frozen=True)
class Remade:
    """Files of results, made again from a plan and its opened values.

    Attributes:
        sha256: name → hash of the file as this installation writes it.
        lacking: name → why the file could not be made again.
        uncertain: name → why other bytes need not have been changed, where this installation's
            packages are not all known to be those of the run.
    """

    sha256: Mapping[str, str] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)
    uncertain: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Auditor:
    """What an audit is made with.

    Attributes:
        consortium: as the auditor knows it; None: the folders' own are used.
        ledgers: stores that the auditor was given.
        verify: raises SecgenError for a plan whose claims do not hold, or a certificate that is
            not the plan's; asks the second accountant.
        generate: the program of a plan, from the places of its queries.
        remake: the results that follow from a site's plan and opened values, both of which hold.
    """

    consortium: Consortium | None
    ledgers: Sequence[Ledger]
    verify: Callable[[Plan, Certificate | None], None]
    generate: Callable[[Plan, Mapping[str, str]], str]
    remake: Callable[["Site"], Remade]
    used: set[Path] = field(default_factory=set)
    _verified: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def plan_faults(self, plan: Plan, certificate: Certificate | None) -> list[str]:
        """What the verifier says of a plan; each plan is verified once."""
        key = sha256_of(plan), "" if certificate is None else sha256_of(certificate)
        if key not in self._verified:
            try:
                self.verify(plan, certificate)
                self._verified[key] = []
            except SecgenError as error:
                self._verified[key] = [one.message for one in error.diagnostics]
        return self._verified[key]


class Site:
    """The files of one party's run, as far as they can be read.

    Attributes:
        folder: where they are.
        entries: the parties whose keys signatures are checked with, once ``audit_site`` has read
            them; empty if they are not known.
        between_sites: whether this is a run between sites: by what its receipts say, wherever its
            files lie, and if the auditor has a consortium.
        opened_hold: whether ``audit_site`` found the opened values to be those of plan and
            receipt.
        receipt: the party's receipt; None if there is none that can be read.  Likewise the others.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.entries: tuple[PartyEntry, ...] = ()
        self.opened_hold = False
        self.receipt = self._node(PartyReceipt, RECEIPT_FILE, canonical=True)
        self.plan = self._node(Plan, PLAN_FILE)
        self.study = self._node(Study, STUDY_FILE)
        self.certificate = self._node(Certificate, CERTIFICATE_FILE)
        self.measurements = self._node(Measurements, MEASUREMENTS_FILE)
        self.roster = self._node(Roster, ROSTER_FILE)
        approved = self.receipt is not None and bool(self.receipt.approvals)
        self.between_sites = approved or self._is_signed() or self._is_laid_out()

    @cached_property
    def name(self) -> str:
        """The party, or the folder's name."""
        return self.folder.evidence.name if self.receipt is None else self.receipt.party

    @property
    def complete(self) -> bool:
        """Whether the run came to its end, as its receipt says."""
        return self.receipt is not None and self.receipt.outcome == COMPLETE

    @cached_property
    def transcript(self) -> tuple[Head, list[Line]] | None:
        """The transcript; None if it cannot be read."""
        data = self.folder.read(TRANSCRIPT_FILE)
        try:
            return None if data is None else read_transcript(data)
        except ValueError:
            return None

    @cached_property
    def connections(self) -> dict[str, list[course.Connection]] | None:
        """What the transcript says of each peer; None if it cannot be read."""
        if self.transcript is None or self.plan is None or self.receipt is None:
            return None
        if self.plan.parties != self.receipt.parties:
            return None
        peers = [one for one in self.plan.parties if one != self.receipt.party]
        try:
            return course.connections(self.transcript[1], peers)
        except (ValueError, KeyError, IndexError):
            return None

    @cached_property
    def is_evidence_only(self) -> bool:
        """Whether this is a party's private folder, which shows no results."""
        folder = self.folder.evidence
        return folder == self.folder.results and (
            {path.name for path in folder.iterdir()} <= PRIVATE_FILES
        )

    def _is_signed(self) -> bool:
        """Whether the results say that they are signed, rightly or not."""
        if not is_there(self.folder.results / RESULTS_RECEIPT_FILE):
            return False
        try:
            data = read_results(self.folder.results)
        except SecgenError:
            return False
        return data.get("signed") is not False or "signature" in data

    def _is_laid_out(self) -> bool:
        """Whether evidence and results lie in one folder; a run on one machine keeps them apart."""
        folder = self.folder.evidence
        known = is_there(folder / RECEIPT_FILE) or is_there(folder / TRANSCRIPT_FILE)
        return known and folder == self.folder.results and not self.is_evidence_only

    @cached_property
    def sources(self) -> dict[str, str] | None:
        """The places of the queries; None if they cannot be read."""
        data = self.folder.read(SOURCES_FILE)
        try:
            found = json.loads(data or b"")
        except (ValueError, RecursionError):
            return None
        if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
            return None
        text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        # Half a character, as in "\ud800", is none that a party writes.
        return found if text.encode(errors="replace") == data else None

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return is_there(self.folder.path(name))

    def is_exact(self, node: Node | None, name: str) -> bool:
        """Whether a file is byte for byte what secgen writes of its content."""
        if node is None:
            return False
        canonical = isinstance(node, PartyReceipt)
        written = canonical_json(node) + b"\n" if canonical else pretty_json(node)
        return self.folder.read(name) == written

    def _node(self, kind: type[_NodeT], name: str, *, canonical: bool = False) -> _NodeT | None:
        data = self.folder.read(name)
        if data is None:
            return None
        try:
            node = read_node(kind, data)
            return None if canonical and canonical_json(node) + b"\n" != data else node
        except (ValueError, ValidationError, RecursionError):
            return None
