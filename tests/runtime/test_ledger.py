"""The ledger: one entry a debit, chained; what was changed is refused, never mended."""

import datetime
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.runtime import ledger as ledger_module
from secgen_dsl.runtime.database import FORMAT, read_ledger_file
from secgen_dsl.runtime.ledger import Debit, Ledger, ledger_words
from secgen_dsl.runtime.policy import Policy
from secgen_dsl.runtime.store import (
    ContributionKey,
    ContributionStore,
    digest_of_opened,
    is_needed,
)
from tests.wording import assert_helpful

from .spends import gaussians

KEY = ContributionKey("ab" * 32, 1, ("a", "b", "c"), 0, digest_of_opened([]))
Y = np.array([3, -4, 2**62], dtype=np.int64)
DEBIT = Debit(gaussians(100, 50), cohort="crc")


def written(folder: Path, studies: int = 3) -> Path:
    path = folder / "store.sqlite"
    with ContributionStore(path) as store:
        for study in range(studies):
            store.save(replace(KEY, plan_sha256=f"{study:064x}"), Y + study, DEBIT)
    return path


def test_entries_are_chained(tmp_path: Path) -> None:
    ledger = read_ledger_file(written(tmp_path))
    assert [entry.number for entry in ledger.entries] == [1, 2, 3]
    assert [entry.plan_sha256 for entry in ledger.entries] == [f"{n:064x}" for n in range(3)]
    assert {entry.cohort for entry in ledger.entries} == {"crc"}
    assert ledger.spends() == [DEBIT.spend] * 3
    assert len(set(ledger.hashes)) == 3
    (tmp_path / "other").mkdir()
    # Another site's hashes differ: nobody can guess what a hash stands for.
    assert set(ledger.hashes).isdisjoint(read_ledger_file(written(tmp_path / "other")).hashes)


def test_an_entry_holds_nothing_of_the_contribution(tmp_path: Path) -> None:
    path = written(tmp_path, 1)
    with closing(sqlite3.connect(path)) as connection:
        (text,) = connection.execute("SELECT entry FROM ledger").fetchone()
    assert set(json.loads(text)) == {
        *("format", "number", "date", "clock_behind", "cohort", "plan_sha256", "parties"),
        "spend",
    }  # fmt: skip


def test_a_debit_pays_for_one_contribution_to_each_round(tmp_path: Path) -> None:
    other = digest_of_opened([Y])
    another = digest_of_opened([Y + 1])
    with ContributionStore(tmp_path / "store.sqlite") as store:

        def entries() -> int:
            return len(store.ledger().entries)

        assert store.save(KEY, Y, DEBIT) is not None
        assert store.save(replace(KEY, round=2, opened_before=other), Y, DEBIT) is None
        assert entries() == 1
        # The first round opened something else: fresh noise, and a new debit.
        assert store.save(replace(KEY, round=2, opened_before=another), Y, DEBIT) is not None
        assert entries() == 2
        for opened in (other, another):  # a third round of each
            assert store.save(replace(KEY, round=3, opened_before=opened), Y, DEBIT) is None
        assert store.save(replace(KEY, parties=("a", "b")), Y, DEBIT) is not None
        assert store.save(replace(KEY, plan_sha256="cd" * 32), Y, DEBIT) is not None
        assert entries() == 4
        # A helper holds nobody's data.
        assert store.save(replace(KEY, plan_sha256="ef" * 32), Y, None) is None
        assert entries() == 4
        assert store.paid_by(KEY) == store.ledger().hashes[0]
        assert store.paid_by(replace(KEY, plan_sha256="ef" * 32)) == ""


def test_what_is_refused_leaves_nothing(tmp_path: Path) -> None:
    with ContributionStore(tmp_path / "store.sqlite") as store:
        store.save(KEY, Y, DEBIT)
        with pytest.raises(SecgenError, match="SG512"):
            store.save(KEY, Y, replace(DEBIT, cohort="again"))
        limited = replace(DEBIT, policy=Policy(max_studies=1))
        other = replace(KEY, plan_sha256="cd" * 32)
        with pytest.raises(SecgenError, match=r"SG804.*1 of 1 studies"):
            store.save(other, Y, limited)
        with pytest.raises(SecgenError, match="SG804"):
            store.check(other, limited)
        store.check(KEY, limited)  # a restart costs nothing
        assert store.find(other) is None
        assert len(store.ledger().entries) == 1


