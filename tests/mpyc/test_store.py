"""The store: one y for one key, for ever."""

import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.runtime.ledger import Debit
from secgen_dsl.runtime.store import ContributionKey, ContributionStore, digest_of_opened
from tests.runtime.spends import gaussians

KEY = ContributionKey("ab" * 32, 1, ("a", "b", "c"), 0, digest_of_opened([]))
DEBIT = Debit(gaussians(100, 3))
Y = np.array([3, -4, 2**62], dtype=np.int64)


def test_a_contribution_survives_and_is_not_replaced(tmp_path: Path) -> None:
    with ContributionStore(tmp_path / "store.sqlite") as store:
        assert store.find(KEY) is None
        store.save(KEY, Y, DEBIT)
        with pytest.raises(SecgenError, match="SG512"):
            store.save(KEY, Y + 1, DEBIT)
    with ContributionStore(tmp_path / "store.sqlite") as store:
        found = store.find(KEY)
        assert found is not None
        assert found.tolist() == Y.tolist()


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, plan_sha256="cd" * 32),
        replace(KEY, round=2),
        replace(KEY, parties=("a", "b", "d")),
        replace(KEY, parties=("a", "b, c")),
        replace(KEY, index=1),
        replace(KEY, opened_before=digest_of_opened([Y])),
    ],
)
def test_every_part_of_the_key_counts(tmp_path: Path, other: ContributionKey) -> None:
    with ContributionStore(tmp_path / "store.sqlite") as store:
        store.save(KEY, Y, DEBIT)
        assert store.find(other) is None
        store.save(other, Y, DEBIT)


def test_what_was_erased_is_refused_for_good(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with ContributionStore(path) as store:
        store.save(KEY, Y, DEBIT)
        assert store.erase(KEY.plan_sha256) == 1
        with pytest.raises(SecgenError, match="SG511"):
            store.find(KEY)
        with pytest.raises(SecgenError, match="SG512"):
            store.save(KEY, Y, DEBIT)
    assert Y.tobytes() not in path.read_bytes()


def test_a_round_opens_the_same_values_or_nothing(tmp_path: Path) -> None:
    with ContributionStore(tmp_path / "store.sqlite") as store:
        assert store.opened(KEY) is None
        store.record_opened(KEY, Y)
        store.record_opened(KEY, Y)
        with pytest.raises(SecgenError, match="SG513"):
            store.record_opened(KEY, Y + 1)


def test_durable_and_private(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with ContributionStore(path):
        path.chmod(0o644)
    with ContributionStore(path) as store:
        (level,) = store._connection.execute("PRAGMA synchronous").fetchone()
        assert level == 3  # EXTRA, above FULL
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        key = store.site_key()
        assert len(key) == 32
        assert store.site_key() == key
    with ContributionStore(tmp_path / "other.sqlite") as other:
        assert other.site_key() != key


def test_nothing_but_y_is_kept_of_a_contribution(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with ContributionStore(path) as store:
        store.save(KEY, Y, DEBIT)
    with sqlite3.connect(path) as connection:
        row = connection.execute("SELECT * FROM contribution").fetchone()
    assert row == (KEY.plan_sha256, 1, '["a", "b", "c"]', 0, KEY.opened_before, Y.tobytes(), 1)


@pytest.mark.parametrize("content", [b"not a database, but long enough to be one" * 30])
def test_another_file_in_its_place(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(content)
    with pytest.raises(SecgenError, match="SG803"):
        ContributionStore(path)
    with pytest.raises(SecgenError, match="SG512"):
        ContributionStore(tmp_path / "absent" / "store.sqlite")


def test_digests_tell_rounds_apart() -> None:
    one, two = np.array([1], dtype=np.int64), np.array([2], dtype=np.int64)
    both = np.array([1, 2], dtype=np.int64)
    assert len({digest_of_opened(rounds) for rounds in ([], [one], [one, two], [both])}) == 4
