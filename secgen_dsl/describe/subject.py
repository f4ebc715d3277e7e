"""What a document is about: the plan, and what is known beside it.  Nothing here is worked out."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from secgen_dsl.describe.difference import Sides
from secgen_dsl.ir.certificate import Certificate
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Study


@dataclass(frozen=True)
class Message:
    """One kind of message that each party sends to each other one.

    Attributes:
        kind: ``hello``, ``ready``, ``stored``, ``share``, ``opening`` or ``confirmation``.
        step: the round of messages in which it goes, from 1.
        round: of the plan, from 1; 0 where there is none.
        size: bytes to one other party, headers included.
    """

    kind: str
    step: int
    round: int
    size: int


@dataclass(frozen=True)
class Approval:
    """A signature of a site's officer.

    Attributes:
        party: the site.
        officer: fingerprint of the officer's key.
        date: day in UTC of a valid signature; else empty.
        state: ``valid``: it covers this plan and study; ``another``: the officer signed another
            plan or study; ``invalid``: not signed so with the officer's key; ``missing``.
    """

    party: str
    officer: str
    date: str
    state: Literal["valid", "another", "unsigned", "missing"]

    @property
    def verified(self) -> bool:
        """Whether it counts."""
        return self.state == "valid"


@dataclass(frozen=True)
class Spending:
    """What the ledger of one site says of the people whom this study is about.

    Attributes:
        site: whose ledger.
        earlier: (day, first digits of the plan's hash, ε at its δ) of each earlier debit.
        debited: this plan has an entry already: a restart adds nothing.
        after: (δ, ε) of all of them and this plan together, by the bound that may refuse a plan.
        limit: (δ, ε) that the site's policy allows in all; None: it states none.
    """

    site: str
    earlier: tuple[tuple[str, str, str], ...]
    debited: bool
    after: tuple[tuple[str, str], ...]
    limit: tuple[str, str] | None


@dataclass(frozen=True)
class Attested:
    """What one party says of a run.

    Attributes:
        name: of the party.
        outcome: ``complete``, or the code that ended it; empty: its receipt is not there.
        transcript_sha256: of its record of messages; empty: not there.
        ledger_entry: hash of the entry that paid; empty: a helper, or not there.
        bytes_sent: to all others; None: not known.
    """

    name: str
    outcome: str
    transcript_sha256: str
    ledger_entry: str
    bytes_sent: int | None


@dataclass(frozen=True)
class Execution:
    """A finished run.

    Attributes:
        kind: ``field`` between sites, ``local`` on one machine, ``single`` in one process.
        date: day in UTC.
        parties: what each attests.
        files: file of the results → SHA-256.
        records: parties whose records of messages are there.
        deviations: what these say went otherwise than in a smooth run, in words.
        held: how many checks of the evidence held.
        failed: checks that failed, in the audit's words.
        unchecked: checks that could not be made.
        keys_known: signatures were checked with keys from outside of the results' folder.
        invented: the rows were invented: a rehearsal.
    """

    kind: Literal["field", "local", "single"]
    date: str
    parties: tuple[Attested, ...]
    files: dict[str, str]
    records: tuple[str, ...]
    deviations: tuple[str, ...]
    held: int
    failed: tuple[str, ...]
    unchecked: tuple[str, ...]
    keys_known: bool
    invented: bool


@dataclass(frozen=True)
class Subject:
    """Everything that a document may speak of.

    Attributes:
        sources: id of a query → where the spec asks for it, ``file:line``.
        spec_name: name of the spec's file.
        spec_text: its text.
        messages: what each party sends to each other one, in order.
        approvals: of all parties that must sign; empty: none are known.
        spending: of the site that describes; None: no ledger was given.
        execution: None: it has not run.
        against: the plan that was approved, beside this one; None: nothing was compared.
        date: day in UTC of the document; empty: none is stated.
        additions: the options that added to the plan, for the record.
    """

    plan: Plan
    study: Study
    certificate: Certificate
    sources: dict[str, str]
    spec_name: str
    spec_text: str
    messages: tuple[Message, ...]
    date: str
    approvals: tuple[Approval, ...] = ()
    spending: Spending | None = None
    execution: Execution | None = None
    against: Sides | None = None
    additions: str = ""

    @property
    def spec_sha256(self) -> str:
        """Of the spec's text, 64 hex digits."""
        return hashlib.sha256(self.spec_text.encode()).hexdigest()
