"""The SQLite file of a party: what it contributed, and the ledger; made whole or not at all.

One file holds both, so that a debit and the noised vector that it pays for are one transaction.
A file is refused rather than mended: its schema is compared with ours (a dropped trigger is a
changed ledger), its pages are checked by SQLite, its entries by their chain.
"""

import contextlib
import os
import secrets
import sqlite3
import stat
from functools import cache
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.runtime.ledger import LEDGER_SCHEMA, Ledger, corrupted, new_head, read_ledger
from secgen_dsl.runtime.regular import is_there

FORMAT = 2
"""``PRAGMA user_version``: a file of a later one is refused; one of an earlier one is read.

2: entries may tell of Laplace noise (``privacy.spend``).
"""

APPLICATION = 0x5347_4C44
"""``PRAGMA application_id``: "SGLD"."""

_KEY = """    plan_sha256 TEXT NOT NULL,
    round INTEGER NOT NULL,
    parties TEXT NOT NULL,
    party INTEGER NOT NULL,
    opened_before TEXT NOT NULL,"""
_PRIMARY = "    PRIMARY KEY (plan_sha256, round, parties, party, opened_before)"

SCHEMA = (
    *LEDGER_SCHEMA,
    """CREATE TABLE site (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    key BLOB NOT NULL
)""",
    # debit: the entry that pays for it; NULL at a helper, who has nobody to pay for.
    f"""CREATE TABLE contribution (
{_KEY}
    y BLOB,
    debit INTEGER REFERENCES ledger (number),
{_PRIMARY}
)""",
    # A contribution is erased by setting y to NULL, and never in another way.
    """CREATE TRIGGER contribution_stays BEFORE DELETE ON contribution
BEGIN SELECT RAISE(ABORT, 'a contribution is remembered'); END""",
    """CREATE TRIGGER contribution_is_only_erased BEFORE UPDATE ON contribution
WHEN NEW.y IS NOT NULL OR NEW.debit IS NOT OLD.debit OR NEW.plan_sha256 <> OLD.plan_sha256
  OR NEW.round <> OLD.round OR NEW.parties <> OLD.parties OR NEW.party <> OLD.party
  OR NEW.opened_before <> OLD.opened_before
BEGIN SELECT RAISE(ABORT, 'a contribution is only erased'); END""",
    f"""CREATE TABLE opening (
{_KEY}
    mark BLOB NOT NULL,
{_PRIMARY}
)""",
    f"""CREATE TABLE opened (
{_KEY}
    total BLOB NOT NULL,
{_PRIMARY}
)""",
)


def connect(path: Path, *, create: bool, read_only: bool = False) -> sqlite3.Connection:
    """Open a party's file, checked, no transaction begun; mode 0600 unless it is only read.

    Args:
        create: make the file if there is none, in a folder that exists.
        read_only: change nothing, neither the file nor its mode nor its folder: it may be somebody
            else's.  What a killed process has left half written is then an error.

    Raises:
        SecgenError: SG512 it cannot be opened, is a link or another program's; SG802 a newer
            release made it; SG803 it is corrupted.
    """
    try:
        if create and not is_there(path):
            _create(path)
        _require_regular(path)
        if path.stat().st_size == 0:  # SQLite would take it for a new database
            raise corrupted(path, "the file is empty")
        if read_only:
            _require_at_rest(path)
        else:
            with contextlib.suppress(PermissionError):
                path.chmod(0o600)
        # rw: never made anew; SQLite itself undoes what a killed process had not committed.
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10)
    except (OSError, sqlite3.Error) as error:
        raise unusable(path, error) from error
    try:
        # A file from elsewhere calls no functions from its schema.
        connection.execute("PRAGMA trusted_schema = OFF")
        _check(connection, path)
        # EXTRA is FULL and also syncs the folder when the journal goes: with FULL alone, a
        # power cut right after the commit could bring the journal back and undo it, after the
        # first share has left.
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        whole_ledger(connection, path)
    except sqlite3.OperationalError as error:  # locked, full, not to be read
        connection.close()
        raise unusable(path, error) from error
    except (sqlite3.DatabaseError, ValueError) as error:
        connection.close()
        raise corrupted(path, f"SQLite says: {error}") from error
    except SecgenError:
        connection.close()
        raise
    return connection


