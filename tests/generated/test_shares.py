"""Shares and accuracy targets of generated specs: never exceeded, met, kept."""

from collections import defaultdict
from fractions import Fraction

from hypothesis import assume, given

from secgen_dsl.ir.plan import Plan, Release
from secgen_dsl.ir.queries import Marginal, Moments, SecondMoment, VectorSum
from secgen_dsl.planner.predict import predict
from secgen_dsl.privacy.bound import mu_for
from secgen_dsl.privacy.slack import MINIMUM_PARTY_VARIANCE
from tests.generated.drafts import GeneratedSpec
from tests.generated.specs import specs
from tests.generated.studies import examples, folder_of, planned, resolved

UNSPENT = Fraction(3, 100)
"""Of a pool: what certificates round up, and at most so much for a tiny budget's corrections."""


def plan_of(spec: GeneratedSpec) -> Plan:
    with folder_of(spec) as folder:
        plan = planned(resolved(spec.text(), folder))
    assume(plan is not None)
    assert plan is not None
    return plan


def pools(plan: Plan) -> dict[str, list[Release]]:
    """Id of a query with a share, or nothing → the releases that its budget pays."""
    own = {q.id: q.id if q.importance.share is not None else "" for q in plan.program.queries}
    found: dict[str, list[Release]] = defaultdict(list)
    maps = {release.query: release.map for release in plan.releases()}
    for release in plan.releases():
        query = plan.query(release.query)
        if query.id in own:
            payer = own[query.id]
        elif isinstance(query, VectorSum | SecondMoment):
            payer = own[query.serves]
        else:  # a histogram: the first that needs it pays, the common pool if one of its does
            assert isinstance(query, Marginal)
            needing = [
                own[other.id]
                for other in plan.program.queries
                if isinstance(other, Marginal | Moments)
                and set(other.columns) == set(query.columns)
                and (isinstance(other, Moments) or maps[other.id] != "identity")
            ]
            payer = "" if "" in needing else needing[0]
        found[payer].append(release)
    return found


def spent(release: Release, step: Fraction = Fraction(0)) -> Fraction:
    return release.noise.sensitivity_squared / (release.noise.variance - step)


def is_bounded(plan: Plan, release: Release) -> bool:
    """Whether its noise is the least that parties may add, or all that its target allows."""
    query = plan.query(release.query)
    least = MINIMUM_PARTY_VARIANCE
    if release.map != "identity" and isinstance(query, Marginal):
        least = max(least, Fraction(9 * query.bins, 2))
    if isinstance(query, VectorSum | SecondMoment):
        return release.noise.party_variance <= 2 * least
    targets = [q.importance.error for q in plan.program.queries]
    return release.noise.party_variance <= least or any(targets)


@examples(quick=50, full=2500)
@given(specs())
def test_shares_are_never_exceeded_and_met_within_rounding(spec: GeneratedSpec) -> None:
    plan = plan_of(spec)
    privacy = plan.program.privacy
    budget = mu_for(plan.program, privacy.epsilon, privacy.delta) ** 2
    shares = {
        q.id: q.importance.share for q in plan.program.queries if q.importance.share is not None
    }
    parts = shares | {"": 1 - sum(shares.values(), Fraction(0))}
    for payer, releases in pools(plan).items():
        whole = parts[payer] * budget
        assert sum(map(spent, releases)) <= whole, payer
        if any(is_bounded(plan, release) for release in releases):
            continue
        # One step of 1/16 less noise everywhere would spend the pool, but for what is kept back.
        finer = sum(spent(release, Fraction(1, 16)) for release in releases)
        assert finer >= (1 - UNSPENT) * whole, (payer, float(finer / whole))


@examples(quick=50, full=2500)
@given(specs())
def test_accuracy_targets_are_kept(spec: GeneratedSpec) -> None:
    plan = plan_of(spec)
    for prediction in predict(plan):
        query = prediction.query
        target = None if isinstance(query, VectorSum | SecondMoment) else query.importance.error
        if target is None:
            continue
        error = prediction.standard_error
        if target.unit == "percent":
            assert prediction.relative_error is not None
            error = 100 * prediction.relative_error
        assert error <= float(target.value) * (1 + 1e-9), query.id
