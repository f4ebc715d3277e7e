"""What several studies cost together."""

from decimal import Decimal
from fractions import Fraction
from math import inf

import pytest

from secgen_dsl.ir.base import canonical_json, read_node
from secgen_dsl.privacy.bound import certified_epsilon, compose
from secgen_dsl.privacy.events import BoundedLoss
from secgen_dsl.privacy.spend import (
    SLACK_ALLOWANCE,
    LaplaceEvent,
    Spend,
    _readable,
    composed_epsilon,
    composed_mu,
    epsilon_estimate,
    epsilon_if_fixed,
    spend_of,
)
from secgen_dsl.runtime.policy import Policy
from tests.mpyc.plans import plan_three
from tests.runtime.spends import gaussians

DELTA = Fraction(1, 10**5)


def test_one_study_costs_what_its_certificate_says() -> None:
    plan = plan_three()
    spend = spend_of(plan)
    assert composed_epsilon([spend], DELTA) == certified_epsilon(compose(plan), DELTA)
    assert read_node(Spend, canonical_json(spend)) == spend


def test_several_are_composed_as_a_renyi_filter_allows() -> None:
    """PRIVACY 1.2, T = 1,000 discrete Gaussians at ε = 4: σ² = 34.19², here in four studies."""
    quarter = gaussians(1, 1).model_copy(
        update={
            "mu_squared": Fraction(250 * 10**4, 3419**2),
            "events": tuple(
                event.model_copy(update={"variance": Fraction(3419**2, 10**4), "count": 250})
                for event in gaussians(1, 1).events or ()
            ),
        }
    )
    studies = [quarter] * 4
    assert epsilon_if_fixed(studies, DELTA) == pytest.approx(4.0, abs=1e-3)
    assert epsilon_estimate(studies, DELTA) == pytest.approx(4.0, abs=1e-3)
    assert composed_epsilon(studies, DELTA) == pytest.approx(4.324, abs=2e-3)
    assert composed_mu(studies) == pytest.approx(0.9249, abs=1e-4)


def laplace(loss: str, count: int) -> Spend:
    """``count`` tables with Laplace noise of scale 1/loss, and nothing beside them."""
    each = BoundedLoss(Fraction(loss), count)
    event = LaplaceEvent(mechanism="discrete-laplace", loss=each.loss, count=count)
    return gaussians(1, 1).model_copy(
        update={"mu_squared": each.mu_squared, "events": (event,), "pure": each.epsilon}
    )


def test_studies_of_laplace_noise_add_up() -> None:
    """Few great losses: the sum of ε is the least bound.  Many small ones: Rényi is."""
    few = [laplace("1/2", 1), laplace("1", 1), laplace("1/2", 1)]
    assert composed_epsilon(few, DELTA) == 2.0
    # Each by itself is worth its own: the sum is not the dearest.
    assert [composed_epsilon([study], DELTA) for study in few] == [0.5, 1.0, 0.5]
    many = [laplace("1/100", 1000)] * 3
    assert 1 < composed_epsilon(many, DELTA) < 5


def test_beside_gaussian_noise_there_is_no_sum_of_epsilon() -> None:
    """What is pure of a part says nothing of the whole: that costs more than either."""
    study = gaussians(1, 1)
    alone = composed_epsilon([study, study], DELTA)
    mixed = [study, laplace("1/2", 1), study]
    assert composed_epsilon(mixed, DELTA) > alone > 1
    fixed = epsilon_if_fixed(mixed, DELTA)
    assert fixed is not None
    assert 1 < fixed < composed_epsilon(mixed, DELTA)


def test_it_grows_and_is_never_below_what_fixed_plans_would_cost() -> None:
    studies: list[Spend] = []
    before = 0.0
    for variance in (400, 90, 3000, 50):
        studies.append(gaussians(variance, 40))
        total, fixed = composed_epsilon(studies, DELTA), epsilon_if_fixed(studies, DELTA)
        assert fixed is not None
        assert total > before
        assert total >= fixed
        before = total


