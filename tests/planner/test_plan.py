"""Whole plans: the published figures, the budget, the choice of maps, the golden files."""

import itertools
import json
from collections.abc import Callable
from fractions import Fraction

import pytest

from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import canonical_json, pretty_json, read_node, sha256_of
from secgen_dsl.ir.plan import Plan
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.planner.predict import predict
from secgen_dsl.privacy.gdp import mu_for_budget, mu_squared
from secgen_dsl.verifier.certify import certify
from secgen_dsl.verifier.verify import verify
from tests.conftest import SPECS
from tests.goldens import GOLDEN, check_golden
from tests.semantics.test_hashes import TEXTS, meaning


def spec_of(panel: str, epsilon: str, measure: str, delta: str = "1e-5") -> str:
    """Study D with another vocabulary: five labels, one panel."""
    text = TEXTS["two_hospitals"]
    return (
        text[: text.index("columns {")]
        + "columns { label category { A, B, C, D, E }; sex category { f, m } }\n"
        + f"panel genes expression log2 0..20 {{ {panel} }}\n"
        + f"privacy {{ add or remove one person; epsilon {epsilon}; delta {delta} }}\n"
        + f"measure {{ {measure} }}\n"
        + text[text.index("release {") :]
    )


def planned(text: str) -> Plan:
    return plan_program(meaning(text).program)


LANDMARKS = ", ".join(f"G{k}" for k in range(978))


@pytest.mark.parametrize(
    ("epsilon", "sigma", "label_sigma"),
    [("1", 101.6, 36.3), ("2", 54.3, 19.4), ("4", 29.4, 10.5), ("8", 16.3, 5.8)],
)
def test_the_figures_of_privacy_2_2(epsilon: str, sigma: float, label_sigma: float) -> None:
    plan = planned(spec_of(LANDMARKS, epsilon, "marginal label * genes in 4 equal bins"))
    tables, labels = predict(plan)
    assert (tables.release.map, labels.asked) == ("centred", False)
    assert tables.certified_sigma == pytest.approx(sigma, abs=0.06)
    assert labels.certified_sigma == pytest.approx(label_sigma, abs=0.06)
    assert labels.budget_share == pytest.approx(0.0105, abs=0.0001)
    assert tables.budget_share + labels.budget_share == pytest.approx(1)
    # Two of the three parties are honest: what is released has √(3/2) of the certified noise.
    assert tables.released_sigma == pytest.approx(1.5**0.5 * tables.certified_sigma)
    # Plain tables would spend μ² on 978 tables alike: σ² = 978/μ².  The README quotes the ratio.
    mu_squared = sum(p.sensitivity**2 / p.certified_sigma**2 for p in (tables, labels))
    plain = 1.5 * 978 / mu_squared
    assert tables.standard_error**2 / plain == pytest.approx(0.57, abs=0.015)


WORKLOADS = [
    "marginal label",
    "marginal label * sex",
    "marginal label * genes in 2 equal bins",
    "marginal label * genes in 12 equal bins; marginal sex * genes in 3 equal bins weight 5",
    "marginal label; marginal sex weight 0.01; marginal label * sex * genes in bins at 4, 9",
]


@pytest.mark.parametrize("measure", WORKLOADS)
@pytest.mark.parametrize("epsilon", ["0.1", "1", "6"])
def test_the_budget_is_met_within_half_a_percent(measure: str, epsilon: str) -> None:
    genes = ", ".join(f"G{k}" for k in range(40))
    plan = planned(spec_of(genes, epsilon, measure))
    verified = verify(plan)  # raises if the budget is exceeded
    budget = plan.program.privacy
    assert Fraction(verified.epsilon) <= budget.epsilon
    floors = [release.noise.party_variance <= 4 for release in plan.releases()]
    if not any(floors):
        assert verified.epsilon >= 0.995 * float(budget.epsilon)
        whole = mu_for_budget(budget.epsilon, budget.delta) ** 2
        used = mu_squared((r.noise.sensitivity_squared, r.noise.variance) for r in plan.releases())
        assert Fraction(99, 100) * whole < used <= whole


def test_a_large_epsilon_meets_the_floor() -> None:
    plan = planned(spec_of("A, B", "50", "marginal label"))
    (release,) = plan.releases()
    assert release.noise.party_variance == 4


