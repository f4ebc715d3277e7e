"""Shares of the budget, accuracy targets, and what several samples of a person cost."""

import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import canonical_json, read_node
from secgen_dsl.ir.plan import GaussianNoise, Plan, Release
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.planner.predict import predict
from secgen_dsl.privacy.bound import certified_epsilon, compose
from secgen_dsl.privacy.gdp import mu_for_budget
from secgen_dsl.verifier.certify import certify
from secgen_dsl.verifier.verify import verify
from tests.semantics.test_hashes import TEXTS, meaning

PEOPLE = "at most 1000 people in all"


def spec(
    measure: str,
    person: str = f"key patient; at most 1 sample; in at most 1 silo; {PEOPLE}",
    privacy: str = "add or remove one person; epsilon 0.25; delta 1e-6",
) -> str:
    text = TEXTS["two_hospitals"]
    return (
        text[: text.index("person {")]
        + f"person {{ {person} }}\n"
        + "columns { label category { A, B, C, D, E }; sex category { f, m } }\n"
        + f"panel genes expression log2 0..20 {{ {', '.join(f'G{k}' for k in range(60))} }}\n"
        + f"privacy {{ {privacy} }}\nmeasure {{ {measure} }}\n"
        + text[text.index("release {") :]
    )


def planned(text: str) -> Plan:
    plan = plan_program(meaning(text).program)
    verify(plan)
    return plan


def spent(plan: Plan) -> dict[str, Fraction]:
    return {r.query: r.noise.sensitivity_squared / r.noise.variance for r in plan.releases()}


BUDGET = mu_for_budget(Fraction(1, 4), Fraction(1, 10**6)) ** 2


def with_cost(plan: Plan, name: str, cost: Fraction) -> Plan:
    """The plan with so much less noise on one release that it takes at least ``cost`` of μ²."""
    honest = len(plan.parties) - plan.threshold

    def changed(release: Release) -> Release:
        if release.query != name or not isinstance(release.noise, GaussianNoise):
            return release
        variance = Fraction(int(16 * release.noise.sensitivity_squared / cost), 16)
        noise = {"variance": variance, "party_variance": variance / honest}
        return release.model_copy(update={"noise": release.noise.model_copy(update=noise)})

    rounds = tuple(
        each.model_copy(update={"releases": tuple(map(changed, each.releases))})
        for each in plan.rounds
    )
    return plan.model_copy(update={"rounds": rounds})


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (
            "marginal label * genes in 4 equal bins share 60%; marginal sex",
            '"label\\*genes" spends more than its share',
        ),
        (
            "marginal label * genes in 4 equal bins share 30%; marginal sex\n"
            "marginal label * genes.G1 in 8 equal bins share 30%",
            "all shares together",
        ),
    ],
    ids=["one needs it", "two need it"],
)
def test_a_histogram_that_shares_need_is_paid_by_them(measure: str, said: str) -> None:
    """Found by a reader: the histogram could take what the other queries should have."""
    plan = planned(spec(measure))
    assert {release.query: release.map for release in plan.releases()}["label*genes"] == "centred"
    moved = with_cost(with_cost(plan, "sex", BUDGET / 100), "label", BUDGET * 38 / 100)
    assert compose(moved).mu_squared <= BUDGET
    with pytest.raises(SecgenError, match=said):
        verify(moved)


def test_a_share_is_met_within_rounding_and_never_exceeded() -> None:
    plan = planned(
        spec("marginal label * genes in 4 equal bins share 60%; marginal label; marginal sex")
    )
    parts = spent(plan)
    assert Fraction(598, 1000) * BUDGET < parts["label*genes"] <= Fraction(6, 10) * BUDGET
    rest = parts["label"] + parts["sex"]
    assert Fraction(398, 1000) * BUDGET < rest <= Fraction(4, 10) * BUDGET


def test_a_histogram_that_a_shared_query_needs_is_paid_from_its_share() -> None:
    plan = planned(spec("marginal label * genes in 4 equal bins share 60%; marginal sex"))
    parts = spent(plan)
    assert [m.id for m in plan.added] == ["label"]
    own = parts["label*genes"] + parts["label"]
    assert Fraction(598, 1000) * BUDGET < own <= Fraction(6, 10) * BUDGET
    assert Fraction(398, 1000) * BUDGET < parts["sex"] <= Fraction(4, 10) * BUDGET


@settings(max_examples=15)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=3), st.integers(1, 9))
def test_shares_of_any_size(percents: list[int], weight: int) -> None:
    names = ["label", "sex", "label * sex"]
    lines = [f"marginal {n} share {p}%" for n, p in zip(names, percents, strict=False)]
    text = "; ".join([*lines, f"marginal sex * genes in 3 equal bins weight {weight}"])
    parts = spent(planned(spec(text)))
    for name, percent in zip(names, percents, strict=False):
        share = Fraction(percent, 100) * BUDGET
        assert share * Fraction(99, 100) < parts[name.replace(" ", "")] <= share


@pytest.mark.parametrize(
    "measure",
    [
        "marginal label error 120 people; marginal label * genes in 4 equal bins",
        "marginal label error 80%; marginal label * genes in 4 equal bins",
        "marginal label * genes in 4 equal bins error 700 people; marginal sex weight 1000",
        "marginal label * genes in 4 equal bins error 400%; marginal label error 150 people",
        "marginal label * genes in 4 equal bins error 900 people; "
        "marginal sex * genes in 4 equal bins error 900 people",
    ],
)
def test_an_accuracy_target_is_kept(measure: str) -> None:
    plan = planned(spec(measure))
    for prediction in predict(plan):
        target = prediction.query.importance.error
        if target is None:
            continue
        error = prediction.standard_error
        if target.unit == "percent":
            error = 100 * (prediction.relative_error or 0)
        assert error <= float(target.value) * (1 + 1e-9)


