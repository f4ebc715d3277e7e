"""Program to plan: strategy, allocation, noise, openings.  Touches no data."""

import math
from fractions import Fraction

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.plan import MERSENNE_61, Opening, Plan
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Moments, Query, SecondMoment, VectorSum
from secgen_dsl.ir.statement import error_text
from secgen_dsl.planner.allocation import Measured, OutOfReachError, allocate
from secgen_dsl.planner.expansion import expand, rounds_of
from secgen_dsl.planner.laplace import plan_laplace
from secgen_dsl.planner.strategy import choose
from secgen_dsl.privacy.bound import certified_epsilon, compose, mu_for, slack_of
from secgen_dsl.privacy.pld import TooManyKindsError
from secgen_dsl.privacy.rounding import three_digits_up
from secgen_dsl.privacy.sensitivity import contribution_of

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
        SecgenError: SG312, no accountant could certify so much noise, or so many noises; SG313,
            an accuracy that is out of reach; SG317, sums beyond the field of the shares.
    """
    if program.privacy.mechanism == "laplace":
        return plan_laplace(program)
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
    _check_field(plan)
    return plan


def _check_field(plan: Plan) -> None:
    """Every sum that may be opened fits the field: p > 2·(n·|q| + 12σ) (PROTOCOL, Sizing)."""
    people = plan.program.person.people_bound or 2**32
    queries: dict[str, Query] = {query.id: query for query in plan.added}
    queries |= {q.id: q for q in plan.program.queries if not isinstance(q, Moments)}
    for release in plan.releases():
        query = queries[release.query]
        samples = contribution_of(plan.program, query).samples
        greatest, gain = 1, 1
        if isinstance(query, VectorSum):
            greatest = query.clip
        elif isinstance(query, SecondMoment):
            greatest = query.clip**2
        elif release.map == "centred":
            greatest, gain = query.bins - 1, query.bins * (query.bins - 1)
        elif release.map == "double-centred":
            greatest, gain = (query.bins - 1) ** 2, (query.bins * (query.bins - 1)) ** 2
        noise = 12 * math.isqrt(math.ceil(gain * plan.released_variance(release))) + 12
        most = (plan.modulus - 1) // 2 - noise
        if people * samples * greatest < most:
            continue
        served = query.serves if isinstance(query, VectorSum | SecondMoment) else query.id
        statements = {asked.id: asked.statement for asked in plan.program.queries}
        raise fail(
            "SG317",
            f'the sums of "{query.statement}" may be too great for the field of the shares',
            place=statements.get(served, "measure"),
            next_step=f"state a bound on people of at most {most // (samples * greatest):,} in "
            "`person` (at most … people in all), or use fewer genes or factors",
        )


def draft(program: Program) -> Plan:
    """The plan before it is seen whether the accountants agree: at most a few steps of 1/1024 off.

    Raises:
        SecgenError: SG313, an accuracy that is out of reach.
        ValueError: a budget too small for any noise.
    """
    if program.privacy.mechanism == "laplace":
        return plan_laplace(program)
    return _plan(program, ACCOUNTING_RESERVE)


def drafted(program: Program) -> Plan | None:
    """The same; None if there is no such plan."""
    try:
        return draft(program)
    except (SecgenError, ValueError):
        return None


def _certified_epsilon(plan: Plan) -> Fraction:
    """What the accountant will find: an upper bound on ε at the plan's δ."""
    try:
        return Fraction(certified_epsilon(compose(plan), plan.program.privacy.delta))
    except TooManyKindsError as error:
        raise fail(
            "SG312",
            str(error),
            place="measure",
            next_step="give marginals of a kind the same weight or error: equal noises count once",
        ) from error
    except ValueError as error:
        raise fail(
            "SG312",
            "the budget is too small for so many or so lightly weighted tables: the noise would "
            "be beyond what an accountant can certify",
            place="privacy",
            next_step="raise epsilon, measure fewer tables, or give them weights closer together",
        ) from error


def _plan(program: Program, reserve: Fraction) -> Plan:
    """The plan that leaves ``reserve`` of ε unspent."""
    epsilon = program.privacy.epsilon * (1 - reserve)
    delta = program.privacy.delta * (1 - ACCOUNTING_RESERVE)
    mu = mu_for(program, epsilon, delta)
    honest = len(program.parties) - program.tolerated
    try:
        measured = choose(program, mu)
        plan = _with_noise(program, measured, allocate(measured, mu, honest))
        slack = slack_of(plan)
        if slack > 0:
            # More noise only lowers the slack, so one correction is enough.
            less = mu_for(program, epsilon - slack, delta)
            if less != mu:
                plan = _with_noise(program, measured, allocate(measured, less, honest))
    except OutOfReachError as error:
        raise _out_of_reach(error, mu) from error
    return plan


def _out_of_reach(error: OutOfReachError, mu: Fraction) -> SecgenError:
    target = error.measured.query.importance.error
    asked = f" (error {error_text(target)})" if target is not None else ""
    if error.needed is None:
        return fail(
            "SG313",
            f"the accuracy asked for{asked} is finer than the least noise that parties may add",
            place=error.measured.query.statement,
            next_step="ask for a greater error: a noise of a few people a party is always added",
        )
    times = three_digits_up(str(max(float(error.needed) ** 0.5 / float(mu), 1.01)))
    return fail(
        "SG313",
        f"the accuracy asked for{asked} needs more than the budget: all targets together take "
        f"{times} times its mu",
        place=error.measured.query.statement,
        next_step=f"make each error target {times} times as great, raise epsilon, or measure less",
    )


def _with_noise(
    program: Program, measured: tuple[Measured, ...], variances: tuple[Fraction, ...]
) -> Plan:
    honest = len(program.parties) - program.tolerated
    expanded = expand(program, measured, variances, honest)
    rounds = rounds_of(program, expanded, honest)
    asked = {query.id for query in program.queries}
    return Plan(
        format="secgen.plan/3",
        program=program,
        added=tuple(one.query for one in expanded if one.query.id not in asked),
        parties=program.parties,
        threshold=program.tolerated,
        modulus=MERSENNE_61,
        rounds=rounds,
        openings=tuple(
            Opening(round=r.number, query=x.query, values=x.opened, recipients="parties")
            for r in rounds
            for x in r.releases
        ),
    )
