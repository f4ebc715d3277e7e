"""Budgets that cannot be met, ledgers that cannot be used: a code, a place, a next step each."""

import datetime
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from secgen_dsl.runtime import ledger
from secgen_dsl.runtime.database import FORMAT
from tests.cli.commands import Ended, secgen
from tests.rules.surfaces import Surface, spec
from tests.study import FOLDER

SPECS: dict[str, tuple[Surface, str]] = {
    "an epsilon of 0": (spec("privacy { add or remove one person; epsilon 0 }"), "SG301"),
    "a budget that no noise meets": (
        spec(
            "privacy { add or remove one person; epsilon 0.001; delta 1e-12 }\n"
            "measure { marginal subtype weight 1000000; marginal sex weight 0.000001 }"
        ),
        "SG312",
    ),
    "shares over 100%": (
        spec("measure { marginal subtype share 60%; marginal sex share 50% }"),
        "SG220",
    ),
    "one share over 100%": (spec("measure { marginal subtype share 130% }"), "SG216"),
    "shares that leave nothing": (
        spec("measure { marginal subtype share 100%; marginal sex }"),
        "SG220",
    ),
    "shares under 100% of all": (
        spec("measure { marginal subtype share 40%; marginal sex share 50% }"),
        "SG220",
    ),
    "an error below the least noise": (
        spec("measure { marginal subtype error 1 people; marginal sex }"),
        "SG313",
    ),
    "an error beyond the budget": (
        spec("measure { marginal subtype * cycle in 4 equal bins error 8 people }"),
        "SG313",
    ),
    "an error of no one knows how many": (
        spec(
            "person { key patient; at most 1 sample; in at most 1 silo }\n"
            "measure { marginal subtype error 5% }"
        ),
        "SG220",
    ),
}


@pytest.mark.parametrize("what", SPECS)
def test_specs(what: str) -> None:
    said, code = SPECS[what]
    found = said()  # which sees to places and next steps
    assert found.codes == {code}, found.said


def sql(*statements: str) -> Callable[[Path], None]:
    def change(store: Path) -> None:
        with closing(sqlite3.connect(store, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return change


LEDGERS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a newer version": (
        sql(f"PRAGMA user_version = {FORMAT + 1}"),
        "SG802",
        "use the release that wrote it",
    ),
    "a changed entry": (
        sql(
            "DROP TRIGGER ledger_is_not_changed",
            "UPDATE ledger SET entry = replace(entry, '1/2', '1/9')",
        ),
        "SG803",
        "nothing was repaired",
    ),
    "a missing entry": (
        sql("DROP TRIGGER ledger_is_not_shortened", "DELETE FROM ledger"),
        "SG803",
        "nothing was repaired",
    ),
    "half a file": (
        lambda store: (store.write_bytes(store.read_bytes()[:10_000]), None)[1],
        "SG803",
        "nothing was repaired",
    ),
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    assert run("one").code == 0
    return tmp_path


def run(out: str) -> Ended:
    return secgen("run", "study.secgen", "--backend", "plaintext", "-o", out, "--state", "state")


@pytest.mark.parametrize("what", LEDGERS)
def test_ledgers(study: Path, what: str) -> None:
    change, code, next_step = LEDGERS[what]
    store = next((study / "state").glob("north-*/store.sqlite"))
    change(store)
    before = store.read_bytes()
    for ended in (run("two"), secgen("ledger", "state")):
        assert (ended.code, set(ended.codes())) == (1, {code})
        assert "store.sqlite" in ended.err
        assert f"next: {next_step}" in ended.err
    assert not Path("two").exists()
    assert store.read_bytes() == before  # never mended


def test_a_clock_that_goes_back(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yesterday = ledger._today() - datetime.timedelta(days=1)
    monkeypatch.setattr(ledger, "_today", lambda: yesterday)
    assert run("two").code == 0
    shown = secgen("ledger", "state")
    assert shown.code == 0
    assert "warning[SG805]: at entry 2 the clock was behind the entry above it" in shown.err
    assert "next: set the machine's clock" in shown.err
    listed = secgen("ledger", "state", "--json").json
    assert {len(each["entries"]) for each in listed["ledgers"]} == {2}  # both count
    assert {found["code"] for found in listed["diagnostics"]} == {"SG805"}
    assert all(found["place"].endswith("store.sqlite") for found in listed["diagnostics"])
