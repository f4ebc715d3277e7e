"""Learned edges and scales: what noised sums of an earlier round make of a plan's program.

Post-processing of opened values, in exact arithmetic: every party, and whoever reads the
measurements later, gets the same edges and scales.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import isqrt

from secgen_dsl.ir.plan import Plan, Release
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Asked, Marginal, Moments, Standard, VectorSum
from secgen_dsl.ir.vectors import COUNT_PART, QUANTUM

_EDGE_STEP = 1024
"""Edges are rounded to multiples of 1/1024 of the panel's unit."""

_LEAST_VARIANCE = Fraction(1, 16)
WITHIN = Fraction(1, 25)
"""Variance of a gene between people, in sixths of the range: .83 of 25 log2 units."""

_SCALE_STEP = 1024
_LEAST_SCALE = Fraction(1, 64)
_ROOT_BITS = 40


def with_learned_edges(plan: Plan, opened: Mapping[str, Sequence[int]]) -> Program:
    """The plan's program with edges and scales of all queries whose sums are among ``opened``.

    Args:
        plan: a verified plan.
        opened: id of a query → its opened values.
    """
    queries: list[Asked] = []
    for query in plan.program.queries:
        update: dict[str, object] = {}
        if isinstance(query, Marginal) and query.learned is not None:
            if _ready(plan, query, opened):
                update = {"edges": _edges(plan, query, opened)}
        elif isinstance(query, Moments) and query.learns_scale:
            centres = _sum_of(plan, query.id, "centres")
            if centres.id in opened:
                update = {"standard": _standard(plan, query, centres, opened[centres.id])}
        queries.append(query.model_copy(update=update) if update else query)
    return plan.program.model_copy(update={"queries": tuple(queries)})


def moments_of(plan: Plan, query: Marginal) -> tuple[VectorSum, VectorSum]:
    """The sums of means and of squares that a query with learned bins is served by.

    Raises:
        KeyError: the plan has none.
    """
    return _sum_of(plan, query.id, "means"), _sum_of(plan, query.id, "squares")


def _sum_of(plan: Plan, served: str, content: str) -> VectorSum:
    for added in plan.added:
        if isinstance(added, VectorSum) and (added.serves, added.content) == (served, content):
            return added
    raise KeyError(f"{content} of {served}")


def _ready(plan: Plan, query: Marginal, opened: Mapping[str, Sequence[int]]) -> bool:
    return all(one.id in opened for one in moments_of(plan, query))


def _edges(
    plan: Plan, query: Marginal, opened: Mapping[str, Sequence[int]]
) -> tuple[tuple[Fraction, ...], ...]:
    """centre + scale·(mean + deviation·q), within the panel's range.

    The mean is Σ over people of the standardised value, over the noised count of people; the
    deviation √(Σ squares/count − mean²), at least a quarter.  Means are first shrunk towards the
    public centre by τ²/(τ² + s²), with s² the noise of a mean and τ² = max(0, mean square − s²)
    their spread (empirical Bayes, James and Stein 1961): free, as post-processing.
    """
    learned = query.learned
    if learned is None or query.panel is None:
        raise ValueError(f"the bins of {query.id} are not learned")
    means, squares = moments_of(plan, query)
    releases = {release.query: release for release in plan.releases()}
    *sums, counted = opened[means.id]
    weight = means.clip // COUNT_PART
    people = max(Fraction(counted, weight), Fraction(1))
    raw = [Fraction(value) / (QUANTUM * people) for value in sums]
    factor = _shrinkage(raw, _variance(plan, releases[means.id]) / (QUANTUM * people) ** 2)
    panel = plan.program.panel(query.panel)
    edges = []
    standard = learned.standard
    for gene, value in enumerate(raw):
        mean = factor * value
        second = Fraction(opened[squares.id][gene]) / (QUANTUM * people)
        deviation = _root(max(second - value**2, _LEAST_VARIANCE))
        own = []
        for quantile in learned.quantiles[gene]:
            edge = standard.centres[gene] + standard.scales[gene] * (mean + deviation * quantile)
            rounded = Fraction(round(edge * _EDGE_STEP), _EDGE_STEP)
            own.append(min(max(rounded, panel.low), panel.high))
        edges.append(tuple(own))
    return tuple(edges)


def _standard(plan: Plan, query: Moments, centres: VectorSum, opened: Sequence[int]) -> Standard:
    """Centres are noisy means, shrunk to their own mean; one scale is what is left around them.

    The shrinkage s is that of ``_edges``.  What is left has the variance of a gene between people,
    which is public (``WITHIN``), plus that of the shrunk mean's error, s·noise; at most that of
    the public scale.  Any centres within the range and any scale are sound, for clips and noise of
    the later sums are in units of the scale.
    """
    release = next(release for release in plan.releases() if release.query == centres.id)
    *sums, counted = opened
    people = max(Fraction(counted, centres.clip // COUNT_PART), Fraction(1))
    raw = [Fraction(value) / (QUANTUM * people) for value in sums]
    common = sum(raw, Fraction(0)) / len(raw)
    noise = _variance(plan, release) / (QUANTUM * people) ** 2
    factor = _shrinkage([value - common for value in raw], noise)
    left = _root(min(WITHIN + factor * noise, Fraction(1)))
    panel = plan.program.panel(query.panel)
    learned, scales = [], []
    for value, centre, scale in zip(
        raw, query.standard.centres, query.standard.scales, strict=True
    ):
        mean = centre + scale * (common + factor * (value - common))
        rounded = Fraction(round(mean * _SCALE_STEP), _SCALE_STEP)
        learned.append(min(max(rounded, panel.low), panel.high))
        scales.append(max(Fraction(round(scale * left * _SCALE_STEP), _SCALE_STEP), _LEAST_SCALE))
    return Standard(reference="", centres=tuple(learned), scales=tuple(scales))


def _shrinkage(means: Sequence[Fraction], noise: Fraction) -> Fraction:
    if len(means) < 3:  # no spread can be told from so few
        return Fraction(1)
    spread = max(sum((mean**2 for mean in means), Fraction(0)) / len(means) - noise, Fraction(0))
    total = spread + noise
    return spread / total if total else Fraction(1)


def _variance(plan: Plan, release: Release) -> Fraction:
    return plan.released_variance(release)


def _root(number: Fraction) -> Fraction:
    """√number to 2^−40, rounded down."""
    scaled = (number.numerator << (2 * _ROOT_BITS)) // number.denominator
    return Fraction(isqrt(scaled), 1 << _ROOT_BITS)
