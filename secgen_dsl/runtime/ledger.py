"""The ledger: what was spent on a site's people, one entry for each execution of a plan.

Entries are chained: ``sha256ₙ = SHA-256(sha256ₙ₋₁ ‖ canonical JSON of entry n)``, and a head record
tells how many there are, so a changed, missing or added entry is noticed and nothing is repaired.
(Somebody who may write the file can forge all of it; receipts hold the entry's hash, which cannot
be forged after the fact.)  The chain starts from 32 random bytes that never leave the file: nobody
else can guess from a hash which studies a site has taken part in.

An entry holds public facts of a plan and a date.  Nothing in it depends on a patient.
"""

import hashlib
import secrets
import shlex
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail
from secgen_dsl.ir.base import Node, canonical_json, read_node
from secgen_dsl.privacy.spend import Spend
from secgen_dsl.runtime.policy import Policy

LEDGER_SCHEMA = (
    # UPDATE and DELETE are for nobody: an entry is for ever.
    """CREATE TABLE ledger (
    number INTEGER PRIMARY KEY,
    entry TEXT NOT NULL,
    sha256 TEXT NOT NULL
)""",
    """CREATE TABLE head (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    origin BLOB NOT NULL,
    entries INTEGER NOT NULL,
    sha256 TEXT NOT NULL
)""",
    """CREATE TRIGGER ledger_is_not_changed BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'a ledger is not changed'); END""",
    """CREATE TRIGGER ledger_is_not_shortened BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'a ledger is not shortened'); END""",
    """CREATE TRIGGER head_is_not_deleted BEFORE DELETE ON head
BEGIN SELECT RAISE(ABORT, 'a ledger has a head'); END""",
    """CREATE TRIGGER head_goes_on_by_one BEFORE UPDATE ON head
WHEN NEW.entries <> OLD.entries + 1 OR NEW.origin <> OLD.origin
BEGIN SELECT RAISE(ABORT, 'a ledger grows by one entry'); END""",
)


class Entry(Node):
    """One execution of a plan.

    Attributes:
        number: from 1.
        date: day in UTC, YYYY-MM-DD; never before the entry above.
        clock_behind: the clock showed an earlier day than the entry above, whose day was taken.
        cohort: ``[cohort] id`` of the site.toml.  A note: sums are over all entries.
        plan_sha256: 64 hex digits.
        parties: names of all parties in the order of their indices.
        spend: the cost of the whole plan.
    """

    format: Literal["secgen.ledger-entry/1", "secgen.ledger-entry/2"]
    number: int = Field(ge=1)
    date: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    clock_behind: bool
    cohort: str
    plan_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    parties: tuple[str, ...]
    spend: Spend


@dataclass(frozen=True)
class Debit:
    """What a site enters for an execution of a plan.

    Attributes:
        spend: the cost of the whole plan.
        cohort: as the site names it.
        policy: what the site allows.
        place: of the policy, for diagnostics.
    """

    spend: Spend
    cohort: str = ""
    policy: Policy = field(default_factory=Policy)
    place: str = ""

    def check(self, ledger: "Ledger") -> None:
        """Refuse a plan that would overdraw the site's ledger.

        Raises:
            SecgenError: SG804, one diagnostic for each limit.
        """
        spent = ledger.spends()
        look = f"; {_command(ledger.path)} shows what was spent" if spent else ""
        found = [
            Diagnostic(
                "SG804",
                f"the site's policy refuses this plan: {reason}",
                place=f"{self.place}, [policy] {key}",
                next_step=f"{self.policy.next_step(key, spent, self.spend)}{look}; the limit "
                "itself is the site's to change",
            )
            for key, reason in self.policy.refusals(spent, self.spend)
        ]
        if found:
            raise SecgenError(found)


@dataclass(frozen=True)
class Ledger:
    """A ledger whose chain holds.

    Attributes:
        entries: oldest first.
        hashes: of each entry, 64 hex digits.
    """

    path: Path
    entries: tuple[Entry, ...]
    hashes: tuple[str, ...]

    def spends(self) -> list[Spend]:
        """The cost of each entry."""
        return [entry.spend for entry in self.entries]

    def warnings(self) -> Iterator[Diagnostic]:
        """What an officer should know: SG805 a clock that went back, SG806 several cohorts."""
        for entry in self.entries:
            if entry.clock_behind:
                yield Diagnostic(
                    "SG805",
                    f"at entry {entry.number} the clock was behind the entry above it, whose date "
                    f"{entry.date} was taken",
                    "warning",
                    place=str(self.path),
                    next_step="set the machine's clock; the debit itself counts in full",
                )
        cohorts = dict.fromkeys(entry.cohort for entry in self.entries)
        if len(cohorts) > 1:
            names = ", ".join(f'"{cohort}"' for cohort in cohorts)
            yield Diagnostic(
                "SG806",
                f"the entries name the cohorts {names}; they are added up as one",
                "warning",
                place=str(self.path),
                next_step="nothing: this release cannot let an officer sign that the people differ",
            )


