"""How the budget is divided: closed form, in decimal arithmetic that is the same everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext
from fractions import Fraction

from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.ir.program import Marginal
from secgen_dsl.privacy.slack import MINIMUM_PARTY_VARIANCE

VARIANCE_STEP = 16
"""Variances are rounded up to multiples of 1/16."""

_DIGITS = 60


@dataclass(frozen=True)
class Measured:
    """A marginal with its map and its part in the objective.

    Attributes:
        tables: number T of tables of equal noise.
        table_sensitivity_squared: Δ² of one of them.
        coefficient: a > 0, so that the objective (weighted total variance of the cells that the
            spec asks for) is Σ T·a·σ² over all measured marginals.
    """

    marginal: Marginal
    map: LinearMap
    tables: int
    table_sensitivity_squared: Fraction
    coefficient: Fraction

    def least_variance(self, honest_parties: int) -> Fraction:
        """The floor of σ²: every party's share σ²/(m − t) must stay above the guards.

        σᵢ² ≥ 4, and for centred tables sᵢ ≥ 3·√(B/2) (PROTOCOL, Sizing; PRIVACY 2.2).
        """
        floor = Fraction(MINIMUM_PARTY_VARIANCE)
        if self.map == "centred":
            floor = max(floor, Fraction(9 * self.marginal.bins, 2))
        return floor * honest_parties


def allocate(
    measured: Sequence[Measured], mu: Fraction, honest_parties: int
) -> tuple[Fraction, ...]:
    """The variance σ² of one raw cell of each measured marginal.

    Minimises Σ T·a·σ² subject to Σ T·Δ²/σ² ≤ μ² and the floors: by Lagrange
    ``σᵢ² = (Δᵢ/√aᵢ) · Σⱼ Tⱼ·Δⱼ·√aⱼ / μ²`` (PRIVACY 2.1); what falls below its floor is set to
    it, and what it then leaves of μ² goes to the others, until nothing falls below.  (The problem
    is convex and separable, so that this water-filling ends at its optimum.)  Rounded up, so that
    the budget holds.

    Args:
        mu: μ > 0.
        honest_parties: m − t ≥ 1.
    """
    with localcontext() as context:
        context.prec = _DIGITS

        def decimal(number: Fraction) -> Decimal:
            return Decimal(number.numerator) / Decimal(number.denominator)

        floors = [m.least_variance(honest_parties) for m in measured]
        steepness = [decimal(m.table_sensitivity_squared / m.coefficient).sqrt() for m in measured]
        loads = [
            m.tables * decimal(m.table_sensitivity_squared * m.coefficient).sqrt() for m in measured
        ]
        free = set(range(len(measured)))
        variances: dict[int, Fraction] = {}
        while free:
            spent = sum(
                (
                    measured[i].tables * measured[i].table_sensitivity_squared / variances[i]
                    for i in variances
                ),
                Fraction(0),
            )
            # Positive: what a floor spends is less than what the optimum had given to it.
            scale = sum((loads[i] for i in sorted(free)), Decimal(0)) / decimal(mu**2 - spent)
            optimum = {i: steepness[i] * scale for i in free}
            below = {i for i in free if optimum[i] <= decimal(floors[i])}
            if not below:
                for i in free:
                    steps = (optimum[i] * VARIANCE_STEP).to_integral_value(ROUND_CEILING)
                    variances[i] = Fraction(int(steps), VARIANCE_STEP)
                break
            for i in below:
                variances[i] = floors[i]
            free -= below
    return tuple(variances[i] for i in range(len(measured)))


def objective(measured: Sequence[Measured], variances: Sequence[Fraction]) -> Fraction:
    """Σ T·a·σ²: the weighted total variance of all cells that the spec asks for."""
    return sum(
        (m.tables * m.coefficient * v for m, v in zip(measured, variances, strict=True)),
        Fraction(0),
    )
