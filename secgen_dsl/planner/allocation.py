"""How the budget is divided: closed form, in decimal arithmetic that is the same everywhere."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal, localcontext
from fractions import Fraction
from typing import TypeAlias

from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.ir.queries import Moments, Table
from secgen_dsl.privacy.slack import MINIMUM_PARTY_VARIANCE

VARIANCE_STEP = 16
"""Variances are rounded up to multiples of 1/16."""

CONTEXT = Context(prec=60)
"""Of all decimals here: the same digits everywhere."""


@dataclass(frozen=True)
class Measured:
    """A query with its map and its part in the objective.

    Attributes:
        tables: number T of tables of equal noise.
        table_sensitivity_squared: Δ² of one of them.
        coefficient: a > 0, so that the objective (weighted total variance of the cells that the
            spec asks for) is Σ T·a·σ² over all measured queries.
        pool: id of the query whose ``share`` pays for this one; empty: the common pool.
        ceiling: greatest σ² that keeps an accuracy target, a multiple of 1/16; None without one.
        learning: part of its cost that goes to learning its bins, 0 ≤ part < 1 (``expansion``).
        copies: it stands for so many alike queries; more than one only while choices are tried.
    """

    query: Table | Moments
    map: LinearMap
    tables: int
    table_sensitivity_squared: Fraction
    coefficient: Fraction
    pool: str
    ceiling: Fraction | None
    learning: Fraction = Fraction(0)
    copies: int = 1

    def least_variance(self, honest_parties: int) -> Fraction:
        """The floor of σ²: every party's share σ²/(m − t) must stay above the guards.

        σᵢ² ≥ 4, and for centred and double-centred tables sᵢ ≥ 3·√(B/2) (PROTOCOL, Sizing;
        PRIVACY 2.2).
        """
        floor = Fraction(MINIMUM_PARTY_VARIANCE)
        if self.map != "identity" and not isinstance(self.query, Moments):
            floor = max(floor, centred_floor(self.query.bins))
        # What learning takes comes off the tables: their own noise stays above the floor.
        return floor * honest_parties

    def cost(self, variance: Fraction) -> Fraction:
        """What it takes of μ² with that variance: T·Δ²/σ²."""
        return self.tables * self.table_sensitivity_squared / variance


def centred_floor(bins: int) -> Fraction:
    """The least σᵢ² of one party for centred tables of so many bins: sᵢ ≥ 3·√(B/2)."""
    return max(Fraction(MINIMUM_PARTY_VARIANCE), Fraction(9 * bins, 2))


class OutOfReachError(ValueError):
    """An accuracy target cannot be kept within the budget.

    Attributes:
        measured: one that cannot.
        needed: μ² that its pool would take if every target of it were just kept; None if the
            target asks for less than the least noise.
    """

    def __init__(self, measured: Measured, needed: Fraction | None) -> None:
        super().__init__(measured.query.id)
        self.measured = measured
        self.needed = needed


@dataclass(frozen=True)
class Optimum:
    """How a pool is divided best.

    Attributes:
        scale: λ.
        multiplier: λ² where the whole budget is spent, else 0: by so much the objective falls for
            each bit of μ² more.
        objective: Σ T·a·σ².
    """

    scale: Decimal
    multiplier: Decimal
    objective: Decimal


class Kind:
    """What queries of one noise have in common: one variable of the problem.

    Numbers that the solution needs again and again are kept as decimals.

    Attributes:
        example: one of these queries.
        steepness: Δ/√a: between floor and ceiling σ² is this times the scale λ.
        starts: below that λ the variance is at its floor.
        ends: above that λ it is at its ceiling; None without one.
        load: T·Δ², what it takes of μ² times σ².
        price: T·a, what σ² adds to the objective.
    """

    __slots__ = ("ceiling", "ends", "example", "floor", "load", "price", "starts", "steepness")

    def __init__(self, example: Measured, floor: Fraction) -> None:
        self.example = example
        with localcontext(CONTEXT):
            ratio = example.table_sensitivity_squared / example.coefficient
            self.steepness = _decimal(ratio).sqrt()
            self.floor = _decimal(floor)
            self.ceiling = None if example.ceiling is None else _decimal(example.ceiling)
            self.starts = self.floor / self.steepness
            self.ends = None if self.ceiling is None else self.ceiling / self.steepness
            self.load = _decimal(example.tables * example.table_sensitivity_squared)
            self.price = _decimal(example.tables * example.coefficient)

    def variance(self, scale: Decimal) -> Decimal:
        """σ² at λ."""
        if scale <= self.starts:
            return self.floor
        if self.ends is not None and self.ceiling is not None and scale >= self.ends:
            return self.ceiling
        return self.steepness * scale

    def price_at(self, best: Optimum) -> Decimal:
        """The least T·a·σ² + ν·T·Δ²/σ², with the multiplier ν of a pool's optimum."""
        if self.ceiling is not None and self.ceiling < self.floor:
            return Decimal("Infinity")
        with localcontext(CONTEXT):
            variance = self.variance(best.scale) if best.multiplier else self.floor
            return self.price * variance + best.multiplier * self.load / variance


