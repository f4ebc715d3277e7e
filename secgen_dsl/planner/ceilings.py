"""How much noise accuracy targets allow: ceilings of σ² that keep the targets for least budget."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from math import ceil

from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Marginal, Query, Table
from secgen_dsl.planner.allocation import CONTEXT, VARIANCE_STEP

_HALVINGS = 48
_NOTHING = Fraction(0)


def learning_part(query: Query) -> Fraction:
    """Part of a query's cost that learning its bins takes; 0 unless they are learned."""
    if isinstance(query, Marginal) and query.learned is not None:
        return query.learned.part
    return _NOTHING


def cell_target(program: Program, query: Table) -> Fraction:
    """The greatest variance of a cell, as certified, that keeps the query's accuracy target.

    The target bounds one standard error of a cell as released, in people or in percent of the
    people's bound ÷ label cells; released variances are m/(m − t) times the certified ones.

    Raises:
        ValueError: no target, or one in percent without a bound on people.
    """
    target = query.importance.error
    people = program.person.people_bound
    if target is None or (target.unit == "percent" and people is None):
        raise ValueError(f"{query.id} has no accuracy target that can be computed")
    error = target.value
    if target.unit == "percent":
        error = target.value / 100 * Fraction(people or 1, program.label_cells(query))
    parties = len(program.parties)
    return error**2 * Fraction(parties - program.tolerated, parties)


def plain_ceiling(program: Program, query: Table) -> Fraction:
    """The greatest σ² of plain tables that keeps the target, before bins are learned.

    A part of the cost goes to learning the bins: the tables then have that much more noise.
    """
    return (1 - learning_part(query)) * cell_target(program, query)


@dataclass(frozen=True)
class Rows:
    """A centred query with an accuracy target, beside a histogram of its labels.

    A cell has the variance s²·(B − 1)/B/k + σ_N²/B² ≤ C, of the histogram's σ_N² and a raw cell's
    s²; k is the part of the cost that learning bins leaves.

    Attributes:
        load: T·Δ²; what s² takes of μ² is that over s².
        bins: B ≥ 2.
        target: C.
        kept: k.
        floor: the least s².
    """

    load: Fraction
    bins: int
    target: Fraction
    kept: Fraction
    floor: Fraction

    @property
    def left(self) -> Fraction:
        """(B − 1)/B."""
        return 1 - Fraction(1, self.bins)

    def ceiling(self, histogram: Fraction) -> Fraction:
        """The greatest s² beside a histogram of that σ_N²."""
        return self.kept * (self.target - histogram / self.bins**2) / self.left

    @property
    def most(self) -> Fraction:
        """The greatest σ_N² that leaves room for the floor, rounded up once bins are learned."""
        least = Fraction(ceil(self.floor / self.kept * VARIANCE_STEP), VARIANCE_STEP)
        return (self.target - least * self.left) * self.bins**2


def histogram_ceiling(
    rows: Counter[Rows], load: Fraction, floor: Fraction, most: Fraction | None
) -> Fraction:
    """The σ_N² of a label histogram with which the targets beside it take least of μ².

    That is Σ n·T·Δ²·(B − 1)/(B·k)/(C − h/B²) + Δ_N²/h at h = σ_N²: convex in h, and least where its
    derivative is 0, or at the end of what floors and the histogram's own target allow.

    Args:
        rows: how many queries there are of each kind, at least one.
        load: Δ_N².
        floor: the least σ_N².
        most: the greatest that keeps the histogram's own target; None without one.

    Returns:
        at most the floor if nothing above it is allowed; correct to twelve digits, from below.
    """
    limits = [kind.most for kind in rows] + ([] if most is None else [most])
    return _least_cost(frozenset(rows.items()), load, floor, min(limits))


@lru_cache(maxsize=4096)  # alike labels of one spec
def _least_cost(
    rows: frozenset[tuple[Rows, int]], load: Fraction, floor: Fraction, most: Fraction
) -> Fraction:
    if most <= floor:
        return most
    with localcontext(CONTEXT):
        kinds = [
            (
                _decimal(count * kind.load * kind.left / kind.kept * kind.bins**2),
                _decimal(kind.target * kind.bins**2),
            )
            for kind, count in sorted(rows, key=lambda pair: (pair[0].load, pair[0].target))
        ]
        total, low, high = _decimal(load), _decimal(floor), _decimal(most)

        def rises(h: Decimal) -> bool:
            """Whether the cost rises at h; a, c of a kind are its weight and B²·C: Σ a/(c − h)."""
            return sum((a / (c - h) ** 2 for a, c in kinds), Decimal(0)) * h * h > total

        if not rises(high):
            return most
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if rises(middle) else (middle, high)
        return Fraction(low)


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)
