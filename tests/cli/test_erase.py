"""`secgen erase`: noised inputs whose retention has ended."""

import os
import pty
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from secgen_dsl.cli.execution import one_run_at_a_time
from tests.cli.commands import secgen
from tests.study import FOLDER


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that three parties have run, with a state folder."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert secgen("run", "study.secgen", "-o", "out", "--state", "state").code == 0
    return folder


@pytest.fixture
def study(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan_of(state: str = "state") -> str:
    (plan,) = {
        entry["plan_sha256"]
        for ledger in secgen("ledger", state, "--json").json["ledgers"]
        for entry in ledger["entries"]
    }
    return str(plan)


def vectors() -> list[bytes]:
    found = []
    for path in sorted(Path("state").glob("*/store.sqlite")):
        with closing(sqlite3.connect(path)) as store:
            found += [y for (y,) in store.execute("SELECT y FROM contribution WHERE y NOT NULL")]
    return found


def test_the_vectors_go_and_the_ledger_stays(study: Path) -> None:
    kept = vectors()
    assert len(kept) == 3
    before = secgen("ledger", "state", "--json").json
    ended = secgen("erase", "state", "--plan", plan_of()[:12], "--yes", "--json")
    assert ended.code == 0
    assert ended.json["erased"] == 3
    assert ended.json["plan_sha256"] == plan_of()
    assert not vectors()
    for path in Path("state").glob("*/store.sqlite"):
        data = path.read_bytes()
        assert not any(y in data for y in kept), "overwritten, not only forgotten"
    assert secgen("ledger", "state", "--json").json == before
    # A contribution is never drawn again.
    again = secgen("run", "study.secgen", "-o", "again", "--state", "state")
    assert again.codes() == ["SG511"]
    assert secgen("ledger", "state", "--json").json == before


def test_one_party_by_its_store(study: Path) -> None:
    store = next(Path("state").glob("*/store.sqlite"))
    ended = secgen("erase", store, "--plan", "study.secgen", "--yes")
    assert ended.code == 0
    assert f"plan         {plan_of()}\n" in ended.out
    assert "erased       1 noised input;" in ended.out
    assert len(vectors()) == 2


@pytest.mark.parametrize("plan", ["0" * 12, "f" * 64])
def test_a_plan_that_is_not_there(study: Path, plan: str) -> None:
    assert secgen("erase", "state", "--plan", plan, "--yes").codes() == ["SG807"]
    assert len(vectors()) == 3


@pytest.mark.parametrize(
    ("plan", "says"),
    [("0", "1 digit of"), ("C0B103FE8E3", "11 digits of"), ("0" * 65, "65 digits")],
)
def test_a_hash_of_another_length(tmp_path: Path, plan: str, says: str) -> None:
    ended = secgen("erase", tmp_path, "--plan", plan, "--yes", "--json")
    assert ended.codes() == ["SG807"]
    (found,) = ended.json["diagnostics"]
    assert f"--plan has {says}" in found["message"]
    assert len(plan) > 64 or "12 are needed" in found["message"]


def test_twice(study: Path) -> None:
    assert secgen("erase", "state", "--plan", plan_of(), "--yes").code == 0
    assert secgen("erase", "state", "--plan", plan_of(), "--yes").codes() == ["SG807"]


def test_nobody_to_ask(study: Path) -> None:
    assert secgen("erase", "state", "--plan", plan_of()).codes() == ["SG807"]
    assert secgen("erase", "state", "--plan", plan_of(), "--json").code == 2
    assert len(vectors()) == 3


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 3), (b"y\n", 0)])
def test_a_terminal_is_asked(study: Path, answer: bytes, left: int) -> None:
    end, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "secgen_dsl.cli.main", "erase", "state", "--plan", plan_of()],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        os.write(end, answer)
        out, err = process.communicate(timeout=60)
    os.close(terminal)
    os.close(end)
    assert b"Erase 3 noised inputs for good?" in out + err
    assert process.returncode == (1 if left else 0)
    assert len(vectors()) == left


def test_not_while_a_run_goes_on(study: Path) -> None:
    with one_run_at_a_time(Path("state").absolute(), "--state"):
        assert secgen("erase", "state", "--plan", plan_of(), "--yes").codes() == ["SG702"]
        store = next(Path("state").glob("*/store.sqlite"))
        assert secgen("erase", store, "--plan", plan_of(), "--yes").codes() == ["SG702"]
    assert len(vectors()) == 3


def test_no_store(tmp_path: Path) -> None:
    assert secgen("erase", tmp_path, "--plan", "0" * 12, "--yes").codes() == ["SG801"]
