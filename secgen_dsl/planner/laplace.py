"""A plan with discrete Laplace noise: plain tables, one round, ε divided in closed form.

Pure ε adds up (``privacy.laplace``), so the budget is Σ T·D/b ≤ ε, with T tables of L1 sensitivity
D each.  The objective is the one of Gaussian plans, the weighted total variance Σ T·a·2b² of all
cells that the spec asks for (a: weight times cells of a table; the variance is 2b² − 1/6 + …, whose
rest matters below b = 1 only).  Lagrange: 4a·b = λ·D/b², hence **b ∝ (D/a)^(1/3)**, cut off at the
greatest scale that keeps an accuracy target.

Tables are plain: by how much less than x + z the centred A(x + z) would cost is not known in closed
form, and what centring gains in L2 (PRIVACY 2.2) has no counterpart in L1.  There is no floor on b
(``privacy.laplace``) and no reserve for the accountant, whose sum is exact.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import mpmath

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.plan import (
    MERSENNE_61,
    LaplaceNoise,
    Opening,
    Plan,
    Release,
    Round,
    laplace_variance,
)
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Table, as_table
from secgen_dsl.ir.statement import error_text
from secgen_dsl.planner.ceilings import plain_ceiling
from secgen_dsl.privacy.laplace import LARGEST_SCALE
from secgen_dsl.privacy.pld import MOST_DISTINCT, TooManyKindsError
from secgen_dsl.privacy.rounding import exact, three_digits_up, total
from secgen_dsl.privacy.sensitivity import l1_sensitivity

SCALE_STEP = 1000
"""Scales are rounded up to multiples of 1/1000."""

_ROOT_BITS = 120
_DIGITS = 60
_KEPT_DIGITS = 40


@dataclass(frozen=True)
class _Kind:
    """What queries of one scale have in common.

    Attributes:
        load: L1 sensitivity of the whole release: it takes load/b of ε.
        steepness: (D/a)^(1/3).
        ceiling: greatest b that keeps an accuracy target; None without one.
    """

    load: int
    steepness: Fraction
    ceiling: Fraction | None


def plan_laplace(program: Program) -> Plan:
    """The plan of a program whose mechanism is ``laplace``; it spends at most ε, exactly.

    Raises:
        SecgenError: SG312, scales of too many kinds or beyond what can be drawn; SG313, an
            accuracy that is out of reach.
    """
    queries = [as_table(query) for query in program.queries]
    parts = len(program.parties) - program.tolerated
    releases = tuple(
        _release(program, query, scale, parts)
        for query, scale in zip(queries, _scales(program, queries), strict=True)
    )
    return Plan(
        format="secgen.plan/3",
        program=program,
        added=(),
        parties=program.parties,
        threshold=program.tolerated,
        modulus=MERSENNE_61,
        rounds=(Round(number=1, delay=0, releases=releases),),
        openings=tuple(
            Opening(round=1, query=one.query, values=one.opened, recipients="parties")
            for one in releases
        ),
    )


def _release(program: Program, query: Table, scale: Fraction, parts: int) -> Release:
    tables, label_cells, bins = program.shape(query)
    cells = tables * label_cells * bins
    return Release(
        query=query.id,
        map="identity",
        tables=tables,
        raw_cells=cells,
        halved=0,
        opened=cells,
        noise=LaplaceNoise(
            kind="laplace",
            sensitivity=l1_sensitivity(program, query),
            scale=scale,
            parts=parts,
        ),
    )


def _scales(program: Program, queries: Sequence[Table]) -> list[Fraction]:
    """The scale of each query."""
    kinds = [_kind(program, query) for query in queries]
    pools: dict[str, list[int]] = defaultdict(list)
    for place, query in enumerate(queries):
        pools[query.id if query.importance.share is not None else ""].append(place)
    stated = {q.id: q.importance.share for q in queries if q.importance.share is not None}
    scales: dict[int, Fraction] = {}
    for pool, places in pools.items():
        share = stated[pool] if pool else 1 - sum(stated.values(), Fraction(0))
        budget = share * program.privacy.epsilon
        counts = Counter(kinds[place] for place in places)
        needed = _spent(counts, {kind: kind.ceiling for kind in counts if kind.ceiling is not None})
        if needed > budget or (needed == budget and any(kind.ceiling is None for kind in counts)):
            dearest = max(
                (place for place in places if kinds[place].ceiling is not None),
                key=lambda place: kinds[place].load / (kinds[place].ceiling or 1),
            )
            raise _out_of_reach(queries[dearest], needed / budget)
        found = _divided(counts, budget)
        scales.update((place, found[kinds[place]]) for place in places)
    distinct = len(set(scales.values()))
    if distinct > MOST_DISTINCT:
        raise fail(
            "SG312",
            str(TooManyKindsError(distinct)),
            place="measure",
            next_step="give marginals of a kind the same weight or error: equal noises count once",
        )
    if max(scales.values()) > LARGEST_SCALE:
        raise fail(
            "SG312",
            "the budget is too small for so many or so lightly weighted tables: the noise would "
            "be beyond what can be drawn",
            place="privacy",
            next_step="raise epsilon, measure fewer tables, or give them weights closer together",
        )
    return [scales[place] for place in range(len(queries))]


def _kind(program: Program, query: Table) -> _Kind:
    tables, label_cells, bins = program.shape(query)
    load = l1_sensitivity(program, query)
    ratio = Fraction(load, tables) / (query.importance.weight * label_cells * bins)
    ceiling = None
    if query.importance.error is not None:
        ceiling = _greatest_scale(plain_ceiling(program, query))
        if ceiling is None:
            raise _out_of_reach(query, None)
    return _Kind(load, _cube_root(ratio), ceiling)


def _divided(counts: Counter[_Kind], budget: Fraction) -> dict[_Kind, Fraction]:
    """The scale of each kind: λ·steepness or its ceiling, with the least λ that keeps the budget.

    A kind that λ would take beyond its ceiling takes more of the budget there, which raises λ for
    the others: so who is at a ceiling stays there.
    """
    found = {kind: kind.ceiling for kind in counts if kind.ceiling is not None}
    at_ceiling: dict[_Kind, Fraction] = {}
    with localcontext() as context:
        context.prec = _DIGITS
        while True:
            free = [kind for kind in counts if kind not in at_ceiling]
            rest = _decimal(budget - _spent(counts, at_ceiling))
            wanted = sum(
                (counts[kind] * kind.load / _decimal(kind.steepness) for kind in free), Decimal(0)
            )
            scale = wanted / rest if free else Decimal(0)
            over = {
                kind: ceiling
                for kind, ceiling in found.items()
                if kind not in at_ceiling and _decimal(kind.steepness) * scale > _decimal(ceiling)
            }
            if not over:
                break
            at_ceiling |= over
        scales = at_ceiling | {
            kind: _rounded_up(_decimal(kind.steepness) * scale, kind.ceiling) for kind in free
        }
    while _spent(counts, scales) > budget:  # by the last of 40 digits
        for kind in free:
            raised = scales[kind] + Fraction(1, SCALE_STEP)
            scales[kind] = raised if kind.ceiling is None else min(raised, kind.ceiling)
    return scales


def _spent(counts: Counter[_Kind], scales: dict[_Kind, Fraction]) -> Fraction:
    """Σ load/b of those kinds that have a scale."""
    return total([counts[kind] * kind.load / scale for kind, scale in scales.items()])


def _rounded_up(scale: Decimal, ceiling: Fraction | None) -> Fraction:
    with localcontext() as context:
        context.prec = _KEPT_DIGITS  # what is exact stays so
        context.rounding = ROUND_HALF_EVEN
        steps = (scale * SCALE_STEP).to_integral_value(ROUND_CEILING)
    rounded = Fraction(int(steps), SCALE_STEP)
    return rounded if ceiling is None else min(rounded, ceiling)


def _greatest_scale(variance: Fraction) -> Fraction | None:
    """The greatest multiple of 1/1000 whose noise has at most that variance; None if none has.

    The variance is 1/(2·sinh²(1/2b)).
    """
    with mpmath.workdps(_DIGITS):
        near = 1 / (2 * mpmath.asinh(1 / mpmath.sqrt(2 * exact(variance))))
        steps = int(mpmath.floor(near * SCALE_STEP)) + 1
    while steps > 0 and laplace_variance(Fraction(steps, SCALE_STEP)) > variance:
        steps -= 1
    return Fraction(steps, SCALE_STEP) if steps > 0 else None


def _cube_root(number: Fraction) -> Fraction:
    """number^(1/3), rounded up to a multiple of 2^−120; > 0."""
    whole = (number.numerator << (3 * _ROOT_BITS)) // number.denominator
    low, high = 0, 1 << (whole.bit_length() // 3 + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**3 <= whole else (low, middle)
    return Fraction(high, 1 << _ROOT_BITS)


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)


def _out_of_reach(query: Table, times: Fraction | None) -> SecgenError:
    target = query.importance.error
    asked = f" (error {error_text(target)})" if target is not None else ""
    if times is None:
        return fail(
            "SG313",
            f"the accuracy asked for{asked} is finer than the least noise that is drawn",
            place=query.statement,
            next_step="ask for a greater error",
        )
    more = three_digits_up(str(max(float(times), 1.01)))
    return fail(
        "SG313",
        f"the accuracy asked for{asked} needs more than the budget: with Laplace noise all targets "
        f"together take {more} times its epsilon",
        place=query.statement,
        next_step=f"make each error target {more} times as great, raise epsilon, or measure less",
    )
