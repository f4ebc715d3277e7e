"""Re-derives every claim of a plan from the plan alone.  Every party runs it before it reads data.

Shares no code with the planner beyond ``ir`` and ``privacy``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.main_effects import main_effects
from secgen_dsl.ir.plan import LaplaceNoise, Opening, Plan, Release
from secgen_dsl.ir.queries import (
    Asked,
    Marginal,
    Moments,
    PairMarginal,
    Query,
    SecondMoment,
    Table,
    VectorSum,
)
from secgen_dsl.privacy.bound import certified_epsilon, compose
from secgen_dsl.privacy.events import Composition
from secgen_dsl.privacy.gdp import mu_for_budget
from secgen_dsl.privacy.renyi import mu_for_zcdp_budget
from secgen_dsl.privacy.sensitivity import contribution_of, sensitivity_squared
from secgen_dsl.privacy.slack import (
    MINIMUM_PARTY_VARIANCE,
    centring_scale_suffices,
)
from secgen_dsl.verifier.laplace import laplace_faults
from secgen_dsl.verifier.structure import MOST_RAW_CELLS, structure_faults

_MOST_FAULTS = 20
LARGEST_PARTY_VARIANCE = 2**100
"""What the sampler takes (``runtime.noise``)."""

VARIANCE_UNIT = 16
"""Variances are multiples of 1/16 (DESIGN: rounded up to a rational)."""


@dataclass(frozen=True)
class Verified:
    """What the verifier re-derived.

    Attributes:
        epsilon: upper bound on ε at the plan's δ, all slack included (our own accountant).
        composition: what the accountant composed: events (or Rényi), μ², slack.
    """

    plan_sha256: str
    epsilon: float
    composition: Composition


def verify(plan: Plan) -> Verified:
    """Check a plan.

    Raises:
        SecgenError: SG320, one diagnostic for each claim that does not hold.
    """
    _refuse(structure_faults(plan))
    _refuse(_release_faults(plan))
    privacy = plan.program.privacy
    try:
        composition = compose(plan)
        epsilon = certified_epsilon(composition, privacy.delta)
    except (ValueError, ArithmeticError) as error:  # no bound is no guarantee
        _refuse(iter([f"its epsilon cannot be bounded: {error}"]))
        raise
    # The sum of pure ε is exact: a float above it might exceed a budget that is just met.
    spent = Fraction(epsilon) if composition.pure is None else composition.pure
    if not spent <= privacy.epsilon:
        _refuse(
            iter(
                [
                    f"the noise gives epsilon {epsilon:.6g} at delta {float(privacy.delta):.3g}, "
                    f"more than the budget of {float(privacy.epsilon):.6g}"
                ]
            )
        )
    _refuse(_importance_faults(plan, renyi=composition.events is None))
    return Verified(
        plan_sha256=sha256_of(plan),
        epsilon=epsilon,
        composition=composition,
    )


def _refuse(faults: Iterator[str]) -> None:
    found = [
        Diagnostic(
            "SG320",
            f"the plan does not verify: {fault}",
            place="plan",
            next_step="do not run it; make it again with `secgen compile`",
        )
        for fault in islice(faults, _MOST_FAULTS)
    ]
    if found:
        raise SecgenError(found)


def _release_faults(plan: Plan) -> Iterator[str]:
    queries = plan.measured()
    if tuple(one_round.number for one_round in plan.rounds) != tuple(
        range(1, len(plan.rounds) + 1)
    ):
        yield "the rounds are not numbered from 1"
    if not plan.rounds or any(not one_round.releases for one_round in plan.rounds):
        yield "a round releases nothing"
    shapes = [plan.program.shape(marginal) for marginal in queries.values()]
    if sum(tables * labels * bins for tables, labels, bins in shapes) > MOST_RAW_CELLS:
        yield f"it counts people in more than {MOST_RAW_CELLS:,} cells"
        return
    histograms = {
        frozenset(marginal.columns)
        for marginal in queries.values()
        if isinstance(marginal, Marginal) and marginal.panel is None
    }
    measured: set[str] = set()
    mechanism = plan.program.privacy.mechanism
    for release in plan.releases():
        name = release.query
        if name not in queries:
            yield f'"{name}" is released but not declared'
        elif name in measured:
            yield f'"{name}" is released twice'
        elif release.noise.kind != mechanism:
            yield f'the noise on "{name}" is not of the kind that is promised, {mechanism}'
        elif isinstance(release.noise, LaplaceNoise):
            yield from laplace_faults(plan, release, release.noise, queries[name])
        else:
            marginal = queries[name]
            if release.map == "centred" and not _may_be_centred(marginal, histograms):
                yield f'"{name}" is centred without a histogram of its labels'
            elif release.map == "double-centred" and not _may_be_double_centred(plan, marginal):
                yield f'"{name}" is double-centred without tables of its genes in the same bins'
            else:
                yield from _one_release(plan, release, marginal)
        measured.add(name)
    for name in queries:
        if name not in measured:
            yield f'"{name}" is declared but not released'
    openings = tuple(
        Opening(round=r.number, query=x.query, values=x.opened, recipients="parties")
        for r in plan.rounds
        for x in r.releases
    )
    if plan.openings != openings:
        yield "the openings manifest does not list exactly the releases"


def _may_be_centred(query: Query, histograms: set[frozenset[str]]) -> bool:
    if not isinstance(query, Marginal) or query.panel is None:
        return False
    return frozenset(query.columns) in histograms


def _may_be_double_centred(plan: Plan, query: Query) -> bool:
    if not isinstance(query, PairMarginal):
        return False
    # Every query of the program is released, else the plan is refused.
    return all(main_effects(plan.program, query).values())


def _one_release(plan: Plan, release: Release, query: Query) -> Iterator[str]:
    name = query.id
    program = plan.program
    tables, labels, bins = program.shape(query)
    if (release.tables, release.raw_cells) != (tables, tables * labels * bins):
        yield f'the shape of "{name}" is not that of its tables'
        return
    kept = {
        "identity": labels * bins,
        "centred": labels * (bins - 1),
        "double-centred": labels * (bins - 1) ** 2 // bins,
    }
    if release.opened != tables * kept[release.map]:
        yield f'"{name}" opens another number of values than its map yields'
    products = 0
    if isinstance(query, SecondMoment):
        products = query.coordinates * (query.coordinates - 1) // 2
    if release.halved != products:
        yield f'"{name}" halves the noise of other cells than products'
        return
    noise = release.noise
    if isinstance(noise, LaplaceNoise):
        raise TypeError("Laplace noise is checked elsewhere")
    if noise.sensitivity_squared != sensitivity_squared(program, query, release.map):
        yield f'the sensitivity of "{name}" is not what a person can change'
    honest = len(plan.parties) - plan.threshold
    # Equal, not "at least": ε of a discrete Gaussian is not monotone in its variance.
    if noise.variance <= 0 or noise.party_variance * honest != noise.variance:
        yield f'the honest parties\' noise on "{name}" is not what is certified'
        return
    if VARIANCE_UNIT % noise.variance.denominator:  # else a plan could take for ever to verify
        yield f'the noise on "{name}" is not a multiple of 1/{VARIANCE_UNIT}'
        return
    if noise.party_variance / (2 if products else 1) < MINIMUM_PARTY_VARIANCE:
        yield f'the noise of one party on "{name}" is below the minimum'
    if release.map != "identity" and not centring_scale_suffices(noise.party_variance, bins):
        yield f'the noise of one party on "{name}" is too small to centre'
    if noise.party_variance > LARGEST_PARTY_VARIANCE:
        yield f'the noise of one party on "{name}" is beyond what can be drawn'
    yield from _modulus(plan, release, query)


def _importance_faults(plan: Plan, *, renyi: bool) -> Iterator[str]:
    """A share is not exceeded, and an accuracy target is kept (LANGUAGE, Importance)."""
    privacy = plan.program.privacy
    stated = [query for query in plan.program.queries if query.importance.share is not None]
    targets = [query for query in plan.program.queries if query.importance.error is not None]
    if not stated and not targets:
        return
    budget = privacy.epsilon
    if privacy.mechanism == "gaussian":
        whole = mu_for_zcdp_budget if renyi else mu_for_budget
        budget = whole(privacy.epsilon, privacy.delta) ** 2
    releases = {release.query: release for release in plan.releases()}
    spent = {query.id: _spent(plan, releases, query) for query in stated}
    own, common = _histograms_of_shares(plan, releases)
    for query in stated:
        share = query.importance.share or Fraction(0)
        if spent[query.id] + own.get(query.id, Fraction(0)) > share * budget:
            yield f'"{query.id}" spends more than its share of the budget'
    shares = sum((query.importance.share or Fraction(0) for query in stated), Fraction(0))
    if sum(spent.values(), sum(own.values(), common)) > shares * budget:
        yield "all shares together spend more than they are of the budget"
    for query in targets:
        if isinstance(query, Moments):
            continue  # refused by its structure
        variance = _cell_variance(plan, releases, query)
        if variance is None or variance > _target_variance(plan, query):
            yield f'"{query.id}" does not reach the accuracy that it is asked for'


def _spent(plan: Plan, releases: dict[str, Release], query: Asked) -> Fraction:
    """What a query and the vectors that serve it take of the budget; no label histogram."""
    names = {added.id for added in plan.added if getattr(added, "serves", None) == query.id}
    paid = {query.id, *names} & releases.keys()
    return sum((releases[name].noise.cost for name in paid), Fraction(0))


def _histograms_of_shares(
    plan: Plan, releases: dict[str, Release]
) -> tuple[dict[str, Fraction], Fraction]:
    """What added label histograms cost that only queries with shares need.

    Returns:
        Of those that one query needs alone, by its id; and of those that several need, together.
    """
    needing: dict[frozenset[str], list[Asked]] = {}
    for query in plan.program.queries:
        if isinstance(query, PairMarginal):
            continue
        release = releases.get(query.id)
        if isinstance(query, Moments) or (release is not None and release.map == "centred"):
            needing.setdefault(frozenset(query.columns), []).append(query)
    own: dict[str, Fraction] = {}
    common = Fraction(0)
    for added in plan.added:
        if not isinstance(added, Marginal) or added.id not in releases:
            continue
        payers = needing.get(frozenset(added.columns), [])
        if not payers or any(query.importance.share is None for query in payers):
            continue
        cost = releases[added.id].noise.cost
        if len(payers) == 1:
            own[payers[0].id] = own.get(payers[0].id, Fraction(0)) + cost
        else:
            common += cost
    return own, common


def _target_variance(plan: Plan, query: Table) -> Fraction:
    target, people = query.importance.error, plan.program.person.people_bound
    if target is None:
        return Fraction(0)
    if target.unit == "people":
        return target.value**2
    size = Fraction(people or 0, plan.program.label_cells(query))
    return (target.value / 100 * size) ** 2


def _cell_variance(plan: Plan, releases: dict[str, Release], query: Table) -> Fraction | None:
    """Variance of one cell as released; of a centred one s²·(B − 1)/B + σ_N²/B² (PRIVACY 2.2)."""
    release = releases[query.id]
    variance = plan.released_variance(release)
    if release.map == "identity":
        return variance
    if isinstance(query, PairMarginal):
        return _pair_variance(plan, releases, query, variance)
    columns = set(query.columns) if isinstance(query, Marginal) else set()
    totals = []
    for other in (*plan.program.queries, *plan.added):
        if isinstance(other, Marginal) and other.panel is None and set(other.columns) == columns:
            totals.append(plan.released_variance(releases[other.id]))
    if not totals:
        return None
    bins = query.bins
    return variance * Fraction(bins - 1, bins) + min(totals) / bins**2


def _pair_variance(
    plan: Plan, releases: dict[str, Release], query: PairMarginal, variance: Fraction
) -> Fraction:
    """Variance of the worst cell of a double-centred pair, put together again (decision 0014).

    The cell is I + r/B + c/B + N/B²: the interaction I of variance s²(1 − 1/B)², the two genes'
    counts of the bin above their mean, and N people, both of the cell's labels only.  From gene
    tables of L labels the counts have L·s²(1 − 1/B), or what that is of the pairs' own labels.
    """
    program, left = plan.program, 1 - Fraction(1, query.bins)
    own = Fraction(1)
    for name in query.columns:
        own /= len(program.column(name).values)
    genes = {
        gene: min(
            own * program.label_cells(table) * plan.released_variance(releases[table.id])
            for table in tables
        )
        for gene, tables in main_effects(program, query).items()
    }
    totals = []
    for release in releases.values():
        counted = plan.query(release.query)
        if (
            release.map == "identity"
            and isinstance(counted, Marginal | PairMarginal)
            and set(query.columns) <= set(counted.columns)
        ):
            tables, labels, bins = program.shape(counted)
            totals.append(own * plan.released_variance(release) * labels * bins / tables)
    worst = max(genes[query.genes[i]] + genes[query.genes[j]] for i, j in query.pairs)
    return variance * left**2 + worst * left / query.bins**2 + min(totals) / query.bins**4


def _modulus(plan: Plan, release: Release, query: Query) -> Iterator[str]:
    """p > 2·(n·|q| + 12σ) with σ of the opened integers (PROTOCOL, Sizing), exactly."""
    samples = contribution_of(plan.program, query).samples
    people = samples * (plan.program.person.people_bound or 2**32)
    greatest, gain = 1, 1
    if isinstance(query, VectorSum):
        greatest = query.clip
    elif isinstance(query, SecondMoment):
        greatest = query.clip**2
    elif release.map == "centred":
        greatest, gain = query.bins - 1, query.bins * (query.bins - 1)
    elif release.map == "double-centred":
        greatest, gain = (query.bins - 1) ** 2, (query.bins * (query.bins - 1)) ** 2
    room = plan.modulus - 2 * people * greatest
    variance = gain * plan.released_variance(release)
    if room <= 0 or Fraction(room) ** 2 <= 24**2 * variance:
        yield (
            f'the field is too small for "{release.query}": a smaller bound on the people in all, '
            "or fewer genes or factors, would help"
        )