Kinds: TypeAlias = Counter[Kind]
"""How many queries there are of each kind."""


class Sorter:
    """Finds the kind of a query; equal queries of one pool have the same one."""

    def __init__(self, honest_parties: int) -> None:
        self._honest = honest_parties
        self._kinds: dict[tuple[object, ...], Kind] = {}

    def kind(self, item: Measured) -> Kind:
        """The kind of a measured query."""
        floor = item.least_variance(self._honest)
        numbers = (
            item.tables,
            item.table_sensitivity_squared,
            item.coefficient,
            item.ceiling,
            floor,
            item.pool,
        )
        found = self._kinds.get(numbers)
        if found is None:
            found = self._kinds[numbers] = Kind(item, floor)
        return found


def optimum(kinds: Kinds, budget: Fraction) -> Optimum:
    """The least Σ T·a·σ² of a pool that keeps Σ T·Δ²/σ² ≤ μ_p², floors and ceilings.

    By Lagrange ``σᵢ² = (Δᵢ/√aᵢ)·λ``, cut off at floor and ceiling (PRIVACY 2.1; the problem is
    convex and separable, so that this is its optimum), with the least λ that keeps the budget.

    Args:
        budget: μ_p² > 0.

    Raises:
        OutOfReachError: an accuracy target needs more than the pool has, or less noise than the
            floor.
    """
    for kind in kinds:
        if kind.ceiling is not None and kind.ceiling < kind.floor:
            raise OutOfReachError(kind.example, None)
    limited = [(kind, count) for kind, count in kinds.items() if kind.ceiling is not None]
    needed = least_budget(kinds)
    if needed > budget or (needed == budget and len(limited) < len(kinds)):
        dearest = max(limited, key=lambda pair: pair[0].load / (pair[0].ceiling or 1))
        raise OutOfReachError(dearest[0].example, needed)
    with localcontext(CONTEXT):
        scale, spent = _least_scale(kinds, _decimal(budget))
        objective = sum(
            (count * kind.price * kind.variance(scale) for kind, count in kinds.items()),
            Decimal(0),
        )
        return Optimum(scale, scale * scale if spent else Decimal(0), objective)


def least_budget(kinds: Kinds) -> Fraction:
    """What the accuracy targets of a pool take of μ² if they are just kept."""
    return sum(
        (
            count * kind.example.cost(kind.example.ceiling)
            for kind, count in kinds.items()
            if kind.example.ceiling is not None
        ),
        Fraction(0),
    )


