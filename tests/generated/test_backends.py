"""Every valid spec plans and verifies, and both backends open what a count by hand says."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.backends.plaintext.backend import run_plaintext
from secgen_dsl.ir.learned import with_learned_edges
from secgen_dsl.ir.plan import Plan, Release
from secgen_dsl.ir.queries import as_table
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.table import SampleTable, empty_table
from secgen_dsl.verifier import verify
from tests.generated.by_hand import counts_by_hand, mapped_by_hand
from tests.generated.drafts import GeneratedSpec
from tests.generated.parties import InjectedNoise, run_in_process
from tests.generated.specs import specs
from tests.generated.studies import examples, folder_of, planned, resolved, sources_of
from tests.generated.tables import random_tables
from tests.planner.test_double_centred_pairs import plan_of


def opened_by_hand(plan: Plan, tables: dict[str, SampleTable]) -> dict[str, list[int]]:
    """Query → the sum over all parties of A(x + z), from counts and sums by hand."""
    opened: dict[str, list[int]] = {}
    for release in plan.releases():
        query = plan.query(release.query)
        program = with_learned_edges(plan, opened)  # edges and scales: of what was opened before
        if query not in plan.added:
            query = as_table(program.query(query.id))
        total = [0] * release.raw_cells
        for index, party in enumerate(plan.parties):
            table = tables.get(party, empty_table(plan.program))
            counts = counts_by_hand(program, query, table)
            noise = noise_by_hand(InjectedNoise(index), release)
            total = [a + b + c for a, b, c in zip(total, counts, noise, strict=True)]
            encoded = raw_cells(program, query, table)
            assert encoded.shape == plan.program.shape(query)
            assert encoded.reshape(-1).tolist() == counts
        bins = plan.program.shape(query)[2]
        opened[release.query] = mapped_by_hand(release.map, total, bins)
    return opened


def noise_by_hand(source: InjectedNoise, release: Release) -> list[int]:
    """The products of a second moment, which come last, get half the variance of the squares."""
    variance = release.noise.party_variance
    plain = source.draw(release.query, release.raw_cells - release.halved, variance).tolist()
    if not release.halved:
        return plain
    return plain + source.draw(release.query, release.halved, variance / 2).tolist()


def test_both_backends_open_what_is_counted_by_hand() -> None:
    outcomes = {"planned": 0, "out of reach": 0, "centred": 0, "moments": 0, "learned": 0}

    @examples(quick=80, full=3000)
    @given(specs(), st.integers(0, 2**32))
    def every(spec: GeneratedSpec, seed: int) -> None:
        with folder_of(spec) as folder:
            meaning = resolved(spec.text(seed), folder)
            plan = planned(meaning)
            outcomes["out of reach" if plan is None else "planned"] += 1
            if plan is not None:
                outcomes["centred"] += any(one.map == "centred" for one in plan.releases())
                outcomes["moments"] += any(q.kind == "moments" for q in plan.program.queries)
                outcomes["learned"] += len(plan.rounds) > 1
                check(plan, sources_of(meaning, plan), seed, folder)

    every()
    # The strategy makes specs, not refusals, and of every kind.
    assert outcomes["planned"] > 15 * outcomes["out of reach"]
    assert outcomes["centred"] > 1, outcomes
    assert outcomes["moments"] > 1, outcomes
    assert outcomes["learned"] > 1, outcomes


@pytest.mark.parametrize(("bins", "labels"), [(2, ""), (3, ""), (4, ""), (3, "label * ")])
def test_double_centred_pairs_are_opened_as_they_are_counted_by_hand(
    tmp_path: Path, bins: int, labels: str
) -> None:
    plan = plan_of(
        f"marginal label * few in {bins} equal bins; "
        f"marginal {labels}pairs of few in {bins} equal bins"
    )
    assert "double-centred" in {release.map for release in plan.releases()}
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        check(plan, {}, seed, folder)


def check(plan: Plan, sources: dict[str, str], seed: int, folder: Path) -> None:
    verify(plan)
    tables = random_tables(Random(seed), plan.program)  # noqa: S311 (invented people)
    noise = {name: InjectedNoise(index) for index, name in enumerate(plan.parties)}
    measurements = run_plaintext(plan, tables, noise)
    assert {m.query: list(m.values) for m in measurements.measurements} == opened_by_hand(
        plan, tables
    )
    stores = folder / "the parties' stores"
    stores.mkdir()
    assert run_in_process(plan, sources, tables, stores) == measurements
