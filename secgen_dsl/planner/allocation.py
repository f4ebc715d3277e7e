"""How the budget is divided: closed form, in decimal arithmetic that is the same everywhere."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext
from fractions import Fraction

from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.ir.program import Moments, Table
from secgen_dsl.privacy.slack import MINIMUM_PARTY_VARIANCE

VARIANCE_STEP = 16
"""Variances are rounded up to multiples of 1/16."""

_DIGITS = 60


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
    """

    query: Table | Moments
    map: LinearMap
    tables: int
    table_sensitivity_squared: Fraction
    coefficient: Fraction
    pool: str
    ceiling: Fraction | None
    learning: Fraction = Fraction(0)

    def least_variance(self, honest_parties: int) -> Fraction:
        """The floor of σ²: every party's share σ²/(m − t) must stay above the guards.

        σᵢ² ≥ 4, and for centred and double-centred tables sᵢ ≥ 3·√(B/2) (PROTOCOL, Sizing;
        PRIVACY 2.2).
        """
        floor = Fraction(MINIMUM_PARTY_VARIANCE)
        if self.map != "identity" and not isinstance(self.query, Moments):
            floor = max(floor, Fraction(9 * self.query.bins, 2))
        # What learning takes comes off the tables: their own noise stays above the floor.
        return floor * honest_parties

    def cost(self, variance: Fraction) -> Fraction:
        """What it takes of μ² with that variance: T·Δ²/σ²."""
        return self.tables * self.table_sensitivity_squared / variance


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


def allocate(
    measured: Sequence[Measured], mu: Fraction, honest_parties: int
) -> tuple[Fraction, ...]:
    """The variance σ² of one raw cell of each measured query.

    μ² is divided among the pools: a query with ``share`` has its own.  Within a pool of μ_p²,
    Σ T·a·σ² is minimal subject to Σ T·Δ²/σ² ≤ μ_p², floors and ceilings: by Lagrange
    ``σᵢ² = (Δᵢ/√aᵢ)·λ``, cut off at floor and ceiling (PRIVACY 2.1; the problem is convex and
    separable, so that this is its optimum), with the least λ that keeps the budget.  Rounded up,
    so that the budget holds.

    Args:
        mu: μ > 0.
        honest_parties: m − t ≥ 1.

    Raises:
        OutOfReachError: an accuracy target needs more than its pool has, or less noise than the
            floor.
    """
    pools: dict[str, list[int]] = defaultdict(list)
    for position, item in enumerate(measured):
        pools[item.pool].append(position)
    variances: dict[int, Fraction] = {}
    for pool, positions in pools.items():
        own = [measured[position] for position in positions]
        found = _allocate_pool(own, mu**2 * _part(measured, pool), honest_parties)
        variances.update(zip(positions, found, strict=True))
    return tuple(variances[position] for position in range(len(measured)))


def shares(measured: Sequence[Measured]) -> Mapping[str, Fraction]:
    """Id of a query with ``share`` → its part of μ²."""
    return {
        item.query.id: item.query.importance.share
        for item in measured
        if item.query.importance.share is not None
    }


def _part(measured: Sequence[Measured], pool: str) -> Fraction:
    stated = shares(measured)
    return stated[pool] if pool else 1 - sum(stated.values(), Fraction(0))


def _allocate_pool(
    measured: Sequence[Measured], budget: Fraction, honest_parties: int
) -> list[Fraction]:
    floors = [item.least_variance(honest_parties) for item in measured]
    for item, floor in zip(measured, floors, strict=True):
        if item.ceiling is not None and item.ceiling < floor:
            raise OutOfReachError(item, None)
    at_ceilings = [item for item in measured if item.ceiling is not None]
    needed = sum((item.cost(item.ceiling or Fraction(1)) for item in at_ceilings), Fraction(0))
    if needed > budget or (needed == budget and len(at_ceilings) < len(measured)):
        raise OutOfReachError(max(at_ceilings, key=lambda x: x.cost(x.ceiling or budget)), needed)
    with localcontext() as context:
        context.prec = _DIGITS
        steepness = [
            _decimal(item.table_sensitivity_squared / item.coefficient).sqrt() for item in measured
        ]
        bounds = _Bounds(measured, floors, steepness)
        scale = bounds.scale_within(budget)
        variances = []
        for item, floor, steep in zip(measured, floors, steepness, strict=True):
            steps = (steep * scale * VARIANCE_STEP).to_integral_value(ROUND_CEILING)
            variance = max(Fraction(int(steps), VARIANCE_STEP), floor)
            variances.append(variance if item.ceiling is None else min(variance, item.ceiling))
    return variances


class _Bounds:
    """Where the optimum, as a function of the scale λ, meets floors and ceilings."""

    def __init__(
        self, measured: Sequence[Measured], floors: Sequence[Fraction], steepness: Sequence[Decimal]
    ) -> None:
        self._measured = measured
        self._floors = floors
        self._steepness = steepness
        # Below its first number a query is at its floor, above its second at its ceiling.
        self._from = [_decimal(f) / s for f, s in zip(floors, steepness, strict=True)]
        self._to = [
            None if item.ceiling is None else _decimal(item.ceiling) / steep
            for item, steep in zip(measured, steepness, strict=True)
        ]

    def scale_within(self, budget: Fraction) -> Decimal:
        """The least λ at which the budget is kept."""
        breaks = sorted({*self._from, *(to for to in self._to if to is not None)})
        low, high = 0, len(breaks)  # the first breakpoint at which the budget is kept
        while low < high:
            middle = (low + high) // 2
            fixed, free = self._spent(breaks[middle], breaks[middle])
            if fixed + free / breaks[middle] <= _decimal(budget):
                high = middle
            else:
                low = middle + 1
        if low == 0:
            return breaks[0]  # all at their floors, or before: less than the budget is spent
        below = breaks[low - 1]
        above = breaks[low] if low < len(breaks) else below * 2
        fixed, free = self._spent(below, above)
        if free == 0:
            return above
        return free / (_decimal(budget) - fixed)

    def _spent(self, low: Decimal, high: Decimal) -> tuple[Decimal, Decimal]:
        """μ² of those fixed for λ between two breakpoints, and λ·μ² of those that are free."""
        fixed = free = Decimal(0)
        columns = zip(self._measured, self._floors, self._steepness, strict=True)
        for position, (item, floor, steep) in enumerate(columns):
            end = self._to[position]
            if high <= self._from[position]:
                fixed += _decimal(item.cost(floor))
            elif end is not None and item.ceiling is not None and low >= end:
                fixed += _decimal(item.cost(item.ceiling))
            else:
                free += item.tables * _decimal(item.table_sensitivity_squared) / steep
        return fixed, free


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)


def objective(measured: Sequence[Measured], variances: Sequence[Fraction]) -> Fraction:
    """Σ T·a·σ²: the weighted total variance of all cells that the spec asks for."""
    return sum(
        (m.tables * m.coefficient * v for m, v in zip(measured, variances, strict=True)),
        Fraction(0),
    )
