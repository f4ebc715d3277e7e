"""What a whole plan promises: slack and certified ε of its releases, by the accountant that may.

The planner asks to know what it has to keep back; the verifier asks to check.  Which accountant
may certify what is one table, ``accountants.ROLES``: one-dimensional privacy loss distributions
where every person has at most one sample in a group of cells and only cells are counted, else
Rényi; with Laplace noise the sum of the releases' ε, exactly, whatever δ is (``laplace``).
"""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from secgen_dsl.ir.certificate import Observer
from secgen_dsl.ir.plan import LaplaceNoise, LinearMap, Plan
from secgen_dsl.ir.program import Adjacency, Program
from secgen_dsl.ir.queries import Marginal, Moments, PairMarginal, as_table
from secgen_dsl.privacy.accountants import certifier
from secgen_dsl.privacy.events import (
    BoundedLoss,
    Composition,
    ShiftedGaussian,
    event_of,
    laplace_event,
)
from secgen_dsl.privacy.gdp import mu_for_budget
from secgen_dsl.privacy.laplace import share_loss
from secgen_dsl.privacy.pld import MOST_DISTINCT, TooManyKindsError
from secgen_dsl.privacy.renyi import mu_for_zcdp_budget
from secgen_dsl.privacy.rounding import total
from secgen_dsl.privacy.sensitivity import Contribution, contribution_of, sensitivity_squared
from secgen_dsl.privacy.slack import (
    centring_slack,
    double_centring_slack,
    split_noise_slack,
)


@dataclass(frozen=True)
class Case:
    """Which worlds shall not be told apart, and by whom.

    Attributes:
        adjacency: how the worlds differ.
        people: k ≥ 1, in how many people.
        against: who looks on.
    """

    adjacency: Adjacency
    people: int = 1
    against: Observer = "tolerated"


def compose(plan: Plan, case: Case | None = None) -> Composition:
    """The composition of all releases of a plan, as its own promise needs it, or another case.

    *k people* change what is opened by at most k times as much (the triangle inequality), in
    whatever cells: their shifts compete, so Rényi has to certify, with k²·Δ².

    *Outsiders* know no party's noise, so that of all m adds up to m·σᵢ².

    *All others* see what each site adds by itself, with that site's own noise σᵢ².  A person with
    up to k samples at each of s sites then shifts s groups of values by k, not one by k·s.

    Raises:
        ValueError: a release so noiseless that no bound exists, or Laplace noise of more than
            ``MOST_DISTINCT`` scales.
    """
    program, sites = _program_seen(plan, case)
    honest = _honest(plan, case)
    people = 1 if case is None else case.people
    if program.privacy.mechanism == "laplace":
        return _compose_laplace(plan, program, sites, people, alone=honest == 1)
    queries = plan.measured()
    alike: Counter[tuple[LinearMap, int, int, Contribution | None, Fraction, Fraction]] = Counter()
    for release in plan.releases():
        query = queries[release.query]
        noise = release.noise
        if isinstance(noise, LaplaceNoise):
            raise ValueError("a plan has either Gaussian or Laplace noise")
        contribution, bins = None, 0
        if isinstance(query, Marginal | PairMarginal):
            contribution, bins = contribution_of(program, query), query.bins
        moved = sensitivity_squared(program, query, release.map)
        alike[release.map, release.tables, bins, contribution, moved, noise.party_variance] += 1
    counts: Counter[tuple[Fraction, int]] = Counter()
    competing = people > 1
    costs = []
    for (linear_map, tables, bins, contribution, moved, party_variance), many in alike.items():
        variance = honest * party_variance
        costs.append(many * sites * people**2 * moved / variance)
        event = None
        if contribution is not None:
            event = event_of(linear_map, tables, bins, variance, contribution)
        if event is None:
            competing = True
        else:
            counts[event.variance, event.shift] += many * sites * event.count
    events = tuple(ShiftedGaussian(v, shift, count) for (v, shift), count in counts.items())
    return Composition(None if competing else events, total(costs), slack_of(plan, case))


