"""Re-derives every claim of a plan from the plan alone.  Every party runs it before it reads data.

Shares no code with the planner beyond ``ir`` and ``privacy``.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Opening, Plan, Release
from secgen_dsl.ir.program import Marginal
from secgen_dsl.privacy.events import ShiftedGaussian, event_of
from secgen_dsl.privacy.gdp import mu_squared
from secgen_dsl.privacy.pld import epsilon_upper_bound
from secgen_dsl.privacy.sensitivity import marginal_sensitivity_squared
from secgen_dsl.privacy.slack import (
    MINIMUM_PARTY_VARIANCE,
    WARNING_PARTY_VARIANCE,
    centring_scale_suffices,
    centring_slack,
    split_noise_slack,
)
from secgen_dsl.verifier.structure import MOST_RAW_CELLS, structure_faults

_MOST_FAULTS = 20


@dataclass(frozen=True)
class Verified:
    """What the verifier re-derived.

    Attributes:
        epsilon: upper bound on ε at the plan's δ, all slack included (numpy PLD accountant).
        slack: ε that splitting and centring discrete noise add.
        mu_squared: Σ Δ²/σ² of the certified noise.
        events: what the accountant composed, releases of equal noise and shift together.
    """

    plan_sha256: str
    epsilon: float
    slack: Fraction
    mu_squared: Fraction
    events: tuple[ShiftedGaussian, ...]
    warnings: tuple[Diagnostic, ...]


def verify(plan: Plan) -> Verified:
    """Check a plan.

    Raises:
        SecgenError: SG320, one diagnostic for each claim that does not hold.
    """
    _refuse(structure_faults(plan))
    _refuse(_release_faults(plan))
    privacy = plan.program.privacy
    try:
        events, slack = _events(plan)
        epsilon = epsilon_upper_bound(events, privacy.delta, slack=slack)
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
    return Verified(
        plan_sha256=sha256_of(plan),
        epsilon=epsilon,
        slack=slack,
        mu_squared=mu_squared((r.sensitivity_squared, r.variance) for r in plan.releases()),
        events=tuple(events),
        warnings=tuple(_warnings(plan)),
    )


def _events(plan: Plan) -> tuple[list[ShiftedGaussian], Fraction]:
    """What the accountant composes, equal releases together, and the slack of all releases."""
    honest = len(plan.parties) - plan.threshold
    bins = {marginal.id: marginal.bins for marginal in (*plan.program.marginals, *plan.added)}
    slack = Fraction(0)
    counts: Counter[tuple[Fraction, int]] = Counter()
    for release in plan.releases():
        own = bins[release.marginal]
        event = event_of(release.map, release.tables, own, release.variance)
        counts[event.variance, event.shift] += event.count
        slack += split_noise_slack(release.raw_cells, release.party_variance, honest)
        if release.map == "centred":
            slack += centring_slack(release.tables, own, release.variance)
    return [ShiftedGaussian(v, shift, count) for (v, shift), count in counts.items()], slack


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


def _warnings(plan: Plan) -> Iterator[Diagnostic]:
    for release in plan.releases():
        if release.party_variance < WARNING_PARTY_VARIANCE:
            yield Diagnostic(
                "SG309",
                f'the noise of each party on "{release.marginal}" is small '
                f"(variance {float(release.party_variance):.3g})",
                "warning",
                place=release.marginal,
                next_step="choose a smaller epsilon: it would cost little accuracy here",
            )


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
        frozenset(marginal.columns) for marginal in marginals.values() if marginal.panel is None
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
            has_histogram = frozenset(marginal.columns) in histograms
            yield from _one_release(plan, release, marginal, has_histogram=has_histogram)
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


def _one_release(
    plan: Plan, release: Release, marginal: Marginal, *, has_histogram: bool
) -> Iterator[str]:
    name = marginal.id
    program = plan.program
    tables, labels, bins = program.shape(marginal)
    centred = release.map == "centred"
    if (release.tables, release.raw_cells) != (tables, tables * labels * bins):
        yield f'the shape of "{name}" is not that of its tables'
        return
    if centred and (marginal.panel is None or not has_histogram):
        yield f'"{name}" is centred without a histogram of its labels'
        return
    if release.opened != tables * labels * (bins - 1 if centred else bins):
        yield f'"{name}" opens another number of values than its map yields'
    if release.sensitivity_squared != marginal_sensitivity_squared(tables, bins, release.map):
        yield f'the sensitivity of "{name}" is not {tables} tables\' worth'
    honest = len(plan.parties) - plan.threshold
    # Equal, not "at least": ε of a discrete Gaussian is not monotone in its variance.
    if release.variance <= 0 or release.party_variance * honest != release.variance:
        yield f'the honest parties\' noise on "{name}" is not what is certified'
        return
    if release.party_variance < MINIMUM_PARTY_VARIANCE:
        yield f'the noise of one party on "{name}" is below the minimum'
    if centred and not centring_scale_suffices(release.party_variance, bins):
        yield f'the noise of one party on "{name}" is too small to centre'
    yield from _modulus(plan, release, bins)


def _modulus(plan: Plan, release: Release, bins: int) -> Iterator[str]:
    """p > 2·(n·|q| + 12σ) with σ of the opened integers (PROTOCOL, Sizing), exactly."""
    people = plan.program.person.people_bound or 2**32
    if release.map == "centred":
        greatest, gain = bins - 1, bins * (bins - 1)
    else:
        greatest, gain = 1, 1
    room = plan.modulus - 2 * people * greatest
    variance = gain * plan.released_variance(release)
    if room <= 0 or Fraction(room) ** 2 <= 24**2 * variance:
        yield f'the field is too small for "{release.marginal}"'
