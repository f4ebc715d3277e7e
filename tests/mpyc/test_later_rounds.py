"""Rounds after the first: bins, restarts, the wait.  The real parties, in one process."""

import asyncio
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.backends.plaintext.backend import run_plaintext
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.plan import Plan
from secgen_dsl.runtime.store import ContributionStore
from tests.generated.parties import InjectedNoise, run_in_process
from tests.generated.tables import random_tables
from tests.planner.test_importance import planned, spec
from tests.runtime.spends import debit_of_plan

from .parties import config_of, consortium_of, party_of


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The bins of 60 genes are learned in round 1 and used in round 2."""
    found = planned(spec("marginal label * genes in 3 learned bins; marginal sex"))
    assert [one.number for one in found.rounds] == [1, 2]
    assert found.rounds[1].delay > 1
    return found


class Counted(InjectedNoise):
    """Noise that differs from run to run, and what was drawn."""

    def __init__(self, index: int, run: int, drawn: Counter[str]) -> None:
        super().__init__(1000 * run + index)
        self._drawn = drawn

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        self._drawn[marginal] += 1
        return super().draw(marginal, cells, variance)


def test_bins_follow_what_round_1_opened(plan: Plan, tmp_path: Path) -> None:
    """Both backends, and other noise in round 1 gives other bins."""
    tables = random_tables(Random(5), plan.program)  # noqa: S311 (invented people)
    noise = {name: InjectedNoise(index) for index, name in enumerate(plan.parties)}
    assert run_in_process(plan, {}, tables, tmp_path) == run_plaintext(plan, tables, dict(noise))


def test_a_restart_draws_nothing_in_any_round_and_pays_once(plan: Plan, tmp_path: Path) -> None:
    tables = random_tables(Random(6), plan.program)  # noqa: S311 (invented people)
    runs: list[Counter[str]] = [Counter(), Counter()]
    first, again = (
        run_in_process(
            plan,
            {},
            tables,
            tmp_path,
            lambda index, run=run: Counted(index, run, runs[run]),  # type: ignore[misc]
        )
        for run in range(2)
    )
    assert runs[0] == {release.query: len(plan.parties) for release in plan.releases()}
    assert not runs[1]
    assert again == first
    for index, name in enumerate(plan.parties):
        with ContributionStore(tmp_path / f"{index}.sqlite") as store:
            assert len(store.ledger().entries) == 1, name


@pytest.fixture
def party(plan: Plan, tmp_path: Path) -> Party:
    config = config_of(plan, consortium_of(plan, tmp_path / "keys"))
    store = ContributionStore(tmp_path / "store.sqlite")
    return party_of(config, plan, tmp_path, store, InjectedNoise(0), debit_of_plan(plan))


def test_what_is_stored_of_round_2_is_found_under_what_round_1_opened(party: Party) -> None:
    """Bins of other edges are other tables: their noise is never that of the first ones."""
    one, other = (np.array([number], dtype=np.int64) for number in (1, 2))
    assert party._key(2, [one]) == party._key(2, [one.copy()])
    assert party._key(2, [one]) != party._key(2, [other])
    assert party._key(1, [one]) == party._key(1, [])


def test_nothing_of_round_2_is_drawn_before_round_1_is_opened(party: Party) -> None:
    with pytest.raises(SecgenError, match=r"SG514.*round 2 is not next"):
        party.draws(2)


@pytest.mark.parametrize("worked", [0.0, 0.4])
def test_shares_leave_at_a_fixed_time_however_long_the_work_took(
    plan: Plan, party: Party, worked: float
) -> None:
    # As if round 1 had been opened so long ago that half a second is left.
    party._opened_at = time.monotonic() + 0.5 - plan.rounds[1].delay
    due = time.monotonic() + 0.5
    time.sleep(worked)
    asyncio.run(party.wait(2))
    assert 0 <= time.monotonic() - due < 0.4
