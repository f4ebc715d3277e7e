"""Moments without a public table: a first round says where genes lie, the rest is summed there."""

from fractions import Fraction

import pytest

from secgen_dsl.cli.study import plan_spec
from secgen_dsl.ir.learned import with_learned_edges
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.queries import Moments, Standard, VectorSum
from secgen_dsl.ir.vectors import COUNT_PART, QUANTUM
from secgen_dsl.planner.epsilons import with_epsilon
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.planner.reference_gain import gene_mean_errors

SPEC = """secgen 1
study "Sets" { purpose "Moments without a public table." }
silos hold patients { one terms open; two terms open; three terms open }
trust { tolerate 1 colluding party }
person { key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all }
columns { label category { A, B } }
sets pathways from "sets.gmt"
panel genes expression log2 0..24 { G1, G2, G3, G4, G5, G6, G7, G8 }
privacy { add or remove one person; epsilon 4; delta 1e-6 }
measure { moments genes by label in factors from pathways }
release { measurements to silos }
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("study")
    (folder / "sets.gmt").write_text("first\t-\tG1\tG2\tG3\nsecond\t-\tG5\tG6\n", encoding="utf-8")
    (folder / "study.secgen").write_text(SPEC, encoding="utf-8")
    return plan_spec(folder / "study.secgen").plan


def moments_of(plan: Plan) -> Moments:
    (query,) = plan.program.queries
    assert isinstance(query, Moments)
    return query


def learned(plan: Plan, means: list[Fraction], people: int) -> Standard:
    """What everybody computes if the first round opens means in sixths of the range."""
    (centres,) = (q for q in plan.added if isinstance(q, VectorSum) and q.content == "centres")
    sums = [int(mean * QUANTUM * people) for mean in means]
    opened = {centres.id: (*sums, people * (centres.clip // COUNT_PART))}
    (query,) = with_learned_edges(plan, opened).queries
    assert isinstance(query, Moments)
    return query.standard


def test_all_but_the_first_sum_waits_for_the_scale(plan: Plan) -> None:
    first, second = plan.rounds
    name = moments_of(plan).id
    assert [one.query for one in first.releases] == ["label", f"centres of {name}"]
    assert {one.query for one in second.releases} == {
        f"means of {name}", f"scores of {name}", f"second moment of {name}",
    }  # fmt: skip
    assert with_learned_edges(plan, {}) == plan.program


def test_centres_are_the_means_and_the_scale_is_what_is_left(plan: Plan) -> None:
    """The scale of the range is 4 log2 units around 12; a gene varies by a fifth of that."""
    means = [Fraction(k - 3, 4) for k in range(8)]
    found = learned(plan, means, 10**6)
    expected = [12 + 4 * mean for mean in means]
    assert all(abs(c - e) < Fraction(1, 100) for c, e in zip(found.centres, expected, strict=True))
    assert set(found.scales) == {Fraction(round(Fraction(4, 5) * 1024), 1024)}
    few = learned(plan, means, 30)  # noise counts: centres nearer to each other, a wider scale
    assert max(few.centres) - min(few.centres) < max(found.centres) - min(found.centres)
    assert found.scales[0] < few.scales[0] <= 4


@pytest.mark.parametrize("people", [1, -5, 10**6])
@pytest.mark.parametrize("size", [10**9, -(10**9)])
def test_whatever_is_opened_the_scale_can_be_summed_on(plan: Plan, people: int, size: int) -> None:
    found = learned(plan, [Fraction(size), *[Fraction(0)] * 7], people)
    assert all(0 <= centre <= 24 and 1024 % centre.denominator == 0 for centre in found.centres)
    assert all(Fraction(1, 64) <= scale <= 4 for scale in found.scales)


def test_a_public_table_gains_more_where_noise_is_great(plan: Plan) -> None:
    """It saves the way to where genes lie; what is left of noise is alike."""
    ratios = []
    for epsilon in ("0.05", "0.25", "4"):
        other = plan_program(with_epsilon(plan.program, Fraction(epsilon)))
        errors = gene_mean_errors(other, moments_of(other))
        assert errors is not None
        assert 0 < errors[0] < 2  # at worst the spread of genes' means
        ratios.append(errors[0] / errors[1])
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 1.1
    person = plan.program.person.model_copy(update={"people_bound": None})
    unbounded = plan.model_copy(
        update={"program": plan.program.model_copy(update={"person": person})}
    )
    assert gene_mean_errors(unbounded, moments_of(unbounded)) is None