def test_plain_tables_are_kept_where_they_win() -> None:
    # Ten columns of one gene: the histogram that centring needs costs more than it saves.
    one = planned(spec_of("A", "4", "marginal label * genes in 12 equal bins"))
    many = planned(spec_of(LANDMARKS, "4", "marginal label * genes in 12 equal bins"))
    for plan in (one, many):
        chosen = {release.map for release in plan.releases()}
        assert ("centred" in chosen) == bool(plan.added)
    assert any(release.map == "centred" for release in many.releases())


def test_an_asked_histogram_is_not_added_again(colorectal: PlannedStudy) -> None:
    assert colorectal.plan.added == ()
    assert {r.map for r in colorectal.plan.releases()} == {"identity", "centred"}


def test_an_added_histogram_cites_the_line_it_serves(two_hospitals: PlannedStudy) -> None:
    (added,) = two_hospitals.plan.added
    lines = TEXTS["two_hospitals"].split("\n")
    name, _, line = two_hospitals.sources[added.id].partition(":")
    assert name == "two_hospitals.secgen"
    assert "sex * subtype * repair" in lines[int(line) - 1]


def test_predicted_errors_of_study_d(two_hospitals: PlannedStudy) -> None:
    by_id = {p.query.id: p for p in predict(two_hospitals.plan)}
    tables, labels = by_id["sex*subtype*repair"], by_id["sex*subtype"]
    s2, n2 = tables.released_sigma**2, labels.released_sigma**2
    assert tables.standard_error == pytest.approx((s2 * 3 / 4 + n2 / 16) ** 0.5)
    assert tables.relative_error is None  # no bound on people is stated
    assert by_id["sex"].standard_error == by_id["sex"].released_sigma


# ---- golden files: SECGEN_UPDATE_GOLDEN=1 writes them anew ---------------------------------------


@pytest.mark.parametrize("name", ["colorectal", "two_hospitals"])
def test_golden_plans(name: str) -> None:
    plan = plan_spec(SPECS / f"{name}.secgen").plan
    text = pretty_json(plan).decode()
    check_golden(GOLDEN / f"{name}.plan.json", text)
    check_golden(GOLDEN / f"{name}.plan.sha256", sha256_of(plan) + "\n")
    assert canonical_json(read_node(Plan, text)) == canonical_json(plan)


def test_a_plan_holds_no_floats() -> None:
    def floats(data: object) -> bool:
        children = (
            data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
        )
        return isinstance(data, float) or any(map(floats, children))

    for name in ("colorectal", "two_hospitals"):
        assert not floats(json.loads(canonical_json(plan_spec(SPECS / f"{name}.secgen").plan)))


def test_a_budget_too_small_for_any_accountant_is_said_so() -> None:
    genes = ", ".join(f"G{k}" for k in range(1000))
    measure = "marginal label * sex * genes in 64 equal bins"
    with pytest.raises(SecgenError) as caught:
        planned(spec_of(genes, "0.001", measure))
    assert caught.value.diagnostics[0].code == "SG312"


def test_the_second_accountant_confirms_a_tiny_budget() -> None:
    plan = planned(spec_of("A, B", "0.001", "marginal label; marginal sex"))
    certificate = certify(plan, verify(plan), independent=True)
    within = [a for a in certificate.accountings if a.role in ("certifies", "confirms")]
    assert len(within) == 2
    assert all(float(a.epsilon) <= 0.001 for a in within)


def test_more_weights_than_an_accountant_composes() -> None:
    """Refused with the way out; as many marginals of one weight are planned."""
    columns = "; ".join(f"c{k} category {{ x, y }}" for k in range(31))
    triples = list(itertools.combinations(range(31), 3))[:4200]

    def text(weight: Callable[[int], str]) -> str:
        lines = "; ".join(
            f"marginal c{i} * c{j} * c{k} weight {weight(number)}"
            for number, (i, j, k) in enumerate(triples)
        )
        whole = spec_of("A, B", "4", lines)
        whole = whole.replace("sex category { f, m }", columns)
        return whole[: whole.index("release {")] + "release { measurements to silos }\n"

    with pytest.raises(SecgenError) as caught:
        planned(text(lambda number: f"{1 + number / 100:.2f}"))
    (found,) = caught.value.diagnostics
    assert found.code == "SG312"
    assert "4,200 different noises, more than the 4,096" in found.message
    assert "the same weight" in found.next_step
    assert len(list(planned(text(lambda number: "2" if number % 2 else "1")).releases())) == 4200