def test_a_target_takes_only_what_it_needs() -> None:
    alone = "marginal label * genes in 4 equal bins weight 1000"
    target = planned(spec(f"{alone}; marginal sex error 100 people"))
    by_id = {p.query.id: p for p in predict(target)}
    assert 95 < by_id["sex"].standard_error <= 100


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        ("marginal label * genes in 4 equal bins error 20 people", "more than the budget"),
        ("marginal label error 1 people; marginal sex", "finer than the least noise"),
    ],
)
def test_a_target_out_of_reach_says_so(measure: str, words: str) -> None:
    with pytest.raises(SecgenError, match=words) as caught:
        planned(spec(measure))
    assert [d.code for d in caught.value.diagnostics] == ["SG313"]


PERSONS = {
    "two silos": "key patient; at most 1 sample; in at most 2 silos",
    "three samples": "key patient; at most 3 samples; in at most 1 silo",
    "per label": "key patient; at most 1 sample per label; in at most 1 silo",
}


def noise(plan: Plan, name: str) -> float:
    return next(p.certified_sigma for p in predict(plan) if p.query.id == name)


def test_what_several_samples_cost() -> None:
    measure = "marginal label; marginal sex"
    one = planned(spec(measure))
    two = planned(spec(measure, f"{PERSONS['two silos']}; {PEOPLE}"))
    three = planned(spec(measure, f"{PERSONS['three samples']}; {PEOPLE}"))
    # Rényi certifies competing shifts: 6–9% more noise than the factor alone.
    assert 2 < noise(two, "label") / noise(one, "label") < 2.25
    assert 3 < noise(three, "label") / noise(one, "label") < 3.35


def test_samples_in_different_cells_cost_the_root() -> None:
    one = planned(spec("marginal label"))
    per_label = planned(spec("marginal label", f"{PERSONS['per label']}; {PEOPLE}"))
    # √5, not 5; such shifts do not compete, so that the sharper accountant certifies.
    assert noise(per_label, "label") / noise(one, "label") == pytest.approx(5**0.5, rel=0.01)
    assert compose(per_label).events is not None
    mixed = planned(spec("marginal label; marginal sex", f"{PERSONS['per label']}; {PEOPLE}"))
    assert compose(mixed).events is None
    assert [r.noise.sensitivity_squared for r in mixed.releases()] == [5, 25]


@pytest.mark.parametrize("person", PERSONS.values())
@pytest.mark.parametrize("epsilon", ["1/2", "4"])
def test_plans_of_several_samples_certify_twice(person: str, epsilon: str) -> None:
    number = "0.5" if epsilon == "1/2" else epsilon
    text = spec(
        "marginal label * genes in 4 equal bins; marginal sex",
        f"{person}; {PEOPLE}",
        f"add or remove one person; epsilon {number}; delta 1e-6",
    )
    plan = planned(text)
    certificate = certify(plan, verify(plan), independent=True)
    within = ("certifies", "confirms")
    certified = [float(a.epsilon) for a in certificate.accountings if a.role in within]
    assert len(certified) == 2
    assert max(certified) <= float(Fraction(epsilon))
    assert min(certified) > 0.99 * float(Fraction(epsilon))


def test_replace_one_uses_plain_tables_and_the_root_of_two() -> None:
    measure = "marginal label; marginal label * genes in 4 equal bins"
    person = "key patient; at most 1 sample; in at most 1 silo"
    privacy = "replace one person of exactly 1000; epsilon 4; delta 1e-6"
    plan = planned(spec(measure, person, privacy))
    assert {r.map for r in plan.releases()} == {"identity"}
    assert [r.noise.sensitivity_squared for r in plan.releases()] == [2, 120]
    assert plan.program.person.people_bound == 1000
    assert certified_epsilon(compose(plan), plan.program.privacy.delta) <= 4


def test_a_plan_that_takes_a_smaller_cap_for_granted_does_not_verify() -> None:
    plan = planned(spec("marginal label; marginal sex", f"{PERSONS['two silos']}; {PEOPLE}"))
    data = json.loads(canonical_json(plan))
    for field in ("silos", "samples"):
        weaker = json.loads(json.dumps(data))
        weaker["program"]["person"][field] += 1
        with pytest.raises(SecgenError, match="sensitivity"):
            verify(read_node(Plan, json.dumps(weaker)))


def test_a_plan_that_breaks_a_share_or_a_target_does_not_verify() -> None:
    plan = planned(
        spec("marginal label share 30%; marginal sex error 130 people; marginal label * sex")
    )
    data = json.loads(canonical_json(plan))
    data["program"]["queries"][0]["importance"]["share"] = "1/5"
    data["program"]["queries"][0]["statement"] = "marginal label share 20%"
    with pytest.raises(SecgenError, match="more than its share"):
        verify(read_node(Plan, json.dumps(data)))
    data = json.loads(canonical_json(plan))
    data["program"]["queries"][1]["importance"]["error"]["value"] = "2"
    data["program"]["queries"][1]["statement"] = "marginal sex error 2 people"
    with pytest.raises(SecgenError, match="accuracy"):
        verify(read_node(Plan, json.dumps(data)))
