"""A party's durable store: what it contributed to each round, what was debited, the site's key.

A contribution y = A(x + z) is stored before the first share of it leaves, under a key that names
everything the round depends on (PROTOCOL, Restarts).  A restart with the same key uses the same y:
drawing again would let a rushing party abort, steer, and difference two noised vectors.  A key
whose y was erased is refused for good.  Neither x nor z nor a digest of x, z or y is ever stored.

**Debits.**  An entry of the ledger pays for one contribution to each round of one plan.  It is
made in the transaction that stores the first; a second contribution to a round, under whatever
other key, needs an entry of its own.  Nothing refunds one.
"""

import contextlib
import hashlib
import json
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Plan
from secgen_dsl.runtime.database import FORMAT, connect, unusable, whole_ledger
from secgen_dsl.runtime.ledger import Debit, Entry, Ledger, append

SITE_KEY_BYTES = 32

_WHERE = "plan_sha256 = ? AND round = ? AND parties = ? AND party = ? AND opened_before = ?"


@dataclass(frozen=True)
class ContributionKey:
    """Everything that a round's contribution depends on.

    Attributes:
        plan_sha256: 64 hex digits.
        round: number of the round, from 1.
        parties: names of all parties in the order of their indices.
        index: this party.
        opened_before: ``digest_of_opened`` of the earlier rounds.
    """

    plan_sha256: str
    round: int
    parties: tuple[str, ...]
    index: int
    opened_before: str

    def _row(self) -> tuple[str, int, str, int, str]:
        parties = json.dumps(self.parties)
        return self.plan_sha256, self.round, parties, self.index, self.opened_before


def digest_of_opened(rounds: Sequence[NDArray[np.int64]]) -> str:
    """SHA-256 (64 hex digits) of the values opened in earlier rounds.

    These are the protocol's public, noised results; a digest of anything else is not allowed.
    """
    digest = hashlib.sha256(b"secgen opened values 1")
    for values in rounds:
        digest.update(len(values).to_bytes(8, "little"))
        digest.update(_to_bytes(values))
    return digest.hexdigest()


def first_key(plan: Plan, index: int) -> ContributionKey:
    """The key of a party's contribution to the first round, before anything is opened."""
    return ContributionKey(sha256_of(plan), 1, plan.parties, index, digest_of_opened([]))