def test_an_empty_ledger_is_told_of_every_time(tmp_path: Path) -> None:
    """A first study and a lost folder look the same, also when a refused start has left a store."""
    path = tmp_path / "store.sqlite"
    absent = ledger_words(Ledger(path, (), ()), tmp_path, is_silo=True)
    ContributionStore(path).close()
    assert ledger_words(read_ledger_file(path), tmp_path, is_silo=True) == absent
    assert "if this site has taken part in any study before, stop now" in absent
    assert "stop" not in ledger_words(read_ledger_file(path), tmp_path, is_silo=False)
    written(tmp_path, 1)
    words = ledger_words(read_ledger_file(path), tmp_path, is_silo=True)
    assert words.startswith(f"in {tmp_path}: 1 entry, the last of ")


def test_a_folder_with_a_debit_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with ContributionStore(path) as store:
        assert not is_needed(tmp_path)
        store.debit("ab" * 32, ("a", "b", "c"), DEBIT)
        assert is_needed(tmp_path)
    path.write_bytes(b"x")
    assert is_needed(tmp_path)


def sql(*statements: str) -> Callable[[Path], None]:
    def tamper(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return tamper


def unguarded(statement: str, table: str) -> Callable[[Path], None]:
    """Without the triggers, which are put back: only the chain can tell."""

    def tamper(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            guards = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?",
                (table,),
            ).fetchall()
            for name, _ in guards:
                connection.execute(f"DROP TRIGGER {name}")
            assert guards
            assert connection.execute(statement).rowcount > 0
            for _, text in guards:
                connection.execute(text)

    return tamper


def in_bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(change(path.read_bytes())), None)[1]


