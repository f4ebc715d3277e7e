"""The attack that the restart rules prevent: abort, steer a learned edge, difference two vectors.

A round measures a gene in bins whose edges an earlier round opened.  A rushing party sees the
honest parties' sum before it sends its own part, aborts, and in the restart makes the first round
open something else, so that one edge moves past one patient.
"""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.queries import Marginal
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.runtime.noise import SystemNoise
from secgen_dsl.runtime.policy import Policy
from secgen_dsl.runtime.site.read import read_site
from secgen_dsl.runtime.store import ContributionStore, digest_of_opened, first_key
from tests.mpyc.plans import PLAIN, plan_of, program

from .spends import debit_of_plan

VARIANCE = Fraction(400)
PLAN = plan_of(program(genes=1), [[(program(genes=1).queries[0], "identity")]])
"""Stands for a plan of two rounds: only its hash and its cost are used beside the encoder."""


def measured_at(edge: Fraction, table: SampleTable) -> NDArray[np.int64]:
    """x of the second round: people of each label below and above the learned edge."""
    marginal = Marginal(
        kind="marginal", id="subtype*cycle", statement="", columns=("subtype",), panel="cycle",
        gene=None, bins=2, binning="equal", reference="", edges=((edge,),), learned=None,
            importance=PLAIN,
    )  # fmt: skip
    return raw_cells(PLAN.program, marginal, table)


@pytest.fixture
def table(tmp_path: Path) -> SampleTable:
    """200 people; a single one of them, of subtype MSI, lies between 7 and 7.5."""
    file = tmp_path / "people.csv"
    values = [4 + (k % 60) / 20 for k in range(100)] + [8 + (k % 60) / 20 for k in range(99)]
    rows = [f"p{k},{'CIN' if k % 2 else 'GS'},{value}" for k, value in enumerate(values)]
    file.write_text("\n".join(["patient,subtype,GENE0", *rows, "victim,MSI,7.25"]) + "\n")
    people, _ = read_site(PLAN.program, file, bytes(32), "europe")
    return people


class Honest:
    """An honest party's second round, with and without the rules."""

    def __init__(self, store: ContributionStore, table: SampleTable, policy: Policy) -> None:
        self.store, self.table, self.debit = store, table, debit_of_plan(PLAN, policy)
        first = np.zeros(4, dtype=np.int64)
        self.store.save(first_key(PLAN, 0), first, self.debit)

    def second_round(self, opened: NDArray[np.int64], edge: Fraction) -> NDArray[np.int64]:
        """y under the rules: by key, never drawn twice for one, never one noise for two."""
        key = replace(first_key(PLAN, 0), round=2, opened_before=digest_of_opened([opened]))
        stored = self.store.find(key)
        if stored is not None:
            return stored
        x = measured_at(edge, self.table)
        z = SystemNoise().draw("subtype*cycle", x.size, VARIANCE).reshape(x.shape)
        y = apply_map("identity", x + z)
        self.store.save(key, y, self.debit)
        return y


EDGES = (Fraction(7), Fraction(15, 2))
OPENED = (np.array([40, 1], dtype=np.int64), np.array([41, 1], dtype=np.int64))


def test_without_the_rules_the_difference_is_exact(table: SampleTable) -> None:
    """A store that kept z instead, to "spend once" however the edges move."""
    kept = SystemNoise().draw("subtype*cycle", 8, VARIANCE).reshape(1, 4, 2)
    first, second = (apply_map("identity", measured_at(edge, table) + kept) for edge in EDGES)
    # No noise is left: the coalition reads that one person is MSI, with 7 ≤ GENE0 < 7.5.
    assert (second - first).reshape(4, 2).tolist() == [[0, 0], [0, 0], [1, -1], [0, 0]]


def test_with_them_it_is_noised_afresh_and_paid_for(tmp_path: Path, table: SampleTable) -> None:
    exact = (measured_at(EDGES[1], table) - measured_at(EDGES[0], table)).ravel()
    differences = []
    for run in range(40):
        with ContributionStore(tmp_path / f"{run}.sqlite") as store:
            party = Honest(store, table, Policy())
            first, second = (
                party.second_round(opened, edge) for opened, edge in zip(OPENED, EDGES, strict=True)
            )
            assert len(store.ledger().entries) == 2
            assert np.array_equal(party.second_round(OPENED[0], EDGES[1]), first)  # by key alone
            differences.append(second - first - exact)
    # 320 draws of a discrete Gaussian of variance 2·400: 5 standard errors are 40 %.
    assert np.var(differences) == pytest.approx(800, rel=0.4)


def test_or_it_is_refused(tmp_path: Path, table: SampleTable) -> None:
    with ContributionStore(tmp_path / "store.sqlite") as store:
        party = Honest(store, table, Policy(max_studies=1))
        party.second_round(OPENED[0], EDGES[0])
        with pytest.raises(SecgenError, match="SG804"):
            party.second_round(OPENED[1], EDGES[1])
        assert len(store.ledger().entries) == 1


def test_a_recorded_opening_refuses_another_at_once(tmp_path: Path, table: SampleTable) -> None:
    """A party that saw the first round end does not even come to the second."""
    with ContributionStore(tmp_path / "store.sqlite") as store:
        Honest(store, table, Policy())
        store.record_opened(first_key(PLAN, 0), OPENED[0])
        with pytest.raises(SecgenError, match="SG513"):
            store.record_opened(first_key(PLAN, 0), OPENED[1])


def test_another_set_of_parties_is_another_debit(tmp_path: Path, table: SampleTable) -> None:
    """With the same y and one party less, the difference of two totals is that party's table."""
    fewer: Plan = PLAN.model_copy(update={"parties": PLAN.parties[:2]})
    with ContributionStore(tmp_path / "store.sqlite") as store:
        Honest(store, table, Policy())
        assert store.find(first_key(fewer, 0)) is None
        store.save(first_key(fewer, 0), np.zeros(4, dtype=np.int64), debit_of_plan(PLAN))
        assert len(store.ledger().entries) == 2


def test_erased_is_not_drawn_again(tmp_path: Path, table: SampleTable) -> None:
    with ContributionStore(tmp_path / "store.sqlite") as store:
        party = Honest(store, table, Policy())
        party.second_round(OPENED[0], EDGES[0])
        assert store.erase(first_key(PLAN, 0).plan_sha256) == 2
        with pytest.raises(SecgenError, match="SG511"):
            party.second_round(OPENED[0], EDGES[0])
        assert len(store.ledger().entries) == 1  # no refund