class ContributionStore:
    """One SQLite file of one party, mode 0600; use as a context manager.

    Args:
        path: the file; made if absent, in a folder that exists.

    Raises:
        SecgenError: SG512 the file cannot be opened or is not a store; SG802 a newer release made
            it; SG803 its ledger is corrupted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path, create=True)

    def __enter__(self) -> "ContributionStore":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def find(self, key: ContributionKey) -> NDArray[np.int64] | None:
        """The stored contribution of that key, or None if there never was one.

        Raises:
            SecgenError: SG511, it was erased: this round cannot be run again; SG512.
        """
        with self._guarded():
            row = self._connection.execute(
                f"SELECT y FROM contribution WHERE {_WHERE}",  # noqa: S608 (constant text)
                key._row(),
            ).fetchone()
        if row is None:
            return None
        if row[0] is None:
            raise fail(
                "SG511",
                f"this site's contribution to round {key.round} of the plan "
                f"{key.plan_sha256[:12]}… was erased, and is not drawn a second time",
                place=str(self._path),
                next_step="make and approve a new plan: it is a new debit of the budget",
            )
        return _from_bytes(row[0])

    def holds(self, key: ContributionKey) -> bool:
        """Whether the contribution of that key is stored and not erased.  Raises SG512."""
        with self._guarded():
            row = self._connection.execute(
                f"SELECT 1 FROM contribution WHERE {_WHERE} AND y IS NOT NULL",  # noqa: S608
                key._row(),
            ).fetchone()
        return row is not None

    def ledger(self) -> Ledger:
        """What was spent, checked.  Raises SecgenError SG803, SG512."""
        with self._guarded():
            return whole_ledger(self._connection, self._path)

    def check(self, key: ContributionKey, debit: Debit) -> None:
        """Refuse a plan that the site does not allow, before anything is done for it.

        A contribution that is stored, or whose debit is made, is not refused: it costs no more.

        Raises:
            SecgenError: SG804; SG803, SG512.
        """
        if not self._is_stored(key) and self._open_debit(key) is None:
            debit.check(self.ledger())

    def save(
        self, key: ContributionKey, contribution: NDArray[np.int64], debit: Debit | None
    ) -> Entry | None:
        """Store a contribution and debit it, both or neither; then a power cut cannot undo it.

        Args:
            key: must be new.
            contribution: y of all releases of the round, concatenated.
            debit: what to enter if no earlier entry pays for it; None: the party holds no data.

        Returns:
            The entry that was made; None if an earlier one pays, or the party holds no data.

        Raises:
            SecgenError: SG804 the site does not allow it; SG512, the key exists (perhaps a second
                run at the same time), or the file cannot be written; SG803.
        """
        entry: Entry | None = None
        with self._guarded(), self._transaction():
            # In the transaction: what another run has debited since the plan was checked counts.
            number = None if debit is None else self._open_debit(key)
            if debit is not None and number is None:
                entry = self._enter(debit, key.plan_sha256, key.parties)
                number = entry.number
            self._connection.execute(
                "INSERT INTO contribution "
                "(plan_sha256, round, parties, party, opened_before, y, debit) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*key._row(), _to_bytes(contribution), number),
            )
        return entry

    def debit(self, plan_sha256: str, parties: Sequence[str], debit: Debit) -> str:
        """Enter an execution that stores no contribution: the whole plan, in one process.

        Returns:
            The entry's hash, 64 hex digits.

        Raises:
            SecgenError: SG804, SG512, SG803.
        """
        with self._guarded(), self._transaction():
            self._enter(debit, plan_sha256, parties)
        return self.ledger().hashes[-1]

    def paid_by(self, key: ContributionKey) -> str:
        """Hash of the entry that pays for a stored contribution; empty at a helper."""
        with self._guarded():
            row = self._connection.execute(
                "SELECT sha256 FROM ledger JOIN contribution ON debit = number "  # noqa: S608
                f"WHERE {_WHERE}",
                key._row(),
            ).fetchone()
        return "" if row is None else str(row[0])

    def erase(self, plan_sha256: str) -> int:
        """Erase the contributions to a plan for good, and keep their keys.

        Args:
            plan_sha256: of the plan whose retention has ended.

        Returns:
            How many contributions were erased.  The bytes are overwritten within the file; copies
            that the file system or a backup made are beyond our reach.

        Raises:
            SecgenError: SG512, the file cannot be written.
        """
        with self._guarded():
            return self._connection.execute(
                "UPDATE contribution SET y = NULL WHERE plan_sha256 = ? AND y IS NOT NULL",
                (plan_sha256,),
            ).rowcount

    def contributions(self) -> dict[str, int]:
        """Plan's SHA-256 → how many contributions to it are stored and not erased.

        Raises:
            SecgenError: SG512.
        """
        with self._guarded():
            rows = self._connection.execute(
                "SELECT plan_sha256, count(*) FROM contribution WHERE y IS NOT NULL "
                "GROUP BY plan_sha256 ORDER BY plan_sha256"
            ).fetchall()
        return {str(plan): int(count) for plan, count in rows}

    def mark_dealing(self, key: ContributionKey) -> None:
        """Note durably that this party is about to deal its shares of a round."""
        if not self.marked(key):
            self._insert("opening", "mark", key, np.zeros(0, dtype=np.int64))

    def marked(self, key: ContributionKey) -> bool:
        """Whether this party was about to deal in the round, or did, in an earlier run."""
        with self._guarded():
            row = self._connection.execute(
                f"SELECT 1 FROM opening WHERE {_WHERE}",  # noqa: S608 (constant text)
                key._row(),
            ).fetchone()
        return row is not None

    def opened(self, key: ContributionKey) -> NDArray[np.int64] | None:
        """The values that the round opened in an earlier run with that key, or None."""
        with self._guarded():
            row = self._connection.execute(
                f"SELECT total FROM opened WHERE {_WHERE}",  # noqa: S608 (constant text)
                key._row(),
            ).fetchone()
        return None if row is None else _from_bytes(row[0])

    def record_opened(self, key: ContributionKey, values: NDArray[np.int64]) -> None:
        """Store the (public) opened values of a round.

        Running a round again from the stored contributions must give the same values: other
        values would steer what later rounds depend on.

        Raises:
            SecgenError: SG513, an earlier run of this round opened other values; SG512.
        """
        earlier = self.opened(key)
        if earlier is None:
            self._insert("opened", "total", key, values)
        elif not np.array_equal(earlier, values):
            raise fail(
                "SG513",
                f"round {key.round} opened other values than in an earlier run of the same plan",
                place=str(self._path),
                next_step="some party deals something else now than it did then; start all "
                "parties again, and if it happens again let `secgen audit` compare the sites, or "
                "make and approve a new plan",
            )

    def site_key(self) -> bytes:
        """The site's 32 secret bytes, made at the first call.  Raises SecgenError SG512."""
        with self._guarded():
            self._connection.execute(
                "INSERT OR IGNORE INTO site VALUES (1, ?)", (secrets.token_bytes(SITE_KEY_BYTES),)
            )
            (key,) = self._connection.execute("SELECT key FROM site").fetchone()
        return bytes(key)

    def _is_stored(self, key: ContributionKey) -> bool:
        with self._guarded():
            row = self._connection.execute(
                f"SELECT 1 FROM contribution WHERE {_WHERE}",  # noqa: S608 (constant text)
                key._row(),
            ).fetchone()
        return row is not None

    def _open_debit(self, key: ContributionKey) -> int | None:
        """The first entry for this plan and place in it that has not paid for this round."""
        same = "plan_sha256 = ? AND parties = ? AND party = ?"
        plan, number, parties, party, _ = key._row()
        with self._guarded():
            row = self._connection.execute(
                f"SELECT min(debit) FROM contribution WHERE {same} AND debit NOT IN "  # noqa: S608
                f"(SELECT debit FROM contribution WHERE {same} AND round = ? "
                "AND debit IS NOT NULL)",
                (plan, parties, party, plan, parties, party, number),
            ).fetchone()
        return None if row[0] is None else int(row[0])

    def _enter(self, debit: Debit, plan_sha256: str, parties: Sequence[str]) -> Entry:
        ledger = whole_ledger(self._connection, self._path)
        debit.check(ledger)
        # A release that knows earlier entries only will not take this file for a broken one.
        self._connection.execute(f"PRAGMA user_version = {FORMAT}")
        return append(self._connection, ledger, debit, plan_sha256, parties)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _insert(
        self, table: str, column: str, key: ContributionKey, values: NDArray[np.int64]
    ) -> None:
        with self._guarded():
            # One statement outside a transaction is one transaction of its own.
            self._connection.execute(
                "INSERT INTO "  # noqa: S608 (constant text: table and column are ours)
                f"{table} (plan_sha256, round, parties, party, opened_before, {column}) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (*key._row(), _to_bytes(values)),
            )

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise fail(
                "SG512",
                "this round's entry exists already in the party's store",
                place=str(self._path),
                next_step="see that no second run uses the same state folder, then run again",
            ) from error
        except sqlite3.Error as error:
            raise unusable(self._path, error) from error


def _to_bytes(values: NDArray[np.int64]) -> bytes:
    return values.astype("<i8", copy=False).tobytes()


def _from_bytes(data: bytes) -> NDArray[np.int64]:
    return np.frombuffer(data, dtype="<i8").astype(np.int64)


def is_needed(folder: Path) -> bool:
    """Whether a party's private folder holds a stored y or a debit: it must not be deleted.

    A store that cannot be read counts as if it did: what it holds is not known.
    """
    for path in folder.glob("*.sqlite"):
        try:
            with contextlib.closing(connect(path, create=False)) as store:
                if store.execute(
                    "SELECT 1 FROM contribution UNION SELECT 1 FROM ledger"
                ).fetchone():
                    return True
        except (SecgenError, sqlite3.Error):
            return True
    return False