def test_slack_beyond_the_allowance_has_no_bound() -> None:
    slack = {"slack": SLACK_ALLOWANCE}
    studies = [gaussians(400, 3).model_copy(update=slack)]
    assert composed_epsilon(studies, DELTA) < inf
    assert composed_epsilon(studies * 2, DELTA) == inf
    assert list(Policy(max_epsilon=Fraction(50), delta=DELTA).refusals(studies, studies[0]))


def test_a_plan_without_events_is_composed_by_renyi() -> None:
    moments = gaussians(400, 40).model_copy(update={"events": None})
    assert epsilon_if_fixed([moments], DELTA) is None
    one = composed_epsilon([moments, gaussians(400, 40)], DELTA)
    assert one == composed_epsilon([gaussians(400, 40)] * 2, DELTA)


def test_the_first_study_may_use_its_certificate_and_is_the_last_then() -> None:
    """Between the certificate's ε and Rényi's: admitted alone, and nothing after it."""
    study = gaussians(1169, 1000)
    alone = composed_epsilon([study], DELTA)
    policy = Policy(max_epsilon=Fraction(alone), delta=DELTA)
    assert not list(policy.refusals([], study))
    assert list(policy.refusals([study], gaussians(10**9, 1)))


def test_the_room_that_is_told_fits_and_is_nearly_all() -> None:
    spent, plan = [gaussians(400, 40)], gaussians(40, 40)
    policy = Policy(max_epsilon=Fraction(3), delta=DELTA)
    room = policy.room(spent, plan)
    assert room is not None
    assert room > 0

    def fits(epsilon: float) -> bool:
        variance = next(v for v in range(40, 10**6) if epsilon_estimate(
            [gaussians(v, 40)], plan.delta) <= epsilon)  # fmt: skip
        return not list(policy.refusals(spent, gaussians(variance, 40)))

    assert fits(room)
    assert not fits(room * 1.15)
    assert policy.room([gaussians(40, 40)], plan) == 0


def test_policies() -> None:
    study = gaussians(400, 40)
    assert not list(Policy().refusals([study] * 100, study))
    most = Policy(max_studies=2)
    assert not list(most.refusals([study], study))
    assert [key for key, _ in most.refusals([study] * 2, study)] == ["max_studies"]
    assert [key for key, _ in Policy(max_studies=0).refusals([], study)] == ["max_studies"]
    strict = Policy(max_delta=Fraction(1, 10**7))
    assert [key for key, _ in strict.refusals([], study)] == ["max_delta"]
    assert not list(Policy(max_delta=study.delta).refusals([], study))


@pytest.mark.parametrize(
    "data",
    [
        {"max_epsilon": 6},
        {"delta": Decimal("1e-6")},
        {"max_epsilon": 0, "delta": Decimal("1e-6")},
        {"max_epsilon": True, "delta": Decimal("1e-6")},
        {"max_epsilon": "6", "delta": Decimal("1e-6")},
        {"max_epsilon": Decimal("1e-999999999"), "delta": Decimal("1e-6")},
        {"max_epsilon": Decimal("1e999999999"), "delta": Decimal("1e-6")},
        {"max_epsilon": 10**4000, "delta": Decimal("1e-6")},
        {"max_epsilon": Decimal("NaN"), "delta": Decimal("1e-6")},
        {"max_epsilon": 6, "delta": 1},
        {"max_delta": Decimal("inf")},
        {"max_studies": -1},
        {"max_studies": Decimal("1.5")},
        {"most_studies": 3},
    ],
    ids=str,
)
def test_policies_that_say_nothing(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"validation error"):
        Policy.model_validate(data)


def test_a_fraction_of_many_digits_is_rounded_up() -> None:
    assert _readable(Fraction(2, 3)) == Fraction(2, 3)
    long = Fraction(1, 3**1200)
    assert 0 < _readable(long + 1) - (long + 1) < Fraction(1, 2**127)
