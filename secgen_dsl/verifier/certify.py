"""The certificate of a verified plan: our accountant, and on demand an independent one."""

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
    accountings = [
        Accounting(
            accountant="privacy loss distribution, connect-the-dots (secgen, numpy)",
            version=f"numpy {np.__version__}",
            epsilon=_up(verified.epsilon),
            role="certifies",
        )
    ]
    if independent:
        from secgen_dsl.privacy.second_opinion import second_epsilon, second_opinion_version

        # Its grid must be fine beside a small ε, or its rounding alone exceeds the budget.
        interval = float(min(Fraction(1, 10_000), privacy.epsilon / 2000))
        epsilon = second_epsilon(
            verified.events, privacy.delta, slack=verified.slack, interval=interval
        )
        if not Fraction(epsilon) <= privacy.epsilon:
            raise fail(
                "SG321",
                f"the second accountant finds epsilon {epsilon:.6g}, more than the budget",
                place="plan",
                next_step="do not run this plan; report it with the spec",
            )
        accountings.append(
            Accounting(
                accountant="privacy loss distribution, connect-the-dots (dp-accounting)",
                version=second_opinion_version(),
                epsilon=_up(epsilon),
                role="certifies",
            )
        )
    mu = float(verified.mu_squared) ** 0.5
    accountings.append(
        Accounting(
            accountant="Gaussian DP, closed form",
            version=f"secgen {__version__}",
            epsilon=_up(epsilon_for_mu(mu, delta)),
            role="shown",
        )
    )
    accountings.append(
        Accounting(
            accountant="zCDP to (epsilon, delta), Canonne-Kamath-Steinke",
            version=f"secgen {__version__}",
            epsilon=_up(epsilon_from_zcdp(verified.mu_squared / 2, privacy.delta)),
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
        slack=_up(float(verified.slack)),
        accountings=tuple(accountings),
        outsider_epsilon=_up(epsilon_for_mu(_mu_with(plan, len(plan.parties)), delta)),
        floor_epsilon=_up(epsilon_for_mu(_mu_with(plan, 1), delta)),
    )


def _mu_with(plan: Plan, draws: int) -> float:
    """μ against somebody to whom the noise of ``draws`` parties is unknown."""
    pairs = ((r.sensitivity_squared, draws * r.party_variance) for r in plan.releases())
    return sqrt(mu_squared(pairs))


def _up(number: float) -> str:
    """Six digits, rounded up."""
    return str(_SIX_DIGITS_UP.create_decimal_from_float(number))
