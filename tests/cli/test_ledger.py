"""`secgen ledger`, and policies in runs."""

import json
import shutil
import sqlite3
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest

from secgen_dsl.privacy.spend import composed_epsilon
from secgen_dsl.runtime.database import read_ledger_file
from tests.cli.commands import Ended, secgen
from tests.study import FOLDER


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plaintext(out: str, *more: str) -> Ended:
    return secgen("run", "study.secgen", "--backend", "plaintext", "-o", out, *more)


def other_study(study: Path) -> None:
    text = (study / "study.secgen").read_text(encoding="utf-8")
    assert "epsilon 0.5" in text
    (study / "other.secgen").write_text(
        text.replace("epsilon 0.5", "epsilon 0.25"), encoding="utf-8"
    )


def test_several_runs_share_a_state_folder(study: Path) -> None:
    other_study(study)
    assert plaintext("one", "--state", "state").code == 0
    second = secgen("run", "other.secgen", "-o", "two", "--state", "state")
    assert second.code == 0
    assert "going on" not in second.err
    assert "debited epsilon 0.25 in 3 ledgers" in second.err
    # Once more from the stored counts: no debit, the same values.
    third = secgen("run", "other.secgen", "-o", "three", "--state", "state")
    assert third.code == 0
    assert "going on from an earlier run" in third.err
    assert "no debit" in third.err
    assert (
        Path("two/measurements.json").read_bytes() == Path("three/measurements.json").read_bytes()
    )
    ended = secgen("ledger", "state", "--json")
    assert ended.code == 0
    receipts = [
        json.loads(Path(out, "receipt.json").read_text()) for out in ("one", "two", "three")
    ]
    assert receipts[1]["ledger_entries"] == receipts[2]["ledger_entries"]
    silos = receipts[0]["ledger_entries"].keys()
    assert len(ended.json["ledgers"]) >= len(silos) >= 2
    for ledger in ended.json["ledgers"]:
        name = Path(ledger["path"]).parent.name.rpartition("-")[0]
        hashes = [entry["sha256"] for entry in ledger["entries"]]
        assert hashes == [r["ledger_entries"][name] for r in receipts[:2] if name in silos]
        assert [e["spend"]["epsilon"] for e in ledger["entries"]] == ["1/2", "1/4"][: len(hashes)]
        read = read_ledger_file(Path(ledger["path"]))
        for total in ledger["total"]["epsilons"]:
            delta = Fraction(total["delta"])
            assert total["epsilon"] == pytest.approx(composed_epsilon(read.spends(), delta))


def test_a_run_by_itself_has_a_ledger_of_its_own(study: Path) -> None:
    assert plaintext("one").code == 0
    assert plaintext("two").code == 0
    for out in ("one", "two", "one/parties"):
        data = secgen("ledger", out, "--json").json["ledgers"]
        assert {len(ledger["entries"]) for ledger in data} == {1}


def test_the_plaintext_backend_says_that_it_debits_again(study: Path) -> None:
    first, second = plaintext("one", "--state", "state"), plaintext("two", "--state", "state")
    assert "debits again" not in first.err
    assert "draws anew and debits again" in second.err.replace("\n          ", " ")
    for ended in (first, second):
        assert "debited epsilon 0.5 in 3 ledgers" in ended.err
    assert "spends again" in plaintext("one", "--state", "state").err.replace("\n        ", " ")
    # What it left is no noised input: mpyc does not go on from it either.
    third = secgen("run", "study.secgen", "-o", "three", "--state", "state")
    assert "going on" not in third.err
    assert "debited epsilon 0.5 in 3 ledgers" in third.err


def test_a_silo_that_goes_on_alone_is_named(study: Path) -> None:
    assert secgen("run", "study.secgen", "-o", "one").code == 0
    shutil.move("one/parties", "state")
    shutil.rmtree(next(Path("state").glob("south-*")))
    for store in Path("state").glob("*/store.sqlite"):  # as if it had ended before the opening
        with closing(sqlite3.connect(store)) as connection, connection:
            connection.execute("DELETE FROM opening")
            connection.execute("DELETE FROM opened")
    ended = secgen("run", "study.secgen", "-o", "two", "--state", "state")
    assert ended.code == 0
    assert "going on" not in ended.err
    said = ended.err.replace("\n          ", " ")
    assert "by north, east, and not by south" in said
    assert "debited epsilon 0.5 in 1 ledger (south); no debit in the 2 other" in said


