"""Re-derives every claim of a plan from the plan alone.  Every party runs it before it reads data.

Shares no code with the planner beyond ``ir`` and ``privacy``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Opening, Plan, Release
from secgen_dsl.ir.program import Marginal, Query
from secgen_dsl.privacy.bound import Composition, certified_epsilon, compose
from secgen_dsl.privacy.gdp import mu_for_budget
from secgen_dsl.privacy.renyi import mu_for_zcdp_budget
from secgen_dsl.privacy.sensitivity import contribution_of, table_sensitivity_squared
from secgen_dsl.privacy.slack import (
    MINIMUM_PARTY_VARIANCE,
    centring_scale_suffices,
)
from secgen_dsl.verifier.structure import MOST_RAW_CELLS, structure_faults

_MOST_FAULTS = 20
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
    if not Fraction(epsilon) <= privacy.epsilon:
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
    marginals = {marginal.id: marginal for marginal in (*plan.program.marginals, *plan.added)}
    if tuple(one_round.number for one_round in plan.rounds) != tuple(
        range(1, len(plan.rounds) + 1)
    ):
        yield "the rounds are not numbered from 1"
    if not plan.rounds or any(not one_round.releases for one_round in plan.rounds):
        yield "a round releases nothing"
    shapes = [plan.program.shape(marginal) for marginal in marginals.values()]
    if sum(tables * labels * bins for tables, labels, bins in shapes) > MOST_RAW_CELLS:
        yield f"it counts people in more than {MOST_RAW_CELLS:,} cells"
        return
    histograms = {
        frozenset(marginal.columns)
        for marginal in marginals.values()
        if isinstance(marginal, Marginal) and marginal.panel is None
    }
    measured: set[str] = set()
    for release in plan.releases():
        name = release.marginal
        if name not in marginals:
            yield f'"{name}" is released but not declared'
        elif name in measured:
            yield f'"{name}" is released twice'
        else:
            marginal = marginals[name]
            centred = release.map == "centred"
            if centred and not _may_be_centred(marginal, histograms):
                yield f'"{name}" is centred without a histogram of its labels'
            else:
                yield from _one_release(plan, release, marginal)
        measured.add(name)
    for name in marginals:
        if name not in measured:
            yield f'"{name}" is declared but not released'
    openings = tuple(
        Opening(round=r.number, marginal=x.marginal, values=x.opened, recipients="parties")
        for r in plan.rounds
        for x in r.releases
    )
    if plan.openings != openings:
        yield "the openings manifest does not list exactly the releases"


def _may_be_centred(query: Query, histograms: set[frozenset[str]]) -> bool:
    if not isinstance(query, Marginal) or query.panel is None:
        return False
    return frozenset(query.columns) in histograms


def _one_release(plan: Plan, release: Release, marginal: Query) -> Iterator[str]:
    name = marginal.id
    program = plan.program
    tables, labels, bins = program.shape(marginal)
    centred = release.map == "centred"
    if (release.tables, release.raw_cells) != (tables, tables * labels * bins):
        yield f'the shape of "{name}" is not that of its tables'
        return
    if release.opened != tables * labels * (bins - 1 if centred else bins):
        yield f'"{name}" opens another number of values than its map yields'
    contribution = contribution_of(program, marginal)
    table = table_sensitivity_squared(bins, release.map, contribution)
    if release.sensitivity_squared != tables * table:
        yield f'the sensitivity of "{name}" is not {tables} tables\' worth'
    honest = len(plan.parties) - plan.threshold
    # Equal, not "at least": ε of a discrete Gaussian is not monotone in its variance.
    if release.variance <= 0 or release.party_variance * honest != release.variance:
        yield f'the honest parties\' noise on "{name}" is not what is certified'
        return
    if VARIANCE_UNIT % release.variance.denominator:  # else a plan could take for ever to verify
        yield f'the noise on "{name}" is not a multiple of 1/{VARIANCE_UNIT}'
        return
    if release.party_variance < MINIMUM_PARTY_VARIANCE:
        yield f'the noise of one party on "{name}" is below the minimum'
    if centred and not centring_scale_suffices(release.party_variance, bins):
        yield f'the noise of one party on "{name}" is too small to centre'
    samples = contribution.samples
    yield from _modulus(plan, release, bins, samples)


def _importance_faults(plan: Plan, *, renyi: bool) -> Iterator[str]:
    """A share is not exceeded, and an accuracy target is kept (LANGUAGE, Importance)."""
    privacy = plan.program.privacy
    stated = [query for query in plan.program.marginals if query.importance.share is not None]
    targets = [query for query in plan.program.marginals if query.importance.error is not None]
    if not stated and not targets:
        return
    whole = mu_for_zcdp_budget if renyi else mu_for_budget
    budget = whole(privacy.epsilon, privacy.delta) ** 2
    releases = {release.marginal: release for release in plan.releases()}
    for query in stated:
        release, share = releases[query.id], query.importance.share
        if share is None or release.sensitivity_squared / release.variance > share * budget:
            yield f'"{query.id}" spends more than its share of the budget'
    for query in targets:
        variance = _cell_variance(plan, releases, query)
        if variance is None or variance > _target_variance(plan, query):
            yield f'"{query.id}" does not reach the accuracy that it is asked for'


def _target_variance(plan: Plan, query: Query) -> Fraction:
    target, people = query.importance.error, plan.program.person.people_bound
    if target is None:
        return Fraction(0)
    if target.unit == "people":
        return target.value**2
    size = Fraction(people or 0, plan.program.label_cells(query))
    return (target.value / 100 * size) ** 2


def _cell_variance(plan: Plan, releases: dict[str, Release], query: Query) -> Fraction | None:
    """Variance of one cell as released; of a centred one s²·(B − 1)/B + σ_N²/B² (PRIVACY 2.2)."""
    release = releases[query.id]
    variance = plan.released_variance(release)
    if release.map == "identity":
        return variance
    columns = set(query.columns) if isinstance(query, Marginal) else set()
    totals = []
    for other in (*plan.program.marginals, *plan.added):
        if isinstance(other, Marginal) and other.panel is None and set(other.columns) == columns:
            totals.append(plan.released_variance(releases[other.id]))
    if not totals:
        return None
    bins = query.bins
    return variance * Fraction(bins - 1, bins) + min(totals) / bins**2


def _modulus(plan: Plan, release: Release, bins: int, samples: int) -> Iterator[str]:
    """p > 2·(n·|q| + 12σ) with σ of the opened integers (PROTOCOL, Sizing), exactly.

    A person adds at most ``samples`` to a cell.
    """
    people = samples * (plan.program.person.people_bound or 2**32)
    if release.map == "centred":
        greatest, gain = bins - 1, bins * (bins - 1)
    else:
        greatest, gain = 1, 1
    room = plan.modulus - 2 * people * greatest
    variance = gain * plan.released_variance(release)
    if room <= 0 or Fraction(room) ** 2 <= 24**2 * variance:
        yield f'the field is too small for "{release.marginal}"'
