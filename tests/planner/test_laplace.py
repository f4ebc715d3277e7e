"""Plans with Laplace noise: ε divided exactly and best, shares, accuracies, the other mechanism."""

from collections import Counter
from fractions import Fraction
from math import tanh

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.plan import GaussianNoise, LaplaceNoise, Plan, laplace_variance
from secgen_dsl.planner.laplace import SCALE_STEP, _cube_root, _divided, _greatest_scale, _Kind
from secgen_dsl.planner.mechanism import more_exact
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.planner.predict import predict
from secgen_dsl.privacy.bound import Case, compose
from secgen_dsl.privacy.laplace import share_loss
from secgen_dsl.verifier.verify import verify
from tests.planner.test_importance import PEOPLE, spec
from tests.semantics.test_hashes import meaning


def planned(
    measure: str,
    epsilon: str = "1",
    person: str = f"key patient; at most 1 sample; in at most 1 silo; {PEOPLE}",
    adjacency: str = "add or remove one person",
    rest: str = "delta 0",
) -> Plan:
    privacy = f"{adjacency}; epsilon {epsilon}; {rest}"
    plan = plan_program(meaning(spec(measure, person, privacy)).program)
    verify(plan)
    return plan


def scales(plan: Plan) -> dict[str, Fraction]:
    found = {}
    for release in plan.releases():
        assert isinstance(release.noise, LaplaceNoise)
        assert release.map == "identity"
        found[release.query] = release.noise.scale
    return found


def spent(plan: Plan) -> dict[str, Fraction]:
    return {
        release.query: release.noise.sensitivity / release.noise.scale
        for release in plan.releases()
        if isinstance(release.noise, LaplaceNoise)
    }


def test_alike_tables_share_the_budget_to_the_last_digit() -> None:
    plan = planned("marginal label; marginal sex", epsilon="0.5")
    # Two cells beside five: b ∝ a^(−1/3), and the whole budget but for a step each.
    assert sum(spent(plan).values()) == pytest.approx(0.5, rel=1e-3)
    assert scales(planned("marginal label", epsilon="0.1")) == {"label": 10}
    genes = planned("marginal label * genes in 4 equal bins", epsilon="2")
    assert scales(genes) == {"label*genes": 30}  # 60 tables
    assert spent(genes) == {"label*genes": 2}
    assert plan.added == ()


def test_epsilon_and_rho_are_summed_over_releases_of_unlike_noise() -> None:
    plan = planned("marginal label weight 9; marginal sex; marginal label * genes in 4 equal bins")
    composition = compose(plan)
    assert len(set(scales(plan).values())) == 3
    assert composition.pure == sum(spent(plan).values()) > Fraction(99, 100)
    tables = {release.query: release.tables for release in plan.releases()}
    rho = sum(
        tables[name] / float(scale) * tanh(1 / (2 * float(scale)))
        for name, scale in scales(plan).items()
    )
    assert float(composition.mu_squared) / 2 == pytest.approx(rho)


def test_the_scale_goes_with_the_cube_root() -> None:
    plan = planned("marginal label weight 64; marginal sex weight 5", epsilon="0.01")
    # a = 64·5 and 5·2: the ratio of the scales is (320/10)^(1/3).
    found = scales(plan)
    assert float(found["sex"] / found["label"]) == pytest.approx(32 ** (1 / 3), rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(1, 50)), min_size=2, max_size=5),
    st.sampled_from(["1/100", "1/2", "3"]),
)
def test_nothing_divides_epsilon_better(kinds: list[tuple[int, int]], budget: str) -> None:
    """Hölder: (Σ c·b²)^(1/3)·(Σ L/b)^(2/3) ≥ Σ c^(1/3)·L^(2/3), for any scales b."""
    pairs = [(_Kind(load, _cube_root(Fraction(1, price)), None), price) for load, price in kinds]
    found = _divided(Counter(kind for kind, _ in pairs), Fraction(budget))
    loads = [(kind.load, kind.load * price, found[kind]) for kind, price in pairs]
    assert sum((load / scale for load, _, scale in loads), Fraction(0)) <= Fraction(budget)
    ours = sum(cost * float(scale) ** 2 for _, cost, scale in loads)
    least = sum(cost ** (1 / 3) * load ** (2 / 3) for load, cost, _ in loads) ** 3
    least /= float(Fraction(budget)) ** 2
    # The scales are rounded up to thousandths.
    rounding = max(1 + 1 / (1000 * float(scale) - 1) for *_, scale in loads)
    assert least * (1 - 1e-9) <= ours <= least * rounding**2


def test_shares_are_of_epsilon_and_are_not_exceeded() -> None:
    plan = planned("marginal label share 30%; marginal sex; marginal label * sex", epsilon="0.7")
    assert spent(plan)["label"] <= Fraction(21, 100)
    assert spent(plan)["label"] == pytest.approx(0.21, rel=1e-3)
    assert sum(spent(plan).values()) == pytest.approx(0.7, rel=1e-3)
    assert sum(spent(plan).values()) <= Fraction(7, 10)
    assert next(p for p in predict(plan) if p.query.id == "label").budget_share == pytest.approx(
        0.3, rel=1e-3
    )


def test_an_accuracy_target_binds_the_scale() -> None:
    loose = planned("marginal label; marginal label * sex")
    plan = planned("marginal label error 3 people; marginal label * sex")
    # Released: all three parties' shares, variance 3/2 of the certified one.
    assert 1.5 * laplace_variance(scales(plan)["label"]) <= 9
    assert 1.5 * laplace_variance(scales(plan)["label"] + Fraction(1, SCALE_STEP)) > 9
    assert scales(plan)["label"] < scales(loose)["label"]
    assert scales(plan)["label*sex"] > scales(loose)["label*sex"]
    error = next(p for p in predict(plan) if p.query.id == "label").standard_error
    assert 2.99 < error <= 3
    # A target that is met anyway changes nothing.
    ample = planned("marginal label error 500 people; marginal label * sex")
    assert scales(ample) == scales(loose)