def test_the_folder_of_a_run_that_was_cut_off_is_not_for_another_plan(study: Path) -> None:
    other_study(study)
    assert secgen("run", "study.secgen", "-o", "out").code == 0
    for path in Path("out").iterdir():
        if path.name != "parties":
            path.unlink()
    before = secgen("ledger", "out", "--json").json
    for backend in ("mpyc", "plaintext"):
        ended = secgen("run", "other.secgen", "-o", "out", "--backend", backend)
        assert ended.codes() == ["SG702"]
        assert before["ledgers"][0]["entries"][0]["plan_sha256"][:12] in ended.err
    assert secgen("ledger", "out", "--json").json == before
    # To add both up on purpose:
    assert plaintext("sum", "--state", "out/parties").code == 0
    assert secgen("run", "study.secgen", "-o", "out").code == 0


def test_a_file_as_the_state_folder(study: Path) -> None:
    ended = plaintext("out", "--state", "north.csv")
    assert ended.codes() == ["SG701"]
    assert "choose another folder with --state" in ended.err


def test_a_run_without_samples_writes_none(study: Path) -> None:
    text = Path("study.secgen").read_text(encoding="utf-8")
    samples = "release { samples 100 to silos as csv }"
    assert samples in text
    Path("none.secgen").write_text(
        text.replace(samples, "release { measurements to silos }"), encoding="utf-8"
    )
    ended = secgen("run", "none.secgen", "--backend", "plaintext", "-o", "out")
    assert not Path("out/synthetic.csv").exists()
    assert "measurements written" in ended.err
    assert "synthetic data written" not in ended.err
    assert "synthetic data written" in plaintext("with").err


def test_a_rehearsal_spends_nothing(study: Path) -> None:
    assert secgen("run", "study.secgen", "--mock", "30", "-o", "mock").code == 0
    assert json.loads(Path("mock/receipt.json").read_text())["ledger_entries"] == {}
    assert secgen("ledger", "mock").codes() == ["SG801"]


def test_what_the_next_study_would_cost(study: Path) -> None:
    other_study(study)
    assert plaintext("one").code == 0
    assert secgen("compile", "other.secgen", "-o", "bundle").code == 0
    folder = next(Path("one/parties").iterdir())
    totals = []
    for following in ("other.secgen", "bundle", "bundle/plan.json"):
        (ledger,) = secgen("ledger", folder, "--with", following, "--json").json["ledgers"]
        assert not ledger["with"]["debited_before"]
        assert ledger["with"]["total"]["studies"] == 2
        totals.append(ledger["with"]["total"])
        assert len(read_ledger_file(folder / "store.sqlite").entries) == 1  # nothing is entered
    assert totals[0] == totals[1] == totals[2]
    (ledger,) = secgen("ledger", folder, "--with", "one", "--json").json["ledgers"]
    assert ledger["with"]["debited_before"]  # the folder of the results names its plan, too
    shown = secgen("ledger", folder, "--with", "study.secgen")
    assert "a restart with the same folder adds nothing" in shown.out
    assert "in 1 execution of a plan\n" in shown.out
    assert "in 2 executions of plans\n" in shown.out
    assert secgen("ledger", folder, "--with", "bundle/certificate.json").codes() == ["SG515"]


POLICY = """[files]
expression = "north.csv"
[policy]
max_epsilon = 0.55
delta = 1e-6
"""


@pytest.mark.parametrize("backend", ["mpyc", "plaintext"])
def test_a_policy_refuses_before_data_are_read(study: Path, backend: str) -> None:
    (study / "site.toml").write_text(POLICY)
    other_study(study)
    more = ("--backend", backend, "--state", "state", "--data", "north=site.toml")
    assert secgen("run", "study.secgen", "-o", "one", *more).code == 0
    before = secgen("ledger", "state", "--json").json
    shutil.move("north.csv", "away.csv")  # a shape fault, if it came so far
    ended = secgen("run", "other.secgen", "-o", "two", *more)
    assert (ended.code, ended.codes()) == (1, ["SG804"])
    assert "max_epsilon" in ended.err
    assert not Path("two").exists()
    assert secgen("ledger", "state", "--json").json == before
    folder = next(Path("state").glob("north-*"))
    said = secgen("ledger", folder, "--with", "other.secgen", "--site", "site.toml")
    assert said.codes() == ["SG804"]
    assert "last entry" in said.out  # what it is about is shown all the same
    assert "with it" in said.out
    said = secgen("ledger", folder, "--with", "other.secgen", "--site", "site.toml", "--json")
    assert said.codes() == ["SG804"]
    assert said.json["ledgers"][0]["with"]["total"]["studies"] == 2
    said = secgen("ledger", folder, "--site", "site.toml")
    assert (said.code, "allows this" in said.out) == (0, True)
    data = secgen("ledger", folder, "--site", "site.toml", "--json").json
    assert data["policy_checked"] is True
    # Each limit has a next step of its own, with nothing left to fill in.
    assert "still fits" in ended.err
    assert f"secgen ledger {folder.resolve()}/store.sqlite" in ended.err.replace("\n        ", " ")


