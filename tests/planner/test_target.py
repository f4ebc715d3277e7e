"""The inverse questions: which ε an accuracy needs, and which accuracy all queries can share."""

from decimal import Decimal
from fractions import Fraction
from itertools import combinations

import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import ErrorTarget
from secgen_dsl.planner.allocation import OutOfReachError, allocate
from secgen_dsl.planner.epsilons import with_epsilon
from secgen_dsl.planner.plan import ACCOUNTING_RESERVE, plan_program
from secgen_dsl.planner.predict import predict
from secgen_dsl.planner.strategy import _may_be_centred, _measured, _tables_of_genes
from secgen_dsl.planner.target import Target, _with_targets, answer, least_common
from secgen_dsl.privacy.bound import mu_for
from secgen_dsl.verifier.verify import verify
from tests.planner.test_double_centred_pairs import BOTH, text
from tests.semantics.test_hashes import meaning

PERSON = "key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all"
SHARED = (
    "marginal label share 20%; marginal label * genes in 4 equal bins weight 3; "
    "marginal sex * few in 3 equal bins; marginal sex error 40 people"
)
MEASURES = {
    "one histogram": "marginal label; marginal label * few in 4 equal bins weight 9",
    "shares": SHARED,
    "pairs": BOTH,
    "learned bins": "marginal label * few in 4 learned bins; marginal sex weight 5",
}


def program_of(measure: str, epsilon: str = "1", privacy: str = "") -> Program:
    whole = text(measure, epsilon, person=PERSON)
    return meaning(whole.replace("delta 1e-6", privacy or "delta 1e-6")).program


def worst(plan: Plan) -> float:
    return max((one.relative_error or 0) * 100 for one in predict(plan) if one.asked)


def percent(value: str) -> ErrorTarget:
    return ErrorTarget(unit="percent", value=Fraction(value))


@pytest.mark.parametrize("measure", MEASURES.values(), ids=list(MEASURES))
@pytest.mark.parametrize("error", ["4", "15"])
def test_the_least_epsilon_reaches_the_target_and_the_next_smaller_one_does_not(
    measure: str, error: str
) -> None:
    program = program_of(measure)
    target = Target("", percent(error))
    found = answer(program, target)
    assert found.as_written is not None
    assert found.divided is not None
    assert found.divided.epsilon <= found.as_written.epsilon
    for enough in (found.as_written, found.divided):
        assert worst(enough.plan) <= float(error) * (1 + 1e-9)
        assert verify(enough.plan).epsilon <= enough.epsilon
        own = Fraction(1, 10 ** (2 - Decimal(float(enough.epsilon)).adjusted()))
        smaller = with_epsilon(enough.plan.program, enough.epsilon - own)
        try:
            assert worst(plan_program(smaller)) > float(error)
        except SecgenError as caught:
            assert caught.diagnostics[0].code == "SG313"  # its own targets are out of reach


@pytest.mark.parametrize("privacy", ["delta 0", "delta 1e-6; mechanism laplace"])
def test_laplace_noise(privacy: str) -> None:
    found = answer(
        program_of("marginal label; marginal sex weight 4", privacy=privacy),
        Target("label", ErrorTarget(unit="people", value=Fraction(3))),
    )
    assert found.asked == ("label",)
    assert found.as_written is not None
    assert found.divided is not None
    for enough in (found.as_written, found.divided):
        (label,) = (one for one in enough.predictions if one.query.id == "label")
        assert 2.9 < label.standard_error <= 3


def test_one_query_may_ask_and_the_others_stay_as_exact() -> None:
    program = program_of(SHARED)
    found = answer(program, Target("label * genes", percent("8")))
    assert found.now is not None
    assert found.divided is not None
    before = {one.query.id: one.standard_error for one in found.now.predictions}
    for one in found.divided.predictions:
        if one.query.id != "label*genes":
            assert one.standard_error <= before[one.query.id] * (1 + 1e-9)


def test_no_epsilon_makes_parties_draw_less_noise() -> None:
    with pytest.raises(SecgenError, match=r"no epsilon reaches error 0\.01%") as caught:
        answer(program_of(SHARED), Target("", percent("0.01")))
    assert caught.value.diagnostics[0].code == "SG313"


def least_by_brute_force(program: Program) -> float:
    """The least common error in percent: all choices of maps, bisection on the error itself.

    (Of one choice of maps the ceilings cost least: ``test_ceilings``.)
    """
    privacy = program.privacy
    part = 1 - ACCOUNTING_RESERVE
    mu = mu_for(program, privacy.epsilon * part, privacy.delta * part)
    genes = _tables_of_genes(program)
    names = [q.id for q in program.queries if _may_be_centred(q) or q.id in genes]
    choices = [set(own) for k in range(len(names) + 1) for own in combinations(names, k)]

    def reached(error: Fraction) -> bool:
        asking = _with_targets(program, program.queries, percent(str(error)))  # type: ignore[arg-type]
        for own in choices:
            try:
                allocate(_measured(asking, own, genes, {}), mu, 2)
            except OutOfReachError:
                continue
            return True
        return False

    low, high = Fraction(1, 10), Fraction(1000)
    while high - low > low / 5000:
        middle = Fraction(round((low + high) / 2 * 10**6), 10**6)
        low, high = (low, middle) if reached(middle) else (middle, high)
    return float(high)


@pytest.mark.parametrize("epsilon", ["0.5", "3"])
@pytest.mark.parametrize("measure", MEASURES.values(), ids=list(MEASURES))
def test_the_least_common_error_is_that_of_brute_force(measure: str, epsilon: str) -> None:
    program = program_of(measure.replace(" error 40 people", ""), epsilon)
    found = least_common(program, "percent")
    reached = float(found.error.value)
    assert worst(found.found.plan) <= reached * (1 + 1e-9)
    assert found.found.epsilon == program.privacy.epsilon
    assert verify(found.found.plan).epsilon <= program.privacy.epsilon
    best = least_by_brute_force(program)
    # Three digits, rounded up; what discreteness costs is kept back in steps of 1/1024.
    assert best * (1 - 1e-3) <= reached <= best * 1.015


def test_in_people_without_a_bound_on_people() -> None:
    program = meaning(text("marginal label; marginal sex weight 7")).program
    if program.person.people_bound is not None:
        person = program.person.model_copy(update={"people_bound": None})
        program = program.model_copy(update={"person": person})
    found = least_common(program, "people")
    errors = [one.standard_error for one in found.found.predictions]
    assert max(errors) / min(errors) < 1.01
    with pytest.raises(SecgenError, match="public number of people"):
        least_common(program, "percent")
