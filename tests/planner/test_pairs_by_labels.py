"""Pairs by labels: shapes, sensitivity, certificate, error, and what the verifier refuses."""

import json
from fractions import Fraction
from typing import Any

import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import canonical_json
from secgen_dsl.ir.plan import Plan
from secgen_dsl.planner.predict import predict
from secgen_dsl.privacy.bound import compose, slack_of
from secgen_dsl.privacy.events import ShiftedGaussian
from secgen_dsl.privacy.slack import double_centring_slack, split_noise_slack
from secgen_dsl.verifier.certify import certify
from secgen_dsl.verifier.verify import verify
from tests.planner.test_double_centred_pairs import plan_of, refusal, release_of, with_target

PAIRS = "label*pairs of few"
BOTH = "marginal label * few in 3 equal bins; marginal label * pairs of few in 3 equal bins"
PER = "key patient; at most 1 sample per label; in at most 1 silo; at most 1000 people in all"
NUMBER, LABELS = 8 * 7 // 2, 5


def without(plan: Plan, name: str) -> Plan:
    (one_round,) = plan.rounds
    others = tuple(one for one in one_round.releases if one.query != name)
    return plan.model_copy(update={"rounds": (one_round.model_copy(update={"releases": others}),)})


@pytest.mark.parametrize("person", ["", PER])
@pytest.mark.parametrize("bins", [2, 3])
def test_double_centred_blocks(bins: int, person: str) -> None:
    """A person is in one block of each table, with a cap of its own for each label in all five."""
    more = {"person": person} if person else {}
    plan = plan_of(BOTH.replace("3 equal", f"{bins} equal"), **more)
    verify(plan)
    release = release_of(plan, PAIRS)
    groups = LABELS if person else 1
    assert release.map == "double-centred"
    assert (release.tables, release.raw_cells) == (NUMBER, NUMBER * LABELS * bins**2)
    assert release.opened == NUMBER * LABELS * (bins - 1) ** 2
    moved = NUMBER * groups * (1 - Fraction(1, bins)) ** 2
    assert release.noise.sensitivity_squared == moved
    spread = bins**2 * (bins - 1) ** 2 * release.noise.variance
    event = ShiftedGaussian(spread, (bins - 1) ** 2, NUMBER * groups)
    assert event in (compose(plan).events or ())
    assert slack_of(plan) - slack_of(without(plan, PAIRS)) == (
        split_noise_slack(release.raw_cells, release.noise.party_variance, 2)
        + double_centring_slack(NUMBER * groups, bins, release.noise.variance)
    )


@pytest.mark.parametrize(
    ("person", "touched"),
    [
        ("at most 1 sample", 1),
        ("at most 3 samples", 3),
        ("at most 1 sample per label", LABELS),
        ("at most 2 samples per label", LABELS),  # there are no more blocks than labels
    ],
)
def test_slack_is_added_for_every_block_that_a_person_may_be_in(person: str, touched: int) -> None:
    plan = plan_of(
        BOTH, person=f"key patient; {person}; in at most 1 silo; at most 1000 people in all"
    )
    (one_round,) = plan.rounds
    # Far less noise than a plan may have: else the slack is less than its rounding.
    quiet = {"variance": Fraction(8), "party_variance": Fraction(4)}
    releases = tuple(
        one.model_copy(update={"noise": one.noise.model_copy(update=quiet)})
        if one.query == PAIRS
        else one
        for one in one_round.releases
    )
    changed = one_round.model_copy(update={"releases": releases})
    plan = plan.model_copy(update={"rounds": (changed,)})
    found = slack_of(plan) - slack_of(without(plan, PAIRS))
    found -= split_noise_slack(NUMBER * LABELS * 9, Fraction(4), 2)
    assert found == double_centring_slack(NUMBER * touched, 3, Fraction(8)) > 0
    assert found > double_centring_slack(NUMBER * touched - 1, 3, Fraction(8))


def test_plain_tables_cost_what_they_cost_without_labels() -> None:
    plan = plan_of("marginal label; marginal label * pairs of few in 3 equal bins")
    release = release_of(plan, PAIRS)
    assert (release.map, release.opened) == ("identity", NUMBER * LABELS * 9)
    assert release.noise.sensitivity_squared == NUMBER
    assert ShiftedGaussian(release.noise.variance, 1, NUMBER) in (compose(plan).events or ())


def test_the_certificate_is_confirmed_by_the_second_accountant() -> None:
    plan = plan_of(BOTH)
    certificate = certify(plan, verify(plan), independent=True)
    found = {one.role: float(one.epsilon) for one in certificate.accountings}
    assert found["certifies"] == pytest.approx(found["confirms"], rel=1e-4)
    assert 0.995 < found["certifies"] <= 1