def test_a_restart_is_not_refused(study: Path) -> None:
    (study / "site.toml").write_text(
        POLICY.replace("max_epsilon = 0.55\ndelta = 1e-6", "max_studies = 1")
    )
    more = ("--state", "state", "--data", "north=site.toml")
    assert secgen("run", "study.secgen", "-o", "one", *more).code == 0
    assert secgen("run", "study.secgen", "-o", "two", *more).code == 0
    ended = plaintext("three", *more)  # this one draws afresh
    assert ended.codes() == ["SG804"]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("max_epsilon = 5", "without the other"),
        ('max_studies = "3"', "whole number"),
        ("max_studies = -1", "whole number"),
        ("max_delta = 1.5", "between 0 and 1"),
        ("max_epsilon = 1e-999999999\ndelta = 1e-6", "greater than 0"),
        ("max_epsilon = nan\ndelta = 1e-6", "greater than 0"),
        (
            "max_epsilons = 3\ndelta = 1e-6",
            '"max_epsilon"? [policy] holds max_epsilon, delta, max_studies, max_delta',
        ),
        ("max_delta = 1979-05-27", "is no number"),
    ],
)
def test_policies_that_cannot_be_used(study: Path, policy: str, said: str) -> None:
    (study / "site.toml").write_text(f'[files]\nexpression = "north.csv"\n[policy]\n{policy}\n')
    ended = plaintext("out", "--data", "north=site.toml")
    assert set(ended.codes()) == {"SG418"}
    assert said in ended.err
    assert "site.toml:" in ended.err


def test_what_is_no_policy_allows_nothing(study: Path) -> None:
    """A table, or a site.toml without a limit, is never said to allow a study."""
    assert plaintext("one").code == 0
    (study / "site.toml").write_text('[files]\nexpression = "north.csv"\n')
    said = secgen("ledger", "one", "--site", "site.toml")
    assert said.code == 0
    assert "nothing was checked" in said.out
    assert "allows" not in said.out
    assert secgen("ledger", "one", "--site", "site.toml", "--json").json["policy_checked"] is False
    assert secgen("ledger", "one", "--site", "north.csv").codes() == ["SG418"]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("max_delta = 1e-7", "write `delta 1e-7` or less"),
        ("max_studies = 0", "no further plan fits"),
        ("max_epsilon = 0.2\ndelta = 1e-6", "about epsilon 0.1"),
    ],
)
def test_what_a_refused_plan_could_ask_for(study: Path, policy: str, said: str) -> None:
    (study / "site.toml").write_text(f'[files]\nexpression = "north.csv"\n[policy]\n{policy}\n')
    ended = plaintext("out", "--data", "north=site.toml")
    assert ended.codes() == ["SG804"]
    assert said in ended.err.replace("\n        ", " ")


def test_a_corrupted_ledger_stops_a_run(study: Path) -> None:
    assert plaintext("one", "--state", "state").code == 0
    store = next(Path("state").glob("north-*/store.sqlite"))
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("DROP TRIGGER head_is_not_deleted")
        connection.execute("DELETE FROM head")
    damaged = store.read_bytes()
    for ended in (
        secgen("run", "study.secgen", "-o", "two", "--state", "state"),
        plaintext("two", "--state", "state"),
        secgen("ledger", "state"),
    ):
        assert ended.codes() == ["SG803"]
    assert store.read_bytes() == damaged
    assert not Path("two").exists()


def test_no_ledger(study: Path) -> None:
    assert secgen("ledger", "nowhere").codes() == ["SG801"]
    assert secgen("ledger", ".").codes() == ["SG801"]
    ended = secgen("ledger", "north.csv")
    assert ended.codes() == ["SG801"]
    assert "not a ledger" in ended.err
    Path("store.sqlite").write_text("")
    assert secgen("ledger", ".").codes() == ["SG803"]
    assert secgen("ledger", "store.sqlite").codes() == ["SG803"]
