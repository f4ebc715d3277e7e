"""Program to plan: strategy, allocation, noise, openings.  Touches no data."""

import math
from fractions import Fraction

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.plan import MERSENNE_61, Opening, Plan, Release, Round
from secgen_dsl.ir.program import Program
from secgen_dsl.planner.allocation import Measured, allocate
from secgen_dsl.planner.strategy import choose
from secgen_dsl.privacy.events import event_of
from secgen_dsl.privacy.gdp import mu_for_budget
from secgen_dsl.privacy.pld import epsilon_upper_bound
from secgen_dsl.privacy.sensitivity import marginal_sensitivity_squared
from secgen_dsl.privacy.slack import centring_slack, split_noise_slack

ACCOUNTING_RESERVE = Fraction(1, 2048)
"""Part of ε and of δ kept back: certificates round up (discretised loss, tails, FFT error), and a
plan calibrated to the last digit would fail them.  It costs less than .05% of σ."""

_CORRECTION = Fraction(1, 1024)
_MOST_CORRECTIONS = 8


def plan_program(program: Program) -> Plan:
    """The plan of a program: deterministic, the same bytes on every machine.

    Where the noise of a few cells is small, its discreteness costs more than the reserve: the
    budget is then planned again without the excess, in steps of ε/1024.

    The result still has to be verified (``secgen_dsl.verifier``).

    Raises:
        SecgenError: SG312, no accountant could certify so much noise.
    """
    budget = program.privacy.epsilon
    reserve = ACCOUNTING_RESERVE
    plan = _plan(program, reserve)
    for _ in range(_MOST_CORRECTIONS):
        excess = (_certified_epsilon(plan) - budget) / budget
        if excess <= 0:
            break
        reserve += Fraction(math.ceil(excess / _CORRECTION), 1) * _CORRECTION
        if reserve >= 1:
            break
        plan = _plan(program, reserve)
    return plan


def _certified_epsilon(plan: Plan) -> Fraction:
    """What the accountant will find: an upper bound on ε at the plan's δ."""
    events = [
        event_of(r.map, r.tables, plan.marginal(r.marginal).bins, r.variance)
        for r in plan.releases()
    ]
    slack = _slack(plan.program, tuple(plan.releases()))
    try:
        bound = epsilon_upper_bound(events, plan.program.privacy.delta, slack=slack)
    except ValueError as error:
        raise fail(
            "SG312",
            "the budget is too small for so many or so lightly weighted tables: the noise would "
            "be beyond what an accountant can certify",
            place="privacy",
            next_step="raise epsilon, measure fewer tables, or give them weights closer together",
        ) from error
    return Fraction(bound)


def _plan(program: Program, reserve: Fraction) -> Plan:
    """The plan that leaves ``reserve`` of ε unspent."""
    epsilon = program.privacy.epsilon * (1 - reserve)
    delta = program.privacy.delta * (1 - ACCOUNTING_RESERVE)
    mu = mu_for_budget(epsilon, delta)
    measured = choose(program, mu)
    releases = _releases(program, measured, mu)
    slack = _slack(program, releases)
    if slack > 0:
        # More noise only lowers the slack, so one correction is enough.
        releases = _releases(program, measured, mu_for_budget(epsilon - slack, delta))
    return Plan(
        format="secgen.plan/1",
        program=program,
        added=tuple(
            m.marginal for m in measured if all(m.marginal is not x for x in program.marginals)
        ),
        parties=program.parties,
        threshold=program.tolerated,
        modulus=MERSENNE_61,
        rounds=(Round(number=1, releases=releases),),
        openings=tuple(
            Opening(round=1, marginal=r.marginal, values=r.opened, recipients="parties")
            for r in releases
        ),
    )


def _releases(
    program: Program, measured: tuple[Measured, ...], mu: Fraction
) -> tuple[Release, ...]:
    honest = len(program.parties) - program.tolerated
    releases = []
    for item, variance in zip(measured, allocate(measured, mu, honest), strict=True):
        tables, label_cells, bins = program.shape(item.marginal)
        opened_bins = bins - 1 if item.map == "centred" else bins
        releases.append(
            Release(
                marginal=item.marginal.id,
                map=item.map,
                tables=tables,
                raw_cells=tables * label_cells * bins,
                opened=tables * label_cells * opened_bins,
                sensitivity_squared=marginal_sensitivity_squared(tables, bins, item.map),
                variance=variance,
                party_variance=variance / honest,
            )
        )
    return tuple(releases)


def _slack(program: Program, releases: tuple[Release, ...]) -> Fraction:
    honest = len(program.parties) - program.tolerated
    slack = Fraction(0)
    for release in releases:
        slack += split_noise_slack(release.raw_cells, release.party_variance, honest)
        if release.map == "centred":
            bins = release.raw_cells // (release.raw_cells - release.opened)
            slack += centring_slack(release.tables, bins, release.variance)
    return slack