@pytest.mark.parametrize(
    ("measure", "linear_map"),
    [
        (BOTH, "double-centred"),
        (BOTH.replace("label * few", "label * sex * few") + " weight 100", "double-centred"),
        (BOTH.replace("label * few", "sex * few"), "identity"),  # whose rows lack the label
        (BOTH.replace("label * pairs", "label * sex * pairs"), "identity"),
    ],
)
def test_own_tables_need_the_pairs_labels(measure: str, linear_map: str) -> None:
    plan = plan_of(measure)
    (name,) = (query.id for query in plan.program.queries if query.kind == "pairs")
    assert release_of(plan, name).map == linear_map


@pytest.mark.parametrize(
    "own",
    ["label * few in 3 equal bins", "label * sex * few in 3 equal bins; marginal label * sex"],
)
def test_predicted_and_verified_errors_agree(own: str) -> None:
    plan = plan_of(f"marginal {own}; marginal label * pairs of few in 3 equal bins weight 30")
    assert release_of(plan, PAIRS).map == "double-centred"
    found = next(one for one in predict(plan) if one.query.id == PAIRS)
    assert found.relative_error == pytest.approx(found.standard_error / (1000 / LABELS / 3))
    error = Fraction(found.standard_error)
    verify(with_target(plan, error * Fraction(1000001, 1000000), PAIRS))
    with pytest.raises(SecgenError, match="accuracy"):
        verify(with_target(plan, error * Fraction(999999, 1000000), PAIRS))


@pytest.mark.parametrize("error", ["error 60 people", "error 90%", "error 41 people"])
def test_an_accuracy_target_is_kept(error: str) -> None:
    plan = plan_of(f"{BOTH} {error} weight 0.001; marginal sex weight 1000")
    found = next(one for one in predict(plan) if one.query.id == PAIRS)
    number = float(error.split()[1].rstrip("%"))
    reached = 100 * (found.relative_error or 0) if "%" in error else found.standard_error
    assert reached <= number * (1 + 1e-9)


# ---- plans that promise too much -----------------------------------------------------------------


@pytest.fixture
def data() -> Any:
    return json.loads(canonical_json(plan_of(BOTH)))


def release_in(data: Any) -> Any:
    return next(r for r in data["rounds"][0]["releases"] if r["query"] == PAIRS)


@pytest.mark.parametrize("opened", [NUMBER * (LABELS * 3 - 1) * 2, NUMBER * 4])
def test_more_or_fewer_values_than_the_blocks_yield(data: Any, opened: int) -> None:
    release_in(data)["opened"] = opened
    assert "another number of values" in refusal(data)


@pytest.mark.parametrize("factor", [Fraction(1, 5), Fraction(9, 4)])
def test_another_sensitivity(data: Any, factor: Fraction) -> None:
    noise = release_in(data)["noise"]
    noise["sensitivity_squared"] = str(Fraction(noise["sensitivity_squared"]) * factor)
    assert "sensitivity" in refusal(data)


@pytest.mark.parametrize(
    ("columns", "words"),
    [(["label", "label"], "distinct columns"), (["stage"], "distinct columns")],
)
def test_labels_that_are_no_columns(data: Any, columns: list[str], words: str) -> None:
    data["program"]["queries"][1]["columns"] = columns
    assert words in refusal(data)


def test_a_cap_for_each_label_is_not_a_cap_in_all(data: Any) -> None:
    """`per label` lets a person into a block of each: the plan without it promises too much."""
    data["program"]["person"]["per"] = "label"
    assert "sensitivity" in refusal(data)


def test_one_set_of_labels_for_all_pairs() -> None:
    """Synthetic rows have one matrix for each cell of it; the order of the labels is free."""
    two = "; ".join(f"marginal {of} * pairs of few in 3 equal bins" for of in ("label", "label"))
    plan = plan_of(two.replace("3 equal", "2 equal", 1))
    changed = json.loads(canonical_json(plan))
    query = changed["program"]["queries"][1]
    query["columns"] = ["sex"]
    query["statement"] = query["statement"].replace("label", "sex")
    assert "more than one set of labels" in refusal(changed)
    both = "marginal label * sex * pairs of few in 3 equal bins"
    verify(plan_of(f"{both}; {both.replace('label * sex', 'sex * label').replace('3', '2')}"))


@pytest.mark.parametrize("values", [1_780, 1_800])
def test_more_correlations_than_can_be_fitted(data: Any, values: int) -> None:
    """28 pairs in at most 1,785 label cells."""
    (label,) = (c for c in data["program"]["columns"] if c["name"] == "label")
    label["values"] += [f"v{number}" for number in range(values - LABELS)]
    assert ("too many correlations" in refusal(data)) == (values == 1_800)
