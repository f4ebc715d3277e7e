"""What a whole plan promises: slack and certified ε of its releases, by the accountant that may.

The planner asks to know what it has to keep back; the verifier asks to check.  Which accountant
may certify what is PRIVACY 1.4: one-dimensional privacy loss distributions where every person has
at most one sample in a group of cells and only cells are counted, else Rényi.
"""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Marginal, Moments, PairMarginal, Program
from secgen_dsl.privacy.events import ShiftedGaussian, event_of
from secgen_dsl.privacy.gdp import mu_for_budget
from secgen_dsl.privacy.pld import epsilon_upper_bound
from secgen_dsl.privacy.renyi import epsilon_from_zcdp, mu_for_zcdp_budget
from secgen_dsl.privacy.rounding import float_not_below
from secgen_dsl.privacy.sensitivity import contribution_of
from secgen_dsl.privacy.slack import (
    centring_slack,
    double_centring_slack,
    split_noise_slack,
)


@dataclass(frozen=True)
class Composition:
    """The releases of a plan, as the accountants take them.

    Attributes:
        events: equal ones together; None if Rényi has to certify.
        mu_squared: Σ Δ²/σ².
        slack: ε that splitting and centring discrete noise add (``slack``).
    """

    events: tuple[ShiftedGaussian, ...] | None
    mu_squared: Fraction
    slack: Fraction


def compose(plan: Plan) -> Composition:
    """The composition of all releases of a plan.

    Raises:
        ValueError: a release so noiseless that no bound exists.
    """
    counts: Counter[tuple[Fraction, int]] = Counter()
    competing = False
    mu_squared = Fraction(0)
    for release in plan.releases():
        query = plan.query(release.query)
        noise = release.noise
        mu_squared += noise.sensitivity_squared / noise.variance
        event = None
        if isinstance(query, Marginal | PairMarginal):
            contribution = contribution_of(plan.program, query)
            event = event_of(release.map, release.tables, query.bins, noise.variance, contribution)
        if event is None:
            competing = True
        else:
            counts[event.variance, event.shift] += event.count
    events = tuple(ShiftedGaussian(v, shift, count) for (v, shift), count in counts.items())
    return Composition(None if competing else events, mu_squared, slack_of(plan))


def slack_of(plan: Plan) -> Fraction:
    """What splitting and centring discrete noise add to ε, over all releases."""
    honest = len(plan.parties) - plan.threshold
    slack = Fraction(0)
    for release in plan.releases():
        party_variance = release.noise.party_variance / (2 if release.halved else 1)
        slack += split_noise_slack(release.raw_cells, party_variance, honest)
        query = plan.query(release.query)
        if release.map == "centred" and isinstance(query, Marginal):
            touched = contribution_of(plan.program, query).touched_rows
            rows = release.tables * min(touched, plan.program.label_cells(query))
            slack += centring_slack(rows, query.bins, release.noise.variance)
        elif release.map == "double-centred" and isinstance(query, PairMarginal):
            slack += double_centring_slack(release.tables, query.bins, release.noise.variance)
    return slack


def needs_renyi(program: Program) -> bool:
    """Whether shifts compete: several samples in one group of cells, or sums of vectors."""
    return any(
        isinstance(query, Moments)
        or (isinstance(query, Marginal) and query.learned is not None)
        or contribution_of(program, query).samples > 1
        for query in program.queries
    )


def mu_for(program: Program, epsilon: Fraction, delta: Fraction) -> Fraction:
    """μ of a whole budget, as the accountant that will certify the program counts it.

    Raises:
        ValueError: a budget too small for any noise.
    """
    solve = mu_for_zcdp_budget if needs_renyi(program) else mu_for_budget
    return solve(epsilon, delta)


def certified_epsilon(composition: Composition, delta: Fraction) -> float:
    """An upper bound on ε at δ, all slack included, rounded up.

    Raises:
        ValueError: no bound exists.
    """
    if composition.events is not None:
        return epsilon_upper_bound(composition.events, delta, slack=composition.slack)
    if composition.slack >= 1:
        raise ValueError("a slack of 1 or more leaves no guarantee")
    # e^−a ≥ 1 − a, exactly in rationals.
    inner = epsilon_from_zcdp(composition.mu_squared / 2, delta * (1 - composition.slack))
    return float_not_below(Fraction(inner) + Fraction(float_not_below(composition.slack)))
