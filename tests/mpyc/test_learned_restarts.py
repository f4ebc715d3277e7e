"""Restarts of a plan whose second round has learned edges: real parties, killed and steered.

The attack (PROTOCOL, Restarts): a rushing party sees a round's sum before its own share leaves,
aborts, and in the restart makes the first round open something else, so that a learned edge moves
past a person.  Two second-round vectors of one site with one noise would differ by that person
alone.  ``tests/runtime/test_restarts.py`` shows the attack succeed on a store without the rules.
"""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.cli.study import plan_source
from secgen_dsl.diagnostics.diagnostic import Source
from secgen_dsl.ir.learned import with_learned_edges
from secgen_dsl.ir.plan import Measurements
from tests.conftest import ROOT

from .entries import STEERED_BY
from .plans import write_table
from .test_run import Run, make

SPEC = """secgen 1
study "Learned edges" { purpose "Tests"; contact "nobody@consortium.example" }
silos hold patients { europe terms open; northeast terms open; south terms open }
trust { tolerate 1 colluding party }
person { key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all }
columns { subtype category { CIN, GS, MSI, unknown } else unknown }
panel cycle expression log2 0..16 { GENE0, GENE1, GENE2 }
privacy { add or remove one person; epsilon 4; delta 1e-5 }
measure { marginal subtype * cycle in 3 learned bins }
release { measurements to silos }
"""


@dataclass(frozen=True)
class Held:
    """What a party has stored.

    Attributes:
        contributions: y as (round, digest of what was opened before, bytes).
        opened: sums as (round, bytes).
        debits: entries of its ledger.
    """

    contributions: tuple[tuple[int, str, bytes], ...]
    opened: tuple[tuple[int, bytes], ...]
    debits: int


def held(run: Run) -> dict[str, Held]:
    """What each honest party has stored; the coalition is ``northeast``."""
    found = {}
    for folder in run.folders():
        name = folder.name.rpartition("-")[0]
        file = f"file:{folder / 'store.sqlite'}?mode=ro"
        with contextlib.closing(sqlite3.connect(file, uri=True)) as database:

            def rows(query: str, database: sqlite3.Connection = database) -> tuple[tuple, ...]:  # type: ignore[type-arg]
                return tuple(database.execute(query))

            found[name] = Held(
                rows("SELECT round, opened_before, y FROM contribution ORDER BY round"),
                rows("SELECT round, total FROM opened ORDER BY round"),
                len(rows("SELECT number FROM ledger")),
            )
    return {name: one for name, one in found.items() if name != "northeast"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(ROOT)
    planned = plan_source(Source("spec.secgen", SPEC), Path())
    assert len(planned.plan.rounds) == 2
    return make(planned.plan, tmp_path, lines=planned.sources)


def edges(run: Run, measurements: Measurements, steered_by: int = 0) -> object:
    opened = {
        one.query: [value - steered_by for value in one.values] for one in measurements.measurements
    }
    return [query.edges for query in with_learned_edges(run.plan, opened).queries]


def change_files(run: Run) -> None:
    """Other people altogether: what is drawn anew then differs."""
    for path in run.files.values():
        write_table(path, run.plan.program, 7, seed=99)


def test_a_party_killed_between_the_rounds(run: Run) -> None:
    """A restart has the same edges and the same contributions, and nothing more is debited."""
    found = run.fails("die later")
    assert (found.code, found.place) == ("SG508", "northeast")
    before = held(run)
    for one in before.values():
        assert [number for number, _, _ in one.contributions] == [1, 2]
        assert [number for number, _ in one.opened] == [1]
        assert one.debits == 1
    change_files(run)
    first = run.start("system").measurements
    after = held(run)
    for name, one in after.items():
        assert one.contributions == before[name].contributions
        assert one.opened[0] == before[name].opened[0]
        assert one.debits == 1
    again = run.start("system").measurements
    assert again == first
    assert edges(run, again) == edges(run, first)
    assert held(run) == after

    # The coalition now wants other edges: the honest parties stop before they encode anything.
    assert run.fails("steer").code == "SG513"
    assert held(run) == after
    assert not any("sharing in round 2" in line.phase for line in run.progress)


def test_edges_steered_after_an_opening_that_nobody_honest_saw(run: Run) -> None:
    """The rushing party knows the first sum, and no honest party does: it may choose another.

    It gains no second vector: what the honest parties add to the second round is drawn once, for
    the edges that were opened, and every other opening is refused from then on.
    """
    assert run.fails("withhold").code == "SG508"
    before = held(run)
    for one in before.values():
        assert [number for number, _, _ in one.contributions] == [1]
        assert one.opened == ()
    steered = run.start("steer").measurements
    assert edges(run, steered) != edges(run, steered, steered_by=STEERED_BY)
    after = held(run)
    for name, one in after.items():
        assert one.contributions[0] == before[name].contributions[0]
        assert [number for number, _, _ in one.contributions] == [1, 2]
        assert one.debits == 1
    sums = np.concatenate([m.values for m in steered.measurements][:2])
    assert np.frombuffer(after["europe"].opened[0][1], dtype="<i8").tolist() == sums.tolist()

    # Back to the edges that it would have had: the second vector of the attack.
    assert run.fails("system").code == "SG513"
    assert held(run) == after