def whole_ledger(connection: sqlite3.Connection, path: Path) -> Ledger:
    """The ledger, and that each contribution is paid for by an entry of its own plan.

    Raises:
        SecgenError: SG803.
    """
    ledger = read_ledger(connection, path)
    paid = "SELECT DISTINCT debit, plan_sha256 FROM contribution WHERE debit IS NOT NULL"
    for number, plan in connection.execute(paid):
        entry = ledger.entries[number - 1] if 0 < number <= len(ledger.entries) else None
        if entry is None or entry.plan_sha256 != plan:
            raise corrupted(path, f"entry {number}, which paid for a contribution, is missing")
    return ledger


def read_ledger_file(path: Path, *, read_only: bool = False) -> Ledger:
    """The ledger of a party's file.

    Args:
        read_only: as in ``connect``.

    Raises:
        SecgenError: SG801 there is no such file; otherwise as ``connect``.
    """
    if not is_there(path) or path.is_dir():
        raise fail(
            "SG801",
            "there is no ledger",
            place=str(path),
            next_step="give a party's store.sqlite, or a folder that holds some",
        )
    with contextlib.closing(connect(path, create=False, read_only=read_only)) as connection:
        try:
            return whole_ledger(connection, path)
        except sqlite3.Error as error:
            raise unusable(path, error) from error


def unusable(path: Path, error: Exception) -> SecgenError:
    """SG512: the file cannot be used as it is."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return fail(
        "SG512",
        f"the party's store cannot be used: {reason}",
        place=str(path),
        next_step="see that the folder can be written, on a disk of this machine with room, and "
        "that secgen made the file",
    )


def _require_regular(path: Path) -> None:
    """SG512: a link or a pipe.  Two names of one ledger would be two locks and two journals."""
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode):
        what = "it is a link" if stat.S_ISLNK(mode) else "it is no regular file"
        raise fail(
            "SG512",
            f"the party's store cannot be used: {what}",
            place=str(path),
            next_step="put the file itself there; another disk can hold the whole state folder",
        )


def _require_at_rest(path: Path) -> None:
    """SG512: SQLite would have to write, to undo a transaction that was cut off, or to share it."""
    with path.open("rb") as file:
        header = file.read(20)
    journal = path.with_name(f"{path.name}-journal")
    shared = header.startswith(b"SQLite format 3\0") and header[18:20] != b"\1\1"
    if shared or (is_there(journal) and journal.lstat().st_size > 0):
        raise fail(
            "SG512",
            "the party's store cannot be used: it is being written, or its last write was cut off",
            place=str(path),
            next_step="at the site, wait until no run uses it, then run `secgen ledger` on "
            "it, which ends that write; then audit again",
        )


def _create(path: Path) -> None:
    """Make the file under another name, durably, and link it to its own: it is whole or absent."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("BEGIN IMMEDIATE")
            _make(connection)
            connection.execute("COMMIT")
        with contextlib.suppress(FileExistsError):  # another process was quicker: that one is used
            os.link(temporary, path)
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    for statement in SCHEMA:
        connection.execute(statement)
    new_head(connection)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise unusable(path, ValueError("it is a database of another program or release"))
    if version > FORMAT:
        raise fail(
            "SG802",
            f"the ledger is of format {version}; this release of secgen knows {FORMAT}",
            place=str(path),
            next_step="use the release that wrote it, or a later one",
        )
    problems = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
    if problems != ["ok"]:
        raise corrupted(path, f"SQLite finds {problems[0]}")
    if _schema_of(connection) != _own_schema():
        raise corrupted(path, "its tables or their guards are not those that secgen made")


def _schema_of(connection: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return frozenset((str(name), str(sql)) for name, sql in rows)


@cache
def _own_schema() -> frozenset[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        _make(connection)
        return _schema_of(connection)
