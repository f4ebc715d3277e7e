"""The certificate holds every accountant's number with its role, and cannot be talked round."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import canonical_json, read_node
from secgen_dsl.ir.certificate import Accounting, Certificate
from secgen_dsl.privacy.accountants import (
    GAUSSIAN,
    LATTICE,
    PLD,
    SECOND_PLD,
    SECOND_RENYI,
    ZCDP,
    Accountant,
)
from secgen_dsl.privacy.guarantees import guarantees
from secgen_dsl.verifier.certify import _checked, certify, is_certificate_of
from tests.conftest import SPECS

EVERY = {
    "two_hospitals": [PLD, SECOND_PLD, LATTICE, ZCDP, GAUSSIAN],
    "aml_eight_centres": [ZCDP, SECOND_RENYI, GAUSSIAN],  # a person may be in two silos
}


@pytest.fixture(scope="module", params=EVERY)
def named(request: pytest.FixtureRequest) -> tuple[str, PlannedStudy]:
    return request.param, plan_spec(SPECS / f"{request.param}.secgen")


def test_every_accountant_stands_in_it(named: tuple[str, PlannedStudy]) -> None:
    name, planned = named
    certificate = certify(planned.plan, planned.verified, independent=True)
    assert [one.accountant for one in certificate.accountings] == [a.name for a in EVERY[name]]
    assert [one.version for one in certificate.accountings] == [a.version for a in EVERY[name]]
    budget = planned.plan.program.privacy.epsilon
    numbers = {one.role: float(one.epsilon) for one in certificate.accountings}
    assert numbers["certifies"] <= budget
    assert numbers["confirms"] <= budget
    assert numbers["confirms"] == pytest.approx(numbers["certifies"], rel=2e-3)
    if "checks" in numbers:
        assert numbers["checks"] == pytest.approx(numbers["certifies"], abs=1e-3)
        assert numbers["bounds"] > numbers["certifies"]
    assert certificate.guarantees == guarantees(planned.plan)
    promise = certificate.guarantees[0]
    (at_plan,) = (p for p in promise.epsilons if p.delta == planned.plan.program.privacy.delta)
    assert float(at_plan.certified or "nan") == pytest.approx(numbers["certifies"], rel=1e-5)
    assert at_plan.estimate == next(
        one.epsilon for one in certificate.accountings if one.role == "estimates"
    )
    assert promise.mu == certificate.mu
    assert is_certificate_of(certificate, planned.plan, planned.verified)
    assert read_node(Certificate, canonical_json(certificate)) == certificate


def test_too_many_unlike_noises_are_checked_by_their_largest_group(
    colorectal: PlannedStudy,
) -> None:
    certificate = certify(colorectal.plan, colorectal.verified, independent=True)
    (checked,) = (one for one in certificate.accountings if one.role == "checks")
    assert checked.covers == "largest group"
    assert float(checked.epsilon) < colorectal.verified.epsilon
    assert is_certificate_of(certificate, colorectal.plan, colorectal.verified)


def test_without_the_independent_ones(named: tuple[str, PlannedStudy]) -> None:
    """What `check` computes holds no number of dp-accounting, and passes for no certificate."""
    _, planned = named
    own = certify(planned.plan, planned.verified, independent=False)
    assert {one.role for one in own.accountings} <= {"certifies", "bounds", "estimates"}
    assert not is_certificate_of(own, planned.plan, planned.verified)


LIES: dict[str, Callable[[Accounting], Accounting]] = {
    "less": lambda one: one.model_copy(update={"epsilon": "0.5"}),
    "more": lambda one: one.model_copy(update={"epsilon": "1.5"}),
    "not a number": lambda one: one.model_copy(update={"epsilon": "NaN"}),
    "another role": lambda one: one.model_copy(update={"role": "estimates"}),
    "another scope": lambda one: one.model_copy(update={"covers": "largest group"}),
    "another method": lambda one: one.model_copy(update={"accountant": "A rule of thumb"}),
    "a strange version": lambda one: one.model_copy(update={"version": "numpy\n1"}),
}


@pytest.mark.parametrize("role", ["certifies", "confirms", "checks", "bounds", "estimates"])
@pytest.mark.parametrize("lie", LIES)
def test_no_line_may_be_changed(two_hospitals: PlannedStudy, role: str, lie: str) -> None:
    honest = certify(two_hospitals.plan, two_hospitals.verified, independent=True)
    changed = tuple(LIES[lie](one) if one.role == role else one for one in honest.accountings)
    if changed == honest.accountings:  # an estimate that is called an estimate
        return
    stated = honest.model_copy(update={"accountings": changed})
    assert not is_certificate_of(stated, two_hospitals.plan, two_hospitals.verified)


def test_a_budget_that_the_second_accountant_does_not_confirm(two_hospitals: PlannedStudy) -> None:
    """Half the noise than there is: what our accountant would have had to get wrong."""
    composition = two_hospitals.verified.composition
    assert composition.events is not None
    events = tuple(replace(one, variance=one.variance / 2) for one in composition.events)
    wrong = replace(two_hospitals.verified, composition=replace(composition, events=events))
    with pytest.raises(SecgenError, match=r"SG321.*more than the budget"):
        certify(two_hospitals.plan, wrong, independent=True)


@pytest.mark.parametrize("found", [0.9, 1.1])
def test_an_exact_lattice_that_disagrees(two_hospitals: PlannedStudy, found: float) -> None:
    composition = two_hospitals.verified.composition
    other = Accountant("another lattice", "scipy", lambda *_: (found,))
    with pytest.raises(SecgenError, match=r"SG321.*exact lattice"):
        _checked(other, composition, Fraction(1, 10**5))


def test_where_delta_is_beyond_the_lattice_nothing_is_said(two_hospitals: PlannedStudy) -> None:
    composition = two_hospitals.verified.composition
    assert _checked(LATTICE, composition, Fraction(1, 10**12)) == ()