@pytest.mark.parametrize(
    ("measure", "says"),
    [
        ("marginal label error 1 people; marginal sex", "times its epsilon"),
        ("marginal label error 0.1%; marginal label * sex", "times its epsilon"),
        ("marginal label share 10% error 9 people; marginal sex", "times its epsilon"),
    ],
)
def test_an_accuracy_out_of_reach(measure: str, says: str) -> None:
    with pytest.raises(SecgenError, match=says) as caught:
        planned(measure, epsilon="0.5")
    assert [one.code for one in caught.value.diagnostics] == ["SG313"]


def test_an_accuracy_below_the_least_noise() -> None:
    """A thousandth is the least scale; no budget of the language asks for it."""
    assert _greatest_scale(Fraction(1, 10**300)) == Fraction(1, 1000)
    assert _greatest_scale(Fraction(1, 10**500)) is None


@settings(max_examples=60, deadline=None)
@given(st.fractions(Fraction(1, 10**6), Fraction(10**12), max_denominator=10**6))
def test_the_greatest_scale_of_a_variance(variance: Fraction) -> None:
    scale = _greatest_scale(variance)
    assert scale is not None
    assert laplace_variance(scale) <= variance
    assert laplace_variance(scale + Fraction(1, SCALE_STEP)) > variance


@given(st.fractions(Fraction(1, 10**9), Fraction(10**9), max_denominator=10**9))
def test_cube_roots(number: Fraction) -> None:
    root = _cube_root(number)
    assert (root - Fraction(1, 2**120)) ** 3 <= number < root**3


SEVERAL = f"key patient; at most 2 samples; in at most 2 silos; {PEOPLE}"


def test_several_samples_and_replacement_cost_in_proportion() -> None:
    """L1: four samples cost four times, replacing twice; √ appears nowhere."""
    once = scales(planned("marginal label", epsilon="0.5"))["label"]
    assert scales(planned("marginal label", "0.5", SEVERAL))["label"] == 4 * once
    exactly = "key patient; at most 1 sample; in at most 1 silo"
    replaced = planned("marginal label", "0.5", exactly, "replace one person of exactly 500")
    assert scales(replaced)["label"] == 2 * once
    per = f"key patient; at most 1 sample per sex; in at most 1 silo; {PEOPLE}"
    assert scales(planned("marginal label * sex", "0.5", per))["label*sex"] == 2 * once


def test_what_it_is_worth_in_other_cases() -> None:
    plan = planned("marginal label * genes in 4 equal bins", "2", SEVERAL)
    pure = compose(plan).pure
    assert pure == 2
    own = plan.program.privacy.adjacency
    assert compose(plan, Case("replace-one")).pure == 4
    assert compose(plan, Case(own, people=3)).pure == 6
    assert compose(plan, Case(own, against="outsiders")).pure == 2
    # At each of two silos two samples in each of 60 tables, hidden by one share.
    floor = compose(plan, Case(own, against="all-others")).pure
    scale = scales(plan)["label*genes"]
    assert float(floor or 0) == pytest.approx(2 * 2 * 60 * share_loss(scale, 2))
    assert float(floor or 0) > 10 * 2


def test_a_delta_beside_laplace_noise_changes_no_noise() -> None:
    without = planned("marginal label; marginal sex", rest="delta 0")
    beside = planned("marginal label; marginal sex", rest="delta 1e-6; mechanism laplace")
    assert scales(without) == scales(beside)


def test_few_tables_are_told_of_laplace_noise_and_many_of_gaussian() -> None:
    few = planned("marginal label", rest="delta 1e-6")
    other = more_exact(few)
    assert other is not None
    assert other.mechanism == "laplace"
    (errors,) = other.errors.values()
    assert errors[1] < 0.5 * errors[0]
    verify(other.plan)
    assert {r.noise.kind for r in other.plan.releases()} == {"laplace"}
    many = planned("marginal label * genes in 4 equal bins", rest="delta 1e-6; mechanism laplace")
    other = more_exact(many)
    assert other is not None
    assert other.mechanism == "gaussian"
    assert all(isinstance(r.noise, GaussianNoise) for r in other.plan.releases())
    # Nothing is said where the kind is right, and where delta 0 leaves no choice.
    assert more_exact(planned("marginal label", rest="delta 1e-6; mechanism laplace")) is None
    assert more_exact(planned("marginal label * genes in 4 equal bins", rest="delta 0")) is None


def test_too_many_scales_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from secgen_dsl.planner import laplace

    monkeypatch.setattr(laplace, "MOST_DISTINCT", 2)
    measure = "; ".join(
        f"marginal {'*'.join(columns)} weight {weight}"
        for weight, columns in zip((1, 3, 7), (["label"], ["sex"], ["label", "sex"]), strict=True)
    )
    with pytest.raises(SecgenError, match="3 different noises") as caught:
        planned(measure)
    assert caught.value.diagnostics[0].code == "SG312"


@pytest.mark.parametrize("tables", [1, 60])
@pytest.mark.parametrize("epsilon", ["0.001", "50"])
def test_budgets_from_end_to_end(epsilon: str, tables: int) -> None:
    measure = "marginal label" if tables == 1 else "marginal label * genes in 4 equal bins"
    (found,) = scales(planned(measure, epsilon)).values()
    assert found == tables / Fraction(epsilon)