def _least_scale(kinds: Kinds, budget: Decimal) -> tuple[Decimal, bool]:
    """The least λ at which the budget is kept, and whether it is spent."""
    ends = (kind.ends for kind in kinds)
    breaks = sorted({*(kind.starts for kind in kinds), *(end for end in ends if end is not None)})
    low, high = 0, len(breaks)  # the first breakpoint at which the budget is kept
    while low < high:
        middle = (low + high) // 2
        fixed, free = _spent(kinds, breaks[middle], breaks[middle])
        if fixed + free / breaks[middle] <= budget:
            high = middle
        else:
            low = middle + 1
    if low == 0:
        return breaks[0], False  # all at their floors, or before
    below = breaks[low - 1]
    above = breaks[low] if low < len(breaks) else below * 2
    fixed, free = _spent(kinds, below, above)
    return (above, True) if free == 0 else (free / (budget - fixed), True)


def _spent(kinds: Kinds, low: Decimal, high: Decimal) -> tuple[Decimal, Decimal]:
    """μ² of those fixed for λ between two breakpoints, and λ·μ² of those that are free."""
    fixed = free = Decimal(0)
    for kind, count in kinds.items():
        if high <= kind.starts:
            fixed += count * kind.load / kind.floor
        elif kind.ends is not None and kind.ceiling is not None and low >= kind.ends:
            fixed += count * kind.load / kind.ceiling
        else:
            free += count * kind.load / kind.steepness
    return fixed, free


def allocate(
    measured: Sequence[Measured], mu: Fraction, honest_parties: int
) -> tuple[Fraction, ...]:
    """The variance σ² of one raw cell of each measured query.

    μ² is divided among the pools: a query with ``share`` has its own.  Each pool is divided as
    ``optimum`` says, and variances are rounded up, so that the budget holds.

    Args:
        mu: μ > 0.
        honest_parties: m − t ≥ 1.

    Raises:
        OutOfReachError: an accuracy target needs more than its pool has, or less noise than the
            floor.
    """
    sorter = Sorter(honest_parties)
    sorted_kinds = [sorter.kind(item) for item in measured]
    stated = shares(measured)
    variances: dict[Kind, Fraction] = {}
    for pool, kinds in pools_of(Counter(sorted_kinds)).items():
        scale = optimum(kinds, mu**2 * part_of(pool, stated)).scale
        variances |= {kind: _rounded(kind, scale, honest_parties) for kind in kinds}
    return tuple(variances[kind] for kind in sorted_kinds)


def pools_of(kinds: Kinds) -> Mapping[str, Kinds]:
    """Pool → its kinds."""
    pools: dict[str, Kinds] = defaultdict(Counter)
    for kind, count in kinds.items():
        pools[kind.example.pool][kind] = count
    return pools


def shares(measured: Sequence[Measured]) -> Mapping[str, Fraction]:
    """Id of a query with ``share`` → its part of μ²."""
    return {
        item.query.id: item.query.importance.share
        for item in measured
        if item.query.importance.share is not None
    }


def part_of(pool: str, stated: Mapping[str, Fraction]) -> Fraction:
    """The part of μ² that a pool has: its query's share, or what all shares leave."""
    return stated[pool] if pool else 1 - sum(stated.values(), Fraction(0))


def _rounded(kind: Kind, scale: Decimal, honest_parties: int) -> Fraction:
    """The variance at λ, a multiple of 1/16 between floor and ceiling."""
    item = kind.example
    with localcontext(CONTEXT):
        steps = (kind.steepness * scale * VARIANCE_STEP).to_integral_value(ROUND_CEILING)
    variance = max(Fraction(int(steps), VARIANCE_STEP), item.least_variance(honest_parties))
    return variance if item.ceiling is None else min(variance, item.ceiling)


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)


def objective(measured: Sequence[Measured], variances: Sequence[Fraction]) -> Fraction:
    """Σ T·a·σ²: the weighted total variance of all cells that the spec asks for."""
    return sum(
        (m.tables * m.coefficient * v for m, v in zip(measured, variances, strict=True)),
        Fraction(0),
    )
