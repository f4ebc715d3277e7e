"""The certificate of a verified plan: our accountant, and on demand an independent one."""

import re
from decimal import ROUND_CEILING, Context
from fractions import Fraction
from math import sqrt

import numpy as np

from secgen_dsl import __version__
from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.certificate import Accounting, Certificate
from secgen_dsl.ir.plan import Plan
from secgen_dsl.privacy.gdp import epsilon_for_mu, mu_squared
from secgen_dsl.privacy.renyi import epsilon_from_zcdp
from secgen_dsl.verifier.verify import Verified

_ZCDP = "zCDP to (epsilon, delta), Canonne-Kamath-Steinke"
_PLD = "privacy loss distribution, connect-the-dots (secgen, numpy)"
_SECOND_PLD = "privacy loss distribution, connect-the-dots (dp-accounting)"
_SECOND_RENYI = "Rényi differential privacy (dp-accounting)"
_SECOND_EPSILON = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?(E-[0-9]{1,3})?")
_VERSION = re.compile(r"(secgen|numpy|dp-accounting) [0-9A-Za-z.+]{1,40}")
_SPARE = Fraction(1, 100)
"""The second accountant's number may lie this share below ours, and no more."""

_SIX_DIGITS_UP = Context(prec=6, rounding=ROUND_CEILING)


def certify(plan: Plan, verified: Verified, *, independent: bool) -> Certificate:
    """The certificate of a plan that ``verify`` accepted.

    Args:
        independent: also ask dp-accounting (takes seconds to import).

    Raises:
        SecgenError: SG321 if the independent accountant does not confirm the budget.
    """
    privacy = plan.program.privacy
    delta = float(privacy.delta)
    composition = verified.composition
    events = composition.events
    accountings = [
        Accounting(
            accountant=_ZCDP if events is None else _PLD,
            version=f"secgen {__version__}" if events is None else f"numpy {np.__version__}",
            epsilon=_up(verified.epsilon),
            role="certifies",
        )
    ]
    if independent:
        from secgen_dsl.privacy.second_opinion import (
            second_epsilon,
            second_opinion_version,
            second_renyi_epsilon,
        )

        # Its grid must be fine beside a small ε, or its rounding alone exceeds the budget.
        interval = float(min(Fraction(1, 10_000), privacy.epsilon / 2000))
        slack = composition.slack
        if events is None:
            epsilon = second_renyi_epsilon(composition.mu_squared, privacy.delta, slack=slack)
        else:
            epsilon = second_epsilon(events, privacy.delta, slack=slack, interval=interval)
        if not Fraction(epsilon) <= privacy.epsilon:
            raise fail(
                "SG321",
                f"the second accountant finds epsilon {epsilon:.6g}, more than the budget",
                place="plan",
                next_step="do not run this plan; report it with the spec",
            )
        accountings.append(
            Accounting(
                accountant=_SECOND_RENYI if events is None else _SECOND_PLD,
                version=second_opinion_version(),
                epsilon=_up(epsilon),
                role="certifies",
            )
        )
    mu = float(composition.mu_squared) ** 0.5
    accountings.append(
        Accounting(
            accountant="Gaussian DP, closed form",
            version=f"secgen {__version__}",
            epsilon=_up(epsilon_for_mu(mu, delta)),
            role="shown",
        )
    )
    if events is not None:
        accountings.append(
            Accounting(
                accountant=_ZCDP,
                version=f"secgen {__version__}",
                epsilon=_up(epsilon_from_zcdp(composition.mu_squared / 2, privacy.delta)),
                role="shown",
            )
        )
    return Certificate(
        format="secgen.certificate/1",
        plan_sha256=verified.plan_sha256,
        secgen_version=__version__,
        epsilon=privacy.epsilon,
        delta=privacy.delta,
        mu=_up(mu),
        slack=_up(float(composition.slack)),
        accountings=tuple(accountings),
        outsider_epsilon=_up(epsilon_for_mu(_mu_with(plan, len(plan.parties)), delta)),
        floor_epsilon=_up(epsilon_for_mu(_mu_with(plan, 1), delta)),
    )


def is_certificate_of(stated: Certificate, plan: Plan, verified: Verified) -> bool:
    """Whether a certificate says what ``certify`` says of a plan that ``verify`` accepted.

    All but the second accountant's number and the libraries' versions must be the same; that
    number must lie within the budget and at most 1 % below ours (asking it again takes seconds).
    """
    fresh = certify(plan, verified, independent=False)
    ours, *shown = fresh.accountings
    if len(stated.accountings) != len(fresh.accountings) + 1:
        return False
    first, second, *others = stated.accountings
    renyi = verified.composition.events is None
    return (
        stated.model_copy(update={"accountings": fresh.accountings}) == fresh
        and all(
            _without_version(one) == _without_version(other)
            for one, other in zip([first, *others], [ours, *shown], strict=True)
        )
        and all(_VERSION.fullmatch(each.version) for each in stated.accountings)
        and second.accountant == (_SECOND_RENYI if renyi else _SECOND_PLD)
        and second.role == "certifies"
        and _SECOND_EPSILON.fullmatch(second.epsilon) is not None
        and (1 - _SPARE) * Fraction(ours.epsilon)
        <= Fraction(second.epsilon)
        <= plan.program.privacy.epsilon
    )


def _without_version(accounting: Accounting) -> tuple[str, str, str]:
    return accounting.accountant, accounting.epsilon, accounting.role


def _mu_with(plan: Plan, draws: int) -> float:
    """μ against somebody to whom the noise of ``draws`` parties is unknown."""
    pairs = ((r.noise.sensitivity_squared, draws * r.noise.party_variance) for r in plan.releases())
    return sqrt(mu_squared(pairs))


def _up(number: float) -> str:
    """Six digits, rounded up."""
    return str(_SIX_DIGITS_UP.create_decimal_from_float(number))