def _compose_laplace(
    plan: Plan, program: Program, sites: int, people: int, *, alone: bool
) -> Composition:
    """The same with Laplace noise.

    k people move a cell by k times as much, or other cells: k pairs of c/b are covered by one of
    k·c/b (``events``).  Outsiders face the same greatest loss: the sum of all m shares falls, far
    out, by e^(1/b) a step as well.

    Args:
        program: with the person of the case.
        sites: so many groups of values are moved.
        people: k.
        alone: one site's own share is all the noise there is.
    """
    counts: Counter[Fraction] = Counter()
    queries = plan.measured()
    for release in plan.releases():
        noise = release.noise
        if not isinstance(noise, LaplaceNoise):
            raise ValueError("a plan has either Gaussian or Laplace noise")
        scale = noise.scale
        if alone:  # it hides a step as Laplace noise of that scale would
            scale = 1 / Fraction(share_loss(noise.scale, noise.parts))
        contribution = contribution_of(program, as_table(queries[release.query]))
        event = laplace_event(release.tables, scale / people, contribution)
        counts[event.loss] += sites * event.count
    if len(counts) > MOST_DISTINCT:
        raise TooManyKindsError(len(counts))
    events = tuple(BoundedLoss(loss, count) for loss, count in counts.items())
    mu_squared = total([event.mu_squared for event in events])
    epsilon = total([event.epsilon for event in events])
    return Composition(events, mu_squared, Fraction(0), epsilon)


def slack_of(plan: Plan, case: Case | None = None) -> Fraction:
    """What splitting and centring discrete noise add to ε, over all releases."""
    program, sites = _program_seen(plan, case)
    honest = _honest(plan, case)
    people = 1 if case is None else case.people
    queries = plan.measured()
    # By the variances of single parties, which equal releases share.
    splits: Counter[tuple[int, Fraction]] = Counter()
    centrings: Counter[tuple[int, int, Fraction]] = Counter()
    doubles: Counter[tuple[int, int, Fraction]] = Counter()
    for release in plan.releases():
        noise = release.noise
        if isinstance(noise, LaplaceNoise):
            continue  # the sum of the shares has exactly the law that is certified
        variance = noise.party_variance
        splits[release.raw_cells, variance / 2 if release.halved else variance] += 1
        query = queries[release.query]
        if release.map == "identity" or not isinstance(query, Marginal | PairMarginal):
            continue
        touched = people * contribution_of(program, query).touched_rows
        labels = program.label_cells(query)
        if release.map == "centred":
            rows = sites * release.tables * min(touched, labels)
            centrings[rows, query.bins, variance] += 1
        else:
            blocks = sites * release.tables * min(touched, labels // query.bins)
            doubles[blocks, query.bins, variance] += 1
    slack = Fraction(0)
    for (cells, variance), count in splits.items():
        slack += count * split_noise_slack(cells, variance, honest)
    for (rows, bins, variance), count in centrings.items():
        slack += count * centring_slack(rows, bins, honest * variance)
    for (blocks, bins, variance), count in doubles.items():
        slack += count * double_centring_slack(blocks, bins, honest * variance)
    return slack


def _honest(plan: Plan, case: Case | None) -> int:
    """How many parties' noise adds up, unknown to the observer."""
    parties = len(plan.parties)
    if case is None or case.against == "tolerated":
        return parties - plan.threshold
    return parties if case.against == "outsiders" else 1


def _program_seen(plan: Plan, case: Case | None) -> tuple[Program, int]:
    """The program with the case's person, and at how many sites each is seen by itself."""
    program = plan.program
    if case is None:
        return program, 1
    person, sites = program.person, 1
    if case.against == "all-others":
        person, sites = person.model_copy(update={"silos": 1}), person.silos
    privacy = program.privacy.model_copy(update={"adjacency": case.adjacency})
    return program.model_copy(update={"person": person, "privacy": privacy}), sites


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
    """An upper bound on ε at δ by the accountant that certifies, all slack included, rounded up.

    Raises:
        ValueError: no bound exists.
    """
    return certifier(composition).epsilon(composition, delta)
