"""A malicious party in a run of real processes: agreement or abort, and nothing is spent twice."""

import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.backends.mpyc.launcher import ProtocolResult, run_protocol
from secgen_dsl.backends.mpyc.messages import Progress
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.ir.plan import Plan
from secgen_dsl.runtime.evidence.receipt import PartyReceipt

from .parties import STUDY
from .plans import LINES, label_histogram, plan_of, plan_three, program, write_table
from .test_run import ROOT


def plan_of_five() -> Plan:
    """m = 5, t = 1: m − t > t + 1, so that honest parties alone notice an inconsistent dealing."""
    one = program(("a", "b", "c", "d", "e"), tolerated=1)
    return plan_of(one, [[(one.queries[0], "centred"), (label_histogram(), "identity")]])


@dataclass
class Attacked:
    """Runs of a plan under attack, one after another, in the same state folders."""

    plan: Plan
    folder: Path
    progress: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files = {
            silo.name: write_table(self.folder / f"{silo.name}.csv", self.plan.program, 40, index)
            for index, silo in enumerate(self.plan.program.silos)
        }

    def start(self, attack: str, timeout: float = 20) -> ProtocolResult:
        self.progress = []
        return run_protocol(
            self.plan,
            generate_program(self.plan, LINES),
            LINES,
            STUDY,
            self.files,
            self.folder / "state",
            on_progress=self.progress.append,
            timeout=timeout,
            party_command=[sys.executable, "-m", "tests.mpyc.attacks", attack],
        )

    def fails(self, attack: str, timeout: float = 20) -> Diagnostic:
        with pytest.raises(SecgenError) as caught:
            self.start(attack, timeout)
        return caught.value.diagnostics[0]

    def rows(self, table: str) -> dict[str, int]:
        """Party's folder → rows of a table of its store."""
        found = {}
        for store in sorted((self.folder / "state").glob("*/store.sqlite")):
            with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
                (count,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
            found[store.parent.name] = int(count)
        return found

    def contributions(self) -> dict[str, bytes]:
        """Party's folder → y, as it is stored."""
        found = {}
        for store in sorted((self.folder / "state").glob("*/store.sqlite")):
            with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
                (found[store.parent.name],) = database.execute(
                    "SELECT y FROM contribution"
                ).fetchone()
        return found

    def receipts(self) -> list[PartyReceipt]:
        """All receipts of all runs."""
        return [
            PartyReceipt.model_validate_json(path.read_bytes())
            for path in sorted((self.folder / "state").glob("*/runs/*/party-receipt.json"))
        ]


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


CASES = [
    # attack, seconds of waiting, codes of the diagnostic, phase in its place
    ("two-faced", 20, {"SG505", "SG526"}, ""),
    ("withheld from all", 2, {"SG504", "SG526"}, "opening round 1"),
    ("withheld from one", 2, {"SG504", "SG526"}, "opening round 1"),
    ("another session", 20, {"SG503", "SG526"}, "opening round 1"),
    ("another sharing", 20, {"SG505"}, ""),
    ("inconsistent", 20, {"SG505"}, ""),
    ("confirms to one", 2, {"SG504", "SG526"}, "confirming the opened values"),
    ("confirms other values", 20, {"SG509", "SG526"}, "confirming the opened values"),
]


@pytest.mark.parametrize(("attack", "timeout", "codes", "phase"), CASES, ids=[c[0] for c in CASES])
def test_agreement_or_abort(
    tmp_path: Path, attack: str, timeout: float, codes: set[str], phase: str
) -> None:
    run = Attacked(plan_three(), tmp_path)
    found = run.fails(attack, timeout)
    assert found.code in codes
    # An opening that fails its check names the round; whoever is at fault is not known at m = 3.
    assert phase in found.place or found.code == "SG526"
    assert "round 1" in f"{found.place} {found.message}" or "confirming" in found.place
    if found.code in {"SG503", "SG504", "SG509"}:
        assert found.message.startswith("northeast ")
    # Nothing is released, what was debited stays debited, and every site has stored its y.
    honest = [one for one in run.receipts() if one.party != "northeast"]
    complete = [one.party for one in honest if one.outcome == "complete"]
    # Who has everybody's right confirmation may be done before another sees a wrong one.
    assert complete == [] or (complete == ["europe"] and attack.startswith("confirms"))
    assert set(run.rows("ledger").values()) == {1}
    kept = run.contributions()
    assert len(kept) == 3
    # A restart completes from what is stored, and costs nothing.
    again = run.start("none")
    assert run.contributions() == kept
    assert set(run.rows("ledger").values()) == {1}
    assert len(again.debits) == 3
    opened = {one.opened_sha256 for one in run.receipts() if one.outcome == "complete"}
    assert len(opened) == 1  # whoever had completed before had the same values


@pytest.mark.parametrize(
    ("attack", "timeout", "codes"),
    [("never ready", 3, {"SG504", "SG526"}), ("ready for one", 20, {"SG503"})],
)
def test_nobody_spends_before_it_has_heard_that_all_are_ready(
    tmp_path: Path, attack: str, timeout: float, codes: set[str]
) -> None:
    run = Attacked(plan_three(), tmp_path)
    found = run.fails(attack, timeout)
    assert found.code in codes
    assert "getting ready" in f"{found.place} {found.message}"
    for table in ("contribution", "ledger"):
        rows = run.rows(table)
        assert rows.pop(next(name for name in rows if name.startswith("south-"))) == 0
        # Who has heard from everybody begins: its debit is one that a restart uses.
        assert set(rows.values()) <= ({0} if attack == "never ready" else {0, 1})
    run.start("none")
    assert set(run.rows("ledger").values()) == {1}


def test_a_dealing_that_its_dealer_follows_is_an_input_at_three(tmp_path: Path) -> None:
    """With m = 2t + 1 honest parties cannot tell it from another input (PROTOCOL): they agree."""
    run = Attacked(plan_three(), tmp_path)
    result = run.start("followed")
    assert {one.outcome for one in run.receipts()} == {"complete"}
    assert len({one.opened_sha256 for one in run.receipts()}) == 1
    assert len({one.measurements_sha256 for one in run.receipts()}) == 1
    assert len(result.debits) == 3


@pytest.mark.parametrize("attack", ["inconsistent", "followed"])
def test_an_inconsistent_dealing_is_noticed_at_five(tmp_path: Path, attack: str) -> None:
    """m − t = 4 > t + 1 = 2: the honest shares alone do not fit, whatever the dealer sends."""
    run = Attacked(plan_of_five(), tmp_path)
    found = run.fails(attack)
    assert found.code == "SG505"
    assert "the opening of round 1 failed its consistency check" in found.message
    assert not any(one.outcome == "complete" for one in run.receipts())
    assert set(run.rows("ledger").values()) == {1}
    run.start("none")
    assert set(run.rows("ledger").values()) == {1}


def test_a_lost_store_that_only_another_dealers_word_shows(tmp_path: Path) -> None:
    """A colluder lets one site open alone; that site's store is lost, and the colluder is silent.

    The other honest site has dealt and opened nothing.  Its hello says so, and nothing is drawn a
    second time: two vectors of one site would be told apart by their difference.
    """
    run = Attacked(plan_three(), tmp_path)
    assert run.fails("deals to one", 2).code in {"SG504", "SG526"}
    for name in ("europe", "northeast"):  # northeast is the colluder: it forgets what it likes
        (store,) = (run.folder / "state").glob(f"{name}-*/store.sqlite")
        store.unlink()
    assert run.fails("none", 5).code in {"SG518", "SG526"}
    drawn = {name.partition("-")[0]: count for name, count in run.rows("contribution").items()}
    # A process that was ended before it had made its store has none.
    assert {name: count for name, count in drawn.items() if count} == {"south": 1}


def test_a_dealer_that_changes_its_input_after_one_site_has_opened(tmp_path: Path) -> None:
    """Nobody records a second total: stores with two would go together never again.

    The dealer lets one site open alone, then deals something else.  When it deals again what it
    dealt at first, the run goes on.
    """
    run = Attacked(plan_three(), tmp_path)
    assert run.fails("withheld from one", 2).code in {"SG504", "SG526"}

    def opened() -> tuple[int, int]:
        rows = {name.partition("-")[0]: count for name, count in run.rows("opened").items()}
        return rows["europe"], rows["south"]

    assert opened() == (1, 0)
    assert run.fails("deals anew").code in {"SG513", "SG526"}
    assert opened() == (1, 0)
    run.start("none")
    assert opened() == (1, 1)
