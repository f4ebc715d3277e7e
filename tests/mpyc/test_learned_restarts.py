"""Restarts of plans whose second round is learned, edges or centres: parties killed and steered.

The attack (PROTOCOL, Restarts): a rushing party sees a round's sum before its own share leaves,
aborts, and in the restart makes the first round open something else, so that a learned edge moves
past a person.  Two second-round vectors of one site with one noise would differ by that person
alone.  ``tests/runtime/test_restarts.py`` shows the attack succeed on a store without the rules.
"""

import contextlib
import sqlite3
from collections.abc import Mapping
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


CENTRES = (
    SPEC.replace("GENE2 }", "GENE2, GENE3, GENE4 }")
    .replace("panel", 'sets pathways from "sets.gmt"\npanel')
    .replace(
        "marginal subtype * cycle in 3 learned bins",
        "moments cycle by subtype in factors from pathways",
    )
)
SETS = "first\t-\tGENE0\tGENE1\nsecond\t-\tGENE2\tGENE3\n"


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


KILLED = "northeast"
"""Where a party is killed; where it is one of a coalition, what the others hold counts."""


def held(run: Run) -> dict[str, Held]:
    """What each party has stored."""
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
    return found


def held_by_honest(run: Run) -> dict[str, Held]:
    """What each party has stored that is not of the coalition."""
    return {name: one for name, one in held(run).items() if name != KILLED}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(ROOT)
    planned = plan_source(Source("spec.secgen", SPEC), Path())
    assert len(planned.plan.rounds) == 2
    return make(planned.plan, tmp_path, lines=planned.sources)


@pytest.fixture
def centres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Moments without a public table: round 1 opens where genes lie, round 2 sums around that."""
    monkeypatch.chdir(ROOT)
    (tmp_path / "sets.gmt").write_text(SETS, encoding="utf-8")
    planned = plan_source(Source("spec.secgen", CENTRES), tmp_path)
    first, second = planned.plan.rounds
    soon = second.model_copy(update={"delay": 1})  # two seconds less to wait in each run
    plan = planned.plan.model_copy(update={"rounds": (first, soon)})
    return make(plan, tmp_path, lines=planned.sources)


def learned(run: Run, measurements: Measurements, steered_by: int = 0) -> object:
    """The edges or the scale that follow from what the first round has opened."""
    first = {release.query for release in run.plan.rounds[0].releases}
    opened = {
        one.query: [value - steered_by for value in one.values]
        for one in measurements.measurements
        if one.query in first
    }
    found = with_learned_edges(run.plan, opened)
    assert found != run.plan.program
    return found


def sums(run: Run, parties: Mapping[str, Held]) -> list[list[int]]:
    """What the stored contributions add up to, round by round."""
    found = []
    for number in range(len(run.plan.rounds)):
        ys = [np.frombuffer(one.contributions[number][2], dtype="<i8") for one in parties.values()]
        found.append(np.sum(ys, axis=0).tolist())
    return found


def totals(run: Run, measurements: Measurements) -> list[list[int]]:
    """What was opened, round by round."""
    values = {one.query: one.values for one in measurements.measurements}
    return [
        [value for release in one.releases for value in values[release.query]]
        for one in run.plan.rounds
    ]


def change_files(run: Run) -> None:
    """Other people altogether: what is drawn anew then differs."""
    for path in run.files.values():
        write_table(path, run.plan.program, 7, seed=99)


def test_a_party_killed_between_the_rounds(run: Run) -> None:
    """A restart has the same edges and the same contributions, and nothing more is debited."""
    found = run.fails("die later")
    assert (found.code, found.place) == ("SG508", "northeast")
    before = held_by_honest(run)
    for one in before.values():
        assert [number for number, _, _ in one.contributions] == [1, 2]
        assert [number for number, _ in one.opened] == [1]
        assert one.debits == 1
    change_files(run)
    first = run.start("system").measurements
    after = held_by_honest(run)
    for name, one in after.items():
        assert one.contributions == before[name].contributions
        assert one.opened[0] == before[name].opened[0]
        assert one.debits == 1
    again = run.start("system").measurements
    assert again == first
    assert learned(run, again) == learned(run, first)
    assert held_by_honest(run) == after

    # The coalition now wants other edges: the honest parties stop before they encode anything.
    assert run.fails("steer").code == "SG513"
    assert held_by_honest(run) == after
    assert not any("sharing in round 2" in line.phase for line in run.progress)


def test_edges_steered_after_an_opening_that_nobody_honest_saw(run: Run) -> None:
    steered_after_an_opening(run)


@pytest.mark.slow
def test_centres_steered_after_an_opening_that_nobody_honest_saw(centres: Run) -> None:
    steered_after_an_opening(centres)


def steered_after_an_opening(run: Run) -> None:
    """The rushing party knows the first sum, and no honest party does: it may choose another.

    It gains no second vector: what the honest parties add to the second round is drawn once, for
    the edges that were opened, and every other opening is refused from then on.
    """
    assert run.fails("withhold").code == "SG508"
    before = held_by_honest(run)
    for one in before.values():
        assert [number for number, _, _ in one.contributions] == [1]
        assert one.opened == ()
    steered = run.start("steer").measurements
    assert learned(run, steered) != learned(run, steered, steered_by=STEERED_BY)
    after = held_by_honest(run)
    for name, one in after.items():
        assert one.contributions[0] == before[name].contributions[0]
        assert [number for number, _, _ in one.contributions] == [1, 2]
        assert one.debits == 1
    first, _ = totals(run, steered)
    assert np.frombuffer(after["europe"].opened[0][1], dtype="<i8").tolist() == first

    # Back to the edges that it would have had: the second vector of the attack.
    assert run.fails("system").code == "SG513"
    assert held_by_honest(run) == after


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param("die later", marks=pytest.mark.slow),
        "die unstored",
        pytest.param("withhold later", marks=pytest.mark.slow),
    ],
)
def test_a_party_killed_after_centres_were_opened(centres: Run, behaviour: str) -> None:
    """All stored, before it stored, or when the others have sent their shares of the second sum.

    The restarts use the centres that were opened and every contribution that was stored, open the
    sums of those and no others, and debit nothing: as if nothing had happened to these stores.
    """
    found = centres.fails(behaviour)
    assert (found.code, found.place) == ("SG508", KILLED)
    before = held(centres)
    for name, one in before.items():
        unstored = behaviour == "die unstored" and name == KILLED
        assert [number for number, _, _ in one.contributions] == ([1] if unstored else [1, 2])
        assert [number for number, _ in one.opened] == [1]
        assert one.debits == 1
    change_files(centres)
    first = centres.start("system").measurements
    after = held(centres)
    for name, one in after.items():
        assert one.contributions[: len(before[name].contributions)] == before[name].contributions
        assert [number for number, _, _ in one.contributions] == [1, 2]
        assert one.opened[:1] == before[name].opened
        assert [number for number, _ in one.opened] == [1, 2]
        assert one.debits == 1
        # The second round's is of the centres that the first run had opened.
        assert one.contributions[1][1] == after["europe"].contributions[1][1]
    assert totals(centres, first) == sums(centres, after)
    if behaviour == "die unstored":
        return  # the case of the usual tests: seconds count
    assert centres.start("system").measurements == first
    assert held(centres) == after
