"""From allocated queries to releases: moments and learned bins become sums of vectors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import ceil

from secgen_dsl.ir.plan import GaussianNoise, LinearMap, Release, Round
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Marginal, Moments, Query, SecondMoment, VectorSum
from secgen_dsl.ir.statement import canonical_statement
from secgen_dsl.ir.vectors import centres_clip, means_clip, scores_clip, squares_clip
from secgen_dsl.planner.allocation import VARIANCE_STEP, Measured
from secgen_dsl.privacy.sensitivity import sensitivity_squared
from secgen_dsl.privacy.slack import MINIMUM_PARTY_VARIANCE

MOMENTS_SPLIT = (Fraction(9, 49), Fraction(25, 49), Fraction(15, 49))
"""Of what moments get beside their histogram: gene means, scores by label, second moment.

As 18 : 50 : 30 of the prototype (SYNTHESIS)."""

SPLIT_WITHOUT_REFERENCE = (*(Fraction(10, 50),) * 2, Fraction(25, 50), Fraction(5, 50))
"""The same without a public table: the first round's sum of genes, then as above.

Nothing else says where genes lie; and gene sets hold too little of how genes vary together for
the second moment to matter (decision 0018)."""

_ROUND_SECONDS = 2
_VALUES_A_SECOND = 2_000_000
_DRAWS_A_SECOND = 20_000
_PEOPLE_IF_UNKNOWN = 10_000


@dataclass(frozen=True)
class Expanded:
    """What is released for a query.

    Attributes:
        variance: σ² of a raw cell.
        late: it needs what the first round opens.
    """

    query: Query
    map: LinearMap
    variance: Fraction
    late: bool


def expand(
    program: Program, measured: Sequence[Measured], variances: Sequence[Fraction], honest: int
) -> tuple[Expanded, ...]:
    """The releases of all measured queries: asked ones in the program's order, then added ones.

    Args:
        variances: σ² of a raw cell of each, as allocated.
        honest: m − t.
    """
    releases: list[Expanded] = []
    added: list[Expanded] = []
    taken = {item.query.id for item in measured}
    for item, variance in zip(measured, variances, strict=True):
        query = item.query
        if isinstance(query, Moments):
            cost = item.cost(variance)
            parts: tuple[VectorSum | SecondMoment, ...] = _vectors_of_moments(program, query)
            split: tuple[Fraction, ...] = MOMENTS_SPLIT
            if query.learns_scale:
                parts = (_centres(program, query), *parts)
                split = SPLIT_WITHOUT_REFERENCE
            for number, (part, share) in enumerate(zip(parts, split, strict=True)):
                vector = _vector(program, part, cost * share, honest, taken)
                added.append(replace(vector, late=query.learns_scale and number > 0))
            continue
        learning = item.learning
        kept = _rounded_up(variance / (1 - learning)) if learning else variance
        if learning and isinstance(query, Marginal):
            added += [
                _vector(
                    program, part, item.cost(kept) * learning / (1 - learning) / 2, honest, taken
                )
                for part in _vectors_of_bins(program, query)
            ]
        releases.append(Expanded(query, item.map, kept, late=bool(learning)))
    return (*releases, *added)


def rounds_of(program: Program, expanded: Sequence[Expanded], honest: int) -> tuple[Round, ...]:
    """One round, or two where bins or scales are learned."""
    early = [_release(program, one, honest) for one in expanded if not one.late]
    waiting = [one for one in expanded if one.late]
    late = [_release(program, one, honest) for one in waiting]
    first = Round(number=1, delay=0, releases=tuple(early))
    if not late:
        return (first,)
    return first, Round(number=2, delay=_delay(program, waiting, late), releases=tuple(late))


def _delay(program: Program, expanded: Sequence[Expanded], releases: Sequence[Release]) -> int:
    """Seconds within which any site has surely encoded and noised a later round.

    From public facts alone: numbers of values and draws at rates that slow machines keep.  A vector
    takes every gene of its panel.
    """
    people = program.person.people_bound or _PEOPLE_IF_UNKNOWN
    samples = program.person.samples
    if program.person.per is not None:
        samples *= len(program.column(program.person.per).values)
    work = sum(
        len(program.genes(program.query(one.query.serves)))
        if isinstance(one.query, VectorSum | SecondMoment)
        else release.tables
        for one, release in zip(expanded, releases, strict=True)
    )
    values = work * people * samples
    draws = sum(release.raw_cells for release in releases)
    seconds = Fraction(values, _VALUES_A_SECOND) + Fraction(draws, _DRAWS_A_SECOND)
    return _ROUND_SECONDS + min(ceil(seconds), 3600)


def _release(program: Program, one: Expanded, honest: int) -> Release:
    tables, label_cells, bins = program.shape(one.query)
    opened_bins = bins if one.map == "identity" else bins - 1
    opened_labels = label_cells
    if one.map == "double-centred":  # all but the last row of each block
        opened_labels -= label_cells // bins
    halved = 0
    if isinstance(one.query, SecondMoment):
        halved = one.query.coordinates * (one.query.coordinates - 1) // 2
    return Release(
        query=one.query.id,
        map=one.map,
        tables=tables,
        raw_cells=tables * label_cells * bins,
        halved=halved,
        opened=tables * opened_labels * opened_bins,
        noise=_noise(sensitivity_squared(program, one.query, one.map), one.variance, honest),
    )


@lru_cache(maxsize=1024)  # thousands of releases have the noise of a few
def _noise(moved: Fraction, variance: Fraction, honest: int) -> GaussianNoise:
    return GaussianNoise(
        kind="gaussian",
        sensitivity_squared=moved,
        variance=variance,
        party_variance=variance / honest,
    )


def _vector(
    program: Program, query: VectorSum | SecondMoment, cost: Fraction, honest: int, taken: set[str]
) -> Expanded:
    """A vector release that takes at most ``cost`` of μ²."""
    identifier = canonical_statement(query)
    while identifier in taken:  # by a query of columns with such names
        identifier += " (sums)"
    taken.add(identifier)
    texts = {"id": identifier, "statement": canonical_statement(query)}
    named: VectorSum | SecondMoment = query.model_copy(update=texts)
    least = 2 * MINIMUM_PARTY_VARIANCE * honest  # twice: some cells may have half of it
    variance = max(sensitivity_squared(program, named, "identity") / cost, least)
    return Expanded(named, "identity", _rounded_up(variance), late=False)


def _vectors_of_moments(
    program: Program, query: Moments
) -> tuple[VectorSum, VectorSum, SecondMoment]:
    genes, factors = len(program.genes(query)), len(query.loadings)
    clip = scores_clip(query)
    return (
        _sum(query.id, "means", (), genes + 1, means_clip(genes)),
        _sum(query.id, "scores", query.columns, factors, clip),
        SecondMoment(
            kind="second-moment",
            id="",
            statement="",
            serves=query.id,
            coordinates=factors,
            clip=clip,
        ),
    )


def _centres(program: Program, query: Moments) -> VectorSum:
    genes = len(program.genes(query))
    return _sum(query.id, "centres", (), genes + 1, centres_clip(genes))


def _vectors_of_bins(program: Program, query: Marginal) -> tuple[VectorSum, VectorSum]:
    genes = len(program.genes(query))
    return (
        _sum(query.id, "means", (), genes + 1, means_clip(genes)),
        _sum(query.id, "squares", (), genes, squares_clip(genes)),
    )


def _sum(serves: str, content: str, columns: tuple[str, ...], size: int, clip: int) -> VectorSum:
    return VectorSum.model_validate(
        {
            "kind": "vector-sum",
            "id": "",
            "statement": "",
            "serves": serves,
            "content": content,
            "columns": columns,
            "coordinates": size,
            "clip": clip,
        }
    )


def _rounded_up(variance: Fraction) -> Fraction:
    return Fraction(ceil(variance * VARIANCE_STEP), VARIANCE_STEP)
