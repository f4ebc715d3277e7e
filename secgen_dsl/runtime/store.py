"""A party's durable store: what it contributed to each round, and the site's secret key.

A contribution y = A(x + z) is stored before the first share of it leaves, under a key that names
everything the round depends on (PROTOCOL, Restarts).  A restart with the same key uses the same y:
drawing again would let a rushing party abort, steer, and difference two noised vectors.  A key
whose y was erased is refused for good.  Neither x nor z nor a digest of x, z or y is ever stored.
"""

import contextlib
import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail

SITE_KEY_BYTES = 32

_SCHEMA = """
CREATE TABLE IF NOT EXISTS site (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    key BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS contribution (
    plan_sha256 TEXT NOT NULL,
    round INTEGER NOT NULL,
    parties TEXT NOT NULL,
    party INTEGER NOT NULL,
    opened_before TEXT NOT NULL,
    y BLOB,
    PRIMARY KEY (plan_sha256, round, parties, party, opened_before)
);
CREATE TABLE IF NOT EXISTS opening (
    plan_sha256 TEXT NOT NULL,
    round INTEGER NOT NULL,
    parties TEXT NOT NULL,
    party INTEGER NOT NULL,
    opened_before TEXT NOT NULL,
    mark BLOB NOT NULL,
    PRIMARY KEY (plan_sha256, round, parties, party, opened_before)
);
CREATE TABLE IF NOT EXISTS opened (
    plan_sha256 TEXT NOT NULL,
    round INTEGER NOT NULL,
    parties TEXT NOT NULL,
    party INTEGER NOT NULL,
    opened_before TEXT NOT NULL,
    total BLOB NOT NULL,
    PRIMARY KEY (plan_sha256, round, parties, party, opened_before)
);
"""

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


class ContributionStore:
    """One SQLite file of one party, mode 0600; use as a context manager.

    Args:
        path: the file; made if absent, in a folder that exists.

    Raises:
        SecgenError: SG512, the file cannot be opened or is not a store.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            path.chmod(0o600)
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=10)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        try:
            # EXTRA is FULL and also syncs the folder when the journal goes: with FULL alone, a
            # power cut right after the commit could bring the journal back and undo it, after the
            # first share has left.
            self._connection.execute("PRAGMA synchronous = EXTRA")
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._connection.close()
            raise self._unusable(error) from error

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

    def save(self, key: ContributionKey, contribution: NDArray[np.int64]) -> None:
        """Store a contribution durably; when this returns, a power cut cannot undo it.

        Args:
            key: must be new.
            contribution: y of all releases of the round, concatenated.

        Raises:
            SecgenError: SG512, the key exists (perhaps a second run at the same time), or the file
                cannot be written.
        """
        self._insert("contribution", "y", key, contribution)

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

    def mark_opening(self, key: ContributionKey) -> None:
        """Note durably that this party is about to send its part of a round's opening."""
        if not self.marked(key):
            self._insert("opening", "mark", key, np.zeros(0, dtype=np.int64))

    def marked(self, key: ContributionKey) -> bool:
        """Whether this party was about to open the round, or did, in an earlier run."""
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
                next_step="some party changed its contribution; ask which, and make a new plan",
            )

    def site_key(self) -> bytes:
        """The site's 32 secret bytes, made at the first call.  Raises SecgenError SG512."""
        with self._guarded():
            self._connection.execute(
                "INSERT OR IGNORE INTO site VALUES (1, ?)", (secrets.token_bytes(SITE_KEY_BYTES),)
            )
            (key,) = self._connection.execute("SELECT key FROM site").fetchone()
        return bytes(key)

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
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> SecgenError:
        return fail(
            "SG512",
            f"the party's store cannot be used: {error}",
            place=str(self._path),
            next_step="see that the folder can be written and that secgen made the file",
        )


def _to_bytes(values: NDArray[np.int64]) -> bytes:
    return values.astype("<i8", copy=False).tobytes()


def _from_bytes(data: bytes) -> NDArray[np.int64]:
    return np.frombuffer(data, dtype="<i8").astype(np.int64)


def holds_contribution(folder: Path) -> bool:
    """Whether a party's private folder holds a stored y, which a restart would use.

    A store that cannot be read counts as if it did: what it holds is not known.
    """
    for path in folder.glob("*.sqlite"):
        try:
            with contextlib.closing(sqlite3.connect(path)) as store:
                rows = store.execute("SELECT 1 FROM contribution LIMIT 1").fetchall()
        except sqlite3.Error:
            return True
        if rows:
            return True
    return False
