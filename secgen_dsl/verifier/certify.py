"""The certificate of a verified plan: all accountants' numbers, each with its role."""

import re
from dataclasses import replace
from fractions import Fraction
from importlib.metadata import version

from secgen_dsl import __version__
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.certificate import Accounting, Certificate, Role
from secgen_dsl.ir.plan import LaplaceNoise, Plan
from secgen_dsl.privacy.accountants import (
    LATTICE,
    PLD,
    SUM,
    Accountant,
    asked,
    certifier,
)
from secgen_dsl.privacy.events import Composition, ShiftedGaussian
from secgen_dsl.privacy.guarantees import guarantees
from secgen_dsl.privacy.laplace import summed_loss
from secgen_dsl.privacy.rounding import six_digits_up, sqrt_not_below
from secgen_dsl.verifier.verify import Verified

INDEPENDENT: frozenset[Role] = frozenset({"confirms", "checks"})
"""Roles of the accountants that are asked only on demand: their libraries take seconds to load."""

_EPSILON = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?(E-[0-9]{1,3})?")
_VERSION = re.compile(r"[a-z-]{1,20} [0-9A-Za-z.+]{1,40}")
_SHARES = "laws of the parties' shares, added up numerically (secgen)"

_SPARE = Fraction(1, 100)
"""A confirming accountant's number may lie this share below ours, and no more."""

_AGREEMENT = Fraction(1, 1000)
"""The exact lattice and the certifying accountant differ by less, in ε or in parts of ε."""


def certify(plan: Plan, verified: Verified, *, independent: bool) -> Certificate:
    """The certificate of a plan that ``verify`` accepted.

    Args:
        independent: also ask dp-accounting and the exact lattice (takes seconds).

    Raises:
        SecgenError: SG321 if an independent accountant does not confirm the budget.
    """
    privacy = plan.program.privacy
    composition = verified.composition
    accountings: list[Accounting] = []
    for accountant, role in asked(composition, privacy.delta).items():
        if role == "checks" and independent:
            accountings += _checked(accountant, composition, privacy.delta)
        elif role not in INDEPENDENT or independent:
            epsilon = accountant.epsilon(composition, privacy.delta)
            if role == "confirms" and not Fraction(epsilon) <= privacy.epsilon:
                raise _not_confirmed(
                    f"the second accountant finds epsilon {epsilon:.6g}, more than the budget"
                )
            exact = composition.pure if accountant is SUM else None
            accountings.append(_accounting(accountant, role, exact or epsilon))
    if composition.pure is not None and independent:
        accountings.append(_shares_added_up(plan, composition.pure))
    return Certificate(
        format="secgen.certificate/2",
        plan_sha256=verified.plan_sha256,
        secgen_version=__version__,
        epsilon=privacy.epsilon,
        delta=privacy.delta,
        mu=six_digits_up(sqrt_not_below(composition.mu_squared)),
        slack=six_digits_up(float(composition.slack)),
        accountings=tuple(accountings),
        guarantees=guarantees(plan),
    )


def is_certificate_of(stated: Certificate, plan: Plan, verified: Verified) -> bool:
    """Whether a certificate says what ``certify`` says of a plan that ``verify`` accepted.

    What our own accountants say is computed again and must be the same.  Of the others (asking
    them takes seconds) only what can be told without them is checked: they must all be there, the
    confirming one within the budget and at most 1 % below ours, the lattice as near as it has to
    be.
    """
    fresh = certify(plan, verified, independent=False)
    roles = _roles(plan, verified.composition)
    own = [one for one in stated.accountings if roles.get(one.accountant) not in INDEPENDENT]
    others = [one for one in stated.accountings if roles.get(one.accountant) in INDEPENDENT]
    names = [one.accountant for one in others]
    required = {name for name, role in roles.items() if role == "confirms"}
    return (
        stated.model_copy(update={"accountings": ()})
        == fresh.model_copy(update={"accountings": ()})
        and [_without_version(one) for one in own]
        == [_without_version(one) for one in fresh.accountings]
        and all(_VERSION.fullmatch(one.version) for one in stated.accountings)
        and required <= set(names)
        and len(set(names)) == len(names)
        and all(
            one.role == roles[one.accountant] and _plausible(one, plan, verified) for one in others
        )
    )


