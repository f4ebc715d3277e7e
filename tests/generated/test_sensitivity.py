"""What one person can change, by brute force over neighbouring tables, against what plans declare.

PRIVACY 7.1, T1: exact integers, in the metric of the noise that goes in before the map.
"""

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import CategoryColumn
from secgen_dsl.ir.queries import SecondMoment, VectorSum
from secgen_dsl.privacy.sensitivity import l1_sensitivity
from secgen_dsl.semantics.resolve import Resolved
from tests.generated.by_hand import norm_squared
from tests.generated.drafts import GeneratedSpec
from tests.generated.people import (
    any_person,
    counts_with,
    measured_queries,
    with_any_edges,
    worst_person,
)
from tests.generated.specs import specs
from tests.generated.studies import examples, folder_of, planned, resolved, with_own_tables
from tests.generated.tables import random_sample
from tests.planner.test_double_centred_pairs import plan_of

Samples = list[list[dict[tuple[str, str], str | float]]]


def test_no_person_changes_a_release_by_more_than_its_plan_declares() -> None:
    met: Counter[str] = Counter()

    @examples(quick=100, full=2000)
    @given(specs(), st.integers(0, 2**32))
    def every(spec: GeneratedSpec, seed: int) -> None:
        with folder_of(spec) as folder:
            plan = planned(varied(resolved(spec.text(), folder), seed))
        if plan is not None:
            met.update(kinds_of(plan))
            check(plan, Random(seed))  # noqa: S311 (invented people)

    every()
    for kind in (
        *("several samples", "several silos", "per column", "replace", "centred", "pairs"),
        *("double-centred", "by labels"),
        *("moments", "learned"),
    ):
        assert met[kind] > 1, met


@pytest.mark.parametrize(
    "person",
    [
        "at most 1 sample; in at most 1 silo",
        "at most 2 samples; in at most 2 silos",
        "at most 2 samples per label; in at most 1 silo",
        "at most 1 sample per sex; in at most 2 silos",  # which are no labels of the pairs
    ],
)
def test_double_centred_blocks_of_labels(person: str) -> None:
    measure = "marginal label * few in 3 equal bins; marginal label * pairs of few in 3 equal bins"
    plan = plan_of(measure, person=f"key patient; {person}; at most 1000 people in all")
    assert {release.map for release in plan.releases()} >= {"double-centred"}
    for seed in range(5):
        check(plan, Random(seed))  # noqa: S311 (invented people)


def varied(meaning: Resolved, seed: int) -> Resolved:
    """The same study, for most seeds under a promise that specs rarely make.

    Pairs' genes have tables of their own, and half of such studies keep their own promise: under
    the others none of their tables is double-centred.
    """
    meaning = with_own_tables(meaning)
    program = meaning.program
    if seed % 2 and any(query.kind == "pairs" for query in program.queries):
        return meaning
    categories = [each.name for each in program.columns if isinstance(each, CategoryColumn)]
    if seed // 3 % 3 == 1 and categories:
        person = program.person.model_copy(update={"per": categories[0]})
        program = program.model_copy(update={"person": person})
    if seed % 3 == 1:
        person = program.person.model_copy(update={"silos": 2})
        program = program.model_copy(update={"person": person})
    elif seed % 3 == 2:
        person = program.person.model_copy(update={"people_bound": 1000})
        privacy = program.privacy.model_copy(update={"adjacency": "replace-one"})
        program = program.model_copy(update={"person": person, "privacy": privacy})
    return replace(meaning, program=program)


def kinds_of(plan: Plan) -> set[str]:
    """What of the language makes a sensitivity other than 1."""
    person = plan.program.person
    found = {
        "several samples": person.samples > 1,
        "several silos": person.silos > 1,
        "per column": person.per is not None,
        "replace": plan.program.privacy.adjacency == "replace-one",
        "centred": any(release.map == "centred" for release in plan.releases()),
        "double-centred": any(release.map == "double-centred" for release in plan.releases()),
        "pairs": any(query.kind == "pairs" for query in plan.program.queries),
        "by labels": any(q.kind == "pairs" and q.columns for q in plan.program.queries),
        "moments": any(query.kind == "moments" for query in plan.program.queries),
        "learned": len(plan.rounds) > 1,
    }
    return {kind for kind, there in found.items() if there}


def check(plan: Plan, random: Random) -> None:
    program = plan.program
    others = [random_sample(random, program) for _ in range(3)]
    worst, any_one, another = (
        worst_person(random, program),
        any_person(random, program),
        any_person(random, program),
    )
    neighbours = [(any_one, []), ([], another), (worst, [])]
    replaced = program.privacy.adjacency == "replace-one"
    if replaced:
        neighbours += [(any_one, another), (worst, another), (worst, worst_person(random, program))]
    program = with_any_edges(plan, random)
    for release, query in zip(plan.releases(), measured_queries(plan, program), strict=True):
        for old, new in neighbours:
            before = counts_with(program, query, others, old)
            after = counts_with(program, query, others, new)
            change = norm_squared(release.map, before - after, release.halved)
            assert change <= release.noise.sensitivity_squared
            if isinstance(query, VectorSum | SecondMoment):
                continue
            # What Laplace noise on the same tables, without a map, would have to hide.
            moved = int(np.abs(before - after).sum())
            assert moved <= l1_sensitivity(program, query)
            if old is worst and not new and not replaced:
                assert change == release.noise.sensitivity_squared  # no less would do
                assert moved == l1_sensitivity(program, query)