TAMPERED = {
    "an entry is changed": unguarded(
        """UPDATE ledger SET entry = replace(entry, '"crc"', '"xyz"') WHERE number = 2""", "ledger"
    ),
    "an entry is cheaper": unguarded(
        """UPDATE ledger SET entry = replace(entry, '"1/2"', '"1/9"') WHERE number = 3""", "ledger"
    ),
    "a hash is changed": unguarded("UPDATE ledger SET sha256 = '00' WHERE number = 1", "ledger"),
    "the tail is missing": unguarded("DELETE FROM ledger WHERE number = 3", "ledger"),
    "the first is missing": unguarded("DELETE FROM ledger WHERE number = 1", "ledger"),
    "all are missing": unguarded("DELETE FROM ledger", "ledger"),
    "the order is changed": unguarded("UPDATE ledger SET number = number + 7", "ledger"),
    "the head is missing": unguarded("DELETE FROM head", "head"),
    "the head is behind": unguarded("UPDATE head SET entries = 2", "head"),
    "another origin": unguarded("UPDATE head SET origin = x'00'", "head"),
    "a guard is missing": sql("DROP TRIGGER ledger_is_not_changed"),
    "a guard is weaker": sql(
        "DROP TRIGGER ledger_is_not_shortened",
        "CREATE TRIGGER ledger_is_not_shortened BEFORE DELETE ON ledger BEGIN SELECT 1; END",
    ),
    "a table is missing": sql("DROP TABLE opened"),
    "it is empty": in_bytes(lambda data: b""),
    "half is missing": in_bytes(lambda data: data[: len(data) // 2]),
    "the last page is missing": in_bytes(lambda data: data[:-4096]),
    "the header is damaged": in_bytes(lambda data: b"\0" * 16 + data[16:]),
    "pages are damaged": in_bytes(lambda data: data[:4096] + b"\xff" * 4096 + data[8192:]),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_corrupted_ledger_is_refused_and_stays_as_it_is(tmp_path: Path, what: str) -> None:
    path = written(tmp_path)
    TAMPERED[what](path)
    before = path.read_bytes()
    with pytest.raises(SecgenError, match=r"SG803.*corrupted"):
        read_ledger_file(path)
    with pytest.raises(SecgenError, match="SG803"):
        ContributionStore(path)
    assert path.read_bytes() == before


def test_any_byte_of_an_entry_counts(tmp_path: Path) -> None:
    path = written(tmp_path, 1)
    data = path.read_bytes()
    start = data.index(b'{"clock_behind"')
    end = data.index(b"}}", start)
    for place in range(start, end, 5):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(SecgenError, match="SG803"):
            read_ledger_file(path)
    path.write_bytes(data)
    assert len(read_ledger_file(path).entries) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET entry = ''",
        "DELETE FROM ledger",
        "DELETE FROM head",
        "UPDATE head SET entries = 9",
        "DELETE FROM contribution",
        "UPDATE contribution SET y = x'00'",
        "UPDATE contribution SET debit = 1, y = NULL WHERE debit = 2",
    ],
)
def test_the_database_refuses_to_forget(tmp_path: Path, statement: str) -> None:
    with (
        closing(sqlite3.connect(written(tmp_path))) as connection,
        pytest.raises(sqlite3.IntegrityError),
    ):
        connection.execute(statement)


def test_a_ledger_of_format_1_is_read_and_goes_on(tmp_path: Path) -> None:
    """The file was written by the release that knew Gaussian noise only."""
    path = tmp_path / "store.sqlite"
    shutil.copyfile(Path(__file__).with_name("format_1.sqlite"), path)
    old = read_ledger_file(path)
    assert [entry.format for entry in old.entries] == ["secgen.ledger-entry/1"] * 3
    assert old.spends() == [DEBIT.spend] * 3
    with ContributionStore(path) as store:
        store.save(replace(KEY, plan_sha256="f" * 64), Y, DEBIT)
    new = read_ledger_file(path)
    assert new.hashes[:3] == old.hashes
    assert new.entries[3].format == "secgen.ledger-entry/2"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (FORMAT,)


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    sql(f"PRAGMA user_version = {FORMAT + 1}")(path)
    with pytest.raises(SecgenError, match=rf"SG802.*format {FORMAT + 1}"):
        ContributionStore(path)


def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    sql("CREATE TABLE contribution (y)")(path)
    with pytest.raises(SecgenError, match=r"SG512.*another program"):
        ContributionStore(path)
    with pytest.raises(SecgenError, match="SG801"):
        read_ledger_file(tmp_path / "absent.sqlite")


def test_a_store_that_is_a_link(tmp_path: Path) -> None:
    """Two names of one ledger would be two locks; and what it leads to may be another's file."""
    other, link = written(tmp_path), tmp_path / "link.sqlite"
    other.chmod(0o640)
    for target in (other, tmp_path / "absent"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        for attempt in (ContributionStore, read_ledger_file):
            with pytest.raises(SecgenError, match=r"SG512.*it is a link") as caught:
                attempt(link)
            assert_helpful(caught.value.diagnostics[0])
    assert other.stat().st_mode & 0o777 == 0o640
    assert not (tmp_path / "absent").exists()


def test_a_contribution_without_its_entry(tmp_path: Path) -> None:
    """An older copy of the ledger with newer contributions, made to look whole."""
    path = written(tmp_path, 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO contribution SELECT 'f', 2, parties, 0, '', y, 7 "
                           "FROM contribution")  # fmt: skip
    with pytest.raises(SecgenError, match=r"SG803.*entry 7"):
        read_ledger_file(path)


def test_a_clock_that_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.sqlite"
    days = [datetime.date(2026, 3, day) for day in (5, 3, 6)]
    with ContributionStore(path) as store:
        for number, day in enumerate(days):
            monkeypatch.setattr(ledger_module, "_today", lambda day=day: day)
            store.debit(f"{number:064x}", ("a", "b", "c"), DEBIT)
    ledger = read_ledger_file(path)
    assert [(e.date, e.clock_behind) for e in ledger.entries] == [
        ("2026-03-05", False),
        ("2026-03-05", True),
        ("2026-03-06", False),
    ]
    assert [warning.code for warning in ledger.warnings()] == ["SG805"]


def test_cohorts_are_added_up(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with ContributionStore(path) as store:
        for number, cohort in enumerate(("one", "two")):
            store.debit(f"{number:064x}", ("a", "b", "c"), replace(DEBIT, cohort=cohort))
    ledger = read_ledger_file(path)
    assert [warning.code for warning in ledger.warnings()] == ["SG806"]
    assert len(ledger.spends()) == 2


def test_two_runs_at_once_cannot_both_take_the_last_place(tmp_path: Path) -> None:
    limited = replace(DEBIT, policy=Policy(max_studies=1))
    path = tmp_path / "store.sqlite"
    one, two = KEY, replace(KEY, plan_sha256="cd" * 32)
    with ContributionStore(path) as first, ContributionStore(path) as second:
        first.check(one, limited)
        second.check(two, limited)  # both were told that there is room
        first.save(one, Y, limited)
        with pytest.raises(SecgenError, match="SG804"):
            second.save(two, Y, limited)