def ledger_words(ledger: Ledger, state: Path, *, is_silo: bool) -> str:
    """What a site should know of its ledger before a run.

    An empty one begins with a first study, and after a loss: they look the same, so whoever starts
    a run is told every time.

    Args:
        state: the folder that it is in, or would be.
        is_silo: the party has data; a helper spends nothing.
    """
    count = len(ledger.entries)
    if count:
        return f"in {state}: {_entries(count)}, the last of {ledger.entries[-1].date}"
    if not is_silo:
        return f"in {state}: 0 entries; a helper has no data and spends nothing"
    return (
        f"in {state}: 0 entries: a first study, or a ledger that was lost; if this site has taken "
        "part in any study before, stop now and give --state the folder of all its studies, or "
        "bring its newest backup back"
    )


def new_head(connection: sqlite3.Connection) -> None:
    """Give a new database the head of an empty ledger."""
    origin = secrets.token_bytes(32)
    connection.execute("INSERT INTO head VALUES (1, ?, 0, ?)", (origin, _origin_hash(origin)))


def append(
    connection: sqlite3.Connection, ledger: Ledger, debit: Debit, plan: str, parties: Sequence[str]
) -> Entry:
    """Add an entry, within a transaction of the caller.

    Args:
        ledger: as read in the same transaction.
        plan: the plan's SHA-256.
        parties: of the plan.
    """
    today = _today().isoformat()
    last = ledger.entries[-1].date if ledger.entries else today
    entry = Entry(
        format="secgen.ledger-entry/2",
        number=len(ledger.entries) + 1,
        date=max(today, last),
        clock_behind=today < last,
        cohort=debit.cohort,
        plan_sha256=plan,
        parties=tuple(parties),
        spend=debit.spend,
    )
    (before,) = connection.execute("SELECT sha256 FROM head").fetchone()
    text = canonical_json(entry)
    after = _hash(before, text)
    connection.execute("INSERT INTO ledger VALUES (?, ?, ?)", (entry.number, text.decode(), after))
    connection.execute("UPDATE head SET entries = ?, sha256 = ?", (entry.number, after))
    return entry


def read_ledger(connection: sqlite3.Connection, path: Path) -> Ledger:
    """All entries, every link of the chain checked.

    Raises:
        SecgenError: SG803, the chain is broken.
    """
    heads = connection.execute("SELECT origin, entries, sha256 FROM head").fetchall()
    if len(heads) != 1 or not isinstance(heads[0][0], bytes):
        raise corrupted(path, "its head is missing")
    origin, count, head = heads[0]
    before = _origin_hash(origin)
    entries: list[Entry] = []
    hashes: list[str] = []
    for number, text, sha256 in connection.execute(
        "SELECT number, entry, sha256 FROM ledger ORDER BY number"
    ):
        if number != len(entries) + 1:
            raise corrupted(path, f"entry {len(entries) + 1} is missing")
        before = _hash(before, str(text).encode())
        if sha256 != before:
            raise corrupted(path, f"entry {number} is not the one that was made")
        try:
            entry = read_node(Entry, str(text))
        except ValidationError as error:
            raise corrupted(path, f"entry {number} cannot be read by this release") from error
        if entry.number != number:
            raise corrupted(path, f"entry {number} says that it is entry {entry.number}")
        entries.append(entry)
        hashes.append(before)
    if count != len(entries) or head != before:
        raise corrupted(path, f"its head tells of {_entries(count)}; {len(entries)} left")
    return Ledger(path, tuple(entries), tuple(hashes))


def corrupted(path: Path, what: str) -> SecgenError:
    """SG803: a ledger that is refused."""
    return fail(
        "SG803",
        f"the ledger is corrupted: {what}",
        place=str(path),
        next_step="nothing was repaired, and no study is run with it; bring back the newest "
        "backup, and ask the site's privacy officer what was spent since",
    )


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _command(path: Path) -> str:
    return f"`secgen ledger {shlex.quote(str(path))}`"


def _today() -> date:
    return datetime.now(UTC).date()


def _origin_hash(origin: bytes) -> str:
    return hashlib.sha256(b"secgen.ledger/1" + origin).hexdigest()


def _hash(before: str, text: bytes) -> str:
    return hashlib.sha256(bytes.fromhex(before) + text).hexdigest()
