"""Debits for the tests of ledgers."""

from fractions import Fraction

from secgen_dsl.ir.plan import Plan
from secgen_dsl.privacy.spend import GaussianEvent, Spend, spend_of
from secgen_dsl.runtime.ledger import Debit
from secgen_dsl.runtime.policy import Policy


def debit_of_plan(plan: Plan, policy: Policy | None = None) -> Debit:
    return Debit(spend_of(plan), policy=policy or Policy(), place="site.toml (north)")


def gaussians(variance: int, count: int) -> Spend:
    """``count`` tables with the same noise."""
    event = GaussianEvent(
        mechanism="discrete-gaussian", variance=Fraction(variance), shift=1, count=count
    )
    return Spend(
        epsilon=Fraction(4),
        delta=Fraction(1, 10**6),
        mu_squared=Fraction(count, variance),
        slack=Fraction(0),
        events=(event,),
    )