def _roles(plan: Plan, composition: Composition) -> dict[str, Role]:
    """Name → role of every accountant that a certificate of the plan may name."""
    accountants = asked(composition, plan.program.privacy.delta)
    roles: dict[str, Role] = {one.name: role for one, role in accountants.items()}
    return roles | ({_SHARES: "checks"} if composition.pure is not None else {})


def _plausible(stated: Accounting, plan: Plan, verified: Verified) -> bool:
    """Whether an independent accountant may have said this."""
    if _EPSILON.fullmatch(stated.epsilon) is None:
        return False
    number, ours = Fraction(stated.epsilon), Fraction(verified.epsilon)
    if stated.role == "confirms":
        if verified.composition.pure is not None:  # tighter than the sum, at δ > 0
            ours = Fraction(PLD.epsilon(verified.composition, plan.program.privacy.delta))
        fits = (1 - _SPARE) * ours <= number <= plan.program.privacy.epsilon
        return fits and stated.covers == "plan"
    if stated.covers == "largest group":
        ours = Fraction(_of_largest_group(verified.composition, plan.program.privacy.delta))
    return _agree(number, ours)


def _checked(
    accountant: Accountant, composition: Composition, delta: Fraction
) -> tuple[Accounting, ...]:
    """The exact lattice's number of the whole, or of the largest group of equal noise.

    Nothing where δ, or the lattice of the largest group, is beyond what it can compute.
    """
    try:
        found = accountant.epsilon(composition, delta)
        ours, covers = certifier(composition).epsilon(composition, delta), "plan"
    except ValueError:
        try:
            found = accountant.epsilon(_largest_group(composition), delta)
        except ValueError:
            return ()
        ours, covers = _of_largest_group(composition, delta), "largest group"
    if not _agree(Fraction(found), Fraction(ours)):
        raise _not_confirmed(
            f"the exact lattice finds epsilon {found:.6g} where {ours:.6g} is certified"
        )
    return (_accounting(LATTICE, "checks", found).model_copy(update={"covers": covers}),)


def _shares_added_up(plan: Plan, pure: Fraction) -> Accounting:
    """ε from the laws of the parties' shares, added up numerically: no formula of theirs is used.

    Raises:
        SecgenError: SG321, it is not the exact sum.
    """
    found = sum(
        release.noise.sensitivity * summed_loss(release.noise.scale, release.noise.parts)
        for release in plan.releases()
        if isinstance(release.noise, LaplaceNoise)
    )
    if not _agree(Fraction(found), pure):
        raise _not_confirmed(f"the parties' shares add up to {found:.6g} where {float(pure):.6g} "
                             "is certified")  # fmt: skip
    return Accounting(
        accountant=_SHARES,
        version=f"numpy {version('numpy')}",
        covers="plan",
        epsilon=f"{found:.6g}",
        role="checks",
    )


def _largest_group(composition: Composition) -> Composition:
    """The events of equal noise that spend most, with all of the slack."""
    events = [event for event in composition.events or () if isinstance(event, ShiftedGaussian)]
    if not events:
        raise ValueError("competing shifts have no groups of equal noise")
    largest = max(events, key=lambda event: (event.mu_squared, event.variance))
    return replace(composition, events=(largest,), mu_squared=largest.mu_squared)


def _of_largest_group(composition: Composition, delta: Fraction) -> float:
    group = _largest_group(composition)
    return certifier(group).epsilon(group, delta)


def _agree(number: Fraction, ours: Fraction) -> bool:
    return abs(number - ours) <= _AGREEMENT * max(Fraction(1), ours)


def _accounting(accountant: Accountant, role: Role, epsilon: float | Fraction) -> Accounting:
    return Accounting(
        accountant=accountant.name,
        version=accountant.version,
        covers="plan",
        epsilon=six_digits_up(epsilon),
        role=role,
    )


def _without_version(accounting: Accounting) -> Accounting:
    return accounting.model_copy(update={"version": ""})


def _not_confirmed(message: str) -> SecgenError:
    return fail(
        "SG321",
        message,
        place="plan",
        next_step="do not run this plan; report it with the spec",
    )
